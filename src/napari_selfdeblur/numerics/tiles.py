"""A frame in overlapping tiles: where each one lies, and its share in the result.

What is restored at a pixel depends on blurred pixels far around it. A tile is therefore larger
than its share by a margin of six kernel sides; the shares of neighbours fade into each other
over the middle half of the overlap, and sum to 1. Where the kernel varies over the frame each tile
has its own, so tiles are smaller, and so is the margin: by three sides less the kernels differ more
than what the margin brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

__all__ = ["Part", "Tile", "Window", "tile_shape", "tiled_pixels", "tiles", "whole"]

Window = tuple[slice, slice]
"""Rows and columns of a frame; both ends are given."""

_CORE = 1024  # pixels: the least side of a tile without its margins
_MARGIN = 6  # sides of the kernel: see docs/decisions/0018
_MARGIN_VARYING = 3  # the same where each tile has its own kernel: docs/decisions/0020


class Tile(NamedTuple):
    """One part of a frame.

    Attributes
    ----------
    window : Window
        Where it lies.
    share : ndarray of float32, (rows, columns)
        In [0, 1]: how much of each pixel of the result comes from this tile.
    centre : (float, float)
        Row and column of the middle of what is mostly its own.
    """

    window: Window
    share: NDArray[np.float32]
    centre: tuple[float, float]


class Part(NamedTuple):
    """A window of a frame, read by windows counted from its own corner."""

    frame: Callable[[Window], NDArray[np.float32]]
    window: Window

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = (each.stop - each.start for each in self.window)
        return rows, columns

    def read(self, window: Window) -> NDArray[np.float32]:
        """Return a window of it."""
        rows, columns = (
            slice(origin.start + each.start, origin.start + each.stop)
            for origin, each in zip(self.window, window, strict=True)
        )
        return self.frame((rows, columns))


class _Span(NamedTuple):
    """A tile along one axis."""

    start: int
    stop: int
    share: NDArray[np.float32]
    centre: float


def tiles(
    shape: tuple[int, int], kernel_size: tuple[int, int], grid: tuple[int, int] = (1, 1)
) -> Iterator[Tile]:
    """Yield the tiles of a frame of `shape`, row by row; a small one is a single tile.

    The larger the kernel the larger they are; with the part of x that they depend on, their sides
    transform fast. With a `grid` of kernels, rows and columns, they are half a cell wide without
    their margins, or three sides of the kernel where that is more.
    """
    for row, column in product(*_axes(shape, kernel_size, grid)):
        windows = slice(row.start, row.stop), slice(column.start, column.stop)
        yield Tile(windows, np.outer(row.share, column.share), (row.centre, column.centre))


def tile_shape(
    shape: tuple[int, int], kernel_size: tuple[int, int], grid: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """Return rows and columns of the largest tile of a frame of `shape`."""
    rows, columns = (
        max(span.stop - span.start for span in axis) for axis in _axes(shape, kernel_size, grid)
    )
    return rows, columns


def tiled_pixels(
    shape: tuple[int, int], kernel_size: tuple[int, int], grid: tuple[int, int] = (1, 1)
) -> int:
    """Return the pixels of all tiles together, of the part of x that they depend on."""
    rows, columns = (
        sum(span.stop - span.start + side - 1 for span in axis)
        for axis, side in zip(_axes(shape, kernel_size, grid), kernel_size, strict=True)
    )
    return rows * columns


def whole(shape: tuple[int, int]) -> Window:
    """Return the window that is the whole frame."""
    return slice(0, shape[0]), slice(0, shape[1])


def _axes(
    shape: tuple[int, int], kernel_size: tuple[int, int], grid: tuple[int, int]
) -> tuple[list[_Span], list[_Span]]:
    """Return the tiles along rows and columns."""
    rows, columns = (
        _spans(n, side, _MARGIN * side, _count(n, side))
        if grid == (1, 1)
        else _spans(n, side, _MARGIN_VARYING * side, _count_varying(n, side, cells))
        for n, side, cells in zip(shape, kernel_size, grid, strict=True)
    )
    return rows, columns


def _count(n: int, side: int) -> int:
    """Return how many tiles there are along an axis of `n` pixels."""
    return max(round(n / max(_CORE, 2 * _MARGIN * side)), 1)


def _count_varying(n: int, side: int, cells: int) -> int:
    """Return the same with `cells` kernels along the axis."""
    core = min(n / (2 * cells), _CORE) if cells > 1 else _CORE
    # Neighbours fade over a margin in all, so a tile is no narrower.
    return max(int(n / max(core, _MARGIN_VARYING * side)), 1)


def _spans(n: int, side: int, margin: int, count: int) -> list[_Span]:
    """Return `count` tiles along an axis of `n` pixels."""
    cuts = [round(i * n / count) for i in range(count + 1)]
    spans = []
    for first, last in pairwise(cuts):
        start, stop = max(first - margin, 0), min(last + margin, n)
        # Up to a side that transforms fast it costs nothing to read more.
        longest = next_fast_len(stop - start + side - 1, real=True) - side + 1
        start = max(stop - longest, 0) if stop == n else start
        stop = min(start + longest, n)
        place = np.arange(start, stop) + 0.5
        share = np.ones(stop - start)
        if first > 0:
            share *= _rising(place, first, margin / 2)
        if last < n:
            share *= 1 - _rising(place, last, margin / 2)
        spans.append(_Span(start, stop, share.astype(np.float32), (first + last) / 2))
    return spans


def _rising(place: NDArray[np.float64], cut: int, reach: float) -> NDArray[np.float64]:
    """Return half a period of a cosine, from 0 at `cut` - `reach` to 1 at `cut` + `reach`."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip((place - cut) / reach + 1, 0, 2) / 2))
