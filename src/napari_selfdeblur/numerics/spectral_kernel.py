"""A blur kernel estimated from the power spectrum of an image: no edge need be found.

Sharp natural images have a power spectrum near 1 / |w|^2, so that their derivative is nearly
white in every direction, and what is not white in the derivative of a blurred image is the
kernel's. After Goldstein and Fattal, "Blur-kernel estimation from spectral irregularities",
ECCV 2012, as analysed by Anger, Facciolo and Delbracio, IPOL 2018. The phase is retrieved by
relaxed averaged alternating reflections: Luke, Inverse Problems 2005.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates
from scipy.signal import fftconvolve
from scipy.signal.windows import tukey
from torch import Tensor

from napari_selfdeblur.numerics.edge_kernel import checked_image, cleaned_kernel
from napari_selfdeblur.numerics.noise import noise_sigma

__all__ = ["spectral_kernels"]

Array = NDArray[np.float64]
Lags = NDArray[np.int_]

_TAPER = 0.25  # of the image, by a Tukey window
_ANGLES, _GROUP = 180, 4  # angles in [0, pi), each the median of so many
_REACH = 1.42  # lags at most, over the larger side of the kernel: its diagonal
_SLOPE = 1.5  # the support's change per radian at most, over that side
_PASSES = 2  # with the support that the whitened image shows, then that of the kernel
_STARTS, _STEPS, _RAAR = 12, 160, 120  # of the phase retrieval; the last steps reduce the error
_TRUST = 0.95  # part of the measured magnitude in each step
_RELAXATION = 0.9
_AVERAGED = 4  # best starts
_FAINT = 0.05  # entries below this part of the maximum do not count as support
_TINY = float(np.finfo(np.float64).tiny)
_WEAK = 0.03  # entries below this part of the maximum are left out of the last steps


def spectral_kernels(y: Tensor, kernel_size: tuple[int, int], *, seed: int = 0) -> list[Tensor]:
    """Estimate the blur kernel of an image by its power spectrum, up to a rotation by 180 degrees.

    The autocorrelation of the kernel's projection on each direction is estimated from that of
    the whitened image, gives |K|^2 along that direction (central-slice theorem), and K follows
    by phase retrieval. The power spectrum of k is also that of k rotated by 180 degrees: both
    are returned, and the image restored with each decides between them. `refined_kernel`
    improves either where the image has edges. All is computed on the CPU.

    Parameters
    ----------
    y : Tensor, (H, W)
        Blurred image, larger than the kernel both ways; of any offset and scale.
    kernel_size : (int, int)
        Sides of the kernel, odd and at least 3.
    seed : int
        Of the phases that the retrieval starts from.

    Returns
    -------
    list of two Tensors of float32, (kh, kw)
        PSFs: >= 0, sum 1, centroid at the central pixel unless that would cut off more than
        1 % of the kernel; on the device of `y`.

    Raises
    ------
    ConfigError
        If `kernel_size` is outside its range.
    ImageError
        If the image is not 2-D and finite, is flat, or not larger than the kernel.
    """
    image = checked_image(y, kernel_size)
    sigma = noise_sigma(image) if min(image.shape) >= 8 else 0.0
    R = _whitened_slices(_whitened_power(image, kernel_size, sigma), max(kernel_size))
    support = _initial_support(R, max(kernel_size))
    for _ in range(_PASSES):
        measured = _magnitude(_kernel_slices(R, support), kernel_size)
        k = _retrieved(measured, kernel_size, seed)
        support = _support_of(k, R.shape[1] - 1)
    k = cleaned_kernel(k)
    both = (k, cleaned_kernel(k[::-1, ::-1]))
    return [torch.from_numpy(each).to(y.device) for each in both]


def _whitened_power(image: NDArray[np.float32], size: tuple[int, int], sigma: float) -> Array:
    """Return |w|^2 |Y|^2 less the noise, (n, n), n even, with frequency 0 at (n/2, n/2)."""
    y = image.astype(np.float64)
    n = 2 * next_fast_len(max(y.shape))
    gy, gx = np.diff(y, axis=0)[:, :-1], np.diff(y, axis=1)[:-1]
    window = np.outer(*(tukey(side, _TAPER) for side in gy.shape))
    P = sum(np.abs(np.fft.fft2(g * window, (n, n))) ** 2 for g in (gy, gx))
    w = 2 * np.pi * np.fft.fftfreq(n)
    ww = w[:, None] ** 2 + w**2
    differences = 4 - 2 * np.cos(w)[:, None] - 2 * np.cos(w)
    differences[0, 0] = ww[0, 0] = 1  # where P is about zero
    P *= ww / differences
    noise = sigma**2 * ww * np.sum(window**2)
    signal = np.maximum(gaussian_filter(P, n / (4 * max(size)), mode="wrap") - noise, 0)
    wiener = signal**2 / (signal**2 + noise**2 + _TINY)
    return np.asarray(np.fft.fftshift(wiener * (P - noise)), dtype=np.float64)


def _whitened_slices(P: Array, side: int) -> Array:
    """Return the autocorrelation of the whitened image's projections, (angles, lags 0 and up).

    1 at lag 0; the median of neighbouring directions, which few strong edges do not move.
    """
    n = len(P)
    theta = np.arange(_ANGLES * _GROUP)[:, None] * np.pi / (_ANGLES * _GROUP)
    r = np.arange(n // 2 + 1)
    points = [n // 2 + r * np.sin(theta), n // 2 + r * np.cos(theta)]
    R = np.fft.irfft(map_coordinates(P, points, order=1, mode="grid-wrap"), axis=1)
    R = R[:, : min(math.ceil(_REACH * side), n // 2 - 1) + 1]
    R = R / np.maximum(R[:, :1], _TINY + 1e-9 * R[:, 0].max())
    R = np.median(R.reshape(_ANGLES, _GROUP, -1), axis=1)
    return np.asarray(gaussian_filter1d(R, 1.0, axis=0, mode="wrap"), dtype=np.float64)


def _initial_support(R: Array, side: int) -> Lags:
    """Return the lag of the minimum on each direction, bounded by those of the neighbours."""
    lag = 1 + np.argmin(R[:, 1:], axis=1)
    i = np.arange(_ANGLES)
    apart = np.abs(i[:, None] - i)
    apart = np.minimum(apart, _ANGLES - apart) * np.pi / _ANGLES
    bounded: Array = np.min(lag + _SLOPE * side * apart, axis=1)
    return np.asarray(np.round(bounded), dtype=np.int_)


def _support_of(k: NDArray[np.float32], reach: int) -> Lags:
    """Return the lag from which on the autocorrelation of k's projections is below a tenth."""
    rows, columns = np.nonzero(k >= _FAINT * k.max())
    support = []
    for theta in np.arange(_ANGLES) * np.pi / _ANGLES:
        bins = np.round(rows * np.sin(theta) + columns * np.cos(theta)).astype(np.int_)
        projection = np.bincount(bins - bins.min(), k[rows, columns])
        r = np.correlate(projection, projection, "full")[len(projection) - 1 :]
        support.append(int(np.nonzero(r > r[0] / 10)[0].max()) + 1)
    return np.asarray(np.minimum(support, reach), dtype=np.int_)


def _kernel_slices(R: Array, support: Lags) -> Array:
    """Return the autocorrelation of the kernel's projections, (angles, lags 0 and up).

    That of the whitened image is the same but for a factor and an offset that depend on the
    direction. They follow from what the kernel's is: zero from `support` on, and 1 in all,
    summed over negative lags too.
    """
    R = np.maximum(R - R[np.arange(_ANGLES), support][:, None], 0)
    R = R * (np.arange(R.shape[1]) < support[:, None])
    R[:, 0] += _TINY
    return np.asarray(R / (2 * R.sum(axis=1) - R[:, 0])[:, None], dtype=np.float64)


def _magnitude(slices: Array, size: tuple[int, int]) -> tuple[Array, NDArray[np.bool_]]:
    """Return |K|, and where it is known, on the half grid of `rfft2` of (n, n)."""
    n, period = 2 * next_fast_len(max(size)), 8 * max(size)
    lags = np.zeros((len(slices), period))
    lags[:, : slices.shape[1]] = slices
    lags[:, 1 - slices.shape[1] :] = slices[:, :0:-1]
    polar = np.fft.rfft(lags, axis=1).real
    polar = np.concatenate([polar, polar[:1]])  # pi is 0 again: a projection's power is even
    v, u = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)
    radius, angle = np.hypot(v, u), np.arctan2(v, u) % np.pi
    points = [angle * len(slices) / np.pi, np.minimum(radius * period, period // 2)]
    KK = map_coordinates(polar, points, order=1, mode="nearest")
    return np.sqrt(np.maximum(KK, 0)), radius <= 0.5


def _retrieved(
    measured: tuple[Array, NDArray[np.bool_]], size: tuple[int, int], seed: int
) -> NDArray[np.float32]:
    """Return k >= 0 on its support with |K| as measured: the mean of the best starts."""
    known, magnitude = measured[1], measured[0].astype(np.float32)
    n = len(magnitude)
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (_STARTS, *magnitude.shape))
    # SciPy's FFT, not torch's: the retrieval is chaotic, and MKL's rounding depends on where in
    # memory its input lies.
    x = irfft2(magnitude * np.exp(1j * phase).astype(np.complex64), s=(n, n))
    support = np.zeros((n, n), dtype=bool)
    support[: size[0], : size[1]] = True
    for step in range(_STEPS):
        X = rfft2(x)
        present = np.abs(X)
        # Beyond the highest frequency of a slice nothing is measured, and little is left.
        wanted = np.where(known, present + _TRUST * (magnitude - present), present / 2)
        p = irfft2(X * (wanted / np.maximum(present, 1e-9)), s=(n, n))
        if step < _RAAR:
            kept = support & (2 * p - x >= 0)
            x = np.where(kept, p, _RELAXATION * x + (1 - 2 * _RELAXATION) * p)
        else:
            x = np.where(support, p, 0.0).clip(0)
            if step % 10 == 0:
                x = np.where(x >= _WEAK * x.max((1, 2), keepdims=True), x, 0.0)
    misfit = (((np.abs(rfft2(x)) - magnitude) * known) ** 2).sum((1, 2))
    best = x[misfit.argsort()[:_AVERAGED], : size[0], : size[1]].astype(np.float32)
    mean = np.mean([_aligned(k, best[0]) for k in best], axis=0)
    return np.asarray(mean, dtype=np.float32)


def _aligned(k: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return k, or k rotated by 180 degrees, shifted to agree most with `other`."""
    both = [k, k[::-1, ::-1]]
    correlations = [fftconvolve(other, turned[::-1, ::-1]) for turned in both]
    best = int(np.argmax([c.max() for c in correlations]))
    row, column = np.unravel_index(correlations[best].argmax(), correlations[best].shape)
    rows, columns = k.shape
    padded = np.pad(both[best], ((rows - 1, rows - 1), (columns - 1, columns - 1)))
    top, left = 2 * (rows - 1) - int(row), 2 * (columns - 1) - int(column)
    return padded[top : top + rows, left : left + columns]
