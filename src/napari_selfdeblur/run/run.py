"""One run from its plan to its record: a chain of stages."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from napari_selfdeblur.errors import DeblurError, DivergedError
from napari_selfdeblur.numerics.cost import expected_stages, stages_of
from napari_selfdeblur.numerics.runtime import device_label
from napari_selfdeblur.numerics.solvers.base import Estimate, Stop
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.events import Clock, Previews, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.record import RunRecord, Status, now
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.stages import (
    State,
    estimate_stage,
    fuse_stage,
    restore_stage,
    size_stage,
)

__all__ = ["run"]


def run(
    plan: Plan,
    previews: Previews,
    *,
    stop: Stop | None = None,
    checkpoint: Checkpoint | None = None,
) -> Generator[Progress, None, DeblurResult]:
    """Run `plan`: every solver, then what makes one result of their estimates.

    Parameters
    ----------
    plan : Plan
        What to do.
    previews : Previews
        When events carry images.
    stop : Stop, optional
        Ends the solvers after the present step; the result is made of what there is.
    checkpoint : Checkpoint, optional
        Where the run is saved and resumed from.

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
    created = now()
    several = len(stages_of(plan.config)) > 1
    expected = expected_stages(plan.config, plan.problem.shape) if several else {}
    state = State(plan, Clock(expected), previews, stop, checkpoint)
    try:
        if checkpoint is not None:
            state.solver_states = checkpoint.load()
        yield from _stages(state)
    except DeblurError as error:
        status: Status = "diverged" if isinstance(error, DivergedError) else "failed"
        if error.result is None and state.best is not None:
            error.result = _result(state, state.best, status, created)
        raise
    assert state.result is not None
    result = _result(state, state.result, "stopped" if state.stopped else "finished", created)
    if checkpoint is not None and not state.stopped:
        checkpoint.discard()
    return result


def _stages(state: State) -> Generator[Progress, None, None]:
    """Run the stages in their order; `state.result` is set at the end."""
    config = state.plan.config
    if "size" in stages_of(config):
        yield from size_stage(state)
    for index in range(len(config.solvers)):
        if not (index and state.stopping):
            yield from estimate_stage(state, index)
        else:
            state.stopped = True
    if config.restoration is not None:
        yield from fuse_stage(state)
        yield from restore_stage(state)
    else:
        # Without a restoration: the one estimate, or of several the best.
        best = max(state.made, key=lambda made: made.assessment.score)
        state.result = best.estimate
        source, steps = best.estimate.source, len(best.losses)
        event = state.event(source, steps, best.total, best.losses[-1], best.estimate)
        yield replace(event, iterate=state.in_range(best.estimate))


def _result(state: State, estimate: Estimate, status: Status, created: str) -> DeblurResult:
    """Return `estimate` in the image's values, with the record of the run."""
    plan, shown = state.plan, state.in_range(estimate)
    verdict = state.verdict or state.assess(estimate)
    record = RunRecord(
        config=plan.asked,
        used=plan.config,
        device=device_label(plan.runtime.device),
        seconds=state.clock.seconds,
        iterations=len(state.losses),
        status=status,
        losses=tuple(state.losses),
        estimates=tuple(made.summary() for made in state.made),
        image=plan.source,
        verdict=verdict.to_dict(),
        created=created,
    )
    return DeblurResult(shown.sharp, shown.kernel, record)
