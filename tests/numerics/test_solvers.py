import numpy as np
import pytest
import torch

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.blur import blur_valid
from napari_selfdeblur.numerics.centring import centre
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.solvers.base import Problem, estimate_of
from napari_selfdeblur.numerics.solvers.networks import AlternatingSolver, JointSolver

TINY = SelfDeblurConfig.preset("official").replace(
    kernel_size=(5, 3),
    iterations=6,
    channels=8,
    skip_channels=4,
    device="cpu",
    precision="float32",
)
Y = np.random.default_rng(0).random((30, 33), dtype=np.float32)
SOLVERS = [JointSolver, AlternatingSolver]


def problem(y=Y, config=TINY, **changes):
    config = config.replace(**changes)
    return Problem(y, 0.01, config, Runtime.of(config))


def finished(solver, steps=6):
    while solver.t < steps:
        solver.step()
    return solver


def assert_same(a, b):
    assert a.loss == b.loss
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.k, b.k)


@pytest.mark.parametrize("make", SOLVERS)
def test_a_step_returns_image_kernel_and_loss(make):
    """x is larger than y by the kernel's support, k is a PSF, and every loss is kept."""
    solver = finished(make(problem()))
    assert solver.t == solver.total == len(solver.losses) == 6
    assert solver.last.loss == solver.losses[-1]
    assert solver.last.x.shape == (34, 35)
    assert solver.last.k.shape == (5, 3)
    assert float(solver.last.k.sum()) == pytest.approx(1, abs=1e-6)
    assert not solver.last.x.requires_grad


def test_an_estimate_is_the_observed_part_with_a_centred_kernel():
    """estimate_of cuts x to y's shape and moves kernel and image alike."""
    step = JointSolver(problem()).step()
    estimate = estimate_of(step, "joint")
    sharp, kernel = centre(step.x.numpy(), step.k.numpy())
    np.testing.assert_array_equal(estimate.sharp, sharp)
    np.testing.assert_array_equal(estimate.kernel, kernel)
    assert estimate.sharp.shape == Y.shape
    assert estimate.sharp.dtype == estimate.kernel.dtype == np.float32


@pytest.mark.parametrize("make", SOLVERS)
def test_same_seed_same_result(make):
    """Two solvers of one seed are equal bit for bit; another seed differs."""
    first, second = (finished(make(problem())) for _ in range(2))
    assert_same(first.last, second.last)
    assert first.losses == second.losses
    other = finished(make(problem(seed=1)))
    assert not torch.equal(first.last.x, other.last.x)


def test_a_solver_leaves_no_global_trace():
    """Random state, thread count and gradient mode are as they were."""
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    finished(JointSolver(problem()), 2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("make", SOLVERS)
def test_resumed_solver_equals_an_uninterrupted_one(make):
    """The state after three steps, restored in another solver, leads to the same numbers."""
    whole = finished(make(problem()))
    first, second = finished(make(problem()), 3), make(problem())
    second.restore_state(first.state())
    assert_same(second.last, first.last)
    assert_same(finished(second).last, whole.last)
    assert second.losses == whole.losses


def test_rates_halve_in_proportion_to_the_iterations():
    """Milestones are fractions of the run: 2000, 3000, 4000 of 5000, and 4, 6, 8 of 10."""
    for total, milestones in ((5000, (2000, 3000, 4000)), (10, (4, 6, 8))):
        solver = JointSolver(problem(iterations=total))
        for passed, milestone in enumerate(milestones):
            for t, halvings in ((milestone - 1, passed), (milestone, passed + 1)):
                solver.t = t
                solver.set_rates()
                assert solver.adam.rates == [1e-2 / 2**halvings, 1e-4 / 2**halvings]


def test_joint_step_is_one_adam_step_on_the_squared_error():
    """Algorithm 2: every weight moves as Adam's first step from the loss's own gradient does."""
    solver, twin = (JointSolver(problem(loss="mse")) for _ in range(2))
    x, k = twin.image(), twin.G_k(twin.z_k)
    blurred = blur_valid(x, k)[0, 0]
    (blurred - torch.from_numpy(Y)).square().mean().backward()
    solver.step()
    for network, other, rate in ((solver.G_x, twin.G_x, 1e-2), (solver.G_k, twin.G_k, 1e-4)):
        for moved, start in zip(network.parameters(), other.parameters(), strict=True):
            # Adam's first step: the gradient's sign, softened by epsilon.
            wanted = start - rate * start.grad / (start.grad.abs() + 1e-8)
            torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-6)


def test_alternating_kernel_step_leaves_the_image_network_alone():
    """In Algorithm 1's kernel step only G_k moves, in its image step only G_x."""
    solver, moved = AlternatingSolver(problem()), []
    adam_step = solver.adam.step

    def watch() -> None:
        before = [p.detach().clone() for p in (*solver.G_x.parameters(),)]
        kernel = [p.detach().clone() for p in (*solver.G_k.parameters(),)]
        adam_step()
        moved.append(
            tuple(
                any(not torch.equal(a, b) for a, b in zip(old, new.parameters(), strict=True))
                for old, new in ((before, solver.G_x), (kernel, solver.G_k))
            )
        )

    solver.adam.step = watch
    solver.step()
    solver.step()
    assert moved == [(False, True), (True, False)] * 2


def test_a_fixed_kernel_stays():
    """With a known kernel only the image network is fitted."""
    k = torch.rand(5, 3)
    known = problem()
    known = Problem(known.y, known.sigma, known.config, known.runtime, kernel=k / k.sum())
    solver = finished(JointSolver(known), 2)
    assert torch.equal(solver.last.k, k / k.sum())


def test_optimised_and_reference_path_agree():
    """The same step in float32: both paths give the same numbers up to rounding."""
    steps = [JointSolver(problem(runtime=name)).step() for name in ("optimised", "reference")]
    assert steps[0].loss == pytest.approx(steps[1].loss, rel=1e-5)
    torch.testing.assert_close(steps[0].x, steps[1].x, atol=1e-5, rtol=1e-4)


def test_reported_loss_is_that_of_the_reported_pair():
    """Loss, x and k of a step belong together: the loss is that of k * x against y."""
    step = JointSolver(problem()).step()
    blurred = blur_valid(step.x, step.k)
    assert step.loss == pytest.approx(float((blurred - torch.from_numpy(Y)).square().mean()))
