"""The cells of a frame's grid of kernels: what each has, the record's entries, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.numerics.assess import Assessment, assess
from napari_selfdeblur.numerics.fusion import Fused
from napari_selfdeblur.numerics.grid import KernelGrid, centres_of, grid_of
from napari_selfdeblur.numerics.registration import correlations
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.tiles import Window

__all__ = ["Cell", "Cells"]


@dataclass(slots=True, eq=False)
class Cell:
    """One cell.

    Attributes
    ----------
    window : Window
        The part of the frame whose kernel it has.
    region : Window
        Where in it the kernel is estimated.
    found : Fused or None
        What the estimates there give; None without edges in it.
    confirmed : float or None
        Correlation of its own kernel with what the other cells say in its place.
    score : float or None
        Of its assessment, once it is restored.
    """

    window: Window
    region: Window
    found: Fused | None = None
    confirmed: float | None = None
    score: float | None = None

    @property
    def source(self) -> str:
        """Where its kernel comes from: ``own``, ``frame`` or ``neighbours``."""
        if self.found is None:
            return "neighbours"
        return "own" if self.found.best else "frame"

    def kernel(self, frame: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return its own kernel or the frame's, None where the neighbours have to say it."""
        if self.found is None:
            return None
        return self.found.kernel if self.found.best else frame


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """All cells of a grid, row by row, with the kernels that the frame is restored with.

    Attributes
    ----------
    cells : sequence of Cell
        Row by row.
    grid : KernelGrid
        A kernel for each.
    alike : ndarray of float64, (cells,)
        Correlation of each one's kernel with the frame's.
    """

    cells: Sequence[Cell]
    grid: KernelGrid
    alike: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Sequence[Cell], shape: tuple[int, int], frame: NDArray[np.float32]) -> Cells:
        """Return the cells of a grid of `shape` with its kernels; `frame` is the frame's own."""
        centres = centres_of(shape, [cell.window for cell in cells])
        grid, confirmed = grid_of(frame, [cell.kernel(frame) for cell in cells], shape, centres)
        for cell, each in zip(cells, confirmed, strict=True):
            cell.confirmed = each if cell.source == "own" else None
        flat = grid.kernels.reshape(-1, *grid.kernel_size)
        return cls(cells, grid, correlations([frame, *flat])[0, 1:])

    def assess(self, x: NDArray[np.float32], part: Callable[[Window], Problem]) -> Assessment:
        """Assess each cell with edges in the restored frame; return the middle one's verdict.

        Parameters
        ----------
        x : ndarray of float32, (H, W)
            The restored frame.
        part : callable
            Returns a region of the blurred one.
        """
        kernels = self.grid.kernels.reshape(-1, *self.grid.kernel_size)
        verdicts = []
        for cell, kernel in zip(self.cells, kernels, strict=True):
            if cell.found is None:
                continue
            problem = part(cell.region)
            verdict = assess(
                x[cell.region],
                kernel,
                problem.y,
                problem.sigma,
                agreement=cell.found.agreement,
                parts=cell.confirmed,
                loss=cell.found.loss,
                clipped=problem.clipped,
            )
            cell.score = verdict.score
            verdicts.append(verdict)
        verdicts.sort(key=lambda each: each.score)
        return verdicts[(len(verdicts) - 1) // 2]

    def entries(self) -> tuple[dict[str, Any], ...]:
        """Return the cells as the record has them."""
        return tuple(
            {
                "row": index // self.grid.shape[1],
                "column": index % self.grid.shape[1],
                "window": [[span.start, span.stop] for span in cell.window],
                "kernel": cell.source,
                "correlation": round(float(alike), 4),
                "neighbours": None if cell.confirmed is None else round(cell.confirmed, 4),
                "score": cell.score,
            }
            for index, (cell, alike) in enumerate(zip(self.cells, self.alike, strict=True))
        )
