"""How results are compared on these data sets: planes, kernels and measures."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve

from benchmarks.images import TestImage
from napari_selfdeblur.compare.metrics import Score, align, error_ratios, kernel_similarity, score
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.io.kernels import prepare_kernel

__all__ = ["GroundTruth", "Made", "OrientedKernel", "grey", "kernel_mse", "orient", "read_psf"]

_STUDIO_LUMA = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601 with head- and footroom
_STUDIO_BLACK = 16 / 255
_REACH = 10


@dataclass(frozen=True, slots=True, eq=False)
class OrientedKernel:
    """A stored kernel turned into the PSF of one blurred image.

    Attributes
    ----------
    psf : ndarray of float32, (kh, kw)
        Summing to 1.
    rotated : bool
        Whether the file holds it rotated by 180 degrees.
    residual, residual_other : float
        Root mean square difference between the blurred and the re-blurred sharp image, for this
        orientation and for the other; close to each other where the data cannot tell.
    """

    psf: NDArray[np.float32]
    rotated: bool
    residual: float
    residual_other: float


@dataclass(slots=True, eq=False)
class Made:
    """What a measurement made of a blurred image, all in the blurred image's values.

    Attributes
    ----------
    sharp : ndarray, (H, W) or (H, W, C)
        The result.
    kernel : ndarray of float32 or None
        The estimated kernel; None where it was given.
    known : ndarray or None
        Restored with the true kernel: what error ratios divide by.
    restored : dict of ndarray
        Restored with the estimated kernel, by the restoration's name.
    """

    sharp: NDArray[Any]
    kernel: NDArray[np.float32] | None = None
    known: NDArray[Any] | None = None
    restored: dict[str, NDArray[Any]] = field(default_factory=dict)


class GroundTruth:
    """A blurred image, its sharp image and its kernel, read from files.

    Parameters
    ----------
    test : TestImage
        Which one.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """

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
        return orient(read_psf(self.test.true_kernel), self.sharp, self.plane(self.blurred))

    def plane(self, image: ArrayLike) -> NDArray[np.float64]:
        """Return an image in the blurred image's values as the plane that is compared."""
        return grey(image, _white(self.blurred.dtype), rgb=self.rgb)

    def score(self, image: ArrayLike) -> Score:
        """Return the measures of an image in the blurred image's values, up to shift."""
        return score(self.plane(image), self.sharp)

    def quality(self, image: ArrayLike, reference: Score | None = None) -> dict[str, float]:
        """Return PSNR, SSIM and, over the reference's error, both error ratios."""
        found = self.score(image)
        measures = {"psnr": found.psnr, "ssim": found.ssim}
        if reference is not None:
            ratios = asdict(error_ratios(found, reference))
            measures |= {f"error_ratio_{name}": value for name, value in ratios.items()}
        return measures

    def restore(
        self, kernel: ArrayLike, method: str, device: str, weight: float | None = None
    ) -> tuple[NDArray[Any], float]:
        """Return the blurred image restored with `kernel`, and the seconds it took."""
        from napari_selfdeblur import restore

        start = time.perf_counter()
        image = restore(self.blurred, kernel, method, weight=weight, device=device, rgb=self.rgb)
        return image, time.perf_counter() - start

    def measures(self, made: Made) -> dict[str, Any]:
        """Return every measure of what was made; a new metric has its place here.

        A measure that needs no more than `Made` can be taken later of stored images.
        """
        row: dict[str, Any] = {"blurred": self.quality(self.blurred)}
        if made.kernel is not None and self.kernel is not None:
            row["kernel_similarity"] = kernel_similarity(made.kernel, self.kernel.psf)
            row["kernel_mse"] = kernel_mse(made.kernel, self.kernel.psf)
        reference = None if made.known is None else self.score(made.known)
        if reference is not None:
            row["reference"] = {"psnr": reference.psnr, "ssim": reference.ssim}
        row["sharp"] = self.quality(made.sharp, reference)
        row["restorations"] = {
            name: self.quality(image, reference) for name, image in made.restored.items()
        }
        return row


def grey(image: ArrayLike, white: float, *, rgb: bool) -> NDArray[np.float64]:
    """Return the plane that images are compared by.

    Parameters
    ----------
    image : array_like, (H, W), (H, W, 3) or (H, W, 4)
        In [0, `white`].
    white : float
        The value that counts as 1.
    rgb : bool
        Whether the last axis is colour. Colour becomes the Y of YCbCr by ITU-R BT.601 in
        studio range, 16/255 to 235/255: what MATLAB's ``rgb2ycbcr`` returns, with which the
        published values on the data of Lai et al. were taken. It lies 1.3 dB above full range.

    Returns
    -------
    ndarray of float64, (H, W)
    """
    values = np.asarray(image, dtype=np.float64) / white
    return values[..., :3] @ _STUDIO_LUMA + _STUDIO_BLACK if rgb else values


def read_psf(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read a stored kernel, oriented as in its file and summing to 1.

    An even side gets one more row or column of zeros.

    Raises
    ------
    ImageError
        If the file cannot be read or holds no positive value.
    """
    file = read_image(path)
    values = np.asarray(file.array)
    odd = [(0, 1 - side % 2) for side in values.shape[:2]]
    return prepare_kernel(np.pad(values, odd + [(0, 0)] * file.rgb))


def orient(kernel: ArrayLike, sharp: ArrayLike, blurred: ArrayLike) -> OrientedKernel:
    """Find out by re-blurring whether a kernel is stored as the PSF or rotated by 180 degrees.

    Parameters
    ----------
    kernel : array_like, (kh, kw)
        As stored, odd sides.
    sharp, blurred : array_like, (H, W)
        In [0, 1].

    Returns
    -------
    OrientedKernel
        Of the orientation whose valid convolution with the sharp image is nearer to the blurred
        one, up to shift.
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
    psf = stored[::-1, ::-1] if rotated else stored
    return OrientedKernel(
        psf=np.ascontiguousarray(psf, dtype=np.float32),
        rotated=rotated,
        residual=residuals[rotated],
        residual_other=residuals[not rotated],
    )


def kernel_mse(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Return the least mean squared difference of two kernels over all whole-pixel shifts.

    The sum of squares runs over both supports, zero outside them; the mean is over the pixels
    of `truth`.
    """
    k, true = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    product = kernel_similarity(k, true) * float(np.linalg.norm(k) * np.linalg.norm(true))
    squares = float(np.sum(k**2) + np.sum(true**2)) - 2 * product
    return max(squares, 0.0) / true.size


def _white(dtype: np.dtype[Any]) -> float:
    """Return the value that counts as 1: the maximum of an integer type, 1 of a float."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
