"""Quantities of an estimate (x, k) of a blurred image y, taken without the truth.

The kernel's shape is measured against its own extent, so that a disk or a Gaussian is as good a
kernel as a path.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import label, sum_labels

from napari_selfdeblur.numerics.spectrum import MODEL_ERROR, spectral_fit

__all__ = [
    "NORMAL_GEARY",
    "geary_ratio",
    "inner_part",
    "kernel_width",
    "measure",
    "normalised_sparsity",
]

Plane = NDArray[np.floating]

NORMAL_GEARY = math.sqrt(2 / math.pi)
"""Geary's ratio of a normal distribution: objects stand apart where an image has less."""
_LAGS = 5


def measure(
    x: Plane, k: Plane, y: Plane, sigma: float, clipped: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return the quantities that an estimate (x, k) of y is judged by.

    Parameters
    ----------
    x, y : ndarray, (H, W)
        Estimated sharp image and blurred image, in [0, 1].
    k : ndarray, (kh, kw)
        Estimated kernel, odd sides, of positive sum.
    sigma : float
        Noise standard deviation of y.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above: no residual where k * x is larger.

    Returns
    -------
    dict of str to float
        Of the residual y - k * x its standard deviation over the noise (`residual`) and its
        `whiteness`; of k's spectrum the misfit (`spectrum`) and the share that is `informative`;
        of x its `sparsity` over y's, its `geary` ratio and its standard deviation over y's
        (`spread`); y's over the noise (`contrast`) and `sigma`; of k the mass of a 2 x 2 block
        (`peak_mass`), at the border (`border_mass`) and outside the largest piece (`pieces`), and
        its `width` in pixels.
    """
    k = np.asarray(k / k.sum(), dtype=np.float64)
    level = math.hypot(sigma, MODEL_ERROR)
    fit = spectral_fit(y, k, sigma)
    r = _residual(x, k, y)
    if not r.size:  # the kernel reaches over the whole image
        r = np.zeros((1, 1))
    a, b = ((n - m) // 2 for n, m in zip(y.shape, r.shape, strict=True))
    inner = slice(a, a + r.shape[0]), slice(b, b + r.shape[1])
    if clipped is not None:
        r = np.where(clipped[inner], r.clip(0), r)
    return {
        "residual": float(r.std()) / level,
        "whiteness": _whiteness(r),
        "spectrum": fit.misfit,
        "informative": fit.informative,
        "sparsity": normalised_sparsity(x[inner]) / max(normalised_sparsity(y[inner]), 1e-12),
        "geary": geary_ratio(x),
        "spread": float(x.std()) / max(float(y.std()), 1e-12),
        "contrast": float(y.std()) / level,
        "sigma": sigma,
        **_shape(k),
    }


def normalised_sparsity(image: Plane) -> float:
    """Return L1 / L2 of the gradients, over sqrt of their number, in (0, 1].

    Blur raises it (Krishnan, Tay and Fergus 2011, equation 1); a flat image has 0.
    """
    gradients = np.concatenate([np.diff(image, axis=axis).ravel() for axis in (0, 1)])
    gradients = gradients.astype(np.float64)
    norm = float(np.linalg.norm(gradients))
    return float(np.abs(gradients).sum() / (norm * np.sqrt(gradients.size))) if norm else 0.0


def geary_ratio(image: Plane) -> float:
    """Return the mean absolute deviation from the median over the standard deviation, in [0, 1].

    Geary, "The ratio of the mean deviation to the standard deviation as a test of normality",
    Biometrika 1935: sqrt(2 / pi) for a normal distribution, less for objects that stand apart on
    a plain background, and the less the sharper they are. A flat image has 0.
    """
    values = np.asarray(image, dtype=np.float64)
    spread = float(values.std())
    return float(np.abs(values - np.median(values)).mean()) / spread if spread else 0.0


def inner_part(shape: tuple[int, ...], kernel_size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return an image without the border as wide as the kernel, at most a quarter of the image.

    Nearer to the border y depends on what no one has seen, and a restoration errs there. It is
    empty where the kernel reaches over the whole image.
    """
    (top, height), (left, width) = (
        (min(max(min(n - 1, m // 4), n // 2), m // 2), m)
        for n, m in zip(kernel_size, shape, strict=True)
    )
    return slice(top, max(height - top, top)), slice(left, max(width - left, left))


def _residual(x: Plane, k: Plane, y: Plane) -> NDArray[np.float64]:
    """Return y - k * x in the `inner_part`."""
    size = tuple(next_fast_len(n, real=True) for n in y.shape)
    blurred = irfft2(rfft2(x, s=size) * rfft2(k, s=size), s=size)
    inner = inner_part(y.shape, k.shape)
    again = blurred[
        *(slice(i.start + n // 2, i.stop + n // 2) for i, n in zip(inner, k.shape, strict=True))
    ]
    return np.asarray(y[inner] - again, dtype=np.float64)


def _whiteness(r: NDArray[np.float64]) -> float:
    """Return the energy of r's autocorrelation at lags of 1 to 5; near 0 for white noise."""
    r = r - r.mean()
    c = irfft2(np.abs(rfft2(r)) ** 2, s=r.shape)
    if not c[0, 0] > 0:
        return 0.0
    c = np.roll(c / c[0, 0], (_LAGS, _LAGS), axis=(0, 1))[: 2 * _LAGS + 1, : 2 * _LAGS + 1]
    return float((c**2).sum() - 1)


def _shape(k: Plane) -> dict[str, float]:
    """Return the kernel's mass at one point, at its border and in small pieces, and its width."""
    blocks = np.lib.stride_tricks.sliding_window_view(np.pad(k, 1), (2, 2)).sum(axis=(2, 3))
    labels, count = label(k > 0.05 * k.max(), structure=np.ones((3, 3)))
    mass = sum_labels(k, labels, np.arange(1, count + 1))
    return {
        "peak_mass": float(blocks.max()),
        "border_mass": float(k.sum() - k[1:-1, 1:-1].sum()) if min(k.shape) > 2 else 0.0,
        "pieces": float(1 - mass.max()),
        "width": kernel_width(k),
    }


def kernel_width(k: Plane) -> float:
    """Return the root mean square distance from the centroid, in pixels, of a kernel of sum 1."""
    rows, columns = np.indices(k.shape)
    centre = (rows * k).sum(), (columns * k).sum()
    return math.sqrt(float((((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) * k).sum()))
