"""The stage that improves the kernel that was chosen."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace

from napari_selfdeblur.numerics.refinement import (
    CORRECTIONS,
    EVALUATIONS,
    NOISY,
    refined_kernels,
    scatter,
)
from napari_selfdeblur.numerics.regions import costly_side
from napari_selfdeblur.numerics.registration import cropped
from napari_selfdeblur.numerics.runtime import memory_checked
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.stop import interruptible
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.state import State

__all__ = ["refine_stage"]


def refine_stage(state: State) -> Generator[Progress, None, None]:
    """Refine the fused kernel of several estimates where there is little noise.

    Not where each cell of a grid is to have its own: the cells' kernels are not refined, and the
    one between them has to be compared with them. An event for each step.
    """
    plan, fused = state.plan, state.fused
    assert fused is not None
    several = fused.agreement is not None and plan.config.kernel_grid == (1, 1)
    if not (state.blurred and several) or plan.sigma >= NOISY:
        return
    state.clock.begin("refine", 0)
    problem, spread = _problem(state), scatter(state.candidates, fused)
    y, kernel, total = problem.tensor(), fused.kernel, CORRECTIONS + EVALUATIONS
    steps = refined_kernels(y, kernel, plan.sigma, problem.clipped, spread)
    while True:
        with (
            memory_checked(plan.config, plan.frame.shape, plan.runtime.device),
            interruptible(state.stop),
        ):
            done, kernel = next(steps, (None, kernel))
        if done is None:
            break
        if state.stopping:
            state.stopped = True
            return
        yield state.event("refine", done, total, math.nan, None)
    rows, columns = fused.kernel.shape
    state.fused = replace(fused, kernel=cropped(kernel, (rows, columns)))


def _problem(state: State) -> Problem:
    """Return the region that the kernel is refined on: 4 kB a pixel are held for the gradient."""
    plan, fused = state.plan, state.fused
    assert fused is not None
    side = costly_side((fused.kernel.shape[0], fused.kernel.shape[1]))
    if max(plan.y.shape) <= side:
        return plan.problem
    return plan.part(plan.measured.within(plan.window, (side, side)))
