"""The result at a glance: blurred image, sharp image, kernel and loss in one picture."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.io.images import natural_range
from napari_selfdeblur.io.writing import replacing
from napari_selfdeblur.numerics.grid import mosaic

__all__ = ["save_panel"]

_DPI = 150
_HEIGHT = 4.0  # inches, of an image
_SIDE = 2.5  # inches, of the column with kernel and loss
_WIDEST, _NARROWEST = 1.8, 0.6  # aspect ratios beyond which an image is drawn lower or narrower
_GREY = "0.35"


def save_panel(
    path: str | os.PathLike[str],
    blurred: ArrayLike,
    sharp: ArrayLike,
    kernel: ArrayLike,
    *,
    rgb: bool = False,
    title: str = "",
    subtitle: str = "",
    psnr: tuple[float, float] | None = None,
    losses: Sequence[float] = (),
) -> None:
    """Draw blurred | sharp | kernel as a PNG; both images with the same display range.

    Parameters
    ----------
    path : path-like
        Replaced as a whole, once everything is drawn.
    blurred, sharp : array_like, (H, W), (H, W, 3) or (H, W, 4)
        In the same values.
    kernel : array_like, (kh, kw) or (rows, columns, kh, kw)
        PSF, or one for each cell of a grid.
    rgb : bool
        Whether the last axis is colour.
    title, subtitle : str
        Lines above and below the images.
    psnr : (float, float), optional
        PSNR in dB of `blurred` and `sharp`.
    losses : sequence of float
        Loss of every step; drawn where there are at least two.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    before, after, k = np.asarray(blurred), np.asarray(sharp), np.asarray(kernel)
    aspect = min(max(before.shape[1] / before.shape[0], _NARROWEST), _WIDEST)
    widths = [_HEIGHT * aspect, _HEIGHT * aspect, _SIDE]
    figure = Figure(figsize=(sum(widths) + 1, _HEIGHT + 1), facecolor="white", layout="constrained")
    curve = len(losses) > 1
    axes = figure.subplot_mosaic(
        [["blurred", "sharp", "kernel"], ["blurred", "sharp", "losses" if curve else "kernel"]],
        width_ratios=widths,
        height_ratios=[2, 1],
    )
    # Not as mathematics: a file may be named $x.tif.
    plain = {"x": 0.004, "ha": "left", "parse_math": False}
    figure.suptitle(title, weight="bold", size=12, **plain)
    figure.supxlabel(subtitle, size=9, color=_GREY, **plain)
    limits = _display_range(before, after, rgb)
    for image, name, column in ((before, "blurred", 0), (after, "sharp", 1)):
        _draw_image(axes[name], image, limits, rgb)
        axes[name].set_title(("Blurred", "Deblurred")[column], loc="left", size=10)
        if psnr is not None:
            text = f"PSNR {psnr[column]:.2f} dB"
            axes[name].set_title(text, loc="right", size=10, color=_GREY)
    _draw_kernel(axes["kernel"], k)
    if curve:
        _draw_losses(axes["losses"], losses)
    # A name in letters that the font lacks is drawn with boxes, and that is all.
    with replacing(path) as unfinished, warnings.catch_warnings(action="ignore"):
        figure.savefig(unfinished, format="png", dpi=_DPI)


def _display_range(before: NDArray[Any], after: NDArray[Any], rgb: bool) -> tuple[float, float]:
    """Return the values drawn black and white: all of them for photographs, else without tails."""
    natural = natural_range(before) if rgb else None
    if natural is not None:
        return natural
    both = [np.asarray(image[..., :3] if rgb else image).ravel() for image in (before, after)]
    tails = [np.percentile(values, (0.1, 99.9)) for values in both]
    low, high = float(min(t[0] for t in tails)), float(max(t[1] for t in tails))
    return low, high if high > low else low + 1


def _draw_image(axes: Axes, image: NDArray[Any], limits: tuple[float, float], rgb: bool) -> None:
    low, high = limits
    if rgb:
        image = np.clip((image[..., :3].astype(np.float64) - low) / (high - low), 0, 1)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high)
    axes.set_anchor("NW")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _draw_kernel(axes: Axes, kernel: NDArray[Any]) -> None:
    rows, columns = kernel.shape[-2:]
    if kernel.ndim > 2:
        _draw_kernels(axes, kernel)
        return
    half_y, half_x = rows / 2, columns / 2
    extent = (-half_x, half_x, half_y, -half_y)
    axes.imshow(kernel, cmap="inferno", vmin=0, extent=extent, interpolation="nearest")
    axes.set_anchor("NW")
    axes.set_title(f"Kernel {rows} \N{MULTIPLICATION SIGN} {columns} pixels", loc="left", size=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=8, colors=_GREY)


def _draw_kernels(axes: Axes, kernels: NDArray[Any]) -> None:
    """Draw the kernels of a grid, each in its cell; lines separate them."""
    across, down, rows, columns = (kernels.shape[i] for i in (1, 0, 2, 3))
    extent = (0, across, down, 0)
    axes.imshow(mosaic(kernels), cmap="inferno", vmin=0, extent=extent, interpolation="nearest")
    axes.set_aspect((rows + 2) / (columns + 2))
    axes.set_anchor("NW")
    cross = "\N{MULTIPLICATION SIGN}"
    title = f"{down} {cross} {across} kernels of {rows} {cross} {columns} pixels"
    axes.set_title(title, loc="left", size=9)
    axes.set_xticks(range(1, across))
    axes.set_yticks(range(1, down))
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.grid(color=_GREY, linewidth=0.6)


def _draw_losses(axes: Axes, losses: Sequence[float]) -> None:
    axes.semilogy(range(1, len(losses) + 1), losses, color="tab:blue", linewidth=0.9)
    axes.set_title("Loss of each step", loc="left", size=10)
    axes.set_xlim(1, len(losses))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    decades = np.log10(max(losses) / min(losses)) if min(losses) > 0 else 0
    subs = (1.0, 3.0) if decades < 2 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8, colors=_GREY, which="both")
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
