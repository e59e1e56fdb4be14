"""The refinement of a kernel: its gradient is right, and it comes nearer to the true kernel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_selfdeblur.numerics.fusion import Candidate, Fused
from napari_selfdeblur.numerics.refinement import (
    CORRECTIONS,
    EVALUATIONS,
    Refinement,
    refined_kernels,
    scatter,
)
from napari_selfdeblur.numerics.registration import correlations
from tests.numerics.moved_rectangles import KERNEL, blurred


def wrong() -> np.ndarray:
    """Return the kernel as an estimate has it: smeared and with specks beside it."""
    k = gaussian_filter(KERNEL, 0.7) + np.random.default_rng(1).uniform(0, 0.003, KERNEL.shape)
    return (k / k.sum()).astype(np.float32)


def refine(**changes: object) -> Refinement:
    """Return a whole refinement of the wrong kernel."""
    found = Refinement(
        **{"y": torch.from_numpy(blurred()), "kernel": wrong(), "sigma": 0.001} | changes
    )
    while found.t < found.total:
        found.step()
    return found


def test_the_kernel_comes_nearer_to_the_true_one():
    """By both corrections, and then along the gradient."""
    steps, kernels = zip(*refined_kernels(torch.from_numpy(blurred()), wrong(), 0.001), strict=True)
    assert steps[:CORRECTIONS] == tuple(range(1, CORRECTIONS + 1))
    assert steps[-1] == CORRECTIONS + EVALUATIONS
    alike = correlations([KERNEL, wrong(), *kernels])[0, 1:]
    assert (np.diff(alike[: CORRECTIONS + 1]) > 0).all()
    assert alike[CORRECTIONS] > alike[0] + 0.05 * (1 - alike[0])
    assert alike[-1] > alike[0] + 0.6 * (1 - alike[0])
    for each in kernels:
        assert each.dtype == np.float32
        assert each.min() >= 0
        assert each.sum() == pytest.approx(1, abs=1e-5)


def test_the_cost_never_rises():
    found = Refinement(torch.from_numpy(blurred()), wrong(), 0.001)
    costs = []
    while found.t < found.total:
        found.step()
        costs.append(found.cost)
    assert len(costs) > 3
    assert all(b <= a for a, b in itertools.pairwise(costs))
    assert costs[-1] < costs[0]


def test_the_gradient_is_that_of_the_cost():
    """Along a random direction, against a difference of two costs."""
    found = Refinement(torch.from_numpy(blurred()), wrong(), 0.001)
    k = torch.from_numpy(found.kernel).requires_grad_()
    cost = found._cost(k)
    (gradient,) = torch.autograd.grad(cost, k)
    along = torch.from_numpy(np.random.default_rng(2).normal(size=k.shape).astype(np.float32))
    along = along * k.detach()
    h = 0.02
    rise = float(found._cost(k.detach() + h * along) - found._cost(k.detach() - h * along)) / (
        2 * h
    )
    assert float((gradient * along).sum()) == pytest.approx(rise, rel=0.2)


def test_the_caller_s_state_does_not_reach_in():
    """Under no_grad it is the same, and grad mode is as it was after."""
    with torch.no_grad():
        found = refine()
        assert not torch.is_grad_enabled()
    np.testing.assert_array_equal(found.kernel, refine().kernel)


def test_clipped_pixels_may_be_brighter():
    """A saturated image is refined without what it cannot say."""
    y = blurred()
    level = float(np.quantile(y, 0.97))
    found = refine(y=torch.from_numpy(y.clip(max=level)), clipped=y >= level)
    before, after = correlations([KERNEL, wrong(), found.kernel])[0, 1:]
    assert after > before


def test_a_flat_image_leaves_the_kernel():
    """Nothing to go by: the kernel stays, without NaN."""
    found = refine(y=torch.full((64, 64), 0.5), sigma=0.01)
    np.testing.assert_allclose(found.kernel, wrong(), atol=1e-3)


def test_estimates_that_agree_hold_the_kernel():
    """The less they scatter, the less it moves; with none of them nothing holds it."""
    moved = [np.square(refine(scatter=s).kernel - wrong()).sum() for s in (1e-6, 0.01, np.inf)]
    assert moved[0] < 0.01 * moved[2]
    assert moved[0] < moved[1] < moved[2]


def test_scatter_is_the_mean_squared_distance_of_the_others():
    """Registered: a copy moved by two pixels has none, and an unlike one does not count."""
    same = np.pad(KERNEL, 3)
    off = gaussian_filter(KERNEL, 0.6).astype(np.float32)
    off /= off.sum()
    unlike = np.eye(9, dtype=np.float32)

    def candidate(k: np.ndarray) -> Candidate:
        measures = {
            "spectrum": 0.0,
            "sparsity": 0.5,
            "residual": 1.0,
            "geary": 0.7,
            "width": 3.0,
            "sigma": 0.0,
            "informative": 1.0,
        }
        return Candidate(np.asarray(k, np.float32), "edges", measures)

    def around(*kernels: np.ndarray) -> float:
        """Return the scatter around the first one."""
        alike = correlations([KERNEL, *kernels])[0, 1:]
        fused = Fused(KERNEL, 0, {"edges": 1.0}, alike, None)
        return scatter([candidate(k) for k in kernels], fused)

    assert around(KERNEL, np.roll(same, 2, axis=0)) < 1e-6
    assert around(KERNEL) == np.inf
    assert around(KERNEL, unlike) == np.inf
    expected = np.square(off - KERNEL).sum() / np.square(KERNEL).sum()
    found = around(KERNEL, off)
    assert found == pytest.approx(expected, rel=0.02)
