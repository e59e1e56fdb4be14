import threading

import numpy as np
import pytest
import torch

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError, OutOfMemoryError
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.blur import blur_valid
from napari_selfdeblur.numerics.solvers.networks import (
    AlternatingOptimiser,
    JointOptimiser,
    Step,
    iterate,
)

TINY = SelfDeblurConfig.preset("official").replace(
    kernel_size=(5, 3),
    iterations=6,
    channels=8,
    skip_channels=4,
    device="cpu",
    precision="float32",
)
Y = np.random.default_rng(0).random((30, 33), dtype=np.float32)
OPTIMISERS = [JointOptimiser, AlternatingOptimiser]


def run(optimiser, **options):
    steps, seen = iterate(optimiser, **options), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


class Flag:
    """Set after so many questions."""

    def __init__(self, after: int) -> None:
        self.left = after

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.mark.parametrize("make", OPTIMISERS)
def test_one_progress_a_step_and_the_last_has_images(make):
    """Every step is reported once; the last report shows the returned estimate."""
    seen, estimate = run(make(Y, TINY))
    assert [p.iteration for p in seen] == [1, 2, 3, 4, 5, 6]
    assert {p.total for p in seen} == {6}
    assert estimate.losses == tuple(p.loss for p in seen)
    assert all(p.sharp is None for p in seen[:-1])
    np.testing.assert_array_equal(seen[-1].sharp, estimate.sharp)
    np.testing.assert_array_equal(seen[-1].kernel, estimate.kernel)
    assert estimate.sharp.shape == Y.shape
    assert estimate.kernel.shape == (5, 3)
    assert estimate.sharp.dtype == estimate.kernel.dtype == np.float32
    assert not estimate.stopped


@pytest.mark.parametrize("make", OPTIMISERS)
def test_same_seed_same_result(make):
    """Two runs of one seed are equal bit for bit; another seed differs."""
    first, second = (run(make(Y, TINY))[1] for _ in range(2))
    np.testing.assert_array_equal(first.sharp, second.sharp)
    np.testing.assert_array_equal(first.kernel, second.kernel)
    assert first.losses == second.losses
    other = run(make(Y, TINY.replace(seed=1)))[1]
    assert not np.array_equal(first.sharp, other.sharp)


def test_a_run_leaves_no_global_trace():
    """Random state, thread count and gradient mode are as they were."""
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    run(JointOptimiser(Y, TINY))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("make", OPTIMISERS)
def test_resumed_run_equals_an_uninterrupted_one(make):
    """Saving after three steps and going on elsewhere reaches the same numbers."""
    whole = run(make(Y, TINY))[1]
    first = make(Y, TINY)
    steps = iterate(first)
    for _ in range(3):
        next(steps)
    second = make(Y, TINY)
    second.restore_state(first.state())
    seen, resumed = run(second)
    assert [p.iteration for p in seen] == [4, 5, 6]
    assert resumed.losses == whole.losses
    np.testing.assert_array_equal(resumed.sharp, whole.sharp)
    np.testing.assert_array_equal(resumed.kernel, whole.kernel)


def test_stop_ends_with_the_last_preview():
    """Stopping early returns what the last progress showed."""
    seen, estimate = run(JointOptimiser(Y, TINY), stop=Flag(3))
    assert len(seen) == estimate.iterations == 3
    assert estimate.stopped
    np.testing.assert_array_equal(seen[-1].sharp, estimate.sharp)


def test_stop_set_before_the_run_still_gives_an_estimate():
    """A stop that is already set ends the run after its first step."""
    stop = threading.Event()
    stop.set()
    seen, estimate = run(JointOptimiser(Y, TINY), stop=stop)
    assert len(seen) == 1
    assert np.isfinite(estimate.sharp).all()


def test_previews_come_when_they_are_due():
    """Images come every preview_steps, at once with preview_seconds=0."""
    seen, _ = run(JointOptimiser(Y, TINY), preview_steps=4)
    assert [p.iteration for p in seen if p.sharp is not None] == [4, 6]
    seen, _ = run(JointOptimiser(Y, TINY), preview_seconds=0)
    assert all(p.sharp is not None for p in seen)


def test_previews_are_copies():
    """A preview does not change when the run goes on."""
    steps = iterate(JointOptimiser(Y, TINY), preview_steps=1)
    first = next(steps)
    before = first.sharp.copy()
    next(steps)
    np.testing.assert_array_equal(first.sharp, before)


def test_rates_halve_in_proportion_to_the_iterations():
    """Milestones are fractions of the run: 2000, 3000, 4000 of 5000, and 4, 6, 8 of 10."""
    for total, milestones in ((5000, (2000, 3000, 4000)), (10, (4, 6, 8))):
        optimiser = JointOptimiser(Y, TINY.replace(iterations=total))
        for passed, milestone in enumerate(milestones):
            for t, halvings in ((milestone - 1, passed), (milestone, passed + 1)):
                optimiser.t = t
                optimiser.set_rates()
                rates = [group["lr"] for group in optimiser.adam.param_groups]
                assert rates == [1e-2 / 2**halvings, 1e-4 / 2**halvings]


def test_joint_step_is_adam_on_the_sum_of_squares():
    """Algorithm 2's objective falls: the pair explains y better after some steps."""
    config = TINY.replace(loss="mse", iterations=60)
    seen, _ = run(JointOptimiser(Y * 0.2 + 0.6, config))
    assert seen[-1].loss < 0.5 * seen[0].loss


def test_alternating_kernel_step_leaves_the_image_network_alone():
    """In Algorithm 1's kernel step only G_k moves, in its image step only G_x."""
    optimiser, moved = AlternatingOptimiser(Y, TINY), []
    adam_step = optimiser.adam.step

    def watch() -> None:
        before = [p.detach().clone() for p in (*optimiser.G_x.parameters(),)]
        kernel = [p.detach().clone() for p in (*optimiser.G_k.parameters(),)]
        adam_step()
        moved.append(
            tuple(
                any(not torch.equal(a, b) for a, b in zip(old, new.parameters(), strict=True))
                for old, new in ((before, optimiser.G_x), (kernel, optimiser.G_k))
            )
        )

    optimiser.adam.step = watch
    optimiser.step()
    optimiser.step()
    assert moved == [(False, True), (True, False)] * 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_loss_keeps_the_last_good_estimate(bad):
    """A loss that is no number stops the run; the error holds the estimate before it."""
    optimiser = JointOptimiser(Y, TINY)
    real_step = optimiser.step

    def step() -> Step:
        done = real_step()
        return done._replace(loss=bad) if optimiser.t == 3 else done

    optimiser.step = step
    steps = iterate(optimiser, preview_steps=1)
    next(steps)
    second = next(steps)
    with pytest.raises(
        DivergedError, match=r"the loss became .* at step 3 of 6; lower lr_image"
    ) as e:
        next(steps)
    assert e.value.estimate.iterations == 2
    np.testing.assert_array_equal(e.value.estimate.sharp, second.sharp)


def test_non_finite_first_loss_has_no_estimate():
    """Where the first step already fails there is nothing to keep, and the error says so."""
    optimiser = JointOptimiser(np.full_like(Y, np.nan), TINY)
    with pytest.raises(DivergedError, match="at step 1 of 6") as caught:
        next(iterate(optimiser))
    assert caught.value.estimate is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_out_of_memory_names_size_need_and_cure(error):
    """Torch's out-of-memory becomes our own error, which is no RuntimeError."""
    optimiser = JointOptimiser(Y, TINY)

    def step() -> Step:
        raise error

    optimiser.step = step
    with pytest.raises(
        OutOfMemoryError, match=r"30 x 33 pixels with a kernel of 5 x 3 .* GiB .*; crop the image"
    ) as caught:
        next(iterate(optimiser))
    assert caught.value.__cause__ is error
    assert not isinstance(caught.value, RuntimeError)


def test_other_torch_errors_pass_unchanged():
    """A fault of ours is not disguised as lack of memory."""
    optimiser = JointOptimiser(Y, TINY)

    def step() -> Step:
        raise RuntimeError("shapes do not match")

    optimiser.step = step
    with pytest.raises(RuntimeError, match="shapes do not match"):
        next(iterate(optimiser))


def test_a_run_too_large_for_the_machine_is_refused(monkeypatch):
    """On the CPU the system would kill the process: the run is refused before it starts."""
    monkeypatch.setattr(runtime, "estimate_memory", lambda config, shape: 2**60)
    with pytest.raises(OutOfMemoryError, match="out of memory on cpu: an image of 30 x 33"):
        JointOptimiser(Y, TINY)


def test_optimised_and_reference_path_agree():
    """The same step in float32: both paths give the same numbers up to rounding."""
    steps = [
        JointOptimiser(Y, TINY.replace(runtime=name)).step() for name in ("optimised", "reference")
    ]
    assert steps[0].loss == pytest.approx(steps[1].loss, rel=1e-5)
    torch.testing.assert_close(steps[0].x, steps[1].x, atol=1e-5, rtol=1e-4)


def test_reported_loss_is_that_of_the_reported_pair():
    """Loss, x and k of a step belong together: the loss is that of k * x against y."""
    step = JointOptimiser(Y, TINY).step()
    blurred = blur_valid(step.x, step.k)[0, 0]
    assert step.loss == pytest.approx(float((blurred - torch.from_numpy(Y)).square().mean()))
