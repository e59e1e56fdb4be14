"""Images in OME-Zarr 0.4 and 0.5, of which one plane at a time is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.extra import needs_batch
from napari_selfdeblur.io.layout import Layout, Plane
from napari_selfdeblur.io.sources import reading

__all__ = ["UNITS", "ZarrImage", "is_zarr", "open_zarr"]

UNITS = {
    "nm": "nanometer", "um": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "inch": "inch", "s": "second", "ms": "millisecond", "min": "minute", "h": "hour",
}  # fmt: skip
"""Units as OME-Zarr spells them, by their short names."""

_SHORT = {spelled: short for short, spelled in UNITS.items()}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray"))


class ZarrImage:
    """One image of an OME-Zarr: its largest level."""

    single = False

    def __init__(self, path: Path, part: str, multiscale: Mapping[str, Any]) -> None:
        self.path, self.part = path, part
        self._name = "/".join(filter(None, (part, multiscale["datasets"][0]["path"])))
        self.layout = _layout(path, multiscale, self._array)

    @property
    def _array(self) -> Any:
        return _opened(self.path)[self._name]

    def read(self, plane: Plane) -> NDArray[Any]:
        """Return one plane; only its own chunks are read."""
        with reading(self.path):
            array = np.asarray(self._array[plane])
            return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def open_zarr(path: Path) -> list[ZarrImage]:
    """Return the images of an OME-Zarr: one, or each of a collection (bioformats2raw.layout).

    Raises
    ------
    ImageError
        If it is no OME-Zarr, a plate, or has axes that are not known.
    """
    if not is_zarr(path):
        raise ImageError(f"{path}: is no OME-Zarr; name an image file, a folder or a pattern")
    with reading(path):
        root = _opened(path)
        found = _metadata(root)
        if "multiscales" in found:
            return [ZarrImage(path, "", found["multiscales"][0])]
        if "plate" in found or "well" in found:
            raise ImageError(f"{path}: is a plate; name its images, such as {path.name}/A/1/0")
        parts = _parts(root, found)
        if not parts:
            raise ImageError(f"{path}: has no OME-Zarr metadata; name an OME-Zarr image")
        images = [(part, _metadata(root[part])["multiscales"][0]) for part in parts]
        return [ZarrImage(path, part, multiscale) for part, multiscale in images]


def _opened(path: Path) -> Any:
    with needs_batch("OME-Zarr"):
        import zarr
        from zarr.storage import LocalStore

    return zarr.open_group(LocalStore(path, read_only=True), mode="r")


def _metadata(group: Any) -> Mapping[str, Any]:
    """Return the OME metadata, which version 0.4 keeps at the top."""
    attributes = dict(group.attrs)
    found: Mapping[str, Any] = attributes.get("ome", attributes)
    return found


def _parts(root: Any, found: Mapping[str, Any]) -> list[str]:
    if "bioformats2raw.layout" not in found:
        return []
    series = _metadata(root["OME"]).get("series") if "OME" in root else None
    if series is None:
        series = sorted((name for name, _ in root.groups() if name.isdigit()), key=int)
    return [str(part) for part in series]


def _layout(path: Path, multiscale: Mapping[str, Any], array: Any) -> Layout:
    """Return the layout of an image by its metadata."""
    axes = [each if isinstance(each, Mapping) else {"name": each} for each in multiscale["axes"]]
    letters = "".join(str(axis["name"])[:1].upper() for axis in axes)
    leading = letters.removesuffix("YX")
    known = set(leading) <= set("TCZ") and len(set(leading)) == len(leading)
    if letters != f"{leading}YX" or not (known or len(leading) == 1) or array.ndim != len(axes):
        names = ", ".join(str(axis["name"]) for axis in axes)
        raise ImageError(f"{path}: its axes {names} are not all known; they are of t, c, z, y, x")
    steps: list[float | None] = [None] * len(axes)
    for transform in multiscale["datasets"][0].get("coordinateTransformations", ()):
        if transform.get("type") == "scale":
            steps = [float(step) for step in transform["scale"]]
    units = [_SHORT.get(str(axis.get("unit")), axis.get("unit")) for axis in axes]
    # A scale of 1 without a unit is how the format writes one that is not known.
    scale = [None if s == 1 and u is None else s for s, u in zip(steps, units, strict=True)]
    return Layout(letters, tuple(array.shape), array.dtype.name, tuple(scale), tuple(units))
