"""Saved results, of the viewer and of the command line, back into layers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from napari.layers import Image

from napari_selfdeblur._napari.displays import DIAGNOSTICS, diagnostic_display, kernel_display
from napari_selfdeblur._napari.grid_layers import grid_layers
from napari_selfdeblur._napari.layers import KERNELS_KEY, METADATA_KEY, PART_KEY, Source
from napari_selfdeblur._napari.placing import kernel_corner, look_of
from napari_selfdeblur._napari.stack_source import along_planes
from napari_selfdeblur._napari.writer import KEPT, RECORD_END, LayerData
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.file_stack import open_stack
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.stack_record import SavedRecord, read_record_file

_PAIR = ("deblurred", "kernel")
_OF_RUN = (*_PAIR, *DIAGNOSTICS)
_PARTS = (*_OF_RUN, "restored")
_SUFFIXES = (".tif", ".tiff")
_UNITS = ("nm", "um", "mm", "cm", "m", "inch", "s", "ms")  # napari refuses what it does not know


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return `read` if `path` is a record, or an image that a record beside it belongs to."""
    if isinstance(path, list):
        return None if len(path) != 1 else get_reader(path[0])
    file = Path(path)
    if file.suffix.lower() == ".json":
        record = _record(file)
        return read if record is not None and _images(file, record) else None
    return read if record_beside(file) is not None else None


def read(path: str | list[str]) -> list[LayerData]:
    """Return the layers of a file that `get_reader` accepts: of a record, all its images.

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    file = Path(path[0] if isinstance(path, list) else path)
    of_record = file.suffix.lower() == ".json"
    record = _record(file if of_record else record_beside(file) or file)
    if record is None:
        raise DeblurError(f"{file}: no record of a run belongs to it; open it as an image")
    layers = [_layer(each, record) for each in (_images(file, record) if of_record else [file])]
    for _, attributes, _ in layers if of_record else []:  # as after the run
        attributes["visible"] = attributes["metadata"][PART_KEY] not in DIAGNOSTICS
    return [*layers, *(_grid(file, record, layers[0]) if of_record else [])]


def _record(path: Path) -> SavedRecord | None:
    """Return the record in a file, None if it holds none."""
    try:
        return read_record_file(path)
    except DeblurError:
        return None


def _images(path: Path, record: SavedRecord) -> list[Path]:
    """Return the images that the record's name says are its own: those of a run, or one."""
    stem = path.stem.removesuffix(RECORD_END)
    # Those of an earlier run may still be there.
    parts = _OF_RUN if getattr(record.config, "diagnostics", False) else _PAIR
    for names in ([f"{stem}_{part}" for part in parts], [stem]):
        paths = [path.with_name(name + suffix) for name in names for suffix in _SUFFIXES]
        if found := [path for path in paths if path.exists()]:
            return found
    return []


def _grid(path: Path, record: SavedRecord, sharp: LayerData) -> list[LayerData]:
    """Return the layers of a grid of kernels, which the command line writes beside `sharp`."""
    pixels, attributes, _ = sharp
    stem = path.stem.removesuffix(RECORD_END)
    file = path.with_name(f"{stem}_kernels.tif")
    is_sharp = attributes["metadata"][PART_KEY] == "deblurred"
    if not (isinstance(record, RunRecord) and record.cells and is_sharp and file.is_file()):
        return []
    kernels, grid = _pixels(file)[0], record.config.kernel_grid
    if kernels.ndim != 3 or not len(kernels) == len(record.cells) == math.prod(grid):
        return []  # of another run
    source = Source(stem, pixels, attributes["rgb"], look_of(Image(pixels, **attributes)))
    kernels = kernels.reshape(*grid, *kernels.shape[-2:])
    attributes["metadata"][KERNELS_KEY] = kernels
    layers = grid_layers(source, kernels, list(record.cells), record.to_dict())
    return [layer.as_layer_data_tuple() for layer in layers]


def record_beside(image: Path) -> Path | None:
    """Return the record that `image` belongs to, None without one."""
    stem = image.stem
    stems = [f"{stem}{RECORD_END}", stem]
    stems += [f"{stem.removesuffix(f'_{part}')}{RECORD_END}" for part in _OF_RUN]
    for each in stems:
        beside = image.with_name(f"{each}.json")
        record = _record(beside) if beside.is_file() else None
        if record is not None and image in _images(beside, record):
            return beside
    return None


def _layer(path: Path, record: SavedRecord) -> LayerData:
    pixels, rgb, scale, units, axes = _pixels(path)
    with tifffile.TiffFile(path) as tif:
        notes = tif.imagej_metadata or (tif.shaped_metadata or ({},))[0]
    noted = _noted(notes.get("Info"))
    attributes, part = {name: noted[name] for name in KEPT if name in noted}, noted.get("part")
    if "shape" in noted:
        pixels = pixels.reshape(noted["shape"])  # with the axes of length 1 that files leave out
    if not noted:  # a file of the command line
        part = next((each for each in _PARTS if path.stem.endswith(f"_{each}")), None)
        attributes = {"name": path.stem, "scale": scale, "units": units, "axis_labels": axes}
        if part == "kernel":
            pixels, look = _kernels(pixels, attributes, record)
            attributes |= look
        elif part in DIAGNOSTICS:
            attributes |= diagnostic_display(part, pixels)
    attributes |= {"rgb": rgb, "metadata": {METADATA_KEY: record.to_dict(), PART_KEY: part}}
    return pixels, attributes, "image"


def _pixels(path: Path) -> tuple[Any, bool, list[float], list[str], list[str]]:
    """Return a file's pixels, whether they are colour, and scale, units and labels of the axes."""
    stack = open_stack(path)
    if stack is None:
        file = read_image(path)
        size, unit = file.pixel_size or (1.0, 1.0), file.unit if file.unit in _UNITS else "pixel"
        return file.array, file.rgb, list(size), [unit] * 2, ["y", "x"]
    layout = stack.layout
    pixels = np.stack([stack[plane] for plane in layout.planes]).reshape(layout.shape)
    axes = layout.axes.removesuffix("S").lower()
    units = [unit if unit in _UNITS else "pixel" for unit in layout.units[: len(axes)]]
    return pixels, layout.rgb, [each or 1.0 for each in layout.scale[: len(axes)]], units, [*axes]


def _kernels(
    pixels: Any, attributes: dict[str, Any], record: SavedRecord
) -> tuple[Any, dict[str, Any]]:
    """Return kernels with the axes of their layer, and what puts it beside its image."""
    whole = record.image.get("axes", "YX")
    after = whole[whole.find("C") + 1 : whole.index("Y")] if "C" in whole else ""
    if after and attributes["axis_labels"] == ["c", "y", "x"]:
        lengths = [record.image["shape"][whole.index(axis)] for axis in after]
        pixels = along_planes(pixels, tuple(lengths))
        for name, fill in (("scale", 1.0), ("units", "pixel")):
            attributes[name][1:1] = [fill] * len(after)
        attributes["axis_labels"][1:1] = [*after.lower()]
    rows = whole.index("Y")
    corner = kernel_corner(*record.image["shape"][rows : rows + 2])
    size = attributes["scale"]
    place = [each * one for each, one in zip(corner, size[-2:], strict=True)]
    return pixels, {"translate": [0.0] * (len(size) - 2) + place, **kernel_display(pixels)}


def _noted(info: Any) -> dict[str, Any]:
    """Return the layer's attributes from a TIFF's notes, none if they are not this plugin's."""
    try:
        return dict(json.loads(info)[METADATA_KEY])
    except (TypeError, KeyError, ValueError):
        return {}
