"""Edge-based estimates of image and kernel, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_selfdeblur.compare.metrics import kernel_similarity, psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.blur import sharp_size
from napari_selfdeblur.numerics.edge_kernel import STRENGTHS
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.solvers.base import Problem, Step, estimate_of
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver, restored

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
    """Each step tries one kernel; the objective is that of the best so far and never rises."""
    solver, steps = solved
    assert solver.t == solver.total == len(steps) == len(solver.kernels) == len(STRENGTHS)
    assert solver.losses == [step.loss for step in steps]
    y = PROBLEM.tensor()
    objectives = [restored(y, k, PROBLEM.sigma)[1] for k in solver.kernels]
    assert solver.losses == [min(objectives[: t + 1]) for t in range(len(objectives))]
    assert torch.equal(steps[-1].k, solver.kernels[int(np.argmin(objectives))])


def test_the_image_has_the_size_of_x(solved):
    """A step's image reaches over the border of y by the kernel's support."""
    step = solved[1][-1]
    assert step.x.shape == sharp_size(PROBLEM.shape, CONFIG.kernel_size)
    x, _ = restored(PROBLEM.tensor(), step.k, PROBLEM.sigma)
    assert torch.equal(step.x[8:-8, 8:-8], x)


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
    assert all(torch.equal(a, b) for a, b in zip(again.kernels, solver.kernels, strict=True))


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


def test_true_kernel_restores_the_sparsest_image():
    """Of no blur at all, a box, and the true kernel, the true one gives the sparsest edges."""
    delta, box = np.zeros((17, 17)), np.full((17, 17), 1 / 289)
    delta[8, 8] = 1
    y = torch.from_numpy(SAMPLE.blurred / 255)
    objectives = [
        restored(y, torch.from_numpy(k), PROBLEM.sigma)[1] for k in (delta, box, SAMPLE.kernel)
    ]
    assert np.argmin(objectives) == 2
