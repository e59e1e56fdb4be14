"""Images in files of any number of planes, of which one at a time is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from napari_selfdeblur.errors import DeblurError, ImageError
from napari_selfdeblur.io.files import admit, is_tiff, read_image
from napari_selfdeblur.io.formats import (
    GREY,
    as_seen,
    images_of,
    opened_tiff,
    orientation_of,
    upright,
)
from napari_selfdeblur.io.layout import Layout, Plane
from napari_selfdeblur.io.pixel_size import from_tiff, steps_of_tiff

__all__ = ["Source", "open_part", "open_parts", "reading"]


class Source(Protocol):
    """One image of a file or folder.

    Attributes
    ----------
    path : Path
        Where it is.
    part : str
        Which of several images there it is; empty where there is one.
    single : bool
        Whether it is one plane. Its layout is then known once it is read.
    """

    path: Path
    part: str
    single: bool

    @property
    def layout(self) -> Layout:
        """Its axes, size, data type and scale."""
        ...

    def read(self, plane: Plane) -> NDArray[Any]:
        """Return one plane (H, W), (H, W, 3) or (H, W, 4), upright; `ImageError` if it cannot."""
        ...


def open_parts(path: str | os.PathLike[str]) -> list[Source]:
    """Return the images of a file, or of an OME-Zarr folder, without reading their pixels.

    Raises
    ------
    ImageError
        If there is none, or one cannot be deblurred plane by plane.
    """
    place = Path(path)
    if place.is_dir():
        from napari_selfdeblur.io.zarr_source import open_zarr

        return list(open_zarr(place))
    with reading(place):
        if not place.exists():
            raise ImageError(f"{place}: no such file; name an image file, a folder or a pattern")
        if not is_tiff(place):
            return [Picture(place)]
        with opened_tiff(place) as tif:
            images = images_of(place, tif)
            if len(images) == 1 and images[0].ndim <= 2 + ("S" in images[0].axes):
                return [Picture(place)]
            several = len(images) > 1
            parts = [TiffImage(place, str(i) if several else "") for i in range(len(images))]
            for part, image in zip(parts, images, strict=True):
                part.layout = _layout(place, tif, image)
    return list(parts)


def open_part(path: Path, part: str) -> Source:
    """Return one of the images that `open_parts` gave; its errors."""
    return next(each for each in open_parts(path) if each.part == part)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise whatever a damaged file leads its reader to as an `ImageError` that names it."""
    try:
        yield
    except DeblurError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: is no image; give a TIFF, PNG or JPEG file") from error
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ImageError(f"{path}: cannot be read ({reason}); give an undamaged file") from error


class Picture:
    """A file of one plane, read as `read_image` does."""

    part, single = "", True

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _file(self) -> Any:
        return read_image(self.path)

    @property
    def layout(self) -> Layout:
        """As the pixels are, which are read for it."""
        array = self._file.array
        return Layout.of_plane(
            array.shape, array.dtype.name, self._file.pixel_size, self._file.unit
        )

    def read(self, plane: Plane) -> NDArray[Any]:
        """Return the pixels; `plane` is empty."""
        array: NDArray[Any] = self._file.array
        return array


class TiffImage:
    """An image of several planes in a TIFF, or one of several images there."""

    single = False
    layout: Layout

    def __init__(self, path: Path, part: str) -> None:
        self.path, self.part = path, part

    def read(self, plane: Plane) -> NDArray[Any]:
        """Return one plane; only its own pages are read."""
        with reading(self.path), opened_tiff(self.path) as tif:
            image = images_of(self.path, tif)[int(self.part or 0)]
            page = image.keyframe
            size = int(np.prod(self.layout.sides)) * image.dtype.itemsize
            admit(self.path, None, (page.imagelength, page.imagewidth), size)
            array = _page(self.path, tif, image, plane, self.layout)
            if "S" in image.axes and not image.axes.endswith("S"):
                array = np.moveaxis(array, 0, -1)
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "ub":
                array = ~array  # larger values brighter
            return np.ascontiguousarray(upright(array, orientation_of(page)))


def _page(
    path: Path, tif: tifffile.TiffFile, image: tifffile.TiffPageSeries, plane: Plane, layout: Layout
) -> NDArray[Any]:
    """Return the pixels of one plane as stored."""
    sides, number = image.shape[len(plane) :], 0
    if plane:
        number = int(np.ravel_multi_index(plane, layout.counts))
    if image.keyframe.shape == sides or image.keyframe.size == np.prod(sides):
        if len(image) <= number or image[number] is None:
            raise ImageError(f"{path}: holds no plane {plane}; save it again with every plane")
        array: NDArray[Any] = tif.asarray(key=number, series=image)
        return array.reshape(sides)
    if image.dataoffset is not None:  # one page holds all of them, one after another
        dtype = image.dtype.newbyteorder(tif.byteorder)
        return np.array(np.memmap(path, dtype, "r", image.dataoffset, image.shape)[plane])
    return np.array(image.asarray()[plane])


def _layout(path: Path, tif: tifffile.TiffFile, image: tifffile.TiffPageSeries) -> Layout:
    """Return the layout of an image, or raise what stands against going through its planes."""
    axes, shape, page = image.axes, image.shape, image.keyframe
    leading = axes.replace("S", "").removesuffix("YX")
    known = set(leading) <= set("TCZ") and len(set(leading)) == len(leading)
    colours = {"S": "S"}.get(axes[-1], "") or ("S" if axes.endswith("SYX") else "")
    if axes not in (f"{leading}YX{colours}", f"{leading}{colours}YX") or not (
        known or len(leading) == 1
    ):
        raise ImageError(
            f"{path}: its axes {axes} of shape {shape} are not all known; save it as OME-TIFF "
            "with axes of T, C, Z, Y, X"
        )
    grey = page.photometric in GREY or tif.is_imagej
    if (not colours and not grey) or (colours and shape[axes.index("S")] not in (3, 4)):
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        raise ImageError(f"{path}: its planes are {kind}; convert them to grey or RGB")
    rows, columns = as_seen((page.imagelength, page.imagewidth), orientation_of(page))
    pixel_size, unit = from_tiff(tif)
    sides = as_seen(pixel_size, orientation_of(page)) if pixel_size else (None, None)
    steps = [steps_of_tiff(tif).get(axis, (None, None)) for axis in leading]
    samples = (shape[axes.index("S")],) if colours else ()
    return Layout(
        axes=f"{leading}YX{colours}",
        shape=(*shape[: len(leading)], rows, columns, *samples),
        dtype=image.dtype.name,
        scale=(*(step for step, _ in steps), *sides, *[None] * len(samples)),
        units=(*(unit for _, unit in steps), unit, unit, *[None] * len(samples)),
    )
