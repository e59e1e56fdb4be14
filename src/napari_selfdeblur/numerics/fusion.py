"""Any number of estimates of one blurred image, made into one.

Each kernel restores the image with one common setting, and several quantities judge the result
(`costs`). Estimates of one source err alike, those of different sources do not: the best kernel of
every other source that is like the best of all has a share in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics.costs import costs
from napari_selfdeblur.numerics.measures import measure
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.registration import (
    agreement_of,
    correlations,
    cropped,
    padded,
    registered,
    trimmed,
)

__all__ = [
    "LEAST_WEIGHT",
    "TEMPERATURE",
    "Candidate",
    "Fused",
    "best_of",
    "compared",
    "fuse",
    "plausible",
    "restored_to_compare",
    "restored_with",
]

Plane = NDArray[np.float32]

TEMPERATURE = 0.05  # an estimate that costs this much more counts 1/e
LEAST_WEIGHT = 0.05  # of a plausible estimate, over that of the best
_COMPARED = 40  # iterations of a restoration that is only to be compared


class Candidate(NamedTuple):
    """One estimate, made by `compared`.

    Attributes
    ----------
    kernel : ndarray of float32, (kh, kw)
        Odd sides, positive sum.
    source : str
        Where it came from.
    measures : dict of str to float
        Quantities of the image restored with it.
    sharp : ndarray of float32, (H, W), or None
        The image that was estimated with it, where it is not a restoration.
    intensities : float
        How it was found, of an edge-based one: what `edge_kernel` was given.
    """

    kernel: Plane
    source: str
    measures: dict[str, float]
    sharp: Plane | None = None
    intensities: float = 0.0


@dataclass(frozen=True, slots=True)
class Fused:
    """What several estimates give together.

    Attributes
    ----------
    kernel : ndarray of float32, (kh, kw)
        Odd sides, sum 1, centroid at the central pixel.
    best : int
        Index of the best estimate.
    weights : dict of str to float
        Share of each source in the kernel; they sum to 1.
    alike : ndarray of float, (candidates,)
        Largest correlation, over shifts, of each estimate's kernel with this one.
    agreement : float or None
        How alike the other estimates' kernels are to this one, on average, from 0 (correlation
        of 0.6 or less) to 1 (0.9 or more); those found by the same prior as the best, if there
        are two. None of fewer than three estimates.
    loss : float or None
        How much worse a restoration with this kernel is expected to be than one with the true
        one, in dB, where that has been asked for: see `expected_loss`.
    """

    kernel: Plane
    best: int
    weights: dict[str, float]
    alike: NDArray[np.float64]
    agreement: float | None
    loss: float | None = None


def compared(
    y: torch.Tensor,
    kernel: Plane,
    source: str,
    sigma: float,
    sharp: Plane | None = None,
    clipped: NDArray[np.bool_] | None = None,
) -> tuple[Candidate, torch.Tensor]:
    """Return an estimate with the measures of the image restored with its kernel, and that image.

    Parameters
    ----------
    y : Tensor of float32, (H, W)
        Blurred image in [0, 1]; the restoration runs on its device.
    kernel : ndarray of float32, (kh, kw)
        Odd sides, positive sum.
    source : str
        Where the estimate came from.
    sigma : float
        Noise standard deviation of y.
    sharp : ndarray of float32, (H, W), optional
        The image that was estimated with it.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above.

    Returns
    -------
    candidate : Candidate
    x : Tensor of float32, (H, W)
        In [0, 1]; of a clipped image >= 0.

    Raises
    ------
    ImageError
        If the kernel has an even side or no positive sum.
    """
    if kernel.ndim != 2 or not all(n % 2 for n in kernel.shape) or not kernel.sum() > 0:
        raise ImageError(
            f"the kernel of {source!r} must be 2-D with odd sides and a positive sum, got "
            f"shape {kernel.shape}; pad it or estimate it again"
        )
    x = restored_to_compare(y, kernel, sigma, clipped)
    k = cropped(kernel)
    measures = measure(x.cpu().numpy(), k, y.cpu().numpy(), sigma, clipped)
    return Candidate(kernel, source, measures, sharp), x


def restored_to_compare(
    y: torch.Tensor, kernel: Plane, sigma: float, clipped: NDArray[np.bool_] | None = None
) -> torch.Tensor:
    """Return y restored as for every kernel that is compared; as `compared` has it."""
    # The support must not matter: the smallest one that holds the kernel, for all.
    k = torch.from_numpy(cropped(kernel)).to(y.device)
    mask = None if clipped is None else torch.from_numpy(clipped).to(y.device)
    return restored_with(y, k, sigma, mask)


def restored_with(
    y: torch.Tensor, k: torch.Tensor, sigma: float, clipped: torch.Tensor | None
) -> torch.Tensor:
    """Return what `restored_to_compare` does, for a kernel on its own support and tensors alone."""
    x = hyper_laplacian(y, k, sigma=sigma, iterations=_COMPARED, clipped=clipped)
    return x.clamp(0, 1) if clipped is None else x.clamp_min(0)


def fuse(candidates: Sequence[Candidate], kernel_size: tuple[int, int] | None = None) -> Fused:
    """Return one kernel of any number of estimates, in whatever order they come.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one; kernels may differ in size, and lie shifted against each other.
    kernel_size : (int, int), optional
        Least sides of the kernel returned; it is larger where a smaller support would cut it.
        The largest sides among the candidates by default.

    Raises
    ------
    ImageError
        If there is no candidate.
    """
    if not candidates:
        raise ImageError("there is no estimate to fuse; run at least one solver")
    least = kernel_size or tuple(max(c.kernel.shape[i] for c in candidates) for i in (0, 1))
    best = best_of(candidates)
    mean, weights = _averaged(candidates, best)
    kernel = cropped(mean, (least[0], least[1]))
    alike = correlations([kernel, *(c.kernel for c in candidates)])[0, 1:]
    # Estimates by another prior that fails here say nothing of one that does not.
    found = [c.intensities > 0 for c in candidates]
    same = [i for i, each in enumerate(found) if each == found[best] and i != best]
    others = alike[same] if len(same) > 1 else np.delete(alike, best)
    agreement = float(agreement_of(others).mean()) if others.size > 1 else None
    return Fused(kernel, best, weights, alike, agreement)


def _averaged(
    candidates: Sequence[Candidate], best: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return the best kernel averaged with the best of every other source, and their shares.

    A kernel's weight is how alike it is to the best, times exp(-(its cost - the best's) / 0.05).
    """
    cost = costs([c.measures for c in candidates])
    alike = correlations([candidates[best].kernel, *(c.kernel for c in candidates)])[0, 1:]
    fixed = padded(candidates[best].kernel, 2 * max(max(c.kernel.shape) for c in candidates) + 1)
    total, weights = fixed, dict.fromkeys((c.source for c in candidates), 0.0)
    weights[candidates[best].source] = 1.0
    for source in [name for name in weights if name != candidates[best].source]:
        i = min((n for n, c in enumerate(candidates) if c.source == source), key=lambda n: cost[n])
        distance = min(cost[best] - cost[i], 0.0) / TEMPERATURE
        weights[source] = float(agreement_of(alike[i : i + 1])[0] * np.exp(distance))
        if weights[source] > 0:
            total = total + weights[source] * registered(candidates[i].kernel, fixed)
    whole = sum(weights.values())
    return total / whole, {source: weight / whole for source, weight in weights.items()}


def best_of(candidates: Sequence[Candidate]) -> int:
    """Return the index of the best estimate.

    That is the largest p_i times the mean of p_j over the kernels that are like it, weighted by
    a_ij, with p = exp(-cost / 0.05) and a_ij from 0 (correlation of 0.6 or less) to 1 (0.9 or
    more). The mean, not the sum: a kernel is no better for having been found often.
    """
    p = np.exp(-costs([c.measures for c in candidates]) / TEMPERATURE)
    alike = agreement_of(correlations([c.kernel for c in candidates]))
    return int(np.argmax(p * (alike @ p) / alike.sum(axis=1)))


def plausible(
    candidates: Sequence[Candidate], fixed: Plane, most: int
) -> list[tuple[Plane, float]]:
    """Return the kernels that little speaks against, the best first, and the weight of each.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one.
    fixed : ndarray of float32, (kh, kw)
        A kernel with the centroid in its middle, onto which the others are shifted: the images
        restored with them then lie at one place.
    most : int
        How many are returned at most.

    Returns
    -------
    list of (ndarray of float32, float)
        Sums are 1. The weights are exp(-(cost - the best's) / 0.05), at most 1; kernels of less
        than 0.05 are left out. However much two kernels differ, both may be plausible.
    """
    cost = costs([c.measures for c in candidates])
    weights = np.exp(np.minimum(cost[best_of(candidates)] - cost, 0) / TEMPERATURE)
    chosen = [i for i in np.argsort(-weights, kind="stable") if weights[i] >= LEAST_WEIGHT]
    side = 2 * max(max(fixed.shape), *(max(c.kernel.shape) for c in candidates)) + 1
    place, kernels = padded(fixed, side), []
    for i in chosen[:most]:
        k = registered(candidates[i].kernel, place)
        kernels.append((trimmed(k), float(weights[i])))
    return kernels
