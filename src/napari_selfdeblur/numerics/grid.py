"""A grid of kernels over a frame, for a blur that varies slowly: regions, interpolation, support.

Each cell of the grid has a region that its kernel is estimated from. Between the regions' centres
the kernels are interpolated linearly along both axes (Nagy and O'Leary, "Restoring images degraded
by spatially variant blur", SIAM J. Sci. Comput. 1998), so neighbours must lie alike on the pixels:
every kernel is registered to the frame's. And since neighbours are alike and err apart, a kernel
takes a part of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.registration import correlations, padded, shift_between
from napari_selfdeblur.numerics.tiles import Window

__all__ = [
    "KernelGrid",
    "cell_sides",
    "centres_of",
    "check_grid",
    "grid_of",
    "longest_side",
    "mosaic",
    "regions_of",
    "registered",
]

_CELL = 6  # sides of the kernel that a cell of the grid has at least
_REGION = 8  # the same of the region that its kernel is estimated from, which reaches over it
_LONGEST = 512  # pixels: of a larger cell the part of this side with the clearest edges
_KEPT_MASS = 0.999  # of every kernel, in the common support
_FROM_NEIGHBOURS = 0.2  # of a cell's kernel: see docs/decisions/0020

Kernels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class KernelGrid:
    """Kernels of the cells of a grid, on one support, and where in the frame they hold.

    Attributes
    ----------
    kernels : ndarray of float32, (rows, columns, kh, kw)
        PSFs, each summing to 1, registered to one another.
    centres : (ndarray of float64, ndarray of float64)
        Where the rows of kernels lie along the rows of the frame, and the columns, in pixels from
        its border; rising.
    """

    kernels: Kernels
    centres: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of kernels."""
        return self.kernels.shape[0], self.kernels.shape[1]

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Rows and columns of each kernel."""
        return self.kernels.shape[2], self.kernels.shape[3]

    def at(self, place: tuple[float, float]) -> Kernels:
        """Return the kernel (kh, kw) at a row and column; beyond the outermost centres theirs."""
        k = self.kernels
        for where, centres in zip(place, self.centres, strict=True):
            # the axis of this step is the first one: the one before is gone
            position = float(np.interp(where, centres, np.arange(centres.size)))
            first = min(int(position), centres.size - 1)
            share = np.float32(position - first)
            k = k[first] if share == 0 else (1 - share) * k[first] + share * k[first + 1]
        return np.asarray(k, dtype=np.float32)


def check_grid(grid: tuple[int, int], shape: tuple[int, int], kernel_size: tuple[int, int]) -> None:
    """Raise `ConfigError` for a grid whose cells are too small for kernels of this size."""
    if grid == (1, 1):
        return
    side = max(kernel_size)
    most = [max(n // (_CELL * side), 1) for n in shape]
    if all(count <= limit for count, limit in zip(grid, most, strict=True)):
        return
    largest = f"at most {most[0]} x {most[1]}" if max(most) > 1 else "no grid"
    raise ConfigError(
        f"kernel_grid of {grid[0]} x {grid[1]} is too fine: a cell needs {_CELL * side} pixels, "
        f"six sides of the kernel of {side}, and the image has {shape[0]} x {shape[1]}; choose "
        f"{largest}",
        field="kernel_grid",
    )


def regions_of(
    grid: tuple[int, int], shape: tuple[int, int], kernel_size: tuple[int, int]
) -> list[Window]:
    """Return the regions of a grid's cells, row by row: the cells, or larger where those are small.

    They are at least eight sides of the kernel wide, and lie inside the frame: then those at its
    border are not centred on their cells.
    """
    least = _REGION * max(kernel_size)
    rows, columns = (
        [_span(n, count, index, least) for index in range(count)]
        for n, count in zip(shape, grid, strict=True)
    )
    return list(product(rows, columns))


def longest_side(kernel_size: tuple[int, int]) -> int:
    """Return the longest side of what a cell's kernel is estimated from, in pixels."""
    return max(_LONGEST, _REGION * max(kernel_size))


def cell_sides(
    grid: tuple[int, int], shape: tuple[int, int], kernel_size: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return rows and columns of what each cell's kernel is estimated from."""
    longest, regions = longest_side(kernel_size), regions_of(grid, shape, kernel_size)
    rows, columns = ([min(w[i].stop - w[i].start, longest) for w in regions] for i in (0, 1))
    return list(zip(rows, columns, strict=True))


def centres_of(
    grid: tuple[int, int], regions: Sequence[Window]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres of a grid's regions along rows and columns, in pixels."""
    firsts = regions[:: grid[1]], regions[: grid[1]]
    rows, columns = (
        np.array([(window[axis].start + window[axis].stop) / 2 for window in each])
        for axis, each in enumerate(firsts)
    )
    return rows, columns


def registered(frame: Kernels, kernels: Sequence[Kernels]) -> list[Kernels]:
    """Return kernels moved onto that of the frame, on the smallest support that holds all.

    Parameters
    ----------
    frame : ndarray of float32, (kh, kw)
        Odd sides, sum 1, centroid at the central pixel; it stays where it is.
    kernels : sequence of ndarray of float32, (kh, kw)
        Odd sides, positive sums; to be moved by fractions of a pixel.

    Returns
    -------
    list of ndarray of float32, (rows, columns)
        The frame's first; of odd sides, at least those of `frame`, each of sum 1.
    """
    fixed = padded(frame, 2 * max(max(k.shape) for k in [frame, *kernels]) + 1)
    target, moved = _in_photographs(fixed), [fixed]
    for kernel in kernels:
        k = padded(kernel, fixed.shape[0])
        # Cubic: linear interpolation would blur the kernel.
        k = ndimage.shift(k, shift_between(target, _in_photographs(k)), order=3).clip(0)
        moved.append(k / k.sum())
    middle, (a, b) = fixed.shape[0] // 2, (n // 2 for n in frame.shape)

    def part(k: NDArray[np.float64]) -> NDArray[np.float64]:
        return k[middle - a : middle + a + 1, middle - b : middle + b + 1]

    while min(part(k).sum() for k in moved) < _KEPT_MASS:
        a, b = min(a + 1, middle), min(b + 1, middle)
    return [np.asarray(part(k) / part(k).sum(), dtype=np.float32) for k in moved]


def grid_of(
    frame: Kernels,
    own: Sequence[Kernels | None],
    grid: tuple[int, int],
    centres: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[KernelGrid, list[float | None]]:
    """Return a grid of kernels made of those of its cells, and how far neighbours confirm each.

    Parameters
    ----------
    frame : ndarray of float32, (kh, kw)
        The frame's kernel, of odd sides, sum 1, centred.
    own : sequence of ndarray of float32 or None
        The kernel of each cell, row by row; None where nothing is known. Such a cell has the mean
        of the others, weighted by one over the squared distance in cells; the frame's if there
        are none.
    grid : (int, int)
        Rows and columns of cells.
    centres : (ndarray, ndarray)
        As `KernelGrid` has them.

    Returns
    -------
    kernels : KernelGrid
        Each cell's kernel with 20 % of the mean of its neighbours', up to four.
    confirmed : list of float or None
        Correlation of each cell's own kernel with what the others say in its place; None where
        it has none, or no other has.
    """
    known = [index for index, kernel in enumerate(own) if kernel is not None]
    fixed, *moved = registered(frame, [kernel for kernel in own if kernel is not None])
    places = np.array(list(product(range(grid[0]), range(grid[1]))), dtype=np.float64)
    table = dict(zip(known, moved, strict=True))
    confirmed: list[float | None] = []
    cells = []
    for index in range(len(own)):
        others = _from_others(index, table, places)
        predicted = fixed if others is None else others
        kernel = table.get(index, predicted)
        sure = index in table and others is not None
        confirmed.append(float(correlations([kernel, predicted])[0, 1]) if sure else None)
        cells.append(kernel)
    kernels = _smoothed(np.stack(cells).reshape(*grid, *fixed.shape))
    return KernelGrid(kernels, centres), confirmed


def _from_others(index: int, table: dict[int, Kernels], places: NDArray[Any]) -> Kernels | None:
    """Return what other cells say of the kernel in one place, None if there is no other."""
    others = [other for other in table if other != index]
    if not others:
        return None
    weights = 1 / ((places[others] - places[index]) ** 2).sum(axis=1)
    mean = np.tensordot(weights / weights.sum(), np.stack([table[o] for o in others]), axes=1)
    return np.asarray(mean, dtype=np.float32)


def _smoothed(kernels: Kernels) -> Kernels:
    """Return each kernel with a share of the mean of those beside, above and below it."""
    total = np.zeros_like(kernels)
    count = np.zeros((*kernels.shape[:2], 1, 1), np.float32)
    for axis in (0, 1):
        n = kernels.shape[axis]
        for here, there in ((slice(1, None), slice(n - 1)), (slice(n - 1), slice(1, None))):
            to, of = ((slice(None),) * axis + (each,) for each in (here, there))
            total[to] += kernels[of]
            count[to] += 1
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, (1 - _FROM_NEIGHBOURS) * kernels + _FROM_NEIGHBOURS * mean, kernels)


def _in_photographs(k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a kernel with the amplitudes that it has in a photograph, 1 / frequency.

    The shift between two such is the one at which photographs blurred by them differ least. The
    kernels' own correlation is flat where one is much wider than the other.
    """
    rows, columns = fftfreq(k.shape[0])[:, None], rfftfreq(k.shape[1])
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf  # the sum says nothing of the place
    return np.asarray(irfft2(rfft2(k) / frequency, s=k.shape))


def mosaic(kernels: Kernels, cell: tuple[int, int] | None = None) -> Kernels:
    """Return kernels (rows, columns, kh, kw) side by side, each in the middle of its cell.

    `cell` is the size of a cell in pixels, by default that of a kernel and a pixel around.
    """
    rows, columns, kh, kw = kernels.shape
    height, width = cell or (kh + 2, kw + 2)
    around = [(0, 0)] * 2 + [
        ((n - k) // 2, n - k - (n - k) // 2) for n, k in ((height, kh), (width, kw))
    ]
    laid: Kernels = np.pad(kernels, around).swapaxes(1, 2)
    return laid.reshape(rows * height, columns * width)


def _span(n: int, count: int, index: int, least: int) -> slice:
    """Return where the region of one of `count` cells lies along an axis of `n` pixels."""
    low, high = (round(i * n / count) for i in (index, index + 1))
    more = max(least - (high - low), 0)
    start = max(low - more // 2, 0)
    stop = min(start + high - low + more, n)
    return slice(max(stop - (high - low) - more, 0), stop)
