"""Saved results, of the viewer and of the command line, back into layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tifffile

from napari_selfdeblur._napari.layers import METADATA_KEY, PART_KEY, kernel_display
from napari_selfdeblur._napari.placing import kernel_corner
from napari_selfdeblur._napari.writer import KEPT, RECORD_END, LayerData
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.run.record import RestoreRecord, RunRecord

Record = RunRecord | RestoreRecord

_PAIR = ("deblurred", "kernel")
_PARTS = (*_PAIR, "restored")
_SUFFIXES = (".tif", ".tiff")
_UNITS = ("nm", "um", "mm", "cm", "m", "inch")  # napari refuses what it does not know


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return `read` if `path` is a record, or an image that a record beside it belongs to."""
    if isinstance(path, list):
        return None if len(path) != 1 else get_reader(path[0])
    file = Path(path)
    if file.suffix.lower() == ".json":
        return read if _record(file) is not None and _images(file) else None
    return read if _record_beside(file) is not None else None


def read(path: str | list[str]) -> list[LayerData]:
    """Return the layers of a file that `get_reader` accepts: of a record, all its images.

    Raises
    ------
    ImageError
        If an image cannot be read.
    """
    file = Path(path[0] if isinstance(path, list) else path)
    of_record = file.suffix.lower() == ".json"
    record = _record(file if of_record else _record_beside(file) or file)
    if record is None:
        raise DeblurError(f"{file}: no record of a run belongs to it; open it as an image")
    return [_layer(each, record) for each in (_images(file) if of_record else [file])]


def _record(path: Path) -> Record | None:
    """Return the record in a file, None if it holds none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kind = RestoreRecord if "kernel" in values else RunRecord
        return kind.from_dict(values)
    except (OSError, ValueError, TypeError, RecursionError, DeblurError):
        return None


def _images(record: Path) -> list[Path]:
    """Return the images that the record's name says are its own: a pair, or one."""
    stem = record.stem.removesuffix(RECORD_END)
    for names in ([f"{stem}_{part}" for part in _PAIR], [stem]):
        paths = [record.with_name(name + suffix) for name in names for suffix in _SUFFIXES]
        if found := [path for path in paths if path.exists()]:
            return found
    return []


def _record_beside(image: Path) -> Path | None:
    """Return the record that `image` belongs to, None without one."""
    stem = image.stem
    stems = [f"{stem}{RECORD_END}", stem]
    stems += [f"{stem.removesuffix(f'_{part}')}{RECORD_END}" for part in _PAIR]
    for each in stems:
        beside = image.with_name(f"{each}.json")
        if beside.is_file() and image in _images(beside) and _record(beside) is not None:
            return beside
    return None


def _layer(path: Path, record: Record) -> LayerData:
    file = read_image(path)
    with tifffile.TiffFile(path) as tif:
        notes = tif.imagej_metadata or (tif.shaped_metadata or ({},))[0]
    noted = _noted(notes.get("Info"))
    attributes, part = {name: noted[name] for name in KEPT if name in noted}, noted.get("part")
    if not noted:  # a file of the command line
        part = next((each for each in _PARTS if path.stem.endswith(f"_{each}")), None)
        size, unit = file.pixel_size or (1.0, 1.0), file.unit if file.unit in _UNITS else "pixel"
        attributes = {"name": path.stem, "scale": size, "units": unit}
        if part == "kernel":
            shape = record.image["shape"]
            corner = [each * one for each, one in zip(kernel_corner(*shape[:2]), size, strict=True)]
            attributes |= {"translate": corner, **kernel_display(file.array)}
    attributes |= {"rgb": file.rgb, "metadata": {METADATA_KEY: record.to_dict(), PART_KEY: part}}
    return file.array, attributes, "image"


def _noted(info: Any) -> dict[str, Any]:
    """Return the layer's attributes from a TIFF's notes, none if they are not this plugin's."""
    try:
        return dict(json.loads(info)[METADATA_KEY])
    except (TypeError, KeyError, ValueError):
        return {}
