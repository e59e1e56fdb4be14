"""TIFFs of several planes, written one plane at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.pixel_size import tiff_options

__all__ = ["fill_of", "write_stack"]

_LARGEST = 2**32 - 2**25  # bytes of a classic TIFF, less its directories
_IN_OME = {
    "bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64",
}  # fmt: skip
_LENGTHS = {"um": "\N{MICRO SIGN}m", "inch": "in"}  # as OME spells them
_OME_LENGTHS = {"nm", "\N{MICRO SIGN}m", "mm", "cm", "m", "in"}
_OME_TIMES = {"s", "ms", "min", "h"}


def write_stack(path: Path, layout: Layout, planes: Iterable[NDArray[Any] | None]) -> None:
    """Write planes in the order of their axes, as OME-TIFF where it has their axes and type.

    Parameters
    ----------
    path : Path
        The file, which is not replaced as a whole: give an unfinished one's name.
    layout : Layout
        Of all planes together.
    planes : iterable of (ndarray or None)
        Each of the layout's sides and type; None is filled with `fill_of`.
    """
    fill = np.full(layout.sides, fill_of(layout.dtype), layout.dtype)
    size = int(np.prod(layout.shape)) * np.dtype(layout.dtype).itemsize
    ome = set(layout.leading) <= set("TCZ") and layout.dtype in _IN_OME
    options: dict[str, Any] = {"photometric": "rgb" if layout.rgb else "minisblack"}
    if layout.rgb and layout.sides[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    if ome:
        options["metadata"] = {"axes": layout.axes, **_ome_steps(layout)}
    else:
        options |= tiff_options(*layout.pixel_size, imagej=False)
        options["metadata"] = {**options.get("metadata", {}), "axes": layout.axes}

    def filled() -> Iterator[NDArray[Any]]:
        for plane in planes:
            yield fill if plane is None else plane.astype(layout.dtype, copy=False)

    with tifffile.TiffWriter(path, bigtiff=size > _LARGEST, ome=ome) as tif:
        tif.write(filled(), shape=layout.shape, dtype=layout.dtype, **options)


def fill_of(dtype: str) -> float | int:
    """Return the value of pixels that could not be made: NaN, 0 of an integer type."""
    return float("nan") if np.dtype(dtype).kind == "f" else 0


def _ome_steps(layout: Layout) -> dict[str, Any]:
    """Return the distances along T, Z, Y and X that are known, as OME names them."""
    found: dict[str, Any] = {}
    for axis, step, unit in zip(layout.axes, layout.scale, layout.units, strict=True):
        name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        spelled = unit if axis == "T" else _LENGTHS.get(unit or "", unit)
        known = _OME_TIMES if axis == "T" else _OME_LENGTHS
        if axis in "TZYX" and step is not None and spelled in known:
            found |= {name: step, f"{name}Unit": spelled}
    return found
