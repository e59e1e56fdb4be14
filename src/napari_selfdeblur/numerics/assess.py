"""How far an estimate (x, k) of a blurred image y can be believed, judged without the truth.

Three quantities tell a wrong kernel, and each of them misses some:

- the likelihood of y's power spectrum under k (Whittle's, for images whose spectrum is a power
  law in every direction): a kernel too narrow or too wide gives the wrong spectrum;
- the standard deviation of the residual y - k * x over sigma: a kernel that cannot explain y
  leaves more than the noise. A kernel of one point explains everything;
- the whiteness of that residual, the energy of its autocorrelation outside lag 0 (Almeida and
  Figueiredo, "Parameter estimation for blind and non-blind deblurring using residual whiteness
  measures", IEEE TIP 2013).

The kernel's shape is measured against its own extent, so that a disk or a Gaussian is as good a
kernel as a path.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import label, sum_labels

from napari_selfdeblur.numerics.registration import correlation_of
from napari_selfdeblur.numerics.spectrum import MODEL_ERROR, spectral_fit

__all__ = [
    "NORMAL_GEARY",
    "Assessment",
    "assess",
    "geary_ratio",
    "inner_part",
    "is_blurred",
    "normalised_sparsity",
]

Plane = NDArray[np.floating]

NORMAL_GEARY = math.sqrt(2 / math.pi)
"""Geary's ratio of a normal distribution: objects stand apart where an image has less."""
_LAGS = 5
_RESOLVED = 1.25  # root mean square radius, in pixels: sharp images give kernels up to 1.15
_POINT_KERNEL = np.ones((1, 1))

# The logistic score, fitted on right and wrong kernels of half of the scenes: see
# docs/decisions/0008.
_OFFSET = -0.08
_WEIGHTS = {"excess": -1.48, "whiteness": -0.43, "gain": 0.38, "pieces": -2.63, "width": 1.04}

# The same where other estimates, and parts of the image, were asked for the kernel too.
_SUPPORTED_OFFSET = -5.06
_SUPPORTED = {
    "whiteness": -0.53,
    "gain": 0.4,
    "width": 1.67,
    "agreement": 1.13,
    "parts": 3.52,
    "apart": 3.0,  # not fitted with the others: see docs/decisions/0026
}

_NOISE, _POINT, _CUT, _FLAT, _SHARP, _PIECES, _AGREE, _PARTS, _POOR = (
    "noise", "point", "cut", "flat", "sharp", "pieces", "agree", "parts", "poor"
)  # fmt: skip
_REASONS = {
    _NOISE: "the image holds hardly more than noise",
    _FLAT: "the estimated image is nearly flat",
    _POINT: "the kernel is nearly a single point, which means no blur",
    _CUT: "the kernel reaches the border of its support, which may cut it",
    _SHARP: "no blur at all explains the image's spectrum as well as this kernel does",
    _PIECES: "the kernel is scattered over separate pieces",
    _AGREE: "the estimates disagree about the kernel",
    _PARTS: "parts of the image give another kernel, which is wrong or not the same everywhere",
    _POOR: "the kernel explains the image worse than kernels that were right did",
}
_ADVICE = {
    _NOISE: "average several exposures, or check that the right image is chosen",
    _FLAT: "try another seed or preset",
    _POINT: "the image may be sharp already; if it is not, try a larger kernel size",
    _CUT: "try a larger kernel size",
    _SHARP: "the image may be sharp already: compare the result with it",
    _PIECES: "try a smaller kernel size or another preset",
    _AGREE: "try another kernel size, or a part of the image with more edges",
    _PARTS: "if the blur varies over the image try a kernel grid, a finer one or a smaller region; "
    "if not, another kernel size",
    _POOR: "try another kernel size or preset",
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """Whether an estimate looks right, and if not, why, and what to do.

    Attributes
    ----------
    score : float
        Estimated probability in [0, 1] that the estimate is a good one.
    credible : bool
        Whether the score is at least 0.5 and no sign of failure was found.
    reasons : tuple of str
        One sentence for each sign of failure.
    advice : tuple of str
        What to do about them, most promising first.
    measures : dict of str to float
        The measured quantities.
    """

    score: float
    credible: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    measures: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the assessment as JSON-ready values."""
        return {**asdict(self), "reasons": list(self.reasons), "advice": list(self.advice)}


def assess(
    x: Plane,
    k: Plane,
    y: Plane,
    sigma: float,
    *,
    agreement: float | None = None,
    parts: float | None = None,
    clipped: NDArray[np.bool_] | None = None,
) -> Assessment:
    """Judge an estimate of a blurred image without the truth.

    Parameters
    ----------
    x, y : ndarray, (H, W)
        Estimated sharp image and blurred image, in [0, 1].
    k : ndarray, (kh, kw)
        Estimated kernel, odd sides, of positive sum.
    sigma : float
        Noise standard deviation of y.
    agreement : float, optional
        How alike the kernels of other estimates are to this one, on average, from 0 to 1.
    parts : float, optional
        Least correlation, from 0 to 1, of this kernel with those of parts of the image. Where it
        is not known the agreement takes its place.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above: no residual where k * x is larger.
    """
    m = measure(x, k, y, sigma, clipped)
    m["spectrum_gain"] = spectral_fit(y, _POINT_KERNEL, sigma).misfit - m["spectrum"]
    m["apart"] = math.log(max(geary_ratio(y), 1e-6) / max(m["geary"], 1e-6))
    if agreement is not None:
        m["agreement"] = agreement
        m["parts"] = correlation_of(agreement) if parts is None else parts
    signs = {
        _NOISE: m["contrast"] < 1.3,
        _FLAT: m["spread"] < 0.1,
        _POINT: m["width"] < _RESOLVED,
        _CUT: m["border_mass"] > 0.1,
        _SHARP: m["spectrum_gain"] <= 0 and m["width"] >= _RESOLVED,
        _PIECES: m["pieces"] > 0.6,
        _PARTS: m.get("parts", 1.0) < 0.4,
    }
    score, found = _score(m), [name for name, present in signs.items() if present]
    if found:
        score = min(score, 0.49)
    elif score < 0.5:
        weak = {
            _AGREE: m.get("agreement", 1) < 0.5,
            _PARTS: m.get("parts", 1) < correlation_of(0.5),
        }
        found = [name for name, present in weak.items() if present] or [_POOR]
    advice = tuple(dict.fromkeys(_ADVICE[name] for name in found))
    return Assessment(score, not found, tuple(_REASONS[n] for n in found), advice, m)


def is_blurred(k: Plane) -> bool:
    """Return whether the kernel `k` (kh, kw) found in an image says that the image is blurred.

    It does with a root mean square radius of 1.25 pixels or more: sharp images give narrower ones.
    The residual cannot tell, for a kernel of one point leaves none in any image, nor can the
    spectrum: that of a compressed photograph falls off as if it were blurred less.
    """
    return _width(np.asarray(k / k.sum(), dtype=np.float64)) >= _RESOLVED


def _score(m: dict[str, float]) -> float:
    """Return the logistic of the weighted quantities, of more of them where they are known."""
    terms = {
        "excess": max(math.log(max(m["residual"], 1e-6)), 0.0),
        # Structure far below the noise says nothing.
        "whiteness": math.log(m["whiteness"] * min(m["residual"], 1.0) ** 2 + 0.02),
        "gain": math.log(max(m["spectrum_gain"], 1e-3)),
        "pieces": m["pieces"],
        "width": math.log(m["width"] + 0.3),
        "agreement": m.get("agreement", 0.0),
        "parts": m.get("parts", 0.0),
        "apart": m["apart"],
    }
    offset, weights = (_SUPPORTED_OFFSET, _SUPPORTED) if "agreement" in m else (_OFFSET, _WEIGHTS)
    z = offset + sum(weight * terms[name] for name, weight in weights.items())
    return 1 / (1 + math.exp(-max(min(z, 30.0), -30.0)))


def measure(
    x: Plane, k: Plane, y: Plane, sigma: float, clipped: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return the quantities `assess` judges by; parameters as there."""
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
        "width": _width(k),
    }


def _width(k: Plane) -> float:
    """Return the root mean square distance from the centroid, in pixels, of a kernel of sum 1."""
    rows, columns = np.indices(k.shape)
    centre = (rows * k).sum(), (columns * k).sum()
    return math.sqrt(float((((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) * k).sum()))
