"""Arrays of planes: which axis is what, which planes are chosen, and one plane at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_selfdeblur.errors import ConfigError, ImageError, OutOfMemoryError
from napari_selfdeblur.io.arrays import as_array, as_source

__all__ = ["KERNELS", "Choice", "Position", "Stack", "guessed_axes", "result_array"]

Position = tuple[int, ...]
"""Where a plane lies among the chosen ones, along each axis but rows, columns and colour."""

Choice = Mapping[str, Any]
"""For an axis, by its letter: one index, several, or a slice."""

KERNELS = ("one", "channel", "plane")
"""What a kernel may be for: all planes, each channel, each plane."""

_GUESSES = {2: "YX", 3: "TYX", 4: "TCYX", 5: "TCZYX"}


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes of one array, of which one at a time is read.

    Attributes
    ----------
    data : array
        Anything with ``shape``, ``dtype``, ``ndim`` and slicing: NumPy, memory map, dask, zarr,
        HDF5.
    axes : str
        A letter for each axis of `data`; rows ``Y`` and columns ``X`` come last, after them only
        colour samples ``S``.
    chosen : tuple of tuple of int
        Indices of the planes, for each axis before the rows.
    """

    data: Any
    axes: str
    chosen: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, array: Any, axes: str | None = None, planes: Choice | None = None) -> Stack:
        """Return a stack of an array, or raise what stands against it.

        Parameters
        ----------
        array : array
            At least rows and columns.
        axes : str, optional
            A letter for each axis, such as ``TCYX``; `guessed_axes` where it is not given.
        planes : mapping, optional
            Indices, slice or one index of an axis, by its letter; all of the others.

        Raises
        ------
        ConfigError
            If `axes` does not fit the array, or `planes` names what it has not.
        ImageError
            If the array is empty, or does not hold real numbers.
        """
        data = array if np.ma.isMaskedArray(array) else as_source(array)
        shape = tuple(int(side) for side in data.shape)
        if 0 in shape:
            raise ImageError(f"the stack of shape {shape} is empty; choose one that has pixels")
        letters = guessed_axes(shape) if axes is None else _checked_axes(axes, shape)
        outer = letters[: letters.index("Y")]
        return cls(data, letters, _chosen(outer, shape, {} if planes is None else planes))

    @property
    def outer(self) -> str:
        """Letters of the axes before the rows."""
        return self.axes[: self.axes.index("Y")]

    @property
    def lead(self) -> tuple[int, ...]:
        """How many planes are chosen along each axis before the rows."""
        return tuple(len(each) for each in self.chosen)

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Rows, columns, and colour samples where there are any."""
        return tuple(int(side) for side in self.data.shape[len(self.outer) :])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the chosen planes together."""
        return self.lead + self.plane_shape

    @property
    def rgb(self) -> bool:
        """Whether the last axis is colour."""
        return self.axes.endswith("S")

    def __len__(self) -> int:
        return math.prod(self.lead)

    def __iter__(self) -> Iterator[Position]:
        return iter(np.ndindex(self.lead))

    def number(self, position: Position) -> int:
        """Return which plane this is, from 1, in the order of the array."""
        return int(np.ravel_multi_index(position, self.lead)) + 1 if position else 1

    def index(self, position: Position) -> dict[str, int]:
        """Return where the plane lies in the whole array, by the axes' letters."""
        pairs = zip(self.outer, self.chosen, position, strict=True)
        return {axis: indices[at] for axis, indices, at in pairs}

    def name(self, position: Position) -> str:
        """Return the plane's place in words: ``plane T=1, C=0``."""
        places = ", ".join(f"{axis}={at}" for axis, at in self.index(position).items())
        return f"plane {places}" if places else "the plane"

    def channel(self, position: Position) -> int:
        """Return the position along the channels; 0 without any."""
        return position[self.outer.index("C")] if "C" in self.outer else 0

    def read(self, position: Position) -> NDArray[Any]:
        """Return one plane, (H, W) or (H, W, S), in its own data type.

        Raises
        ------
        ImageError
            If it cannot be read, or is masked.
        """
        where = tuple(self.index(position).values())
        try:
            return as_array(self.data[where] if where else self.data)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged or distant array leads to
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ImageError(f"cannot be read ({reason}); give an undamaged array") from error

    def position(self, place: Mapping[str, int]) -> Position:
        """Return where a plane of the whole array lies among those chosen.

        An axis with one chosen index may be left out.

        Raises
        ------
        ConfigError
            If `place` names no chosen plane, or more than one.
        """
        _known_axes(place, self.outer, "kernel_from")
        found = []
        for axis, indices in zip(self.outer, self.chosen, strict=True):
            if axis not in place and len(indices) > 1:
                raise ConfigError(
                    f"kernel_from must name one plane; add its index along {axis}",
                    field="kernel_from",
                )
            at = place.get(axis, indices[0])
            if not isinstance(at, int | np.integer) or at not in indices:
                raise ConfigError(
                    f"kernel_from must name a chosen plane; along {axis} these are "
                    f"{_listed(indices)}, got {at!r}",
                    field="kernel_from",
                )
            found.append(indices.index(at))
        return tuple(found)


def result_array(stack: Stack, out: Any = None, dtype: DTypeLike = np.float32) -> Any:
    """Return `out`, or a new array of zeros, for the results of a stack.

    Raises
    ------
    ConfigError
        If `out` has not the stack's shape.
    OutOfMemoryError
        If a new one does not fit into the memory that is free.
    """
    if out is None:
        need = math.prod(stack.shape) * np.dtype(dtype).itemsize
        free = psutil.virtual_memory().available
        if need > free:
            raise OutOfMemoryError(
                f"the results need {need / 2**30:.1f} GiB of memory, of which {free / 2**30:.1f} "
                "GiB are free; choose fewer planes, or give a memory-mapped array as out"
            )
        return np.zeros(stack.shape, dtype)
    shape = tuple(getattr(out, "shape", ()))
    if shape != stack.shape or not hasattr(out, "__setitem__"):
        raise ConfigError(
            f"out must be an array of shape {stack.shape}, got {type(out).__name__} of shape "
            f"{shape}",
            field="out",
        )
    return out


def guessed_axes(shape: Sequence[int]) -> str:
    """Return letters for the axes of an array of which nothing else is known.

    A last axis of 3 or 4 is colour. Of the others two are YX, three TYX, four TCYX, five TCZYX.

    Raises
    ------
    ConfigError
        If there are more, or fewer.
    """
    colour = len(shape) >= 3 and shape[-1] in (3, 4)
    guess = _GUESSES.get(len(shape) - colour)
    if guess is None:
        raise ConfigError(
            f"axes must be given for an array of shape {tuple(shape)}: a letter for each, rows Y "
            "and columns X last, such as TCZYX",
            field="axes",
        )
    return guess + "S" * colour


def _checked_axes(axes: str, shape: tuple[int, ...]) -> str:
    """Return `axes` in capitals."""
    letters = axes.upper() if isinstance(axes, str) else ""
    if len(letters) != len(shape) or not letters.isalpha() or len(set(letters)) != len(letters):
        raise ConfigError(
            f"axes must be {len(shape)} different letters for an array of shape {shape}, such as "
            f"{_GUESSES.get(len(shape), 'TCZYX')}, got {axes!r:.100}",
            field="axes",
        )
    if not letters.removesuffix("S").endswith("YX"):
        raise ConfigError(
            f"axes must end in YX or YXS, got {axes!r}; move rows, columns and colour to the end, "
            "for example by np.moveaxis",
            field="axes",
        )
    if letters.endswith("S") and shape[-1] not in (3, 4):
        raise ConfigError(
            f"axis S must have 3 or 4 colour samples, got {shape[-1]}; name a channel axis C and "
            "move it before the rows",
            field="axes",
        )
    return letters


def _chosen(outer: str, shape: tuple[int, ...], planes: Choice) -> tuple[tuple[int, ...], ...]:
    _known_axes(planes, outer, "planes")
    lengths = zip(outer, shape, strict=False)
    return tuple(_indices(axis, n, planes.get(axis, slice(None))) for axis, n in lengths)


def _known_axes(places: Mapping[str, Any], outer: str, field: str) -> None:
    if not isinstance(places, Mapping):
        raise ConfigError(
            f"{field} must be indices by axis, such as {{'T': 0}}, got {places!r:.100}", field=field
        )
    for axis in places:
        if axis not in tuple(outer):
            known = ", ".join(outer) or "no axes beside rows and columns"
            raise ConfigError(
                f"{field} must name axes of the stack ({known}), got {axis!r:.100}", field=field
            )


def _indices(axis: str, length: int, asked: Any) -> tuple[int, ...]:
    """Return the indices along an axis of `length` that were asked for."""
    indices: tuple[int, ...] = ()
    with suppress(IndexError, TypeError, ValueError):
        where = asked if isinstance(asked, slice) else np.atleast_1d(asked)
        indices = tuple(np.ravel(np.arange(length)[where]).tolist())
    if not indices or len(set(indices)) < len(indices):
        raise ConfigError(
            f"planes must be different indices of 0 to {length - 1} along {axis}, "
            f"got {asked!r:.100}",
            field="planes",
        )
    return indices


def _listed(indices: ArrayLike) -> str:
    texts = [str(each) for each in np.asarray(indices)]
    return ", ".join(texts if len(texts) < 9 else [*texts[:6], "...", texts[-1]])
