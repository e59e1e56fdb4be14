"""Kernels against each other: how alike they are, the shift between them, a common support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import irfft2, next_fast_len, rfft2
from skimage.registration import phase_cross_correlation

__all__ = [
    "agreement_of",
    "correlation_of",
    "correlations",
    "cropped",
    "padded",
    "registered",
    "shift_between",
    "trimmed",
]

_UNLIKE, _ALIKE = 0.6, 0.9  # correlations of kernels that disagree, and that agree
_KEPT_MASS = 0.999  # of the kernel, in the support returned


def correlations(kernels: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Return the largest normalised correlation of each two kernels over whole-pixel shifts."""
    side = next_fast_len(2 * max(max(k.shape) for k in kernels), real=True)
    spectra = [rfft2(k / np.linalg.norm(k), s=(side, side)) for k in kernels]
    rows = [irfft2(K.conj() * np.stack(spectra), s=(side, side)).max(axis=(1, 2)) for K in spectra]
    return np.stack(rows)


def agreement_of(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far kernels that correlate so much agree, from 0 to 1."""
    return np.asarray(np.clip((correlation - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1))


def correlation_of(agreement: float) -> float:
    """Return the correlation of kernels that agree so far: the inverse of `agreement_of`."""
    return _UNLIKE + (_ALIKE - _UNLIKE) * agreement


def shift_between(fixed: NDArray[np.floating], k: NDArray[np.floating]) -> tuple[float, float]:
    """Return the shift (rows, columns), to 1/20 pixel, that moves `k` onto `fixed`."""
    shift = phase_cross_correlation(fixed, k, upsample_factor=20, normalization=None)[0]
    return float(shift[0]), float(shift[1])


def padded(kernel: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Return a kernel with sum 1, centred to half a pixel on a support of `side`, odd."""
    k = np.zeros((side, side))
    top, left = ((side - n) // 2 for n in kernel.shape)
    k[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel / kernel.sum()
    return np.roll(k, _to_centre(k), axis=(0, 1))


def registered(kernel: NDArray[np.floating], fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a kernel with sum 1 on the support of `fixed` (side, side), moved onto it."""
    k = padded(kernel, fixed.shape[0])
    # Cubic: linear interpolation would blur the kernel.
    k = ndimage.shift(k, shift_between(fixed, k), order=3).clip(0)
    return np.asarray(k / k.sum())


def cropped(kernel: NDArray[np.floating], least: tuple[int, int] = (3, 3)) -> NDArray[np.float32]:
    """Return a kernel centred on the smallest odd support of at least `least` that keeps 99.9 %."""
    return trimmed(padded(kernel, 2 * max(*kernel.shape, *least) + 1), least)


def trimmed(k: NDArray[np.float64], least: tuple[int, int] = (1, 1)) -> NDArray[np.float32]:
    """Return a kernel (side, side) of sum 1, scaled to it again, without its empty frame.

    The central pixel stays; sides are odd, at least `least`, and hold 99.9 %.
    """
    middle, (a, b) = k.shape[0] // 2, (n // 2 for n in least)
    while k[middle - a : middle + a + 1, middle - b : middle + b + 1].sum() < _KEPT_MASS:
        a, b = min(a + 1, middle), min(b + 1, middle)
    k = k[middle - a : middle + a + 1, middle - b : middle + b + 1]
    return np.asarray(k / k.sum(), dtype=np.float32)


def _to_centre(k: NDArray[np.float64]) -> tuple[int, int]:
    middle = ndimage.center_of_mass(k)
    rows, columns = (n // 2 - round(float(c)) for n, c in zip(k.shape, middle, strict=True))
    return rows, columns
