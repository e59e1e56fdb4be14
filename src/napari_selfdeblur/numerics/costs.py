"""What speaks against each of several kernels estimated for one blurred image.

Quantities of `assess`, measured on the image restored with each kernel: the likelihood of the
spectrum, the sparsity of the gradients where there is little noise (Krishnan, Tay and Fergus
2011), how far objects stand apart (Geary's ratio), the residual beyond the noise, and a little the
kernel's width. None of them decides alone: each gives a penalty that saturates, so that a quantity
misled by an image cannot outweigh the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["costs", "slopes"]

# Weight of each quantity, and the difference at which half of it is given.
_SPECTRUM = (1.0, 1.8)  # of nats for each frequency that says something of the kernel
_SPARSITY = (0.8, 0.3)  # in an image without noise
_EXCESS = (0.05, 0.3)  # in an image without noise, where the restoration errs by more
_NOISY_EXCESS = 0.8  # its weight in noise
_GEARY = (0.6, 0.15)  # of squared differences
_FAINT = 0.005  # noise at which the sparsity has half of that weight: noise is not sparse
_WIDER = 0.01  # cost of a kernel e times as wide: of two that explain as much, the narrower


def costs(measures: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    """Return what speaks against each estimate of one image, near 0 for one that is best in all.

    sum_i w_i d_i / (d_i + c_i), where d_i is how much worse quantity i is than its best, squared
    for Geary's ratio, and a little for the width. The spectrum's difference is taken for each
    frequency that is not noise alone: over all of them it would vanish in an image of much noise.
    """
    total = _WIDER * np.log([m["width"] + 0.5 for m in measures])
    informative = min(measures, key=lambda m: m["spectrum"])["informative"]
    for name, (weight, scale) in _scales(measures[0]["sigma"], informative).items():
        worse = np.array([_quantity(m, name) for m in measures])
        worse -= worse.min()
        total += weight * worse / (worse + scale)
    weight, scale = _GEARY
    worse = np.log([max(m["geary"], 1e-6) for m in measures])
    worse = (worse - worse.min()) ** 2
    total += weight * worse / (worse + scale**2)
    return np.asarray(total, dtype=np.float64)


def slopes(sigma: float, informative: float) -> dict[str, float]:
    """Return how much spectrum, sparsity and Geary's ratio cost between kernels that hardly differ.

    Geary's ratio costs nothing to first order at the least: its steepest slope is returned.

    Parameters
    ----------
    sigma : float
        Noise standard deviation.
    informative : float
        That of the spectrum, as measured.
    """
    scales = _scales(sigma, informative)
    found = {name: scales[name][0] / scales[name][1] for name in ("spectrum", "sparsity")}
    return found | {"geary": math.sqrt(27) / 8 * _GEARY[0] / _GEARY[1]}


def _scales(sigma: float, informative: float) -> dict[str, tuple[float, float]]:
    """Return weight, and difference at which half of it is given, of all quantities but Geary's."""
    faint = 1 / (1 + (sigma / _FAINT) ** 2)
    return {
        "spectrum": (_SPECTRUM[0], _SPECTRUM[1] * informative),
        "sparsity": (_SPARSITY[0] * faint, _SPARSITY[1]),
        "excess": (_NOISY_EXCESS + (_EXCESS[0] - _NOISY_EXCESS) * faint, _EXCESS[1]),
    }


def _quantity(measures: dict[str, float], name: str) -> float:
    if name == "excess":  # a residual below the noise is no merit
        return max(float(np.log(max(measures["residual"], 1e-6))), 0.0)
    return float(np.log(max(measures[name], 1e-6))) if name == "sparsity" else measures[name]
