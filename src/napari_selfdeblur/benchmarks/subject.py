"""A capture with its truth, and the measures of whatever was made of it."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.benchmarks.cases import Case
from napari_selfdeblur.benchmarks.truth import OrientedKernel, grey, orient, peak, read_psf
from napari_selfdeblur.compare.metrics import Score, error_ratios, score
from napari_selfdeblur.io.files import read_image

__all__ = ["Subject", "quality"]


class Subject:
    """A capture and its truth.

    Parameters
    ----------
    case : Case
        Which one; its files are read at once.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """

    def __init__(self, case: Case) -> None:
        file, truth = read_image(case.blurred), read_image(case.truth)
        self.case = case
        self.image, self.rgb = file.array, file.rgb
        self.truth = grey(truth.array, peak(truth.array.dtype), rgb=truth.rgb)

    @cached_property
    def kernel(self) -> OrientedKernel | None:
        """The true kernel as the PSF of this capture."""
        if self.case.true_kernel is None:
            return None
        stored = read_psf(self.case.true_kernel)
        return orient(stored, self.truth, self.grey(self.image))

    def grey(self, image: ArrayLike) -> NDArray[np.float64]:
        """Return an image in the capture's values as the plane it is compared by."""
        return grey(image, peak(self.image.dtype), rgb=self.rgb)

    def score(self, image: ArrayLike) -> Score:
        """Return the measures of an image in the capture's values, up to shift."""
        return score(self.grey(image), self.truth)

    def restore(
        self, kernel: ArrayLike, method: str, device: str, weight: float | None = None
    ) -> tuple[NDArray[np.float32], float]:
        """Return the restored image, and the seconds it took."""
        from napari_selfdeblur.restoration import restore

        start = time.perf_counter()
        image = restore(self.image, kernel, method, weight=weight, device=device, rgb=self.rgb)
        return image, time.perf_counter() - start


def quality(found: Score, reference: Score | None = None) -> dict[str, float]:
    """Return PSNR, SSIM and, over the reference's error, both error ratios."""
    measures = {"psnr": found.psnr, "ssim": found.ssim}
    if reference is not None:
        ratios = asdict(error_ratios(found, reference))
        measures |= {f"error_ratio_{name}": value for name, value in ratios.items()}
    return measures
