"""A known sharp image, and how near to it an image is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import as_array
from napari_selfdeblur.io.images import LUMA, full_scale

__all__ = ["GroundTruth"]


class GroundTruth:
    """The known sharp image of one blurred image.

    Images are compared by their luma with a peak of 1: 255 of 8-bit images and 1 of floats
    inside [0, 1], if the truth reaches a quarter of it; otherwise the truth's own range.

    Parameters
    ----------
    truth : array_like, (H, W), (H, W, 3) or (H, W, 4)
        Sharp image.
    blurred : array_like
        The blurred image of the same height and width, before anything was done to it.

    Attributes
    ----------
    psnr_blurred : float
        PSNR in dB of the blurred image.

    Raises
    ------
    ImageError
        If the two differ in size, are too small to compare, or one is not an image.
    """

    def __init__(self, truth: ArrayLike, blurred: ArrayLike) -> None:
        sharp, observed = as_array(truth, "truth"), as_array(blurred)
        if sharp.shape[:2] != observed.shape[:2]:
            raise ImageError(
                f"the truth has {sharp.shape[:2]} pixels, the blurred image {observed.shape[:2]}; "
                "give the sharp image of the same field"
            )
        own, other = full_scale(sharp), full_scale(observed)
        if own is None or other is None or sharp.max() < own / 4:
            low, high = float(sharp.min()), float(sharp.max())
            if low == high:
                raise ImageError("the truth is constant; give the sharp image of this field")
            self._range, self._truth = (low, high), _unit(sharp, (low, high))
        else:
            self._range, self._truth = (0.0, other), _unit(sharp, (0.0, own))
        self.psnr_blurred = self.psnr(observed)

    def psnr(self, image: ArrayLike) -> float:
        """Return the PSNR in dB, up to shift, of an image in the blurred image's values.

        Raises
        ------
        ImageError
            If the image is too small for the search over shifts.
        """
        return psnr_up_to_shift(_unit(as_array(image), self._range), self._truth)


def _unit(image: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float64]:
    values = image.astype(np.float64)
    luma = values[..., :3] @ LUMA if values.ndim == 3 else values
    low, high = value_range
    return np.asarray((luma - low) / (high - low))
