"""Result layers into TIFF files, with where they lie, and the record of their run beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.colormaps import AVAILABLE_COLORMAPS
from napari.utils.io import imsave
from napari.utils.notifications import show_warning

from napari_selfdeblur._napari.displays import DIAGNOSTICS
from napari_selfdeblur._napari.layers import KERNELS_KEY, METADATA_KEY, PART_KEY
from napari_selfdeblur._napari.stack_source import letters_of
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.io.writing import write_text
from napari_selfdeblur.run.stack_record import read_record
from napari_selfdeblur.run.values import json_ready

LayerData = tuple[Any, dict[str, Any], str]

RECORD_END = "_record"
_OF_RUN = ("deblurred", "kernel", *DIAGNOSTICS)
_OF_GRID = ("kernels", "blur_map")
_UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]')  # in names of files
_ENDS = re.compile(r"_(deblurred|kernel|residual|spread|record)$")
_SIZES = (1e-6, 1e6)  # what TIFF's fractions hold with some digits to spare
KEPT = (
    *("name", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels"),
    *("opacity", "blending", "gamma", "interpolation2d", "contrast_limits", "colormap"),
)
"""The layer's attributes that are written into its file."""


def write_image(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one image layer; beside a result NAME.tif comes NAME_record.json.

    Beside one of a run with a kernel grid comes NAME_kernels.tif too.

    An image that is not of this plugin is written as napari itself writes it.

    Returns
    -------
    list of str
        The image's path.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    target = _tiff_path(path)
    if not _is_result(data, meta):
        imsave(str(target), data)
        return [str(target)]
    _write_tiff(target, data, meta)
    _write_kernels(target.with_suffix(""), meta)
    _write_record(target.with_suffix(""), meta)
    return [str(target)]


def write_run(path: str, layers: list[LayerData]) -> list[str]:
    """Write layers of one run: NAME_deblurred.tif, NAME_kernel.tif ..., NAME_record.json.

    These are the names that the command line gives. Of a run with a kernel grid NAME_kernels.tif
    has the kernels; the layers that the viewer makes of them are not written. Layers that are not
    of one run are written each as `write_image` does, into files that have the layers' names
    behind NAME.

    Parameters
    ----------
    path : str
        NAME.tif.
    layers : list of (data, attributes, kind)
        Two to six layers, in whatever order.

    Returns
    -------
    list of str
        The paths of the images.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    target = _tiff_path(path)
    stem = target.with_name(_ENDS.sub("", target.stem))
    if not _of_one_run(layers):
        names = {_UNSAFE.sub("_", meta["name"]): (data, meta) for data, meta, _ in layers}
        files = {f"{stem}_{name}{target.suffix}": each for name, each in names.items()}
        return [saved for file, each in files.items() for saved in write_image(file, *each)]
    parts = {meta["metadata"][PART_KEY]: (data, meta) for data, meta, _ in layers}
    paths = {part: f"{stem}_{part}{target.suffix}" for part in _OF_RUN if part in parts}
    for part, file in paths.items():
        _write_tiff(Path(file), *parts[part])
    _write_kernels(stem, parts["deblurred"][1])
    _write_record(stem, layers[0][1])
    return list(paths.values())


def _of_one_run(layers: list[LayerData]) -> bool:
    """Whether these are different parts of one run, image and kernel among them."""
    notes = [meta["metadata"] for _, meta, _ in layers]
    parts = {each.get(PART_KEY) for each in notes}
    return (
        all(_is_result(data, meta) for data, meta, _ in layers)
        and len(parts) == len(layers)
        and set(_OF_RUN[:2]) <= parts <= {*_OF_RUN, *_OF_GRID}
        and all(each[METADATA_KEY] == notes[0][METADATA_KEY] for each in notes)
    )


def _tiff_path(path: str) -> Path:
    """Return `path`, ending in .tif where the file dialog has left that out."""
    known = path.lower().endswith((".tif", ".tiff"))
    return Path(path if known else f"{path}.tif")


def _is_result(data: Any, meta: Mapping[str, Any]) -> bool:
    return not meta["multiscale"] and isinstance(meta["metadata"].get(METADATA_KEY), dict)


def _write_tiff(path: Path, data: Any, meta: Mapping[str, Any]) -> None:
    layer = {name: meta[name] for name in KEPT if name in meta}
    layer["units"] = [str(unit) for unit in meta["units"]]
    if meta["rgb"] or meta["colormap"]["name"] not in AVAILABLE_COLORMAPS:
        layer = {name: layer[name] for name in layer if name not in ("colormap", "contrast_limits")}
    else:
        layer["colormap"] = meta["colormap"]["name"]
    layer |= {"part": meta["metadata"].get(PART_KEY), "shape": data.shape}
    size, unit = _pixel_size(meta)
    info, axes = json.dumps({METADATA_KEY: json_ready(layer)}), _axes(meta)
    several = len(meta["scale"]) > 2
    write_tiff(
        path,
        np.asarray(data),
        size,
        unit,
        rgb=meta["rgb"],
        info=info,
        axes=axes if several else None,
        steps=_steps(axes, meta),
    )


def _axes(meta: Mapping[str, Any]) -> str:
    """Return a letter for each axis; those whose labels say nothing are T, Z and C in turn."""
    letters = letters_of(meta["axis_labels"])
    spare = [each for each in "TZC" if each not in letters]
    known = [letter if letter in "TZC" or not spare else spare.pop(0) for letter in letters]
    return "".join(known) + ("YXS" if meta["rgb"] else "YX")


def _steps(axes: str, meta: Mapping[str, Any]) -> dict[str, float]:
    """Return the distance of planes along Z in the unit of the columns, and along T in seconds."""
    steps, last = {}, meta["units"][-1]
    for axis, step, unit in zip(axes, np.abs(meta["scale"]), meta["units"], strict=False):
        wanted = {"Z": last, "T": "s"}.get(axis)
        if wanted is not None and unit.is_compatible_with(wanted):
            steps[axis] = float((step * unit).to(wanted).magnitude)
    return steps


def _pixel_size(meta: Mapping[str, Any]) -> tuple[tuple[float, float] | None, str | None]:
    """Return the pixel's height and width in the unit of the rows, None if TIFF cannot hold it."""
    (row, column), (unit, other) = np.abs(meta["scale"])[-2:], meta["units"][-2:]
    if not other.is_compatible_with(unit):
        return None, None
    column = float((column * other).to(unit).magnitude)
    if not all(_SIZES[0] <= each <= _SIZES[1] for each in (row, column)):
        return None, None
    return (float(row), column), f"{unit:~}" or str(unit)


def _write_kernels(stem: Path, meta: Mapping[str, Any]) -> None:
    """Write the kernels of a grid, if a layer has them, row by row as the command line does."""
    kernels = meta["metadata"].get(KERNELS_KEY)
    if kernels is None:
        return
    flat = np.asarray(kernels).reshape(-1, *kernels.shape[-2:])
    size, unit = _pixel_size(meta)
    write_tiff(stem.with_name(f"{stem.name}_kernels.tif"), flat, size, unit, axes="ZYX")


def _write_record(stem: Path, meta: Mapping[str, Any]) -> None:
    """Write the record of a layer's run; warn where the run has left none."""
    facts = {
        name: each for name, each in meta["metadata"][METADATA_KEY].items() if name != "reason"
    }
    try:
        text = read_record(facts).to_json()
    except DeblurError:
        show_warning(f"{meta['name']}: saved without a record, which its run has not made")
        return
    write_text(stem.with_name(f"{stem.name}{RECORD_END}.json"), text)
