"""The stage that estimates the kernels of a grid."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np

from napari_selfdeblur.numerics.cell_kernel import cell_kernel
from napari_selfdeblur.numerics.grid import longest_side, regions_of
from napari_selfdeblur.numerics.runtime import memory_checked
from napari_selfdeblur.numerics.stop import interruptible
from napari_selfdeblur.run.cells import Cell, Cells
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.state import State

__all__ = ["grid_stage"]


def grid_stage(state: State) -> Generator[Progress, None, None]:
    """Estimate a kernel in each cell of the grid that has edges; an event for each cell.

    Where no cell has any, there is no grid: the image has the one kernel.
    """
    plan, fused = state.plan, state.fused
    assert fused is not None
    shape, size = plan.frame.shape, (fused.kernel.shape[0], fused.kernel.shape[1])
    state.clock.begin("grid", 0)
    longest, structure = longest_side(size), plan.measured
    cells = [
        Cell(window, structure.within(window, (longest, longest)))
        for window in regions_of(plan.config.kernel_grid, shape, size)
    ]
    shown = structure.shown([cell.region for cell in cells])
    for number, (cell, has_edges) in enumerate(zip(cells, shown, strict=True), start=1):
        problem = plan.part(cell.region)
        if has_edges and np.ptp(problem.y) > 0:  # the squares of a flat region may reach over it
            with (
                memory_checked(plan.config, shape, plan.runtime.device),
                interruptible(state.stop),
            ):
                cell.found = cell_kernel(problem, fused.kernel)
        if state.stopping:
            state.stopped = True
            return
        yield state.event("grid", number, len(cells), math.nan, None)
    if any(cell.found for cell in cells):
        state.cells = Cells.of(cells, plan.config.kernel_grid, fused.kernel)
