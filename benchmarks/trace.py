"""Figure 3 of the paper: kernel error and image PSNR along a run, and what it looked like."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.frame import RESULT, frame
from benchmarks.results import Results
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import replacing

__all__ = ["draw", "traced_rows"]

_DPI = 150
_WIDTH, _CURVES, _TILE = 9.0, 3.2, 2.4  # inches
_PSNR, _KERNEL = "tab:blue", "tab:red"
_STYLES = ("-", "--", ":", "-.")

Traced = tuple[str, Mapping[str, Any]]


def traced_rows(
    results: Sequence[Results], image: str | None = None, kernel: str | None = None, seed: int = 0
) -> list[Traced]:
    """Return label and row of the traced runs on one test image.

    Parameters
    ----------
    results : sequence of Results
        Read from disk.
    image, kernel : str, optional
        Names; by default those of the first traced row.
    seed : int
        Of the run.

    Raises
    ------
    DeblurError
        If no such run has a trace.
    """
    rows = [row for file in results for row in file.rows if row.get("trace")]
    table = frame(rows)
    found: list[Traced] = []
    for line in table[table.output == RESULT].to_dict("records") if len(table) else ():
        row = line["row"]
        image, kernel = image or row["image"], kernel or row["kernel"]
        if (row["image"], row["kernel"], row["seed"]) == (image, kernel, seed):
            found.append((f"{line['method']}, {line['settings']}", row))
    if not found:
        wanted = f"{image or 'any image'}, {kernel or 'any kernel'}, seed {seed}"
        raise DeblurError(f"no traced run on {wanted}; run the benchmark with --trace 100")
    return found


def draw(
    path: str | os.PathLike[str], runs: Sequence[Traced], stored: str | Path | None = None
) -> None:
    """Draw the traces of some runs on one test image as a PNG, above images of the first one.

    Parameters
    ----------
    path : path-like
        Replaced as a whole, once everything is drawn.
    runs : sequence of (label, row)
        See `traced_rows`.
    stored : path-like, optional
        Folder given to --store; without it only curves are drawn.

    Raises
    ------
    DeblurError
        If the folder lacks the images of the first run.
    OSError
        If the picture cannot be written.
    """
    along = _along(runs[0][1], Path(stored)) if stored is not None else {}
    columns = len(along["iterations"]) if along else 1
    heights = [_CURVES, *[_TILE] * bool(along)]
    figure = Figure(figsize=(_WIDTH, sum(heights)), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    _draw_curves(figure.add_subplot(grid[0, :]), runs)
    for column, iteration in enumerate(along.get("iterations", ())):
        axes = figure.add_subplot(grid[1, column])
        _draw_tile(axes, along["iterates"][column], along["kernels"][column])
        axes.set_title(f"step {iteration}", size=9)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=_DPI)


def _draw_curves(axes: Axes, runs: Sequence[Traced]) -> None:
    other = axes.twinx()
    for number, (label, row) in enumerate(runs):
        style = _STYLES[number % len(_STYLES)]
        steps = [point["iteration"] for point in row["trace"]]
        psnr = [point["psnr"] for point in row["trace"]]
        axes.plot(steps, psnr, color=_PSNR, linestyle=style, label=label)
        errors = [point["kernel_mse"] for point in row["trace"]]
        if None not in errors:
            other.semilogy(steps, errors, color=_KERNEL, linestyle=style)
    first = runs[0][1]
    axes.set_title(f"{first['image']}_{first['kernel']}", loc="left", size=10)
    axes.set_xlabel("Iteration")
    axes.set_ylabel("PSNR of the image / dB", color=_PSNR)
    other.set_ylabel("MSE of the kernel", color=_KERNEL)
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(loc="center right", fontsize=8, frameon=False)


def _draw_tile(axes: Axes, image: NDArray[Any], kernel: NDArray[Any]) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    inset = axes.inset_axes((0.0, 0.66, 0.34, 0.34))
    inset.imshow(kernel, cmap="inferno", vmin=0, interpolation="nearest")
    for each in (axes, inset):
        each.set_xticks([])
        each.set_yticks([])
    axes.spines[:].set_visible(False)


def _along(row: Mapping[str, Any], folder: Path) -> dict[str, NDArray[Any]]:
    """Return the images kept along a run; version 0.1 had a file of their own for them."""
    old = "snapshots" in row
    path = folder / Path(row["snapshots"] if old else str(row.get("stored"))).name
    if not path.is_file():
        raise DeblurError(
            f"{path}: the stored images are missing; name the folder given to --store"
        )
    with np.load(path) as arrays:
        names = {"iterations": "iterations", "iterates": "sharp" if old else "iterates"}
        return {name: arrays[key] for name, key in (names | {"kernels": "kernels"}).items()}
