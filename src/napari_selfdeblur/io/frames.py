"""An image of any size, read window by window: its range to [0, 1] and back, and its colours."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io import images
from napari_selfdeblur.io.arrays import (
    MOST_STEPS,
    Grid,
    as_source,
    check_finite,
    check_size,
    is_colour,
)
from napari_selfdeblur.io.images import LUMA, Range, Scale
from napari_selfdeblur.io.repaired import Defects, Repaired, read
from napari_selfdeblur.numerics.gaps import Gaps, filled, find_gaps
from napari_selfdeblur.numerics.tiles import Part, Window, whole

__all__ = ["Frame", "blocks"]

_BLOCK = 2**20  # pixels read at a time
_SAMPLE = 3 * 2**20  # values of a larger image that its median is taken of


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A blurred image: windows of it in the form that is computed on, and the way back.

    Attributes
    ----------
    source : array of any kind
        What ``[rows, columns]`` reads a window of, without `defects`. A small image is a copy.
    colour : bool
        Whether the last axis is colour.
    value_range : (float, float)
        The image's values that become 0 and 1; see `images.ranges`.
    limits : (float, float)
        Values to which a restored image is clipped: the natural range where the image has one,
        otherwise from the lower end of the value range up to what an integer type can hold.
    grid : Grid or None
        What the values scaled to [0, 1] are multiples of, where they were a camera's counts.
    description : dict
        As `images.describe` has it, and the numbers of ``defects``, pixels that were replaced, and
        of ``gaps``, pixels without data.
    weights : tuple of float
        Share of R, G and B of a colour image in its `plane`; they sum to 1.
    gaps : Gaps or None
        Where it has no data, if anywhere.
    """

    source: Any
    colour: bool
    value_range: Range
    limits: Range
    grid: Grid | None
    description: dict[str, Any]
    weights: tuple[float, ...] = tuple(LUMA.tolist())
    gaps: Gaps | None = None

    @classmethod
    def of(
        cls,
        image: ArrayLike,
        kernel_size: tuple[int, int],
        *,
        rgb: bool | None = None,
        check: Callable[[tuple[int, int]], object] | None = None,
        scale: Scale | None = None,
        channels: bool = False,
    ) -> Frame:
        """Check an image, reading all of it once, block by block.

        Parameters
        ----------
        image : array_like, (H, W), (H, W, 3) or (H, W, 4)
            Any integer or floating-point type; also what is read only when sliced, such as a
            memory-mapped, dask or zarr array. It is never modified.
        kernel_size : (int, int)
            Support of the kernel in pixels; the image must be at least as large.
        rgb : bool or None
            Whether the last axis is colour; None takes three axes, the last of 3 or 4, as colour.
        check : callable, optional
            Called with rows and columns before any pixel is read.
        scale : Scale, optional
            The `images.ranges` of a stack that the image is a plane of; by default its own.
        channels : bool
            Whether each channel of a colour image is used; otherwise its luma alone.

        Raises
        ------
        ImageError
            If the image is masked, not real numbers, not one plane, empty, smaller than the
            kernel, not finite, beyond float32's range or constant, or cannot be read.
        """
        source = as_source(image)
        shape = tuple(int(n) for n in source.shape)
        colour = is_colour(shape, rgb)
        rows, columns = shape[:2]
        check_size((rows, columns), kernel_size)
        if check is not None:
            check((rows, columns))
        if rows * columns <= _BLOCK:
            source = read(source, whole((rows, columns))).copy()
        found, bad, empty = _Statistics(source.dtype), list[Defects](), list[NDArray[np.bool_]]()
        for window in blocks((rows, columns)):
            pixels = read(source, window)
            found.describe(pixels)
            if found.nans or found.infinities:
                continue
            here = Defects.of(pixels, colour=colour)
            empty.append(find_gaps(_planes(pixels, colour)))
            found.add(here.repaired(pixels)[~empty[-1]], colour=colour)
            bad.append(here.moved(window[0].start, 0))
        check_finite(found.nans, found.infinities, math.prod(shape))
        own = scale or images.ranges(source.dtype, found.planes, found.median)
        value_range, limits, natural = own
        used = [found.luma, *(found.channels if channels and colour else ())]
        images.check_contrast(max(used, key=lambda pair: pair[1] - pair[0]), value_range)
        low, high = value_range
        levels = None if natural else found.levels
        grid = None if levels is None else Grid.of(np.unique((levels - low) / (high - low)))
        digest = found.digest.hexdigest()
        description = images.description(shape, source.dtype, found.extremes, digest)
        repairs = reduce(Defects.__add__, bad)
        description["defects"] = repairs.values.size
        if repairs.values.size:
            source = Repaired(source, repairs)
        gaps = Gaps.of(empty)
        description["gaps"] = 0 if gaps is None else gaps.count
        return cls(source, colour, value_range, limits, grid, description, gaps=gaps)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.description["shape"][:2]
        return rows, columns

    @property
    def clear(self) -> Part:
        """The largest rectangle without gaps, where it holds half of the data; or all."""
        return Part(self.plane, whole(self.shape) if self.gaps is None else self.gaps.clear)

    @property
    def y(self) -> NDArray[np.float32]:
        """All of the image, as `plane` returns it, read block by block."""
        y = np.empty(self.shape, np.float32)
        for window in self.blocks:
            y[window] = self.plane(window)
        return y

    @property
    def channels(self) -> tuple[Frame, Frame, Frame]:
        """R, G and B of a colour image, each as the plane of a frame."""
        red, green, blue = (replace(self, weights=tuple(row)) for row in np.eye(3).tolist())
        return red, green, blue

    @property
    def plane_name(self) -> str:
        """What `plane` is of a colour image."""
        shares = zip(("red", "green", "blue"), self.weights, strict=True)
        return next((name for name, share in shares if share == 1), "luma")

    @property
    def bounds(self) -> tuple[float, float]:
        """`limits` in the units of `y`."""
        low, high = self.value_range
        return (self.limits[0] - low) / (high - low), (self.limits[1] - low) / (high - low)

    @property
    def blocks(self) -> list[Window]:
        """Windows of some rows each, of at most a million pixels, that together are the image."""
        return list(blocks(self.shape))

    def plane(self, window: Window) -> NDArray[np.float32]:
        """Return a window of the grey image, or of a colour one by its `weights`: the luma.

        In [0, 1], C-contiguous, its own memory. Gaps have the values of the nearest pixels.
        """
        pixels = read(self.source, window)
        low, high = self.value_range
        scaled = (_planes(pixels, self.colour).astype(np.float64) - low) / (high - low)
        if self.grid is not None:
            scaled = self.grid.exact(scaled)
        y = scaled @ np.array(self.weights) if self.colour else scaled
        plane: NDArray[np.float32] = np.clip(y, 0, 1).astype(np.float32, order="C")
        return plane if self.gaps is None else filled(plane, self.gaps.within(window))

    def restore_range(self, x: ArrayLike, window: Window | None = None) -> NDArray[np.float32]:
        """Return `x` as an image of the source's shape and value range.

        Parameters
        ----------
        x : array_like of float, (H, W) or (H, W, 3)
            Grey or luma image in the units of `y`, or R, G and B.
        window : Window, optional
            Where `x` lies; all of the image by default.

        Returns
        -------
        ndarray of float32, (H, W), (H, W, 3) or (H, W, 4)
            Clipped to `limits`. A colour image gets its own alpha back, and of a luma the blurred
            chroma: with Cb and Cr kept, YCbCr adds the change of luma to each of R, G and B. Gaps
            keep the source's values.

        Raises
        ------
        ImageError
            If `x` has not the shape of `y`.
        """
        planes, (rows, columns) = np.asarray(x), window or whole(self.shape)
        shape = rows.stop - rows.start, columns.stop - columns.start
        if planes.shape != shape and not (self.colour and planes.shape == (*shape, 3)):
            raise ImageError(
                f"the image to put back has shape {planes.shape}, its source {shape}; crop it "
                "to the source's size"
            )
        restored = np.empty((*shape, *self.description["shape"][2:]), np.float32)
        for part, _ in blocks(shape):
            place = slice(rows.start + part.start, rows.start + part.stop), columns
            restored[part] = self._put_back(planes[part], place)
        return restored

    def _put_back(self, planes: NDArray[Any], window: Window) -> NDArray[np.float32]:
        low, high = self.value_range
        values = low + planes.astype(np.float64) * (high - low)
        if not self.colour:
            grey = np.clip(values, *self.limits).astype(np.float32)
            return self._kept(grey, window)
        pixels = read(self.source, window)
        if values.ndim == 2:
            blurred = _planes(pixels, colour=True).astype(np.float64)
            chroma = (blurred - (blurred @ np.array(self.weights))[..., None]).astype(np.float32)
            values = values[..., None] + chroma
        coloured = self._kept(np.clip(values, *self.limits).astype(np.float32), window)
        return np.concatenate([coloured, pixels[..., 3:].astype(np.float32)], axis=-1)

    def _kept(self, values: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
        """Return a window of the result with the source's values where there are gaps."""
        if self.gaps is not None:
            empty = self.gaps.within(window)
            values[empty] = _planes(read(self.source, window), self.colour)[empty]
        return values


def blocks(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield windows of some rows each, of at most a million pixels, that together are all."""
    rows, columns = shape
    step = max(_BLOCK // columns, 1)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows)), slice(0, columns)


def _planes(pixels: NDArray[Any], colour: bool) -> NDArray[Any]:
    return pixels[..., :3] if colour else pixels


@dataclass(slots=True)
class _Statistics:
    """What is known of an image's values when all blocks of rows were added, in their order."""

    dtype: np.dtype[Any]
    extremes: tuple[Any, Any] = (math.inf, -math.inf)
    planes: Range = (math.inf, -math.inf)  # extremes without alpha
    luma: Range = (math.inf, -math.inf)
    channels: list[Range] = field(default_factory=lambda: [(math.inf, -math.inf)] * 3)
    nans: int = 0
    infinities: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    levels: NDArray[np.float64] | None = field(default_factory=lambda: np.empty(0))
    sample: list[NDArray[np.float64]] = field(default_factory=list)
    every: int = 1  # of the values one is in the sample

    def describe(self, pixels: NDArray[Any]) -> None:
        """Add the next rows as they are."""
        self.digest.update(images.little_endian(pixels))
        self.nans += int(np.count_nonzero(np.isnan(pixels)))
        self.infinities += int(np.count_nonzero(np.isinf(pixels)))
        if not self.nans and not self.infinities:
            self.extremes = _wider(self.extremes, pixels)

    def add(self, pixels: NDArray[Any], *, colour: bool) -> None:
        """Add the next rows, finite and without defects."""
        values = _planes(pixels, colour).astype(np.float64)
        luma = values @ LUMA if colour else values
        self.planes, self.luma = _wider(self.planes, values), _wider(self.luma, luma)
        if colour:
            self.channels = [_wider(c, values[..., i]) for i, c in enumerate(self.channels)]
        self.sample.append(values.ravel()[:: self.every])
        if sum(each.size for each in self.sample) > _SAMPLE:
            self.sample = [each[::2].copy() for each in self.sample]
            self.every *= 2
        if self.dtype.kind == "f":
            self._add_levels(values)

    def median(self) -> float:
        """Return the median, of a large image that of a part of its values."""
        return float(np.median(np.concatenate(self.sample)))

    def _add_levels(self, values: NDArray[np.float64]) -> None:
        if self.levels is None or np.unique(values.ravel()[: 2 * MOST_STEPS]).size > MOST_STEPS:
            self.levels = None
            return
        self.levels = np.unique(np.concatenate([self.levels, values.ravel()]))
        if self.levels.size > MOST_STEPS:
            self.levels = None


def _wider(extremes: tuple[Any, Any], values: NDArray[Any]) -> tuple[Any, Any]:
    return min(extremes[0], values.min()), max(extremes[1], values.max())
