"""A frame in overlapping tiles: where each one lies, and its share in the result.

What is restored at a pixel depends on blurred pixels far around it. A tile is therefore larger
than its share by a margin of six kernel sides; the shares of neighbours fade into each other
over the middle half of the overlap, and sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

__all__ = ["Tile", "Window", "tile_shape", "tiled_pixels", "tiles", "whole"]

Window = tuple[slice, slice]
"""Rows and columns of a frame; both ends are given."""

_CORE = 1024  # pixels: the least side of a tile without its margins
_MARGIN = 6  # sides of the kernel: see docs/decisions/0018


class Tile(NamedTuple):
    """One part of a frame.

    Attributes
    ----------
    window : Window
        Where it lies.
    share : ndarray of float32, (rows, columns)
        In [0, 1]: how much of each pixel of the result comes from this tile.
    """

    window: Window
    share: NDArray[np.float32]


def tiles(shape: tuple[int, int], kernel_size: tuple[int, int]) -> Iterator[Tile]:
    """Yield the tiles of a frame of `shape`, row by row; a small one is a single tile.

    The larger the kernel the larger they are; with the part of x that they depend on, their sides
    transform fast.
    """
    for row, column in product(*map(_spans, shape, kernel_size)):
        windows = slice(row[0], row[1]), slice(column[0], column[1])
        yield Tile(windows, np.outer(row[2], column[2]))


def tile_shape(shape: tuple[int, int], kernel_size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the largest tile of a frame of `shape`."""
    rows, columns = (
        max(stop - start for start, stop, _ in _spans(n, side))
        for n, side in zip(shape, kernel_size, strict=True)
    )
    return rows, columns


def tiled_pixels(shape: tuple[int, int], kernel_size: tuple[int, int]) -> int:
    """Return the pixels of all tiles together, of the part of x that they depend on."""
    rows, columns = (
        sum(stop - start + side - 1 for start, stop, _ in _spans(n, side))
        for n, side in zip(shape, kernel_size, strict=True)
    )
    return rows * columns


def whole(shape: tuple[int, int]) -> Window:
    """Return the window that is the whole frame."""
    return slice(0, shape[0]), slice(0, shape[1])


def _spans(n: int, side: int) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Return start, stop and shares of each tile along an axis of `n` pixels."""
    margin = _MARGIN * side
    count = max(round(n / max(_CORE, 2 * margin)), 1)
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
        spans.append((start, stop, share.astype(np.float32)))
    return spans


def _rising(place: NDArray[np.float64], cut: int, reach: float) -> NDArray[np.float64]:
    """Return half a period of a cosine, from 0 at `cut` - `reach` to 1 at `cut` + `reach`."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip((place - cut) / reach + 1, 0, 2) / 2))
