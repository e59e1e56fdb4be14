"""The kernel of one cell of a grid: estimated by edges in its region, beside the frame's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_selfdeblur.numerics.edge_kernel import first_smoothing, refined_kernel, smoothed
from napari_selfdeblur.numerics.expected_loss import expected_loss
from napari_selfdeblur.numerics.fusion import Fused, compared, fuse
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver

__all__ = ["cell_kernel"]


def cell_kernel(problem: Problem, frame: NDArray[np.float32]) -> Fused:
    """Return the kernel of a cell; its `best` is 0 where the frame's kernel explains it best.

    The candidates are the frame's kernel, the same improved by the cell's edges, and all that the
    edge-based estimation finds in the cell. They are judged and averaged as estimates of the whole
    image are (`fuse`), so that the frame's kernel has a share where it is nearly as good.

    Parameters
    ----------
    problem : Problem
        The cell's region of the blurred image; the kernel's size must be known.
    frame : ndarray of float32, (kh, kw)
        The frame's kernel, of sum 1.

    Raises
    ------
    ImageError
        If the region is flat or not larger than the kernel.
    """
    y, sigma, clipped = problem.tensor(), problem.sigma, problem.clipped
    start = torch.from_numpy(frame).to(y.device)
    refined = refined_kernel(smoothed(y, first_smoothing(problem.noise)), start).cpu().numpy()
    candidates = [
        compared(y, kernel, source, sigma, clipped=clipped)[0]
        for kernel, source in ((frame, "frame"), (refined, "refined"))
    ]
    solver = EdgeSolver(problem)
    while solver.t < solver.total:
        solver.step()
    candidates += solver.candidates
    fused = fuse(candidates, problem.config.sides)
    return replace(fused, loss=expected_loss(problem, candidates, fused))
