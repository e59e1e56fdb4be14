"""Noise standard deviation of one image.

Zoran and Weiss, "Scale invariance and noise in natural images", ICCV 2009: a clean natural
image has the same kurtosis K in every band of a local DCT; white noise pulls the kurtosis
of band i towards the Gaussian's 3 by an amount that depends on the band's variance v_i
alone. The noise s is the one that explains all bands with one K.

Noise of different strengths has a kurtosis above 3 too, and photons make more of it where an image
is bright. So the noise is also measured in eight groups of windows of like brightness.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct
from scipy.ndimage import maximum_filter, uniform_filter
from skimage.restoration import estimate_sigma

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics.tiles import Window, whole

__all__ = ["noise_sigma", "sampled_sigma", "wavelet_sigma"]

_N = 8
_ROUNDING = 1e-12
_STRIP = 32  # rows filtered at a time
_GROUPS = 8  # of windows, by brightness
_ALL = 2**20  # pixels: a larger image is sampled
_SAMPLED, _SAMPLE_SIDE = 36, 128  # windows, and their sides in pixels
_LEAST_KEPT = 0.05  # of the windows: fewer say too little, and all are used


def noise_sigma(y: ArrayLike, clipped: NDArray[np.bool_] | None = None) -> float:
    """Estimate the noise of an image from the kurtosis of its DCT bands.

    Of noise that is not everywhere the same this is the root mean square: the larger of the
    estimate from all windows at once, and that from eight groups of like brightness. Both err low.

    Found with known noise of 0.002 to 0.1 added to photographs in [0, 1], four seeds each:
    blurred (Gaussian, 1 pixel or more) within 6 % on 128 by 128 pixels and 4 % on 256 by 256,
    mostly low, being bounded by the least variance of 63 bands. Sharp: within 6 % from 0.05
    and 25 % from 0.02; below, fine texture hides the noise (down to 0) or is taken for it. Of
    photons alone (20 to 1500 from white) it is 2 to 18 % too low: docs/decisions/0035.

    Parameters
    ----------
    y : array_like of float, (H, W)
        The image, both sides at least 8 pixels.
    clipped : ndarray of bool, (H, W), optional
        Pixels that have no noise of their own: blocks that hold one are left out.

    Returns
    -------
    float
        Standard deviation of the noise, in the units of `y`, >= 0; 0 for a constant image, and
        for one of 8 by 8 pixels, which has one sample a band.

    Raises
    ------
    ImageError
        If `y` is not a finite 2-D image of at least 8 by 8 pixels.
    """
    image = _image(y)
    kept = None if clipped is None else ~maximum_filter(clipped, _N, origin=-(_N // 2))
    if kept is not None:
        kept = kept[: 1 - _N, : 1 - _N]  # one for each window, by its first pixel
        kept = None if kept.mean() < _LEAST_KEPT else kept
    image = image - image.mean()
    counts, second, fourth = _band_moments(image, _by_brightness(image, kept))
    least = _ROUNDING * np.square(image).mean()
    everywhere = _variance(int(counts.sum()), second.sum(0), fourth.sum(0), least)
    each = [_variance(*sums, least) for sums in zip(counts, second, fourth, strict=True)]
    return math.sqrt(max(everywhere, np.average(each, weights=counts)))


def sampled_sigma(
    read: Callable[[Window], NDArray[np.float32]], shape: tuple[int, int], level: float | None
) -> float:
    """Estimate the noise of an image of any size as `noise_sigma` does.

    Of an image of more than a million pixels by about 36 windows of 128 x 128 spread over it.

    Parameters
    ----------
    read : callable
        Returns a window of the image, float32.
    shape : (int, int)
        The image's rows and columns, at least 8.
    level : float or None
        Where it is clipped above.

    Returns
    -------
    float
        As `noise_sigma`, with its errors.
    """
    if math.prod(shape) <= _ALL:
        y = read(whole(shape))
        return noise_sigma(y, None if level is None else y >= level)
    sides = [min(n, _SAMPLE_SIDE) for n in shape]
    counts = [
        min(max(round(math.sqrt(_SAMPLED * n / other)), 1), n // side)
        for n, other, side in zip(shape, shape[::-1], sides, strict=True)
    ]
    y = np.empty([count * side for count, side in zip(counts, sides, strict=True)], np.float32)
    apart = np.zeros(y.shape, np.bool_)
    for place in product(*map(range, counts)):
        here = [slice(i * side, (i + 1) * side) for i, side in zip(place, sides, strict=True)]
        corner = [
            (n - side) * (2 * i + 1) // (2 * count)
            for n, side, i, count in zip(shape, sides, place, counts, strict=True)
        ]
        window = [slice(start, start + side) for start, side in zip(corner, sides, strict=True)]
        y[*here] = read((window[0], window[1]))
        apart[*here][-1], apart[*here][:, -1] = True, True  # no block reaches into the next window
    return noise_sigma(y, apart if level is None else apart | (y >= level))


def wavelet_sigma(y: ArrayLike) -> float:
    """Estimate the noise of an image from the median of its finest wavelet coefficients.

    This is `skimage.restoration.estimate_sigma`. It takes fine texture for noise, so it
    reads high on sharp images (by half at 0.02). On blurred ones (Gaussian, 1.5 pixels or
    more) it was found within 6 % from 0.005.

    Parameters
    ----------
    y : array_like of float, (H, W)
        The image, both sides at least 8 pixels.

    Returns
    -------
    float
        Standard deviation of additive white Gaussian noise, in the units of `y`, >= 0.

    Raises
    ------
    ImageError
        If `y` is not a finite 2-D image of at least 8 by 8 pixels.
    """
    return float(estimate_sigma(_image(y)))


def _image(y: ArrayLike) -> NDArray[np.float64]:
    """Return y checked, in float64."""
    image = np.asarray(y, dtype=np.float64)
    if image.ndim != 2:
        raise ImageError(
            f"noise is estimated on one 2-D image, got shape {image.shape}; choose one channel"
        )
    if min(image.shape) < _N:
        raise ImageError(
            f"noise needs an image of at least {_N} x {_N} pixels, got "
            f"{image.shape[0]} x {image.shape[1]}; use a larger region or give sigma yourself"
        )
    if not np.isfinite(image).all():
        raise ImageError("the image has NaN or infinite pixels; crop or fill them first")
    return image


def _by_brightness(y: NDArray[np.float64], kept: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """Return the group of each window, (H - 7, W - 7): 0 for the darkest, -1 for those not kept."""
    shape = (y.shape[0] - _N + 1, y.shape[1] - _N + 1)
    brightness = uniform_filter(y, _N, origin=-(_N // 2))[: shape[0], : shape[1]]
    inside = brightness if kept is None else brightness[kept]
    limits = np.quantile(inside, np.linspace(0, 1, _GROUPS + 1)[1:-1])
    groups = np.searchsorted(limits, brightness, side="right")
    return groups if kept is None else np.where(kept, groups, -1)


def _variance(
    count: int, second: NDArray[np.float64], fourth: NDArray[np.float64], least: float
) -> float:
    """Return the noise variance by the sums over `count` windows; 0 if there is none to tell."""
    if not count or second.min() <= least * count:
        return 0.0
    v = second / count
    return _fit(v, fourth / count / v**2, count)


def _band_moments(
    y: NDArray[np.float64], groups: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return each group's windows, and the sums of squares and fourth powers of its 63 bands.

    The non-DC bands, each filtered 'valid' and less its mean over all windows. `groups` has one
    number for the first pixel of each window; those below 0 are left out. Strip by strip, so that
    the memory taken grows with the width of the image alone.
    """
    basis: NDArray[np.float64] = dct(np.eye(_N), axis=0, norm="ortho")  # one vector a row
    means = basis @ _window_means(y, groups >= 0).T @ basis.T
    second, fourth = np.zeros((2, _GROUPS, _N, _N))
    for start in range(0, len(y) - _N + 1, _STRIP):
        along_rows = _filtered(y[start : start + _STRIP + _N - 1].T, basis)
        strip = groups[start : start + _STRIP].ravel()
        belongs = (strip[:, None] == np.arange(_GROUPS)).astype(np.float64)
        for i, band in enumerate(along_rows):
            responses = _filtered(band.T, basis).reshape(_N, -1)
            responses -= means[i][:, None]
            squares = np.square(responses, out=responses)
            second[:, i] += (squares @ belongs).T
            fourth[:, i] += (np.square(squares, out=squares) @ belongs).T
    counts = np.bincount(groups[groups >= 0], minlength=_GROUPS)
    bands = (_GROUPS, _N * _N)
    return counts, second.reshape(bands)[:, 1:], fourth.reshape(bands)[:, 1:]


def _filtered(z: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `z` (n, m) filtered 'valid' down its columns by each basis vector: (8, n - 7, m)."""
    return np.tensordot(basis, sliding_window_view(z, _N, axis=0), (1, 2))


def _window_means(y: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of each of the 8 x 8 pixels over the windows `kept` of `y`.

    The mean of a band is the DCT of these.
    """
    length, width = y.shape[0] - _N + 1, y.shape[1] - _N + 1
    if not kept.all():
        return np.array(
            [[y[i : i + length, j : j + width][kept].mean() for j in range(_N)] for i in range(_N)]
        )
    columns = [y[i : i + length].mean(0) for i in range(_N)]
    return np.array([[column[j : j + width].mean() for j in range(_N)] for column in columns])


def _fit(v: NDArray[np.float64], kurtosis: NDArray[np.float64], samples: int) -> float:
    """Minimise over K and s^2: sum_i |k_i - 3 - (K - 3) ((v_i - s^2) / v_i)^2|; return s^2.

    For a fixed s^2 the best K - 3 is a weighted median, so only s is searched, on a grid
    refined around its best value. Where most bands are Gaussian to within their sampling
    error, K says nothing, and those bands hold noise alone.
    """
    excess = kurtosis - 3
    highest = float(np.sqrt(v.min())) * (1 - 1e-6)
    if np.median(np.abs(excess)) < 3 * np.sqrt(24 / samples):
        return highest**2
    low, high = 0.0, highest
    for _ in range(4):
        s = np.linspace(low, high, 257)
        best = int(_cost(v, excess, s**2).argmin())
        low, high = s[max(best - 1, 0)], s[min(best + 1, len(s) - 1)]
    return float(s[best] ** 2)


def _cost(
    v: NDArray[np.float64], excess: NDArray[np.float64], s2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the least L1 misfit over K for each noise variance in `s2`."""
    a = np.square(1 - s2[:, None] / v)
    order = np.argsort(excess / a, axis=1)
    weights = np.cumsum(np.take_along_axis(a, order, 1), axis=1)
    middle = (weights < weights[:, -1:] / 2).sum(1)[:, None]
    chosen = np.take_along_axis(order, middle, 1)
    slope = excess[chosen] / np.take_along_axis(a, chosen, 1)
    misfit: NDArray[np.float64] = np.abs(excess - np.maximum(slope, 0) * a).sum(1)
    return misfit
