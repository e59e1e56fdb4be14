"""Images and kernels of a data set as the numbers they are compared by."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve

from napari_selfdeblur.compare.metrics import align, kernel_similarity
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.io.kernels import prepare_kernel

__all__ = ["OrientedKernel", "grey", "kernel_mse", "orient", "peak", "read_psf"]

_STUDIO_LUMA = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601 with head- and footroom
_STUDIO_BLACK = 16 / 255
_REACH = 10


@dataclass(frozen=True, slots=True, eq=False)
class OrientedKernel:
    """A stored kernel turned into the PSF of one capture.

    Attributes
    ----------
    psf : ndarray of float32, (kh, kw)
        Summing to 1.
    rotated : bool
        Whether the file holds it rotated by 180 degrees.
    residual, residual_other : float
        Root mean square difference between capture and re-blurred truth, for this orientation
        and for the other one; close to each other where the data cannot tell.
    """

    psf: NDArray[np.float32]
    rotated: bool
    residual: float
    residual_other: float


def peak(dtype: np.dtype[Any]) -> float:
    """Return the value that counts as 1: the maximum of an integer type, 1 of a float."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def grey(image: ArrayLike, white: float, *, rgb: bool) -> NDArray[np.float64]:
    """Return the plane that images are compared by.

    Parameters
    ----------
    image : array_like, (H, W), (H, W, 3) or (H, W, 4)
        In [0, `white`].
    white : float
        See `peak`.
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
        The truth and its capture, in [0, 1].

    Returns
    -------
    OrientedKernel
        Of the orientation whose valid convolution with the truth is nearer to the capture,
        up to shift.
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
