"""A known sharp image, and how near to it an image is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.images import LUMA, natural_range

__all__ = ["GroundTruth"]


class GroundTruth:
    """The known sharp image of one blurred image.

    Images are compared by their luma with a peak of 1: 255 of 8-bit images, 1 of floats
    inside [0, 1], otherwise the truth's own range.

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
        sharp, observed = np.asarray(truth), np.asarray(blurred)
        if sharp.shape[:2] != observed.shape[:2]:
            raise ImageError(
                f"the truth has {sharp.shape[:2]} pixels, the blurred image {observed.shape[:2]}; "
                "give the sharp image of the same field"
            )
        own, other = natural_range(sharp), natural_range(observed)
        if own is None or other is None:
            own = other = (float(sharp.min()), float(sharp.max()))
            if own[0] == own[1]:
                raise ImageError("the truth is constant; give the sharp image of this field")
        self._range = other
        self._truth = _unit(sharp, own)
        self.psnr_blurred = self.psnr(observed)

    def psnr(self, image: ArrayLike) -> float:
        """Return the PSNR in dB, up to shift, of an image in the blurred image's values.

        Raises
        ------
        ImageError
            If the image is too small for the search over shifts.
        """
        return psnr_up_to_shift(_unit(np.asarray(image), self._range), self._truth)


def _unit(image: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float64]:
    values = image.astype(np.float64)
    luma = values[..., :3] @ LUMA if values.ndim == 3 else values
    low, high = value_range
    return np.asarray((luma - low) / (high - low))
