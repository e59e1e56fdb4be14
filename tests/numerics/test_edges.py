"""Edge-based estimates of image and kernel, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from napari_selfdeblur.compare.metrics import kernel_similarity, psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.blur import sharp_size
from napari_selfdeblur.numerics.fusion import best_of
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.solvers.base import Problem, Step, estimate_of
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver, trials, trials_of_objects
from napari_selfdeblur.numerics.support import extent_of, next_size, sides_of, sizes_to_try

SAMPLE = motion_blurred_photograph(size=128)
CONFIG = SelfDeblurConfig(kernel_size=17, device="cpu")
PROBLEM = Problem(
    (SAMPLE.blurred / 255).astype(np.float32), sigma=0.01, config=CONFIG, runtime=Runtime.of(CONFIG)
)


def finished(solver: EdgeSolver) -> list[Step]:
    """Return what every step left returns."""
    return [solver.step() for _ in range(solver.t, solver.total)]


@pytest.fixture(scope="module")
def solved() -> tuple[EdgeSolver, list[Step]]:
    solver = EdgeSolver(PROBLEM)
    return solver, finished(solver)


def test_it_finds_kernel_and_image(solved):
    """The estimate's kernel is the one that blurred the photograph, its image the better for it."""
    estimate = estimate_of(solved[1][-1], "edges")
    truth, blurred = SAMPLE.sharp / 255, SAMPLE.blurred / 255
    assert estimate.sharp.shape == blurred.shape
    assert kernel_similarity(estimate.kernel, SAMPLE.kernel) > 0.7
    assert psnr_up_to_shift(estimate.sharp, truth) > psnr_up_to_shift(blurred, truth) + 2


def test_a_step_is_the_best_so_far(solved):
    """Each step tries one kernel; what it returns is the best so far, its loss the residual."""
    solver, steps = solved
    assert solver.t == solver.total == len(steps) == len(solver.candidates)
    assert solver.trials == trials((17, 17), PROBLEM.sigma)
    assert solver.losses == [step.loss for step in steps]
    for t, step in enumerate(steps):
        best = solver.candidates[best_of(solver.candidates[: t + 1])]
        assert np.array_equal(step.k.numpy(), best.kernel)
        assert step.loss == best.measures["residual"]


def test_the_image_has_the_size_of_x(solved):
    """A step's image reaches over the border of y by the kernel's support."""
    assert solved[1][-1].x.shape == sharp_size(PROBLEM.shape, CONFIG.sides)


def test_noise_is_smoothed_before_the_kernel_is_estimated():
    """A noisy image is smoothed in every trial, a clean one in none."""
    assert all(trial.smoothing > 0 for trial in trials((9, 9), 0.02))
    assert all(trial.smoothing == 0 for trial in trials((9, 9), 0.001))


@pytest.fixture(scope="module")
def sized() -> EdgeSolver:
    solver = EdgeSolver(replace(PROBLEM, config=SelfDeblurConfig(device="cpu")))
    while solver.t < solver.total:
        solver.step()
    return solver


def test_the_size_is_found(sized):
    """Without a size, kernels of several are tried, then kernels of the one found."""
    true = max(extent_of(SAMPLE.kernel))
    assert sized.size is not None
    assert true / 1.5 <= sized.size[0] <= 1.5 * true + 4
    tried = [trial.size for trial in sized.trials]
    assert tried[: -len(trials((3, 3), 0.01))] == sizes_to_try(PROBLEM.shape)
    assert set(tried[-len(trials((3, 3), 0.01)) :]) == {sized.size}
    best = sized.candidates[best_of(sized.candidates)].kernel
    assert kernel_similarity(best, SAMPLE.kernel) > 0.7


def spots() -> Problem:
    """Return bright spots on a dark field, blurred by a disk."""
    rng = np.random.default_rng(1)
    scene = np.zeros((120, 120), np.float32)
    scene[rng.integers(0, 120, 60), rng.integers(0, 120, 60)] = rng.uniform(1, 4, 60)
    rows, columns = np.indices((7, 7)) - 3
    disk = (np.hypot(rows, columns) <= 3.2).astype(np.float32)
    y = fftconvolve(scene, disk / disk.sum(), mode="same")
    y = y / y.max() + rng.normal(0, 0.002, y.shape)
    return replace(PROBLEM, y=y.astype(np.float32), sigma=0.002)


@pytest.mark.parametrize("size", ["auto", 9])
def test_objects_that_stand_apart_have_trials_of_their_own(size):
    """Whether the size is given or found; a state restores them."""
    config = SelfDeblurConfig(device="cpu", kernel_size=size)
    solver = EdgeSolver(replace(spots(), config=config))
    while solver.t < solver.total:
        solver.step()
    own = trials_of_objects(solver.found_size, 0.002)
    assert solver.trials[-len(own) :] == own
    sizes = [t.size for t in solver.trials if t.intensities and t.size != solver.found_size]
    assert len(set(sizes)) == (2 if size == "auto" else 0)
    found = [(c.intensities > 0) for c in solver.candidates]
    assert found == [t.intensities > 0 for t in solver.trials]
    again = EdgeSolver(replace(spots(), config=config))
    again.restore_state(solver.state())
    assert [c.intensities for c in again.candidates] == [c.intensities for c in solver.candidates]


def test_a_photograph_has_no_trials_of_objects(solved):
    """Its Geary ratio is that of a normal distribution or more."""
    assert min(c.measures["geary"] for c in solved[0].candidates) > np.sqrt(2 / np.pi)
    assert not any(trial.intensities for trial in solved[0].trials)


def test_a_kernel_that_fills_its_support_asks_for_a_larger_one():
    """A kernel as long as the largest size tried may be cut; a short one is not."""
    line = np.zeros((55, 55))
    line[27, 2:53] = 1 / 51
    assert next_size(line, (55, 55), (400, 400)) == (77, 77)
    assert next_size(line[:, 13:42], (55, 55), (400, 400)) is None
    assert next_size(line, (55, 55), (100, 100)) is None


def test_sides_hold_the_kernel_and_fit_the_image():
    """The size is the kernel's extent and two pixels on each side, never above the image."""
    line = np.zeros((31, 31))
    line[15, 10:21] = 1 / 11
    assert extent_of(line) == (1, 11)
    assert sides_of(line, (100, 100)) == (15, 15)
    assert sides_of(line, (12, 40)) == (11, 11)


def test_small_images_have_small_sizes():
    """Sizes fit into 40 % of the image; one too small for any is refused with the remedy."""
    assert sizes_to_try((400, 300)) == [(n, n) for n in (13, 19, 27, 39, 55)]
    assert sizes_to_try((20, 90)) == [(7, 7)]
    with pytest.raises(ImageError, match="give kernel_size, or take a larger image"):
        sizes_to_try((7, 90))


@pytest.mark.parametrize("done", [0, 2])
def test_resumed_equals_uninterrupted(solved, done):
    """A solver restored from a state continues to the same kernels, image and objectives."""
    first, again = EdgeSolver(PROBLEM), EdgeSolver(PROBLEM)
    for _ in range(done):
        first.step()
    again.restore_state(first.state())
    last = finished(again)[-1]
    solver, steps = solved
    assert again.losses == solver.losses
    assert torch.equal(last.x, steps[-1].x)
    for one, other in zip(again.candidates, solver.candidates, strict=True):
        assert np.array_equal(one.kernel, other.kernel)


def test_a_state_is_not_changed_by_further_steps():
    """What `state` returned still describes the moment it was made."""
    solver = EdgeSolver(PROBLEM)
    solver.step()
    state = solver.state()
    solver.step()
    assert (state["t"], len(state["losses"]), len(state["kernels"])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((40, 40), np.float32), "flat"),
        (np.eye(12, 60, dtype=np.float32), "larger than the kernel"),
    ],
)
def test_unusable_images_are_refused(y, message):
    """A flat image, and one smaller than the kernel, end the first step with our error."""
    with pytest.raises(ImageError, match=message):
        EdgeSolver(replace(PROBLEM, y=y)).step()
