"""Results of many frames in a folder of TIFFs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_selfdeblur.errors import ConfigError, FileError
from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.io.inputs import unique_names
from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.sources import open_parts
from napari_selfdeblur.io.stores import (
    EXTRAS,
    FRAME_NAME,
    KERNELS,
    FrameRef,
    Pixels,
    Store,
    digest,
    read_json,
    sealed,
    unsealed,
)
from napari_selfdeblur.io.tiff_stacks import write_stack
from napari_selfdeblur.io.writing import check_writable, naming, replacing, write_text

__all__ = ["FolderStore"]

_OF_FRAME = re.compile(rf"({FRAME_NAME.pattern})(\.json|(_kernels?)?\.tif)|.*\.part")
"""Names of the files of frames, and of what a killed process left unfinished."""


@dataclass(frozen=True, slots=True)
class FolderStore(Store):
    """A folder with NAME_deblurred.tif, NAME_kernel.tif and NAME_record.json for each image.

    NAME_kernels.tif has the kernels of a grid, row by row. Planes of one image are files of their
    own in ``frames/NAME`` until all are there; then they are put together into one TIFF and
    deleted. Kernels and markers of planes stay there.
    """

    def names(self, stems: Sequence[str]) -> list[str]:
        """Return a name for the results of each image, no two the same."""
        return unique_names(stems)

    def manifest(self) -> dict[str, Any] | None:
        """Return what `begin` wrote; None where nothing was begun."""
        if not self._manifest.exists():
            with naming(self._frames, "read"):
                there = list(self._frames.iterdir()) if self._frames.is_dir() else []
            if any(path.suffix != ".part" for path in there):
                raise ConfigError(
                    f"{self._frames} has files, but no settings.json of a batch; choose another "
                    "output, or give that folder another name"
                )
            return None
        found = unsealed(read_json(self._manifest))
        if found is None:
            raise ConfigError(
                f"{self._manifest} is not as a batch wrote it; choose another output, or delete "
                f"{self._frames} to make everything again"
            )
        return found

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Make the folder, and keep what its results are made with."""
        with naming(self.path):
            self._frames.mkdir(parents=True, exist_ok=True)
        write_text(self._manifest, json.dumps(sealed(manifest), indent=2) + "\n")

    def clear(self) -> None:
        """Delete what a former batch wrote here; any other file stays."""
        before = self.manifest()
        if before is None:
            return
        for name in before["images"]:
            for path in [*self._results(name), *self._files_of_frames(name)]:
                with naming(path, "deleted"):
                    path.unlink(missing_ok=True)
        with naming(self._manifest, "deleted"):
            self._manifest.unlink()
        for folder in (*(self._frames / name for name in before["images"]), self._frames):
            with suppress(OSError):  # missing, or with files of others
                folder.rmdir()

    def create(self, name: str, layout: Layout | None = None) -> None:
        """Make the folder of an image's frames."""
        with naming(self._frames / name):
            (self._frames / name).mkdir(parents=True, exist_ok=True)

    def check_room(self, frame: FrameRef, size: int) -> None:
        """Raise `FileError` if `size` more bytes cannot be written."""
        check_writable(self._sharp(frame), size + EXTRAS)

    def write(
        self, frame: FrameRef, layout: Layout, sharp: Pixels, kernels: Mapping[str, Pixels]
    ) -> None:
        """Write a frame's images, each whole or not at all."""
        self.create(frame.name)
        pixel_size, unit = layout.pixel_size
        write_tiff(self._sharp(frame), sharp, pixel_size, unit, rgb=layout.rgb)
        for which, kernel in kernels.items():
            path = self._kernel(frame, which)
            if kernel.ndim == 2:
                write_tiff(path, kernel, pixel_size, unit)
            else:
                row = kernel.reshape(-1, *kernel.shape[-2:])
                write_tiff(path, row, pixel_size, unit, axes="ZYX")

    def read(self, frame: FrameRef, kernels: Collection[str]) -> tuple[Pixels, dict[str, Pixels]]:
        """Return a frame's images as written, kernels of a grid as (kernels, kh, kw)."""
        found = {each: np.asarray(tifffile.imread(self._kernel(frame, each))) for each in kernels}
        return self._pixels(frame), found

    def mark(self, frame: FrameRef, marker: Mapping[str, Any]) -> None:
        """Mark a frame as done; that of an image of one plane writes NAME_record.json too."""
        if not frame.axes:
            record = json.dumps(marker["record"], ensure_ascii=False, indent=2)
            write_text(self._out(frame.name, "record.json"), record + "\n")
        write_text(self._frame(frame, ".json"), json.dumps(sealed(marker), ensure_ascii=False))

    def marker(self, frame: FrameRef) -> dict[str, Any] | None:
        """Return what a frame was marked with; None where it is not done."""
        return unsealed(read_json(self._frame(frame, ".json")))

    def markers(self) -> Iterator[dict[str, Any]]:
        """Return the markers of all frames that are done, also of images not named now."""
        for name in (self.manifest() or {}).get("images", []):
            for _, marker in self._markers_of(name):
                yield marker

    def finish(self, name: str, layout: Layout | None, frames: Sequence[FrameRef]) -> None:
        """Put the planes of an image together; planes that failed are NaN, or 0 in integers."""
        markers = {each.plane: (each, marker) for each in frames if (marker := self.marker(each))}
        parts = [each for each in frames if self._frame(each, ".tif").exists()]
        done = self._out(name, "record.json").exists() and not parts
        if layout is None or not markers or done:
            return
        stored = layout if self.dtype == "input" else layout.with_dtype("float32")

        def check(path: Path) -> None:
            written = open_parts(path)[0]
            for plane, (_, marker) in markers.items():
                if digest(written.read(plane)) != marker["sharp"]:
                    raise FileError(f"{path} was not written whole; give the same command again")

        planes = (self._pixels(markers[p][0]) if p in markers else None for p in layout.planes)
        with replacing(self._out(name, "deblurred.tif")) as unfinished:
            write_stack(unfinished, stored, planes)
            check(unfinished)
        self._write_kernels(name, layout, [each for each, _ in markers.values()])
        records = [{"plane": each.label, **marker["record"]} for each, marker in markers.values()]
        record = {"axes": layout.axes, "shape": list(layout.shape), "planes": records}
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"  # a `BatchRecord`
        write_text(self._out(name, "record.json"), text)
        for each in parts:
            with naming(self._sharp(each), "deleted"):
                self._sharp(each).unlink()

    def close(self) -> None:
        """Do nothing: each image is a file of its own."""

    def summary_path(self) -> Path:
        """Return the path of summary.csv in the folder."""
        return self.path / "summary.csv"

    def _files_of_frames(self, name: str) -> list[Path]:
        folder = self._frames / name
        with naming(folder, "read"):
            there = list(folder.iterdir()) if folder.is_dir() else []
        return [path for path in there if _OF_FRAME.fullmatch(path.name)]

    def _results(self, name: str) -> list[Path]:
        """Return the files of an image that its frames' markers say were written."""
        ends = set()
        for frame, marker in self._markers_of(name):
            if (self._frames / name / f"{frame}.tif").exists():
                continue  # a plane not yet put together with the others
            # Of planes the kernels of a grid lie with the frames.
            kernels = KERNELS if frame == "frame" else KERNELS[:1]
            ends |= {"deblurred.tif", "record.json"}
            ends |= {f"{each}.tif" for each in kernels if each in marker}
        return [self._out(name, end) for end in ends]

    def _markers_of(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the frames of an image that are done, as their files are called."""
        for path in self._files_of_frames(name):
            marker = unsealed(read_json(path)) if path.suffix == ".json" else None
            if marker is not None:
                yield path.stem, marker

    def _write_kernels(self, name: str, layout: Layout, frames: Sequence[FrameRef]) -> None:
        """Write the kernels of an image's planes as one stack, zeros around the smaller ones."""
        paths = {each.plane: self._kernel(each) for each in frames}
        found = {p: np.asarray(tifffile.imread(path)) for p, path in paths.items() if path.exists()}
        if not found:
            return
        sides = tuple(np.max([kernel.shape for kernel in found.values()], axis=0).tolist())

        def padded() -> Iterator[Pixels]:
            for plane in layout.planes:
                kernel = found.get(plane, np.zeros((1, 1), np.float32))
                margins = [((a - b) // 2,) * 2 for a, b in zip(sides, kernel.shape, strict=True)]
                yield np.pad(kernel, margins)

        with replacing(self._out(name, "kernel.tif")) as unfinished:
            write_stack(unfinished, layout.with_plane(sides, "float32"), padded())

    def _pixels(self, frame: FrameRef) -> Pixels:
        """Return a frame's image, from its own file or from that of all planes."""
        path = self._sharp(frame)
        if not frame.axes or path.exists():
            return np.asarray(tifffile.imread(path))
        return open_parts(self._out(frame.name, "deblurred.tif"))[0].read(frame.plane)

    @property
    def _frames(self) -> Path:
        return self.path / "frames"

    @property
    def _manifest(self) -> Path:
        return self._frames / "settings.json"

    def _out(self, name: str, end: str) -> Path:
        return self.path / f"{name}_{end}"

    def _frame(self, frame: FrameRef, end: str) -> Path:
        return self._frames / frame.name / f"{frame.place}{end}"

    def _sharp(self, frame: FrameRef) -> Path:
        return self._frame(frame, ".tif") if frame.axes else self._out(frame.name, "deblurred.tif")

    def _kernel(self, frame: FrameRef, which: str = KERNELS[0]) -> Path:
        if frame.axes:
            return self._frame(frame, f"_{which}.tif")
        return self._out(frame.name, f"{which}.tif")
