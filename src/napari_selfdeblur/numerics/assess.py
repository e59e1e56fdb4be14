"""Is a result credible? The signs of the known failures of blind deconvolution."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Assessment", "assess", "normalised_sparsity"]

_FLAT_SPREAD = 0.1  # standard deviation of x over that of y
_DELTA_MASS = 0.9  # mass of the kernel's heaviest 2 x 2 pixels
_DIFFUSE_ENTROPY = 0.86  # entropy over log size; good runs measure 0.55 to 0.76
_BORDER_MASS = 0.1  # mass on the outermost ring
_SPARSITY_GAIN = 0.98  # L1/L2 of x's gradients over y's; good runs measure 0.86 to 0.93


@dataclass(frozen=True, slots=True)
class Assessment:
    """Whether a result looks like one, and why not.

    Attributes
    ----------
    credible : bool
        Whether no sign of failure was found.
    reasons : tuple of str
        One sentence for each sign.
    measures : dict of str to float
        The numbers looked at.
    """

    score: float
    credible: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    measures: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {**asdict(self), "reasons": list(self.reasons)}


def assess(
    sharp: NDArray[np.floating],
    kernel: NDArray[np.floating],
    y: NDArray[np.floating],
    sigma: float,
) -> Assessment:
    """Judge an estimate by itself, without a truth.

    Parameters
    ----------
    sharp, y : ndarray, (H, W)
        Estimated sharp image and blurred image, in [0, 1].
    kernel : ndarray, (kh, kw)
        Estimated kernel, summing to 1.

    Returns
    -------
    Assessment
    """
    kernel = kernel.astype(np.float64)
    positive = kernel[kernel > 0]
    padded = np.pad(kernel, 1)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, (2, 2)).sum(axis=(2, 3))
    measures = {
        "spread": float(sharp.std() / max(float(y.std()), 1e-12)),
        "peak_mass": float(blocks.max()),
        "entropy": float(-(positive * np.log(positive)).sum() / np.log(kernel.size)),
        "border_mass": float(kernel.sum() - kernel[1:-1, 1:-1].sum()),
        "sparsity": normalised_sparsity(sharp) / max(normalised_sparsity(y), 1e-12),
    }
    signs = {
        "the image is flat: try another seed": measures["spread"] < _FLAT_SPREAD,
        "the kernel is nearly a single point, which means 'no blur': "
        "try another seed or a larger kernel size": measures["peak_mass"] > _DELTA_MASS,
        "the kernel is diffuse: run more iterations": measures["entropy"] > _DIFFUSE_ENTROPY,
        "the kernel reaches the border of its support: try a larger kernel size": measures[
            "border_mass"
        ]
        > _BORDER_MASS,
        "the image is hardly sparser in its gradients than the blurred one: "
        "the kernel may be wrong, try another kernel size or seed": measures["sparsity"]
        > _SPARSITY_GAIN,
    }
    reasons = tuple(sentence for sentence, present in signs.items() if present)
    score = 1 - min(1.0, len(reasons) / len(signs) + 0.01 * measures["sparsity"])
    return Assessment(score, not reasons, reasons, (), measures)


def normalised_sparsity(image: NDArray[np.floating]) -> float:
    """Return L1 / L2 of the gradients, over sqrt of their number, in (0, 1].

    Blur raises it (Krishnan, Tay and Fergus 2011, equation 1); a flat image has 0.
    """
    gradients = np.concatenate([np.diff(image, axis=axis).ravel() for axis in (0, 1)])
    gradients = gradients.astype(np.float64)
    norm = float(np.linalg.norm(gradients))
    return float(np.abs(gradients).sum() / (norm * np.sqrt(gradients.size))) if norm else 0.0
