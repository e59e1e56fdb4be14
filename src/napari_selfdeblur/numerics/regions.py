"""Which part of a frame the kernel is estimated from: strong edges in all directions, none clipped.

An edge shows the blur across it and not along it, so a region needs edges in all directions. A few
strong ones show it better than a dense texture of the same energy, which many kernels explain.
Where the frame is clipped it is not blurred by the kernel alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.tiles import Window, whole

__all__ = ["Structure", "check_region", "costly_side", "region_shape", "with_region"]

_WHOLE = 2**20  # pixels: a larger frame has a region
_SIDE = 512  # pixels: the least side of a region
_WHOLE_NETWORKS, _SIDE_NETWORKS = 640 * 640, 256  # where networks run, a hundred times as long
_KERNELS = 8  # sides of the kernel that a region has at least
_CELL = 32  # pixels: the side of the squares that are counted in
_BLOCK = 16 * _CELL  # read at a time, both ways
_SMOOTHING = 1.5  # pixels: width of the Gaussian before the gradient
_DIRECTIONS = 4
_CLEAR = 4.0  # standard deviations of the noise's gradient that an edge's must exceed
_LEAST_NOISE = 0.002
_CLIPPED_POWER = 20
_TINY = 1e-12
_STEP = 0.25  # of a region's side, between the regions compared
_COMPARABLE = 0.1  # of the best region's score that another must have to be asked too
_SOME = 0.01  # of the best region's score, below which a cell of a grid shows no kernel


def costly_side(kernel_size: tuple[int, int]) -> int:
    """Return the side of a region whose pixels take much time or memory each.

    That of networks: 256 pixels, or eight kernel sides.
    """
    return max(_SIDE_NETWORKS, _KERNELS * max(kernel_size))


def region_shape(config: SelfDeblurConfig, shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the region that a run on a frame of `shape` estimates from.

    That of the settings; with "auto" the whole of a small frame, else a square of at least 512
    pixels (256 with networks) and eight kernel sides. All of it where there is no restoration to
    make the rest.
    """
    if config.region == "whole" or config.restoration is None:
        return shape
    if not isinstance(config.region, str):
        (top, bottom), (left, right) = config.region
        return bottom - top, right - left
    limit, side = (_WHOLE_NETWORKS, _SIDE_NETWORKS) if config.networks else (_WHOLE, _SIDE)
    if not isinstance(config.kernel_size, str):
        side = max(side, _KERNELS * max(config.kernel_size))
    return shape if math.prod(shape) <= limit else (min(shape[0], side), min(shape[1], side))


def with_region(config: SelfDeblurConfig, shape: tuple[int, int]) -> SelfDeblurConfig:
    """Return settings with a region of the right size in place of "auto"."""
    sides = region_shape(config, shape)
    return config.replace(region="whole" if sides == shape else tuple((0, n) for n in sides))


def check_region(
    config: SelfDeblurConfig, shape: tuple[int, int], kernel_size: tuple[int, int]
) -> None:
    """Raise `ConfigError` for a region that an image of `shape` does not have."""
    if isinstance(config.region, str):
        return
    (top, bottom), (left, right) = config.region
    if bottom > shape[0] or right > shape[1]:
        text = config.kind("region").text(config.region)
        raise ConfigError(
            f"region {text} is not one of an image of {shape[0]} rows and {shape[1]} columns; "
            "choose one inside, or auto",
            field="region",
        )
    if bottom - top < kernel_size[0] or right - left < kernel_size[1]:
        raise ConfigError(
            f"region must be larger than the kernel of {kernel_size[0]} x {kernel_size[1]}, got "
            f"{bottom - top} x {right - left} pixels; choose a larger one, several kernels wide",
            field="region",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What there is to see in each square of 32 x 32 pixels of a frame.

    Attributes
    ----------
    shape : (int, int)
        The frame's.
    edges : ndarray of float64, (directions, rows, columns)
        Sum of the squared gradient g^2 of the pixels that stand out of the noise.
    gradients, counts : ndarray of float64, (rows, columns)
        Sum of |g| of these pixels, and how many they are.
    clipped : ndarray of float64, (rows, columns)
        Share of clipped pixels; 1 where any have no data.
    inside : Window
        Where regions lie.
    """

    shape: tuple[int, int]
    edges: NDArray[np.float64]
    gradients: NDArray[np.float64]
    counts: NDArray[np.float64]
    clipped: NDArray[np.float64]
    inside: Window

    @classmethod
    def of(
        cls,
        read: Callable[[Window], NDArray[np.float32]],
        shape: tuple[int, int],
        sigma: float,
        level: float | None,
        *,
        gaps: Callable[[Window], NDArray[np.bool_]] | None = None,
        inside: Window | None = None,
    ) -> Structure:
        """Return the structure of a frame in [0, 1] that `read` returns windows of.

        `sigma` is its noise and `level` where it is clipped above, None if it is not. `gaps`
        returns where a window has no data; regions are to lie `inside` a window.
        """
        found = np.zeros((_DIRECTIONS + 3, *(math.ceil(n / _CELL) for n in shape)))
        noise = max(sigma, _LEAST_NOISE) / (math.sqrt(8 * math.pi) * _SMOOTHING**2)
        for top, left in product(*(range(0, n, _BLOCK) for n in shape)):
            window = _window((top, left), (_BLOCK, _BLOCK), shape)
            y = read(window)
            cells = _cells(window)
            found[:-1, *cells] = _edges(y, _CLEAR * noise)
            if level is not None:
                found[-1, *cells] = _summed((y >= level).astype(np.float64)) / _CELL**2
            if gaps is not None:
                found[-1, *cells][_summed(gaps(window).astype(np.float64)) > 0] = 1
        edges, (gradients, counts, clipped) = found[:_DIRECTIONS], found[_DIRECTIONS:]
        return cls(shape, edges, gradients, counts, clipped, inside or whole(shape))

    def best(self, sides: tuple[int, int]) -> Window:
        """Return the best region of these sides, of all that lie a quarter of a side apart."""
        return self.others(sides, [], 1)[0]

    def within(self, cell: Window, sides: tuple[int, int]) -> Window:
        """Return the best region of these sides inside a window, which may be smaller."""
        starts = []
        for span, side in zip(cell, sides, strict=True):
            last = max(span.stop - side, span.start)
            starts.append([*range(span.start, last, max(round(side * _STEP), 1)), last])
        windows = []
        for top, left in product(*starts):
            rows = slice(top, min(top + sides[0], cell[0].stop))
            windows.append((rows, slice(left, min(left + sides[1], cell[1].stop))))
        return max(windows, key=self.score)

    def others(self, sides: tuple[int, int], taken: list[Window], count: int) -> list[Window]:
        """Return the best regions apart from those `taken`, at most `count`, the best first.

        Only those that have at least a tenth of the score of the best of all.
        """
        starts = []
        for span, side in zip(self.inside, sides, strict=True):
            step = max(round(side * _STEP / _CELL), 1) * _CELL
            starts.append([*range(span.start, span.stop - side, step), span.stop - side])
        windows = [_window(corner, sides, self.shape) for corner in product(*starts)]
        scores = np.array([self.score(window) for window in windows])
        found: list[Window] = []
        for index in np.argsort(-scores, kind="stable"):
            apart = all(_apart(windows[index], other) for other in [*taken, *found])
            if apart and scores[index] >= _COMPARABLE * scores.max() and len(found) < count:
                found.append(windows[index])
        return found

    def shown(self, windows: Sequence[Window]) -> list[bool]:
        """Return which of some windows have enough structure, beside the best, for a kernel."""
        scores = [self.score(window) for window in windows]
        return [score >= _SOME * max(scores) and score > _TINY for score in scores]

    def score(self, window: Window) -> float:
        """Return how good a region is: E C^2 by the squares in it.

        E is the geometric mean over directions of the sums of g^2, C = n sum(g^2) / sum(|g|)^2
        of the n pixels that stand out of the noise: 1 where all are alike. Squares with clipped
        pixels count less, by (1 - their share)^20.
        """
        cells = _cells(window)
        clear = (1 - self.clipped[cells].clip(0, 1)) ** _CLIPPED_POWER
        energy = (self.edges[:, *cells] * clear).sum(axis=(1, 2))
        count, total = (
            float((each[cells] * clear).sum()) for each in (self.counts, self.gradients)
        )
        concentration = count * energy.sum() / max(total, _TINY) ** 2
        return float(np.exp(np.log(energy + _TINY).mean()) * concentration**2)


def _edges(y: NDArray[np.float32], least: float) -> NDArray[np.float64]:
    """Return sums over each square: of g^2 in each direction, |g| and 1, where g stands out."""
    g = np.stack(np.gradient(np.pad(gaussian_filter(y, _SMOOTHING), 1, "edge"))).astype(np.float64)
    g = g[:, 1:-1, 1:-1]
    size = np.hypot(*g)
    size[size < least] = 0
    direction = np.rint(np.arctan2(g[0], g[1]) / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    energies = [_summed(size**2 * (direction == each)) for each in range(_DIRECTIONS)]
    return np.stack([*energies, _summed(size), _summed((size > 0).astype(np.float64))])


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over each square."""
    for axis in (0, 1):
        values = np.add.reduceat(values, range(0, values.shape[axis], _CELL), axis=axis)
    return values


def _window(corner: tuple[int, ...], sides: tuple[int, int], shape: tuple[int, int]) -> Window:
    """Return the window of `sides` from `corner`, cut off where a frame of `shape` ends."""
    rows, columns = (
        slice(start, min(start + side, n))
        for start, side, n in zip(corner, sides, shape, strict=True)
    )
    return rows, columns


def _cells(window: Window) -> Window:
    """Return the squares that a window has pixels of."""
    rows, columns = (slice(each.start // _CELL, math.ceil(each.stop / _CELL)) for each in window)
    return rows, columns


def _apart(one: Window, other: Window) -> bool:
    """Return whether two windows have no pixel in common."""
    return any(a.stop <= b.start or b.stop <= a.start for a, b in zip(one, other, strict=True))
