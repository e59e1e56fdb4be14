"""How much worse a restoration is than one with the true kernel would be, told without the truth.

A restoration errs by what noise and blur have taken from the image, which it does with the true
kernel too, and by the error of its kernel. How large that one is the estimates tell by how they
differ, and how far it reaches the image, by how far restorations with them lie apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_selfdeblur.numerics.blur import Blur, drawn_noise
from napari_selfdeblur.numerics.costs import costs
from napari_selfdeblur.numerics.fusion import Candidate, Fused, restored_with
from napari_selfdeblur.numerics.measures import inner_part
from napari_selfdeblur.numerics.registration import agreement_of, padded, registered, trimmed
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.spectrum import spectral_fit

__all__ = ["RESTORED", "expected_loss"]

_OTHERS = 5  # estimates that the one chosen is compared with
RESTORED = _OTHERS + 2
"""Restorations that it takes at most."""
_LEAST = 1e-12  # squared error


def expected_loss(problem: Problem, candidates: Sequence[Candidate], fused: Fused) -> float:
    """Return the expected loss of a restoration to that with the true kernel, in dB.

    It is 10 log10(1 + S / E). S is the mean squared distance of restorations with the likeliest
    other estimates from that with the fused kernel: the geometric mean over these, for one that
    is far off says little of the others, weighted by how alike the kernels are. E is the error
    expected with the true kernel, the geometric mean of two: that of restoring the result again,
    blurred by its kernel and with new noise, which is too small where a blur takes frequencies
    away, for the result has none of them; and that of Wiener's filter by the image's spectrum,
    which is too large, for the filter knows of no edges.

    Parameters
    ----------
    problem : Problem
        The blurred image or its region; restorations run on its device.
    candidates : sequence of Candidate
        At least two.
    fused : Fused
        What they gave.
    """
    y, sigma, clipped = problem.tensor(), problem.sigma, problem.clipped
    mask = None if clipped is None else torch.from_numpy(clipped).to(y.device)
    side = 2 * max(max(fused.kernel.shape), *(max(c.kernel.shape) for c in candidates)) + 1
    fixed = padded(fused.kernel, side)
    chosen = _tensor(trimmed(fixed), y)
    x = restored_with(y, chosen, sigma, mask)

    order = [int(i) for i in np.argsort(costs([c.measures for c in candidates]))]
    others = [i for i in order if i != fused.best][:_OTHERS]
    weights = agreement_of(fused.alike)[others] + _LEAST
    apart = [
        _squared(restored_with(y, _tensor(trimmed(k), y), sigma, mask) - x, chosen)
        for k in (registered(candidates[i].kernel, fixed) for i in others)
    ]
    S = math.exp(np.average(np.log(np.maximum(apart, _LEAST)), weights=weights))
    wiener = spectral_fit(problem.y, chosen.cpu().numpy(), sigma).wiener
    own = _own_error(x, chosen, sigma, clipped=mask is not None)
    E = wiener if own is None else math.sqrt(own * wiener)
    return 10 * math.log10(1 + S / max(E, _LEAST))


def _own_error(x: Tensor, k: Tensor, sigma: float, *, clipped: bool) -> float | None:
    """Return the mean squared error of restoring x (H, W) from its blur by k, with noise.

    None where k is as large as x, so that no pixel depends on x alone.
    """
    (height, width), (kh, kw) = x.shape, k.shape
    y = x[kh // 2 : height - kh // 2, kw // 2 : width - kw // 2]
    if not y.numel():
        return None
    blurred = Blur.of(y, k).forward(x) + drawn_noise(y, sigma)
    mask = torch.zeros_like(blurred, dtype=torch.bool) if clipped else None
    return _squared(restored_with(blurred, k, sigma, mask) - y, k)


def _squared(difference: Tensor, k: Tensor) -> float:
    """Return the mean square of a difference (H, W) of restorations with k, in its inner part."""
    inner = difference[inner_part(difference.shape, k.shape)]
    return float((inner if inner.numel() else difference).square().mean())


def _tensor(k: np.ndarray, y: Tensor) -> Tensor:
    return torch.from_numpy(k).to(y.device)
