"""One image of OME-Zarr 0.5: its levels, their chunks and its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.io.images import cast_like
from napari_selfdeblur.io.layout import Layout, Plane
from napari_selfdeblur.io.tiff_stacks import fill_of
from napari_selfdeblur.io.zarr_source import UNITS

__all__ = ["Pyramid"]

_ORDER = "TCZ"  # of the format, before y and x
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_SMALLEST = 256  # pixels: a level whose longer side is at most this is the last one
_CHUNK = 1024  # pixels along a side; a larger plane is one shard of several chunks


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The levels of one image, each half as large as the one before along rows and columns.

    Each plane is one chunk or one shard of each level, so that no two frames share a file.

    Raises
    ------
    ImageError
        If OME-Zarr has no such axes.
    """

    path: Path
    layout: Layout

    def __post_init__(self) -> None:
        if self.layout.rgb and "C" in self.layout.leading:
            raise ImageError(
                f"OME-Zarr has one channel axis, and axes {self.layout.axes} have colours too; "
                "choose a folder of TIFFs as output"
            )

    @classmethod
    def at(cls, path: Path, leading: str) -> Pyramid:
        """Return the image that is stored at `path`, its planes by the `leading` axes."""
        array = _array(path, 0)
        letters = "".join(array.metadata.dimension_names).upper()
        colour = "C" in letters and "C" not in leading
        counts = [array.shape[letters.index(letter)] for letter in leading]
        samples = [array.shape[letters.index("C")]] if colour else []
        axes = f"{leading}YX{'S' * colour}"
        shape = (*counts, *array.shape[-2:], *samples)
        unknown = (None,) * len(axes)
        return cls(path, Layout(axes, shape, array.dtype.name, unknown, unknown))

    @property
    def order(self) -> str:
        """Letters of the axes as stored: colours are channels."""
        leading = self.layout.leading + ("C" if self.layout.rgb else "")
        return "".join(sorted(leading, key=lambda axis: _ORDER.find(axis))) + "YX"

    def metadata(self, name: str) -> dict[str, Any]:
        """Return the attribute ``ome`` of the image's group."""
        known = {a: (s, u) for a, s, u in self._axes() if a != "S"}
        axes, steps = [], []
        for letter in self.order:
            step, unit = known.get(letter, (None, None))
            axis = {"name": letter.lower()}
            axis |= {"type": _TYPES[letter]} if letter in _TYPES else {}
            axis |= {"unit": UNITS.get(unit, unit)} if unit is not None and step is not None else {}
            axes.append(axis)
            steps.append(1.0 if step is None else step)
        datasets = []
        for level in range(len(self._sides())):
            factors = [2.0**level if letter in "YX" else 1.0 for letter in self.order]
            scale = [step * factor for step, factor in zip(steps, factors, strict=True)]
            # The centre of the first pixel: a level's pixel covers several of the largest.
            shift = [step * (factor - 1) / 2 for step, factor in zip(steps, factors, strict=True)]
            transforms = [
                {"type": "scale", "scale": scale},
                {"type": "translation", "translation": shift},
            ]
            datasets.append({"path": str(level), "coordinateTransformations": transforms})
        multiscale = {"name": name or self.path.name, "axes": axes, "datasets": datasets}
        return {"version": "0.5", "multiscales": [multiscale]}

    def create(self) -> None:
        """Make the arrays, without pixels; what is there is replaced."""
        import zarr
        from zarr.storage import LocalStore

        colours = self.layout.sides[-1] if self.layout.rgb else 1
        for level, sides in enumerate(self._sides()):
            counts = [self._count(letter) for letter in self.order[:-2]]
            inner = [colours if letter == "C" else 1 for letter in self.order[:-2]]
            chunk = [min(side, _CHUNK) for side in sides]
            shard = [-(-side // part) * part for side, part in zip(sides, chunk, strict=True)]
            zarr.create_array(
                LocalStore(self.path),
                name=str(level),
                shape=(*counts, *sides),
                chunks=(*inner, *chunk),
                shards=(*inner, *shard) if shard != chunk else None,
                dtype=self.layout.dtype,
                fill_value=fill_of(self.layout.dtype),
                dimension_names=[letter.lower() for letter in self.order],
                overwrite=True,
            )

    def check(self) -> None:
        """Raise `ConfigError` if the arrays there are not this image's."""
        array = _array(self.path, 0)
        counts = [self._count(letter) for letter in self.order[:-2]]
        if array.shape != (*counts, *self._sides()[0]) or array.dtype != self.layout.dtype:
            raise ConfigError(
                f"{self.path} holds an image of shape {array.shape} and type {array.dtype}: the "
                "input has changed; choose another output, or give --restart"
            )

    def write(self, plane: Plane, pixels: NDArray[Any]) -> None:
        """Write one plane in every level."""
        where = self._where(plane)
        for level in range(len(self._sides())):
            moved = np.moveaxis(pixels, -1, 0) if self.layout.rgb else pixels
            _array(self.path, level)[where] = moved
            pixels = _halved(pixels)

    def read(self, plane: Plane) -> NDArray[Any]:
        """Return one plane of the largest level, colours last."""
        stored = np.asarray(_array(self.path, 0)[self._where(plane)])
        if not self.layout.rgb:
            return stored
        return np.ascontiguousarray(np.moveaxis(stored, 0, -1))

    def _axes(self) -> list[tuple[str, float | None, str | None]]:
        layout = self.layout
        return list(zip(layout.axes, layout.scale, layout.units, strict=True))

    def _count(self, letter: str) -> int:
        """Return the length of an axis as stored."""
        if letter == "C" and self.layout.rgb:
            return self.layout.sides[-1]
        return self.layout.counts[self.layout.leading.index(letter)]

    def _sides(self) -> list[tuple[int, int]]:
        """Return rows and columns of each level."""
        rows, columns = self.layout.sides[:2]
        found = [(rows, columns)]
        while max(found[-1]) > _SMALLEST and min(found[-1]) > 1:
            found.append((found[-1][0] // 2, found[-1][1] // 2))
        return found

    def _where(self, plane: Plane) -> tuple[int | slice, ...]:
        """Return the index of a plane in the arrays."""
        at: dict[str, int | slice] = dict(zip(self.layout.leading, plane, strict=True))
        if self.layout.rgb:
            at["C"] = slice(None)
        return tuple(at[letter] for letter in self.order[:-2])


def _array(path: Path, level: int) -> Any:
    import zarr
    from zarr.storage import LocalStore

    return zarr.open_array(LocalStore(path), path=str(level), mode="r+")


def _halved(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the means of 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = (side // 2 for side in pixels.shape[:2])
    even = pixels[: 2 * rows, : 2 * columns].astype(np.float64)
    blocks = even.reshape(rows, 2, columns, 2, *pixels.shape[2:])
    return cast_like(blocks.mean(axis=(1, 3)), pixels.dtype)
