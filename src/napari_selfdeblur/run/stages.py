"""The stages of a run: each yields events and adds its part to the state."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.errors import DivergedError
from napari_selfdeblur.numerics.expected_loss import expected_loss
from napari_selfdeblur.numerics.fusion import Candidate, Fused, compared
from napari_selfdeblur.numerics.nonblind.generator import KNOWN_KERNEL
from napari_selfdeblur.numerics.own_images import mixed
from napari_selfdeblur.numerics.parts import parts_agreement
from napari_selfdeblur.numerics.runtime import memory_checked
from napari_selfdeblur.numerics.solvers.base import Estimate, Solver, Step, estimate_of
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver
from napari_selfdeblur.numerics.stop import Interrupted, interruptible
from napari_selfdeblur.numerics.support import next_size
from napari_selfdeblur.run.channels import blurred_channels, plane_of
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.restoration import restore_channels, restore_frame
from napari_selfdeblur.run.state import Made, State

__all__ = [
    "checked_step",
    "estimate_stage",
    "fuse_stage",
    "restore_stage",
    "size_stage",
]

Events = Generator[Progress, None, None]
_CHECKPOINT_STEPS = 100


def estimate_stage(state: State, index: int) -> Events:
    """Run the solver at `index` of the settings to its end, or to the user's."""
    begun = time.perf_counter()
    name, solver = state.plan.config.solvers[index], _solver(state, index)
    state.losses = solver.losses
    state.clock.begin(name, solver.t)
    step, is_last = solver.last, index == len(state.plan.config.solvers) - 1
    while solver.t < solver.total:
        step = checked_step(state, solver, name, step)
        done = solver.t == solver.total or state.stopping
        if done or solver.t % _CHECKPOINT_STEPS == 0:
            state.save(index, solver)
        final = is_last and state.plan.config.restoration is None
        state.stopped = state.stopping and not (final and solver.t == solver.total)
        if done and (final or state.stopped):
            state.at = (name, solver.t, solver.total, step.loss)
            break  # the event that carries the result follows
        yield _solver_event(state, solver, name, step, due=state.previews.due(solver.t, last=done))
        if done:
            break
    assert step is not None
    estimate = estimate_of(step, name)
    assessment = state.offer(estimate)  # first: a size that is refused ends the run with it
    if isinstance(solver, EdgeSolver) and not state.stopped:
        state.settle_size(solver)
    seconds = time.perf_counter() - begun
    state.made.append(Made(estimate, assessment, solver.losses, solver.total, seconds))
    if state.plan.config.restoration is not None and not state.stopped:
        state.candidates += _candidates(state, solver, estimate)


def size_stage(state: State) -> Events:
    """Find the kernel's size by edge-based estimates of growing sizes.

    In a region that turns out too small for them the larger sizes are tried in a larger one.
    """
    state.clock.begin("size", 0)
    while state.plan.config.kernel_size == "auto" and not state.stopped:
        solver = EdgeSolver(state.plan.problem)
        while solver.size is None and not state.stopped:
            step = checked_step(state, solver, "size", solver.last)
            state.stopped = state.stopping
            due = state.stopped or state.previews.due(solver.t)
            yield _solver_event(state, solver, "size", step, due=due)
        if not state.stopped:
            _take_size(state, solver)


def _take_size(state: State, solver: EdgeSolver) -> None:
    """Take the size found, and a larger region if it needs one; there larger sizes may fit."""
    plan, step = state.plan, solver.last
    assert step is not None
    sized = plan.sized(solver.found_size)
    if sized.window != plan.window:
        state.best = state.best_assessment = None  # of another region
    state.plan = sized
    larger = next_size(step.k.cpu().numpy(), solver.largest_size, sized.problem.shape)
    if larger is not None and sized.y.size > plan.y.size:
        state.plan = replace(sized, config=sized.config.replace(kernel_size="auto"))


def fuse_stage(state: State) -> Events:
    """Make one kernel of all the estimates, or one point if the image is not blurred."""
    state.clock.begin("fuse", 0)
    plan, problem = state.plan, state.plan.problem
    y = problem.tensor()
    fused, state.blurred = state.choose()
    with interruptible(state.stop):
        before = state.fused
        if state.blurred and fused.agreement is not None:
            if before is None or not np.array_equal(before.kernel, fused.kernel):
                mu, others = state.candidates[fused.best].intensities, plan.others()
                state.parts = parts_agreement(
                    y, fused.kernel, problem.noise, others, intensities=mu
                )
            fused = replace(fused, loss=expected_loss(problem, state.candidates, fused))
    if not state.blurred:
        point = np.zeros_like(fused.kernel)
        point[point.shape[0] // 2, point.shape[1] // 2] = 1
        weights = dict.fromkeys(fused.weights, 0.0)
        fused = replace(fused, kernel=point, weights=weights, agreement=None, loss=None)
    state.fused = fused
    for made in state.made:
        made.weight = fused.weights[made.estimate.source]
    yield state.event("fuse", 1, 1, math.nan, None)


def restore_stage(state: State) -> Events:
    """Restore the image with the kernel; mix it with what the networks made of all of it."""
    plan, fused = state.plan, state.fused
    assert fused is not None
    state.clock.begin("restore", 0)
    state.blurred_frame = None
    x, last = plan.frame.y, (1, 1, math.nan)
    if state.blurred:
        last = yield from _restored(state, x, fused)
    if state.stopping:  # it may have ended early, so it is one estimate among the others
        state.offer(Estimate(x, fused.kernel, "fused"))
        state.stopped = True
        return
    sharp = x
    if state.blurred and plan.is_whole and state.cells is None:  # networks' images have one kernel
        sharp = mixed(x, fused, state.candidates, 1 - plan.config.restoration_share)
    state.result = Estimate(sharp, fused.kernel, "fused")
    if state.cells is not None:
        state.verdict = state.cells.assess(x, plan.part)
    else:
        state.verdict = state.judged(plan.inside(x))
    yield state.event("restore", *last, state.result)


def _restored(
    state: State, x: NDArray[np.float32], fused: Fused
) -> Generator[Progress, None, tuple[int, int, float]]:
    """Restore the blurred plane x in place, from the region outwards; return the last step."""
    plan, last = state.plan, (1, 1, math.nan)
    assert plan.config.restoration is not None
    rows, columns = plan.window
    if plan.in_channels:
        state.planes = blurred_channels(plan.frame)
    options: dict[str, Any] = {}
    if plan.config.restoration == "generator":  # its network computes as the run's do
        own = {name: getattr(plan.config, name) for name in ("precision", "runtime", "seed")}
        options["config"] = KNOWN_KERNEL.replace(**own)
    steps = (restore_frame if state.planes is None else restore_channels)(
        plan.survey,
        x if state.planes is None else state.planes,
        fused.kernel,
        plan.config.restoration,
        plan.runtime.device,
        first=((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2),
        stop=state.stop,
        grid=None if state.cells is None else state.cells.grid,
        **options,
    )
    for last in steps:
        step, total, _ = last
        if step < total:  # the event that carries the result follows
            due = state.previews.due(step)
            shown = Estimate(_plane(state, x), fused.kernel, "fused") if due else None
            yield state.event("restore", *last, shown)
    x[:] = _plane(state, x)
    return last


def _plane(state: State, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the plane as far as it is restored: x, or that of the channels."""
    return x if state.planes is None else plane_of(state.planes, state.plan.frame)


def _candidates(state: State, solver: Solver, estimate: Estimate) -> list[Candidate]:
    """Return what a solver found, measured."""
    if isinstance(solver, EdgeSolver):
        return solver.candidates
    y, sigma, clipped = state.plan.problem.tensor(), state.plan.sigma, state.plan.clipped
    with interruptible(state.stop):
        return [compared(y, estimate.kernel, estimate.source, sigma, estimate.sharp, clipped)[0]]


def _solver(state: State, index: int) -> Solver:
    """Return the solver at `index` of the settings, resumed where a checkpoint has it."""
    plan = state.plan
    make = registry.load(plan.config.solvers[index], registry.SOLVERS)
    with memory_checked(plan.config, plan.frame.shape, plan.runtime.device):
        solver: Solver = make(plan.problem)
        if index in state.solver_states:
            assert state.checkpoint is not None
            state.checkpoint.resume(solver, state.solver_states[index])
    return solver


def checked_step(state: State, solver: Solver, name: str, before: Step | None) -> Step:
    """Do one step; a loss that is not finite ends the run with the step before.

    Of a long step in which the user ends the run, the step before is returned; if there is none
    it is `Interrupted`.
    """
    plan = state.plan
    try:
        with (
            memory_checked(plan.config, plan.frame.shape, plan.runtime.device),
            interruptible(state.stop),
        ):
            step = solver.step()
    except Interrupted:
        if before is None:
            raise
        return before
    if not math.isfinite(step.loss):
        solver.losses.pop()
        if before is not None:
            state.offer(estimate_of(before, name))
        raise DivergedError(
            f"the loss became {step.loss} at step {solver.t} of {solver.total}; lower lr_image and "
            "lr_kernel, choose precision='float32', or try another seed"
        )
    return step


def _solver_event(state: State, solver: Solver, name: str, step: Step, *, due: bool) -> Progress:
    if not due:
        return state.event(name, solver.t, solver.total, step.loss, None)
    iterate = estimate_of(step, name)
    state.offer(iterate)
    event = state.event(name, solver.t, solver.total, step.loss, state.best)
    return replace(event, iterate=state.in_range(iterate))
