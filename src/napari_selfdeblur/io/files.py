"""Images and kernels from TIFF, PNG and JPEG files, and into TIFF with their pixel size."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import UnidentifiedImageError

from napari_selfdeblur.errors import DeblurError, ImageError, OutOfMemoryError
from napari_selfdeblur.io.formats import ImageFile, read_picture, read_tiff
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.io.pixel_size import tiff_options
from napari_selfdeblur.io.writing import replacing

__all__ = ["ImageFile", "admit", "is_tiff", "read_image", "read_kernel", "write_tiff"]

_TIFF_MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}
_COPIES = 2  # of the pixels, while they are read
_LARGEST_RATIO = 10_000  # of pixels to file, in bytes; deflate reaches a tenth of it
_LARGEST_IMAGEJ = 2**32 - 2**25  # bytes
_STEPS = {"Z": "spacing", "T": "finterval"}  # as ImageJ calls them
_IMAGEJ_GREY, _IMAGEJ_COLOUR = {"uint8", "uint16", "float32"}, {"uint8"}


def read_image(
    path: str | os.PathLike[str], check: Callable[[tuple[int, int]], object] | None = None
) -> ImageFile:
    """Read one 2-D image, grey or colour.

    It is turned upright as its orientation says. Palettes and CMYK become RGB; the look-up
    table of an indexed image that ImageJ wrote is ignored: its indices are the measured values.

    Parameters
    ----------
    path : path-like
        TIFF (ImageJ, OME and plain), PNG, JPEG, or what else Pillow reads.
    check : callable, optional
        Called with rows and columns as the file's header has them, before the pixels are read.

    Returns
    -------
    ImageFile

    Raises
    ------
    ImageError
        If the file is missing, cannot be read, or holds a stack.
    OutOfMemoryError
        If the image is larger than the memory that is free.
    """
    source = Path(path)
    try:
        if not source.is_file():
            what = "is a folder" if source.is_dir() else "no such file"
            raise ImageError(f"{source}: {what}; name one image file")
        reader = read_tiff if is_tiff(source) else read_picture
        return reader(source, partial(admit, source, check))
    except DeblurError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{source}: is no image; give a TIFF, PNG or JPEG file") from error
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ImageError(
            f"{source}: cannot be read ({reason}); give an undamaged TIFF, PNG or JPEG file"
        ) from error


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does."""
    with path.open("rb") as file:
        return file.read(4) in _TIFF_MAGIC


def read_kernel(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read a blur kernel (PSF) from an image file.

    Returns
    -------
    ndarray of float32, (kh, kw)
        As `prepare_kernel` makes it of the pixels: >= 0, summing to 1.

    Raises
    ------
    ImageError
        As `read_image`, and where the pixels are no kernel.
    """
    pixels = read_image(path).array
    try:
        return prepare_kernel(pixels)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def write_tiff(
    path: str | os.PathLike[str],
    array: ArrayLike,
    pixel_size: tuple[float, float] | None = None,
    unit: str | None = None,
    rgb: bool = False,
    info: str | None = None,
    axes: str | None = None,
    steps: Mapping[str, float] | None = None,
) -> None:
    """Write an image or a stack, for ImageJ where it has the data type and axes.

    Parameters
    ----------
    path : path-like
        Replaced as a whole, once everything is written.
    array : array_like, (..., H, W), (..., H, W, 3) or (..., H, W, 4)
        Any integer or floating-point type; kept.
    pixel_size : (float, float), optional
        Distance between rows and between columns, in `unit`.
    unit : str, optional
        Unit of `pixel_size`.
    rgb : bool
        Whether the last axis is colour.
    info : str, optional
        A text stored as ``Info``, which ImageJ shows.
    axes : str, optional
        Of a stack, a letter for each axis.
    steps : mapping, optional
        Distance between planes along Z, in `unit`, and along T, in seconds.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    values = np.asarray(array)
    imagej = values.dtype.name in (_IMAGEJ_GREY if not rgb else _IMAGEJ_COLOUR)
    imagej = imagej and not (rgb and values.shape[-1] == 4)
    if axes is not None:
        imagej = imagej and values.nbytes < _LARGEST_IMAGEJ and _in_order(axes)
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if rgb and values.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    options |= tiff_options(pixel_size, unit, imagej=imagej)
    notes: dict[str, Any] = {} if axes is None else {"axes": axes}
    if imagej:
        notes |= {_STEPS[axis]: step for axis, step in (steps or {}).items()}
    notes |= {} if info is None else {"Info": info}
    if notes:
        options["metadata"] = {**options.get("metadata", {}), **notes}
    # By way of memory: NumPy's own writing to files does not notice every full disk.
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, imagej=imagej, **options)
    with replacing(path) as unfinished:
        unfinished.write_bytes(buffer.getbuffer())


def _in_order(axes: str) -> bool:
    """Whether ImageJ has these axes, in this order."""
    places = ["TZCYXS".find(axis) for axis in axes]
    return min(places) >= 0 and places == sorted(places)


def admit(
    path: Path, check: Callable[[tuple[int, int]], object] | None, shape: tuple[int, int], size: int
) -> None:
    """Raise for an image of `shape` whose pixels, `size` bytes, file or memory cannot hold."""
    if 0 in shape:
        raise ImageError(f"{path}: has no pixels; give an undamaged file")
    if size > _LARGEST_RATIO * path.stat().st_size:
        raise ImageError(
            f"{path}: has too few bytes for {shape[0]} x {shape[1]} pixels; give an undamaged file"
        )
    need, free = _COPIES * size / 2**30, psutil.virtual_memory().available / 2**30
    if need > free:
        raise OutOfMemoryError(
            f"{path}: reading its {shape[0]} x {shape[1]} pixels needs about {need:.1f} GiB, of "
            f"which {free:.1f} GiB are free; cut out a part with another program"
        )
    if check is not None:
        check(shape)
