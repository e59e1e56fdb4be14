"""L-BFGS: the minimum, never a higher value, and an end where there is nothing to gain."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from napari_selfdeblur.numerics.lbfgs import LBFGS

SCALES = torch.logspace(-2, 1, 12, dtype=torch.float64)


def quadratic(x: Tensor) -> tuple[float, Tensor]:
    """Return a value whose curvatures differ a thousandfold, least at 1, and its gradient."""
    return float((SCALES * (x - 1).square()).sum() / 2), SCALES * (x - 1)


def banana(x: Tensor) -> tuple[float, Tensor]:
    """Return Rosenbrock's function and its gradient."""
    a, b = x
    value = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    gradient = torch.stack([2 * (a - 1) - 400 * a * (b - a**2), 200 * (b - a**2)])
    return float(value), gradient


def values(function, x: Tensor, steps: int) -> list[float]:
    """Return the values after each step that finds a lower one."""
    seen = []

    def watched(at: Tensor) -> tuple[float, Tensor]:
        seen.append(function(at)[0])
        return function(at)

    descent, found = LBFGS(x, watched, searched=20), []
    while len(found) < steps and descent.step():
        found.append(seen[-1])
    return found


def test_a_quadratic_is_minimised():
    """Which steepest descent would need thousands of steps for."""
    start = torch.zeros(12, dtype=torch.float64)
    found = values(quadratic, start, 60)
    assert found[-1] < 1e-9 * quadratic(start)[0]
    assert not start.any()  # the caller's


def test_a_bent_valley_is_followed():
    found = values(banana, torch.tensor([-1.2, 1.0], dtype=torch.float64), 80)
    assert found[-1] < 1e-6
    assert all(after < before for before, after in itertools.pairwise(found))


def test_where_nothing_is_to_be_gained_it_ends():
    """At the minimum, where the value is not finite, and where every longer step is higher."""
    assert values(quadratic, torch.ones(12, dtype=torch.float64), 5) == []
    assert values(lambda x: (math.inf, torch.zeros_like(x)), torch.ones(3), 5) == []
    assert values(lambda x: (float(x.abs().sum() > 0), torch.ones_like(x)), torch.zeros(3), 5) == []
