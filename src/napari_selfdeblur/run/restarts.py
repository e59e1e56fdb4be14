"""The stage that begins again elsewhere when the kernel found is doubtful."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace

import numpy as np

from napari_selfdeblur.numerics.costs import costs
from napari_selfdeblur.numerics.fusion import fuse
from napari_selfdeblur.numerics.registration import agreement_of
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver
from napari_selfdeblur.numerics.support import sides_of
from napari_selfdeblur.run.effort import is_doubtful
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.stages import checked_step, fuse_stage
from napari_selfdeblur.run.state import Made, State

__all__ = ["restart_stage"]

_MOST = 2  # restarts of one run


def restart_stage(state: State) -> Generator[Progress, None, None]:
    """While the fused kernel is doubtful, estimate kernels of the size of the likeliest other one.

    Only where the size was to be found, and edges are among the solvers: with the size given,
    every start was tried. After each of at most two restarts of a run the kernel is chosen among
    all estimates again, and the size is that of the chosen one.
    """
    edges = next((made for made in state.made if made.estimate.source == "edges"), None)
    if state.plan.asked.kernel_size != "auto" or edges is None:
        return
    state.tried.add(state.plan.config.sides)
    while len(state.tried) <= _MOST:
        size = _other_size(state, state.tried) if is_doubtful(state) else None
        if size is None:
            return
        state.tried.add(size)
        yield from _restarted(state, size, edges)
        if state.stopped:
            return


def _other_size(state: State, tried: set[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the sides of the likeliest kernel that is another one than the fused, if untried."""
    assert state.fused is not None
    unlike, shape = agreement_of(state.fused.alike) == 0, state.plan.problem.shape
    for i in np.argsort(costs([each.measures for each in state.candidates])):
        size = sides_of(state.candidates[i].kernel, shape)
        smaller = size[0] < min(shape)  # as an edge-based kernel has to be
        if unlike[i] and smaller and size not in tried and state.plan.takes(size):
            return size
    return None


def _restarted(state: State, size: tuple[int, int], edges: Made) -> Generator[Progress, None, None]:
    """Estimate kernels of `size` and choose among all again; they join the account of `edges`."""
    begun, plan = time.perf_counter(), state.plan
    resized = plan.config.replace(kernel_size=size)
    solver = EdgeSolver(replace(plan.problem, config=resized))
    state.clock.begin("restart", 0)
    while solver.t < solver.total:
        step = checked_step(state, solver, "edges", solver.last)
        if state.stopping:
            state.stopped = True
            return
        yield state.event("restart", solver.t, solver.total, step.loss, None)
    edges.losses += solver.losses
    edges.total += solver.total
    edges.seconds += time.perf_counter() - begun
    first = len(state.candidates)
    state.candidates = [*state.candidates, *solver.candidates]
    yield from fuse_stage(state)
    assert state.fused is not None
    if state.fused.best >= first:
        state.plan = replace(plan, config=resized)
        if state.blurred:  # on the support of that size
            kernel = fuse(state.candidates, resized.sides).kernel
            state.fused = replace(state.fused, kernel=kernel)
