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

from napari_selfdeblur.benchmarks.groups import case_label, group_rows
from napari_selfdeblur.benchmarks.results import Results
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import replacing

__all__ = ["draw", "traced_rows"]

_DPI = 150
_WIDTH, _CURVES, _TILE = 9.0, 3.2, 2.4  # inches
_PSNR, _KERNEL = "tab:blue", "tab:red"
_STYLES = ("-", "--", ":", "-.")


def traced_rows(
    results: Sequence[Results], image: str | None = None, kernel: str | None = None, seed: int = 0
) -> list[tuple[str, Mapping[str, Any], Path]]:
    """Return label, row and home of the traced runs on one capture.

    Parameters
    ----------
    results : sequence of Results
        Read from disk.
    image, kernel : str, optional
        Names; those of the first traced row unless told.
    seed : int
        Of the run.

    Raises
    ------
    DeblurError
        If no such run has a trace.
    """
    found: list[tuple[str, Mapping[str, Any], Path]] = []
    for file in results:
        for group in group_rows(row for row in file.rows if row.get("trace")):
            for row in group.rows:
                image, kernel = image or row["image"], kernel or row["kernel"]
                if (row["image"], row["kernel"], row["seed"]) == (image, kernel, seed):
                    label = f"{group.method}, {row['config']['name']}"
                    found.append((label, row, file.path.parent))
    if not found:
        wanted = f"{image or 'any image'}, {kernel or 'any kernel'}, seed {seed}"
        raise DeblurError(f"no traced run on {wanted}; run the benchmark with --trace 100")
    return found


def draw(path: str | os.PathLike[str], runs: Sequence[tuple[str, Mapping[str, Any], Path]]) -> None:
    """Draw the traces of some runs on one capture as a PNG, above the images of the first one.

    Parameters
    ----------
    path : path-like
        Replaced as a whole, once everything is drawn.
    runs : sequence of (label, row, folder)
        See `traced_rows`.

    Raises
    ------
    DeblurError
        If the file of the intermediate images is named but missing.
    OSError
        If the picture cannot be written.
    """
    snapshots = _snapshots(runs[0])
    height = _CURVES + (_TILE if snapshots else 0)
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    columns = len(snapshots["iterations"]) if snapshots else 1
    grid = figure.add_gridspec(
        2 if snapshots else 1, columns, height_ratios=[_CURVES, _TILE][: 2 if snapshots else 1]
    )
    _draw_curves(figure.add_subplot(grid[0, :]), runs)
    if snapshots:
        for column, iteration in enumerate(snapshots["iterations"]):
            axes = figure.add_subplot(grid[1, column])
            _draw_tile(axes, snapshots["sharp"][column], snapshots["kernels"][column])
            axes.set_title(f"step {iteration}", size=9)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=_DPI)


def _draw_curves(axes: Axes, runs: Sequence[tuple[str, Mapping[str, Any], Path]]) -> None:
    other = axes.twinx()
    for number, (label, row, _) in enumerate(runs):
        style = _STYLES[number % len(_STYLES)]
        steps = [point["iteration"] for point in row["trace"]]
        psnr = [point["psnr"] for point in row["trace"]]
        axes.plot(steps, psnr, color=_PSNR, linestyle=style, label=label)
        errors = [point["kernel_mse"] for point in row["trace"]]
        if None not in errors:
            other.semilogy(steps, errors, color=_KERNEL, linestyle=style)
    axes.set_title(case_label(runs[0][1]), loc="left", size=10)
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


def _snapshots(run: tuple[str, Mapping[str, Any], Path]) -> dict[str, NDArray[Any]] | None:
    _label, row, folder = run
    name = row.get("snapshots")
    if name is None:
        return None
    path = folder / name
    if not path.is_file():
        raise DeblurError(f"{path}: the intermediate images are missing; put them back beside it")
    with np.load(path) as arrays:
        return {key: arrays[key] for key in ("iterations", "sharp", "kernels")}
