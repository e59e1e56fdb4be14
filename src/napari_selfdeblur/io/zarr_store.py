"""Results of many frames in one OME-Zarr 0.5."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.extra import needs_batch
from napari_selfdeblur.io.inputs import unique_names
from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.ome_zarr import Pyramid
from napari_selfdeblur.io.stores import (
    EXTRAS,
    FRAME_NAME,
    KERNELS,
    FrameRef,
    Pixels,
    Store,
    attributes_of,
    read_json,
    sealed,
    unsealed,
)
from napari_selfdeblur.io.writing import check_writable, naming, write_text
from napari_selfdeblur.io.zarr_source import is_zarr

__all__ = ["ZarrStore"]

_OWN = "napari-selfdeblur"
_GROUP = {"zarr_format": 3, "node_type": "group"}
_UNFINISHED = re.compile(r".*\.[0-9a-f]{32}\.partial")  # as zarr calls a file until it is whole


@dataclass(frozen=True, slots=True)
class ZarrStore(Store):
    """An OME-Zarr 0.5: of one image that image, of several a group for each.

    Beside the levels of its pyramid an image has a group ``frames`` with a group for each plane:
    its attributes are the plane's marker with its record, and its array ``kernel``; of a grid of
    kernels those too, as ``kernels``.
    """

    def __post_init__(self) -> None:
        with needs_batch("OME-Zarr"):
            import zarr  # noqa: F401

    def names(self, stems: Sequence[str]) -> list[str]:
        """Return a group's name for each image; empty, the store itself, for one alone."""
        # What a Zarr node may not be called, and what OME-Zarr has at this place.
        stems = [stem.lstrip("_").strip(".") or "image" for stem in stems]
        return [""] if len(stems) == 1 else unique_names(stems, taken=["OME", "zarr.json"])

    def manifest(self) -> dict[str, Any] | None:
        """Return what `begin` wrote; None where nothing was begun."""
        found = unsealed(attributes_of(self.path).get(_OWN))
        if found is None and self.path.exists() and any(self.path.iterdir()):
            raise ConfigError(
                f"{self.path} is not as a batch wrote it; choose another output, or delete it"
            )
        return found

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Make the store, and keep what its results are made with."""
        for name in manifest["images"]:
            if name and is_zarr(self.path / name) and not self._is_own(name):
                raise ConfigError(f"no batch made {self.path / name}; choose another output")
        with naming(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for path in self.path.rglob("*.partial"):  # of a process that was killed
                if _UNFINISHED.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        ome = attributes_of(self.path).get("ome")
        if manifest["images"] != [""]:
            ome = {"version": "0.5", "bioformats2raw.layout": 3}
        _write_group(self.path, ({"ome": ome} if ome else {}) | {_OWN: sealed(manifest)})
        self.close()

    def clear(self) -> None:
        """Delete what a former batch wrote here; other groups, arrays and files stay."""
        before = self.manifest()
        if before is None:
            return
        with naming(self.path, "deleted"):
            for name in filter(self._is_own, before["images"]):
                self._delete_image(name)
            for group in (self.path / "OME", self.path):
                _delete_group(group)

    def create(self, name: str, layout: Layout) -> None:
        """Make the arrays of an image; those of this layout that are there stay."""
        stored = layout if self.dtype == "input" else layout.with_dtype("float32")
        with naming(self.path / name):
            pyramid = Pyramid(self.path / name, stored)
            attributes = attributes_of(self.path / name)
            if "ome" in attributes:
                pyramid.check()
                return
            _write_group(self.path / name / "frames", {})  # first: by it the image is a batch's
            pyramid.create()
        # Last: an image that has them has all its arrays.
        _write_group(self.path / name, attributes | {"ome": pyramid.metadata(name)})

    def check_room(self, frame: FrameRef, size: int) -> None:
        """Raise `FileError` if `size` more bytes cannot be written."""
        check_writable(self.path / "zarr.json", size + EXTRAS)

    def write(
        self, frame: FrameRef, layout: Layout, sharp: Pixels, kernels: Mapping[str, Pixels]
    ) -> None:
        """Write a frame in every level of the pyramid, and its kernels."""
        import zarr
        from zarr.storage import LocalStore

        if not frame.axes:
            self.create(frame.name, layout)
        place = self._place(frame)
        with naming(place):
            stored = layout.with_dtype(sharp.dtype.name)
            Pyramid(self.path / frame.name, stored).write(frame.plane, sharp)
            _write_group(place, {})
            for which, data in kernels.items():
                zarr.create_array(LocalStore(place), name=which, data=data, overwrite=True)

    def read(self, frame: FrameRef, kernels: Collection[str]) -> tuple[Pixels, dict[str, Pixels]]:
        """Return a frame's images as written."""
        import zarr
        from zarr.storage import LocalStore

        place = self._place(frame)
        sharp = Pyramid.at(self.path / frame.name, frame.axes).read(frame.plane)
        found = {}
        for which in kernels:
            array: Any = zarr.open_array(LocalStore(place / which), mode="r")
            found[which] = np.asarray(array[:])
        return sharp, found

    def mark(self, frame: FrameRef, marker: Mapping[str, Any]) -> None:
        """Mark a frame as done."""
        _write_group(self._place(frame), {_OWN: sealed(marker)})

    def marker(self, frame: FrameRef) -> dict[str, Any] | None:
        """Return what a frame was marked with; None where it is not done."""
        return unsealed(attributes_of(self._place(frame)).get(_OWN))

    def markers(self) -> Iterator[dict[str, Any]]:
        """Return the markers of all frames that are done, also of images not named now."""
        for name in (self.manifest() or {}).get("images", []):
            for place in (self.path / name / "frames").glob("*/"):
                marker = unsealed(attributes_of(place).get(_OWN))
                if marker is not None:
                    yield marker

    def finish(self, name: str, layout: Layout | None, frames: Sequence[FrameRef]) -> None:
        """Do nothing: planes are in their place from the beginning."""

    def close(self) -> None:
        """List the images of a collection, as OME-Zarr readers look for them."""
        images = (self.manifest() or {}).get("images", [])
        if images != [""]:
            there = [name for name in images if (self.path / name / "zarr.json").exists()]
            _write_group(self.path / "OME", {"ome": {"version": "0.5", "series": there}})

    def summary_path(self) -> Path:
        """Return the path of a file beside the store: in it there are arrays and groups alone."""
        stem = self.path.name.removesuffix(".zarr").removesuffix(".ome")
        return self.path.with_name(f"{stem}_summary.csv")

    def _place(self, frame: FrameRef) -> Path:
        return self.path / frame.name / "frames" / frame.place

    def _is_own(self, name: str) -> bool:
        """Whether a batch made the image of this name."""
        return is_zarr(self.path / name / "frames")

    def _delete_image(self, name: str) -> None:
        """Delete the arrays and groups that `create` and `write` made."""
        image = self.path / name
        frames = [each for each in (image / "frames").iterdir() if FRAME_NAME.fullmatch(each.name)]
        levels = [each for each in image.iterdir() if each.name.isdigit()]
        for array in [*levels, *(frame / which for frame in frames for which in KERNELS)]:
            if (read_json(array / "zarr.json") or {}).get("node_type") == "array":
                shutil.rmtree(array)
        # Last the group by which the image is a batch's. One alone is the store itself.
        for group in (*frames, *([image] if name else []), image / "frames"):
            _delete_group(group)
        with suppress(OSError):
            image.rmdir()


def _write_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of a group, as a whole."""
    with naming(path):
        path.mkdir(parents=True, exist_ok=True)
    group = {**_GROUP, "attributes": attributes}
    write_text(path / "zarr.json", json.dumps(group, ensure_ascii=False))


def _delete_group(path: Path) -> None:
    """Delete the metadata of a group, and its folder unless something else is in it."""
    for metadata in (path / "zarr.json", *path.glob(".*.part")):
        metadata.unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()
