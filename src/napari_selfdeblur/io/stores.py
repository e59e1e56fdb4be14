"""What every place that keeps the results of many frames does."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_selfdeblur.io.images import cast_like, little_endian
from napari_selfdeblur.io.layout import Layout, Plane, plane_label

__all__ = [
    "EXTRAS",
    "FRAME_NAME",
    "KERNELS",
    "FrameRef",
    "Pixels",
    "Store",
    "attributes_of",
    "digest",
    "digests",
    "read_json",
    "sealed",
    "stored_as",
    "unsealed",
]

EXTRAS = 2**20
"""Bytes that kernel and record of a frame may take."""
KERNELS = ("kernel", "kernels")
"""Names of a frame's kernel, and of those of a grid."""
FRAME_NAME = re.compile(r"frame|[A-Z]\d+(_[A-Z]\d+)*")
"""What `FrameRef.place` may be."""

_SEAL = "sha256"

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class FrameRef:
    """One plane of one image, and the name of its results.

    Attributes
    ----------
    path : Path
        File or folder of the image.
    part : str
        Which of several images there; empty where there is one.
    name : str
        Name of the image's results in the store.
    axes : str
        Leading axes of the image.
    plane : tuple of int
        Index along each of them.
    """

    path: Path
    part: str
    name: str
    axes: str = ""
    plane: Plane = ()

    @property
    def label(self) -> str:
        """Name of the plane, such as ``T0_C1``; empty where the image has one."""
        return plane_label(self.axes, self.plane)

    @property
    def place(self) -> str:
        """What files or groups of the frame are called: its label, ``frame`` of a single plane."""
        return self.label or "frame"


@dataclass(frozen=True, slots=True)
class Store(ABC):
    """Results of many frames, each written whole and then marked done.

    Attributes
    ----------
    path : Path
        Where it is.
    dtype : {"float32", "input"}
        Data type of the images written.
    """

    path: Path
    dtype: str = "float32"

    @abstractmethod
    def names(self, stems: Sequence[str]) -> list[str]:
        """Return a name for the results of each image, no two the same."""

    @abstractmethod
    def manifest(self) -> dict[str, Any] | None:
        """Return what `begin` wrote; None where nothing was begun.

        Raises
        ------
        ConfigError
            If it is not as it was written, or no batch made what is there.
        """

    @abstractmethod
    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Make the store, and keep what its results are made with."""

    @abstractmethod
    def clear(self) -> None:
        """Delete what a former batch wrote here."""

    @abstractmethod
    def create(self, name: str, layout: Layout) -> None:
        """Make room for an image; one of this layout that is there stays."""

    @abstractmethod
    def check_room(self, frame: FrameRef, size: int) -> None:
        """Raise `FileError` if `size` more bytes cannot be written."""

    @abstractmethod
    def write(
        self, frame: FrameRef, layout: Layout, sharp: Pixels, kernels: Mapping[str, Pixels]
    ) -> None:
        """Write a frame's images, each whole or not at all.

        `kernels` are by the names in `KERNELS`; those of a grid are (rows, columns, kh, kw).
        """

    @abstractmethod
    def read(self, frame: FrameRef, kernels: Collection[str]) -> tuple[Pixels, dict[str, Pixels]]:
        """Return the image and the named kernels as written, those of a grid perhaps in one row.

        It raises what keeps them from being read.
        """

    @abstractmethod
    def mark(self, frame: FrameRef, marker: Mapping[str, Any]) -> None:
        """Mark a frame as done, which its images were written before."""

    @abstractmethod
    def marker(self, frame: FrameRef) -> dict[str, Any] | None:
        """Return what a frame was marked with; None where it is not done, or that was changed."""

    @abstractmethod
    def markers(self) -> Iterator[dict[str, Any]]:
        """Return the markers of all frames that are done, also of images not named now."""

    @abstractmethod
    def finish(self, name: str, layout: Layout | None, frames: Sequence[FrameRef]) -> None:
        """Complete an image of which every frame was tried; `layout` None for one plane."""

    @abstractmethod
    def close(self) -> None:
        """Complete the store of which every image is finished."""

    @abstractmethod
    def summary_path(self) -> Path:
        """Return where the summary of the batch is written."""


def digest(array: Pixels) -> str:
    """Return the SHA-256 of an array's values, in the order of its axes."""
    return hashlib.sha256(little_endian(array)).hexdigest()


def digests(sharp: Pixels, kernels: Mapping[str, Pixels]) -> dict[str, str]:
    """Return those of a frame's images, by their names."""
    return {name: digest(each) for name, each in {"sharp": sharp, **kernels}.items()}


def stored_as(sharp: Pixels, dtype: str, source: str) -> Pixels:
    """Return an image in the data type it is stored in: float32, or that of its source."""
    return cast_like(sharp, source) if dtype == "input" else sharp


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object that a file holds; None where there is none, or it is no object."""
    with suppress(OSError, ValueError):
        values = json.loads(path.read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else None
    return None


def attributes_of(path: Path) -> dict[str, Any]:
    """Return the attributes of a Zarr group; none where there is no group."""
    found = (read_json(path / "zarr.json") or {}).get("attributes")
    return found if isinstance(found, dict) else {}


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for a JSON file with the SHA-256 of them all."""
    return {**values, _SEAL: _sum(values)}


def unsealed(values: object) -> dict[str, Any] | None:
    """Return what was sealed; None of anything else, and of what was changed since."""
    if not isinstance(values, dict):
        return None
    rest = {key: value for key, value in values.items() if key != _SEAL}
    return rest if values.get(_SEAL) == _sum(rest) else None


def _sum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
