"""How far an estimate (x, k) of a blurred image y can be believed, judged without the truth.

Where several kernels were estimated, the score is the share of the error that a restoration with
the true kernel would have too (`expected_loss`). Of a single estimate three quantities tell a wrong
kernel, and each of them misses some:

- the likelihood of y's power spectrum under k (Whittle's, for images whose spectrum is a power
  law in every direction): a kernel too narrow or too wide gives the wrong spectrum;
- the standard deviation of the residual y - k * x over sigma: a kernel that cannot explain y
  leaves more than the noise. A kernel of one point explains everything;
- the whiteness of that residual, the energy of its autocorrelation outside lag 0 (Almeida and
  Figueiredo, "Parameter estimation for blind and non-blind deblurring using residual whiteness
  measures", IEEE TIP 2013).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.numerics.measures import kernel_width, measure
from napari_selfdeblur.numerics.registration import correlation_of
from napari_selfdeblur.numerics.spectrum import spectral_fit

__all__ = [
    "Assessment",
    "assess",
    "is_blurred",
]

Plane = NDArray[np.floating]

_RESOLVED = 1.25  # root mean square radius, in pixels: sharp images give kernels up to 1.15
_NARROW = 1.5  # sharp images in noise give kernels up to 1.45
_POINT_KERNEL = np.ones((1, 1))

# The logistic score, fitted on right and wrong kernels of half of the scenes: see
# docs/decisions/0008.
_OFFSET = -0.08
_WEIGHTS = {"excess": -1.48, "whiteness": -0.43, "gain": 0.38, "pieces": -2.63, "width": 1.04}

_NOISE, _POINT, _CUT, _FLAT, _SHARP, _PIECES, _AGREE, _PARTS, _LOSS, _POOR = (
    "noise", "point", "cut", "flat", "sharp", "pieces", "agree", "parts", "loss", "poor"
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
    _LOSS: "estimates that explain the image as well restore it differently",
    _POOR: "the kernel explains the image worse than kernels that were right did",
}
_ADVICE = {
    _NOISE: "average several exposures, or check that the right image is chosen",
    _FLAT: "try another preset, or with networks another seed",
    _POINT: "the image may be sharp already; if it is not, try a larger kernel size",
    _CUT: "try a larger kernel size",
    _SHARP: "the image may be sharp already: compare the result with it",
    _PIECES: "try a smaller kernel size or another preset",
    _AGREE: "try another kernel size, or a part of the image with more edges",
    _PARTS: "if the blur varies over the image try a kernel grid, a finer one or a smaller region; "
    "if not, another kernel size",
    _LOSS: "try a part of the image with more edges, or another preset",
    _POOR: "try another kernel size or preset",
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """Whether an estimate looks right, and if not, why, and what to do.

    Attributes
    ----------
    score : float
        In [0, 1]. Of several estimates the share of the error that a restoration with the true
        kernel would have too; of a single one how likely it is good, where as many are good as
        are not. Below 0.5 where a sign of failure was found.
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
    loss: float | None = None,
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
    loss : float, optional
        How much worse than with the true kernel the restoration is expected to be, in dB; see
        `expected_loss`. The score is then the share of the error that is there with it too.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above: no residual where k * x is larger.
    """
    m = measure(x, k, y, sigma, clipped)
    m["spectrum_gain"] = spectral_fit(y, _POINT_KERNEL, sigma).misfit - m["spectrum"]
    if agreement is not None:
        m["agreement"] = agreement
        m["parts"] = correlation_of(agreement) if parts is None else parts
    if loss is not None:
        m["loss"] = loss
    no_gain = m["spectrum_gain"] <= 0
    signs = {
        _NOISE: m["contrast"] < 1.3,
        _FLAT: m["spread"] < 0.1,
        _POINT: m["width"] < _RESOLVED,
        _CUT: m["border_mass"] > 0.1,
        _SHARP: no_gain and _RESOLVED <= m["width"] < _NARROW,
        _PIECES: m["pieces"] > 0.6,
        _PARTS: m.get("parts", 1.0) < 0.4,
    }
    score, found = _score(m), [name for name, present in signs.items() if present]
    if found:
        score = min(score, 0.49)
    elif score < 0.5:
        weak = {
            _SHARP: no_gain,
            _AGREE: m.get("agreement", 1) < 0.5,
            _PARTS: m.get("parts", 1) < correlation_of(0.5),
        }
        rest = _LOSS if "loss" in m else _POOR
        found = [name for name, present in weak.items() if present] or [rest]
    advice = tuple(dict.fromkeys(_ADVICE[name] for name in found))
    return Assessment(score, not found, tuple(_REASONS[n] for n in found), advice, m)


def is_blurred(k: Plane) -> bool:
    """Return whether the kernel `k` (kh, kw) found in an image says that the image is blurred.

    It does with a root mean square radius of 1.25 pixels or more: sharp images give narrower ones.
    The residual cannot tell, for a kernel of one point leaves none in any image, nor can the
    spectrum: that of a compressed photograph falls off as if it were blurred less.
    """
    return kernel_width(np.asarray(k / k.sum(), dtype=np.float64)) >= _RESOLVED


def _score(m: dict[str, float]) -> float:
    """Return what the expected loss says, or the weighted quantities where it is not known."""
    if "loss" in m:
        # E / (E + S) of `expected_loss`: even chances where the kernel's error doubles the other.
        return float(10 ** (-m["loss"] / 10))
    terms = {
        "excess": max(math.log(max(m["residual"], 1e-6)), 0.0),
        # Structure far below the noise says nothing.
        "whiteness": math.log(m["whiteness"] * min(m["residual"], 1.0) ** 2 + 0.02),
        "gain": math.log(max(m["spectrum_gain"], 1e-3)),
        "pieces": m["pieces"],
        "width": math.log(m["width"] + 0.3),
    }
    z = _OFFSET + sum(weight * terms[name] for name, weight in _WEIGHTS.items())
    return 1 / (1 + math.exp(-max(min(z, 30.0), -30.0)))
