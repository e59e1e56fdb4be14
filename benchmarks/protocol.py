"""How results are compared on these data sets: planes, kernels and measures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve
from skimage.color import rgb2ycbcr
from skimage.filters import threshold_otsu

from benchmarks.images import TestImage
from napari_selfdeblur.compare.metrics import Score, align, error_ratios, kernel_similarity, score
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.io.kernels import prepare_kernel

RESTORED = "restored_"
"""Before the names of restorations with an estimated kernel."""
_REACH = 10

Arrays = Mapping[str, NDArray[Any]]


class OrientedKernel(NamedTuple):
    """The PSF of one blurred image, float32 summing to 1, and how it was stored.

    `residuals` are the root mean square differences between the blurred and the re-blurred sharp
    image, with the kernel as it is here and with it rotated; close where the data cannot tell.
    """

    psf: NDArray[np.float32]
    rotated: bool
    residuals: tuple[float, float]


class GroundTruth:
    """A blurred image, its sharp image and its kernel, read from the files of a test image."""

    def __init__(self, test: TestImage) -> None:
        blurred, sharp = read_image(test.blurred), read_image(test.sharp)
        self.test = test
        self.blurred, self.rgb = blurred.array, blurred.rgb
        self.sharp = grey(sharp.array, _white(sharp.array.dtype), rgb=sharp.rgb)

    @cached_property
    def kernel(self) -> OrientedKernel | None:
        """The true kernel as the PSF of this image, None where it is not known."""
        if self.test.true_kernel is None:
            return None
        return orient(read_psf(Path(self.test.true_kernel)), self.sharp, self.plane(self.blurred))

    def plane(self, image: ArrayLike) -> NDArray[np.float64]:
        """Return an image in the blurred image's values as the plane that is compared."""
        return grey(image, _white(self.blurred.dtype), rgb=self.rgb)

    def score(self, image: ArrayLike) -> Score:
        """Return the measures of an image in the blurred image's values, up to shift."""
        return score(self.plane(image), self.sharp)

    def restore(
        self, kernel: ArrayLike, method: str, device: str, weight: float | None = None
    ) -> tuple[NDArray[Any], float]:
        """Return the blurred image restored with `kernel`, and the seconds it took."""
        from napari_selfdeblur import restore

        start = time.perf_counter()
        image = restore(self.blurred, kernel, method, weight=weight, device=device, rgb=self.rgb)
        return image, time.perf_counter() - start

    def measures(self, made: Arrays) -> dict[str, Any]:
        """Return every measure of what was made, as in a row. A new metric belongs here.

        Images are in the blurred image's values: ``sharp``, the result, and where they were made
        ``kernel``, the estimate; ``known``, the restoration with the true kernel, by whose error
        error ratios divide; ``restored_NAME``, a restoration with the estimated kernel.
        """
        row: dict[str, Any] = {"blurred": _quality(self.score(self.blurred))}
        if "kernel" in made and self.kernel is not None:
            row["kernel_similarity"] = kernel_similarity(made["kernel"], self.kernel.psf)
            row["kernel_mse"] = kernel_mse(made["kernel"], self.kernel.psf)
        known = None
        if "known" in made:
            known = self.score(made["known"])
            row["reference"] = _quality(known)
        row["sharp"] = _quality(self.score(made["sharp"]), known)
        restored = {n.removeprefix(RESTORED): made[n] for n in made if n.startswith(RESTORED)}
        row["restorations"] = {n: _quality(self.score(i), known) for n, i in restored.items()}
        if self.test.dataset == "microscopy":  # whose sharp images are noisy: PSNR says little
            planes = {"blurred": self.plane(self.blurred), "sharp": self.plane(made["sharp"])}
            row["dice"] = {name: mask_dice(each, self.sharp) for name, each in planes.items()}
        return row


def _quality(found: Score, known: Score | None = None) -> dict[str, float]:
    """Return PSNR, SSIM and, over the error with the known kernel, both error ratios."""
    measures = {"psnr": found.psnr, "ssim": found.ssim}
    if known is not None:
        ratios = error_ratios(found, known)
        measures |= {f"error_ratio_{name}": value for name, value in ratios.items()}
    return measures


def grey(image: ArrayLike, white: float, *, rgb: bool) -> NDArray[np.float64]:
    """Return the plane (H, W) that images are compared by, `white` as 1.

    Colour becomes the Y of YCbCr by ITU-R BT.601 in studio range, 16/255 to 235/255: what
    MATLAB's ``rgb2ycbcr`` returns, with which the published values on the data of Lai et al.
    were taken. Its PSNR lies 1.3 dB above that of the full range.
    """
    values = np.asarray(image, dtype=np.float64) / white
    return np.asarray(rgb2ycbcr(values[..., :3])[..., 0] / 255) if rgb else values


def read_psf(path: Path) -> NDArray[np.float32]:
    """Read a kernel, oriented as in its file, summing to 1; an even side gets a row of zeros."""
    file = read_image(path)
    values = np.asarray(file.array)
    odd = [(0, 1 - side % 2) for side in values.shape[:2]]
    return prepare_kernel(np.pad(values, odd + [(0, 0)] * file.rgb))


def orient(kernel: ArrayLike, sharp: ArrayLike, blurred: ArrayLike) -> OrientedKernel:
    """Find out by re-blurring whether a kernel is stored as the PSF or rotated by 180 degrees.

    Of both orientations of `kernel` (odd sides) the one whose valid convolution with `sharp` is
    nearer to `blurred` (H, W), up to shift.
    """
    stored = np.asarray(kernel, dtype=np.float64)
    x, y = np.asarray(sharp, dtype=np.float64), np.asarray(blurred, dtype=np.float64)
    reach = min(_REACH, *(side // 2 for side in stored.shape))
    residuals = []
    for k in (stored, stored[::-1, ::-1]):
        found = align(y, fftconvolve(x, k, mode="valid"), crop=0, max_shift=reach)
        error = found.candidate_crop - found.truth_crop
        residuals.append(math.sqrt(float(np.mean(error**2))))
    rotated = residuals[1] < residuals[0]
    psf = np.ascontiguousarray(stored[::-1, ::-1] if rotated else stored, dtype=np.float32)
    return OrientedKernel(psf, rotated, (min(residuals), max(residuals)))


def kernel_mse(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Return the least mean squared difference of two kernels over all whole-pixel shifts.

    The sum of squares runs over both supports; the mean is over the pixels of `truth`.
    """
    k, true = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    product = kernel_similarity(k, true) * float(np.linalg.norm(k) * np.linalg.norm(true))
    squares = float(np.sum(k**2) + np.sum(true**2)) - 2 * product
    return max(squares, 0.0) / true.size


def mask_dice(image: ArrayLike, truth: ArrayLike) -> float:
    """Return Dice's coefficient of what is brighter than Otsu's threshold in both, up to shift."""
    found = align(image, truth)
    a, b = (each > threshold_otsu(each) for each in (found.candidate_crop, found.truth_crop))
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def _white(dtype: np.dtype[Any]) -> float:
    """Return the value that counts as 1: the maximum of an integer type, 1 of a float."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
