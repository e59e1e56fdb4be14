"""A kernel corrected by a fit less its own error: the true one stays, others come nearer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.numerics.kernel_correction import corrected_kernel
from napari_selfdeblur.numerics.kernel_fit import fit_kernel
from napari_selfdeblur.numerics.nonblind.sparse import sparse
from tests.numerics.moved_rectangles import KERNEL, blurred

SEEDS = range(3)


def moved(k: np.ndarray) -> float:
    """Return the distance to the true kernel."""
    return float(np.linalg.norm(k - KERNEL))


@pytest.mark.parametrize("sigma", [0.001, 0.01])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_true_kernel_stays(seed: int, sigma: float) -> None:
    """The fit alone moves it far: that is the error that is taken away."""
    y, k = torch.from_numpy(blurred(seed, sigma)), torch.from_numpy(KERNEL)
    fit = fit_kernel(sparse(y, k, sigma=sigma), y, (9, 9)).numpy()
    assert moved(corrected_kernel(y, KERNEL, sigma)) < 0.25 * moved(fit / fit.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wrong_kernel_comes_nearer(seed: int) -> None:
    """It is a kernel of sum 1; the one given need not be, and keeps its values."""
    wrong = 3 * gaussian_filter(KERNEL, 0.7)
    given, k = wrong.copy(), wrong
    for _ in range(2):
        k = corrected_kernel(torch.from_numpy(blurred(seed)), k, 0.001)
    assert kernel_similarity(k, KERNEL) > kernel_similarity(wrong, KERNEL)
    assert k.dtype == np.float32
    assert k.min() >= 0
    assert k.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(wrong, given)


def test_clipped_pixels_are_clipped_in_the_simulation() -> None:
    """The true kernel stays; unknown to it, clipped pixels move it away."""
    with_it, without = 0.0, 0.0
    for seed in SEEDS:
        y = blurred(seed)
        level = float(np.quantile(y, 0.9))
        clipped = y >= level
        y = torch.from_numpy(y.clip(max=level))
        with_it += moved(corrected_kernel(y, KERNEL, 0.001, clipped))
        without += moved(corrected_kernel(y, KERNEL, 0.001))
    assert with_it < 0.5 * without


def test_it_is_the_same_again() -> None:
    """Its noise has a seed of its own, and torch's generator goes on as if nothing had been."""
    y = torch.from_numpy(blurred(0))
    torch.manual_seed(3)
    first = corrected_kernel(y, KERNEL, 0.01)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    torch.testing.assert_close(drawn, torch.rand(3), rtol=0, atol=0)
    np.testing.assert_array_equal(corrected_kernel(y, KERNEL, 0.01), first)


def test_a_flat_image_leaves_the_kernel() -> None:
    """There is nothing to fit; only its sum becomes 1."""
    k = corrected_kernel(torch.full((64, 64), 0.5), 2 * KERNEL, 0.0)
    np.testing.assert_allclose(k, KERNEL, atol=1e-6)
