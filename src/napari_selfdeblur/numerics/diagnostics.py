"""What an estimate leaves unexplained, and how far the restorations with several kernels differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

__all__ = ["COMPARED_BY", "MOST_COMPARED", "Spread", "residual"]

COMPARED_BY = "hyper_laplacian"
"""The restoration by which kernels are compared, whatever makes the result: it is fast."""
MOST_COMPARED = 6
"""Kernels whose restorations make the spread, at most."""

Plane = NDArray[np.float32]


def residual(y: Plane, k: Plane, x: Plane) -> Plane:
    """Return y - k * x (equation 1); 0 where k * x depends on pixels outside of x.

    Parameters
    ----------
    y, x : ndarray of float32, (H, W)
        Blurred and sharp image at the same place.
    k : ndarray of float32, (kh, kw)
        The PSF, odd sides, sum 1, its central pixel being no shift.
    """
    r = np.zeros(y.shape, np.float32)
    if y.shape[0] >= k.shape[0] and y.shape[1] >= k.shape[1]:
        top, left = (n // 2 for n in k.shape)
        inner = slice(top, y.shape[0] - top), slice(left, y.shape[1] - left)
        r[inner] = y[inner] - fftconvolve(x, k, mode="valid")
    return r


class Spread:
    """The pixelwise standard deviation of weighted images, added one by one.

    Parameters
    ----------
    shape : (int, int)
        Of the images.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._weight = 0.0
        self._mean = np.zeros(shape, np.float32)
        self._squares = np.zeros(shape, np.float32)

    def add(self, x: Plane, weight: float) -> None:
        """Add an image (H, W); `x` is overwritten (West 1979: no two images are held)."""
        self._weight += weight
        x -= self._mean
        self._mean += x * np.float32(weight / self._weight)
        self._squares += np.square(x, out=x) * np.float32(weight * (1 - weight / self._weight))

    @property
    def deviation(self) -> Plane:
        """The standard deviation (H, W), in the images' units; 0 of a single one."""
        return np.asarray(np.sqrt(self._squares / np.float32(self._weight)), dtype=np.float32)
