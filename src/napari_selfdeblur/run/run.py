"""One run from its plan to its record: a chain of stages."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from warnings import warn

import numpy as np

from napari_selfdeblur.errors import DeblurError, DeblurWarning, DivergedError, FileError
from napari_selfdeblur.numerics.assess import Assessment
from napari_selfdeblur.numerics.cost import expected_stages, stages_of
from napari_selfdeblur.numerics.runtime import (
    device_label,
    in_own_torch_state,
    memory_errors,
    own_torch_state,
)
from napari_selfdeblur.numerics.solvers.base import Estimate, Stop
from napari_selfdeblur.numerics.stop import Interrupted, interruptible
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.diagnostics import residual_of, spread_stage
from napari_selfdeblur.run.effort import has_work, may_be_enough
from napari_selfdeblur.run.events import Clock, Previews, Progress
from napari_selfdeblur.run.grid_stage import grid_stage
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.record import RunRecord, Status, now
from napari_selfdeblur.run.refine_stage import refine_stage
from napari_selfdeblur.run.restarts import restart_stage
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.stages import (
    estimate_stage,
    fuse_stage,
    restore_stage,
    size_stage,
)
from napari_selfdeblur.run.state import State

__all__ = ["run"]

_NOTHING = Assessment(
    score=0.0,
    credible=False,
    reasons=("the run was stopped before its first estimate: this is the blurred image",),
    advice=("let it run longer",),
    measures={},
)


def run(
    plan: Plan,
    previews: Previews,
    *,
    stop: Stop | None = None,
    checkpoint: Checkpoint | None = None,
    keep_checkpoint: bool = False,
) -> Generator[Progress, None, DeblurResult]:
    """Run `plan`: every solver, then what makes one result of their estimates.

    Parameters
    ----------
    plan : Plan
        What to do.
    previews : Previews
        When events carry images.
    stop : Stop, optional
        Ends the run after the present step; the result is the best estimate so far.
    checkpoint : Checkpoint, optional
        Where the run is saved and resumed from.
    keep_checkpoint : bool
        Whether a finished run leaves its checkpoint.

    Yields
    ------
    Progress
        After each step; the last one carries the result.

    Returns
    -------
    DeblurResult

    Raises
    ------
    DeblurError
        If a stage fails; its `result` is the best estimate before, where there is one.
    """
    device = plan.runtime.device
    with own_torch_state(device):
        states = {} if checkpoint is None else checkpoint.load()
    steps = _run(plan, previews, stop, checkpoint, states, keep=keep_checkpoint)
    return in_own_torch_state(steps, device)


def _run(
    plan: Plan,
    previews: Previews,
    stop: Stop | None,
    checkpoint: Checkpoint | None,
    states: dict[int, dict[str, Any]],
    *,
    keep: bool,
) -> Generator[Progress, None, DeblurResult]:
    created = now()
    several = len(stages_of(plan.config)) > 1
    expected: dict[str, float] = {}
    with (
        memory_errors(plan.config, plan.frame.shape, plan.runtime.device),
        suppress(Interrupted),  # what remains of the run ends soon by itself
        interruptible(stop),
    ):
        if several:
            clipped = plan.survey.level is not None
            # Whether the spared ones are needed is not known yet.
            config = plan.config.without(plan.config.spared)
            expected = expected_stages(config, plan.frame.shape, clipped=clipped)
    state = State(plan, Clock(expected), previews, stop, checkpoint, states)
    try:
        with memory_errors(plan.config, plan.frame.shape, plan.runtime.device):
            yield from _stages(state)
            result = _result(state, "stopped" if state.stopped else "finished", created)
    except DeblurError as error:
        status: Status = "diverged" if isinstance(error, DivergedError) else "failed"
        if error.result is None and state.best is not None:
            state.result, state.verdict = state.best, state.best_assessment
            with suppress(MemoryError, DeblurError):  # the first error is the one to raise
                error.result = _result(state, status, created)
        raise
    if checkpoint is not None and not (keep or state.stopped):
        try:
            checkpoint.discard()
        except FileError as error:
            warn(str(error), DeblurWarning, stacklevel=2)
    return result


def _stages(state: State) -> Generator[Progress, None, None]:
    """Run the stages in their order; `state.result` and its verdict are set at the end."""
    config = state.plan.config
    try:
        if "size" in stages_of(config):
            yield from size_stage(state)
        for index in range(len(config.solvers)):
            if not state.stopped and may_be_enough(state, index):
                yield from _fused(state)
            if state.stopped:
                break
            if has_work(state, index):
                yield from estimate_stage(state, index)
            else:
                state.left_out.add(index)
        if config.restoration is not None and not state.stopped:
            yield from _fused(state)
            if not state.stopped:
                yield from refine_stage(state)
            if config.diagnostics and not state.stopped:
                yield from spread_stage(state)
            if config.kernel_grid != (1, 1) and state.blurred and not state.stopped:
                yield from grid_stage(state)
            if not state.stopped:
                yield from restore_stage(state)
    except Interrupted:
        state.stopped = True
    if state.stopped:
        _take_best(state)
        yield state.event(*state.at, state.result)
    elif config.restoration is None:
        # Without a restoration: the one estimate, or of several the best.
        best = max(state.made, key=lambda made: made.assessment.score)
        state.result, state.verdict = best.estimate, best.assessment
        source, steps = best.estimate.source, len(best.losses)
        event = state.event(source, steps, best.total, best.losses[-1], best.estimate)
        yield replace(event, iterate=state.in_range(best.estimate))


def _fused(state: State) -> Generator[Progress, None, None]:
    """Fuse the estimates, and try other sizes where they leave a doubt, if any is new."""
    if state.fused is None or len(state.fused.alike) < len(state.candidates):
        yield from fuse_stage(state)
        yield from restart_stage(state)


def _take_best(state: State) -> None:
    """Make the best estimate the result: where there is none yet, the image as it is."""
    if state.best is None:
        sides = (3, 3) if state.plan.config.kernel_size == "auto" else state.plan.config.sides
        kernel = np.zeros(sides, np.float32)
        kernel[sides[0] // 2, sides[1] // 2] = 1
        state.best = Estimate(state.plan.y, kernel, "image")
        state.best_assessment = _NOTHING
    rows, columns = state.best.kernel.shape
    if state.plan.config.kernel_size == "auto":
        config = state.plan.config.replace(kernel_size=(rows, columns))
        state.plan = replace(state.plan, config=config)
    state.result, state.verdict = state.best, state.best_assessment


def _result(state: State, status: Status, created: str) -> DeblurResult:
    """Return the result in the image's values, with the record of the run."""
    assert state.result is not None
    assert state.verdict is not None
    plan, shown = state.plan, state.in_range(state.result)
    if state.result.source != "fused":  # it is that of one solver
        for made in state.made:
            made.weight = float(made.estimate.source == state.result.source)
    # An estimate before the restoration has one kernel.
    cells = state.cells if state.result.source == "fused" else None
    record = RunRecord(
        config=plan.asked,
        used=plan.config.without(state.left_out),
        device=device_label(plan.runtime.device),
        seconds=state.clock.seconds,
        iterations=len(state.losses),
        status=status,
        losses=tuple(state.losses),
        estimates=tuple(made.summary() for made in state.made),
        image=plan.source,
        verdict=state.verdict.to_dict(),
        created=created,
        cells=() if cells is None else cells.entries(),
    )
    left = residual_of(plan, state.result) if plan.config.diagnostics else None
    more = {"residual": left, "spread": state.spread}
    more["kernels"] = None if cells is None else cells.grid.kernels
    return DeblurResult(shown.sharp, shown.kernel, record, **more)
