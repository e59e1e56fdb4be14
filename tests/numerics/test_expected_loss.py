"""The loss expected of a restoration follows the scatter of the estimates, and the true loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.expected_loss import expected_loss
from napari_selfdeblur.numerics.fusion import Candidate, Fused, compared, restored_to_compare
from napari_selfdeblur.numerics.registration import correlations
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.solvers.base import Problem

KERNEL = np.zeros((11, 11), np.float32)
KERNEL[5, 1:10] = 1 / 9


def scene() -> np.ndarray:
    """Return rectangles of many greys."""
    rng = np.random.default_rng(0)
    x = np.full((138, 138), 0.5)
    for _ in range(80):
        top, left = rng.integers(0, 125, 2)
        height, width = rng.integers(6, 40, 2)
        x[top : top + height, left : left + width] = rng.uniform(0.1, 0.9)
    return x


def problem(sigma: float = 0.002) -> Problem:
    """Return the scene moved along a line of 9 pixels, with noise."""
    y = fftconvolve(scene(), KERNEL, mode="valid")
    y += np.random.default_rng(1).normal(0, sigma, y.shape)
    config = SelfDeblurConfig.preset("draft").replace(device="cpu", kernel_size=(11, 11))
    return Problem(y.astype(np.float32), sigma, config, Runtime.of(config))


def estimates(wrongness: float, seed: int = 0, count: int = 6) -> list[np.ndarray]:
    """Return kernels that are wrong by so much, each in its own way."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        off = gaussian_filter(rng.normal(size=KERNEL.shape), 1)
        k = (KERNEL + wrongness * off * (KERNEL.max() / np.abs(off).max())).clip(0)
        made.append((k / k.sum()).astype(np.float32))
    return made


def loss(kernels: list[np.ndarray], given: Problem) -> float:
    """Return the expected loss of the first of the kernels."""
    y = given.tensor()
    candidates = [compared(y, k, "edges", given.sigma)[0] for k in kernels]
    return expected_loss(given, candidates, fused(kernels))


def fused(kernels: list[np.ndarray]) -> Fused:
    """Return the first of the kernels as the one chosen."""
    return Fused(kernels[0], 0, {"edges": 1.0}, correlations(kernels)[0], 1.0)


def test_estimates_that_are_one_kernel_leave_no_loss():
    assert loss([KERNEL] * 4, problem()) == pytest.approx(0, abs=1e-6)


def test_where_the_kernels_lie_on_their_supports_does_not_matter():
    moved = [np.roll(KERNEL, (i, 0), (0, 1)) for i in (0, 1, -2, 3)]
    assert loss(moved, problem()) == pytest.approx(0, abs=0.05)


def test_the_loss_rises_with_the_scatter_of_the_estimates():
    losses = [loss(estimates(wrongness), problem()) for wrongness in (0.02, 0.1, 0.3, 0.8)]
    assert losses == sorted(losses)
    assert losses[0] < 1
    assert losses[-1] > 3


def test_noise_hides_the_error_of_a_kernel():
    kernels = estimates(0.3)
    assert loss(kernels, problem(0.04)) < 0.5 * loss(kernels, problem(0.002))


@pytest.mark.parametrize("wrongness", [0.05, 0.1, 0.3])
def test_the_loss_is_near_the_true_one(wrongness):
    """Of estimates that err each by itself; within a factor of two."""
    given, kernels = problem(), estimates(wrongness)
    truth = scene()[5:-5, 5:-5]

    def error(k: np.ndarray) -> float:
        x = restored_to_compare(given.tensor(), k, given.sigma).numpy()
        return float(np.square(x - truth)[15:-15, 15:-15].mean())

    true = 10 * np.log10(np.mean([error(k) for k in kernels]) / error(KERNEL))
    assert abs(loss(kernels, given) - true) < 3


def test_a_clipped_image_and_kernels_of_other_sizes():
    given = problem()
    clipped = given.y > 0.85
    given = replace(given, y=given.y.clip(0, 0.85), clipped=clipped)
    kernels = [*estimates(0.3), np.pad(KERNEL, 6)]
    assert 0 < loss(kernels, given) < 20


def test_it_is_the_same_each_time_and_leaves_the_caller_s_random_numbers():
    kernels = estimates(0.3)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert loss(kernels, problem()) == loss(kernels, problem())
    assert torch.equal(before, torch.get_rng_state())


def test_the_caller_s_default_type_does_not_matter():
    kernels = estimates(0.3)
    found = loss(kernels, problem())
    torch.set_default_dtype(torch.float64)
    try:
        assert loss(kernels, problem()) == found
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_image_hardly_larger_than_its_kernel():
    small = problem()
    small = replace(small, y=small.y[:13, :13])
    measures = compared(small.tensor(), KERNEL, "edges", small.sigma)[0].measures
    candidates = [Candidate(k, "edges", measures) for k in estimates(0.3)]
    assert np.isfinite(expected_loss(small, candidates, fused(estimates(0.3))))
