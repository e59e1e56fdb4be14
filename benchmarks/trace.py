"""Figure 3 of the paper: kernel error and image PSNR along a run, and what it looked like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.frame import RESULT, frame
from benchmarks.store import load
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.writing import replacing

_DPI = 150
_WIDTH, _CURVES, _TILE = 9.0, 3.2, 2.4  # inches
_PSNR, _KERNEL = "tab:blue", "tab:red"
_STYLES = ("-", "--", ":", "-.")

Traced = tuple[str, Mapping[str, Any]]


def traced_rows(
    rows: Sequence[Mapping[str, Any]],
    images: Sequence[str] | None = None,
    kernels: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
) -> list[Traced]:
    """Return label and row of the traced runs on one test image, the first of those chosen."""
    table = frame(row for row in rows if row.get("trace"))
    table = table[(table.output == RESULT) & table.seed.isin(seeds)]
    for name, chosen in (("image", images), ("kernel", kernels)):
        table = table if chosen is None else table[table[name].isin(chosen)]
    if not len(table):
        raise DeblurError("no such traced run; run the benchmark with --trace 100")
    lines = table[table.test == table.test.iloc[0]].to_dict("records")
    return [(f"{line['method']}, {line['settings']}", line["row"]) for line in lines]


def draw(path: Path, runs: Sequence[Traced], stored: str | Path | None = None) -> None:
    """Draw the traces of some runs on one test image (PNG).

    With `stored`, the folder given to --store, images along the first run stand below.
    """
    along = load(stored, runs[0][1]) if stored is not None else {}
    columns = len(along["iterations"]) if along else 1
    heights = [_CURVES, *[_TILE] * bool(along)]
    figure = Figure(figsize=(_WIDTH, sum(heights)), facecolor="white", layout="constrained")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    _draw_curves(figure.add_subplot(grid[0, :]), runs)
    images = along.get("iterates", along.get("sharp"))  # version 0.1 called them sharp
    for column, iteration in enumerate(along.get("iterations", ())):
        axes = figure.add_subplot(grid[1, column])
        _draw_tile(axes, images[column], along["kernels"][column])  # type: ignore[index]
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
