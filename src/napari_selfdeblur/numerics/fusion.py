"""Interim: the best-assessed of several estimates, until the new fusion lands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.numerics.assess import Assessment, assess

__all__ = ["Candidate", "Fused", "fuse"]

Plane = NDArray[np.float32]


class Candidate(NamedTuple):
    """One estimate."""

    kernel: Plane
    source: str
    sharp: Plane | None = None


@dataclass(frozen=True)
class Fused:
    """What several estimates give."""

    kernel: Plane
    restored: Plane
    sharp: Plane
    weights: dict[str, float]
    agreement: float
    assessment: Assessment


def fuse(
    y: Plane,
    candidates: Sequence[Candidate],
    sigma: float,
    *,
    restore: Callable[[Plane], Plane],
    own_share: float = 0.25,
    kernel_size: tuple[int, int] = (0, 0),
) -> Fused:
    """Return the candidate with the highest score."""
    restored = [restore(c.kernel) for c in candidates]
    found = [assess(x, c.kernel, y, sigma) for x, c in zip(restored, candidates, strict=True)]
    i = max(range(len(found)), key=lambda j: found[j].score)
    weights = {c.source: float(j == i) for j, c in enumerate(candidates)}
    return Fused(candidates[i].kernel, restored[i], restored[i], weights, 0.0, found[i])
