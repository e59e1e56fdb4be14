"""The planes of a file as an array of which one at a time is read."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import ConfigError, DeblurWarning
from napari_selfdeblur.io.files import is_tiff, read_kernel
from napari_selfdeblur.io.layout import Layout, Plane
from napari_selfdeblur.io.sources import Source, open_parts
from napari_selfdeblur.io.zarr_source import is_zarr

__all__ = ["FileStack", "open_stack", "read_kernels"]

Region = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class FileStack:
    """An image of several planes in a file.

    Attributes
    ----------
    source : Source
        The file.
    layout : Layout
        Axes, shape, data type and scale, of the region where there is one.
    region : (slice, slice)
        Rows and columns of each plane that are read.
    """

    source: Source
    layout: Layout
    region: Region = field(default=(slice(None), slice(None)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type."""
        return np.dtype(self.layout.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    def __getitem__(self, plane: Plane) -> NDArray[Any]:
        return self.source.read(plane)[self.region]

    def cropped(self, region: Region) -> FileStack:
        """Return this stack of these rows and columns alone."""
        at = len(self.layout.leading)
        sides = tuple(
            len(range(*part.indices(n))) for part, n in zip(region, self.shape[at:], strict=False)
        )
        shape = (*self.shape[:at], *sides, *self.shape[at + 2 :])
        return replace(self, layout=replace(self.layout, shape=shape), region=region)


def open_stack(path: str | os.PathLike[str], axes: str | None = None) -> FileStack | None:
    """Return the planes of a file, None where it is no image of several: `read_image` reads that.

    Parameters
    ----------
    path : path-like
        TIFF, also OME-TIFF and ImageJ's hyperstacks; an OME-Zarr folder.
    axes : str, optional
        Letters for its axes instead of the file's own.

    Raises
    ------
    ConfigError
        If `axes` does not fit.
    ImageError
        If the file cannot be read.
    """
    place = Path(path)
    if not (is_zarr(place) or (place.is_file() and is_tiff(place))):
        return None
    with warnings.catch_warnings(action="ignore", category=DeblurWarning):  # reading says it
        parts = open_parts(place)
    source = parts[0]
    if len(parts) > 1 or source.single or not source.layout.leading:
        return None
    layout = source.layout
    if axes is not None:
        if len(axes) != len(layout.axes) or axes.upper().endswith("S") != layout.rgb:
            raise ConfigError(
                f"axes must be {len(layout.axes)} letters for {Path(path).name} of shape "
                f"{layout.shape}, which says {layout.axes}, got {axes!r}",
                field="axes",
            )
        layout = replace(layout, axes=axes.upper())
    return FileStack(source, layout)


def read_kernels(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the kernels in a file: as its planes are, or one (kh, kw) as `read_kernel` gives it.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    stack = open_stack(path)
    if stack is None:
        return read_kernel(path)
    planes = np.stack([stack[plane] for plane in stack.layout.planes])
    return planes.reshape(stack.shape)
