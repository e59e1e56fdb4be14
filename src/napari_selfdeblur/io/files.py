"""Images and kernels from TIFF, PNG and JPEG files, and into TIFF with their pixel size."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.io.pixel_size import from_tiff, tiff_options
from napari_selfdeblur.io.writing import replacing

__all__ = ["ImageFile", "read_image", "read_kernel", "write_tiff"]

_TIFF_SUFFIXES = {".tif", ".tiff", ".lsm"}
_PLAIN_MODES = {"L", "RGB", "RGBA", "1", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_ALPHA_MODES = {"LA", "La", "PA", "RGBa"}
_IMAGEJ_GREY, _IMAGEJ_COLOUR = {"uint8", "uint16", "float32"}, {"uint8"}


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An image as its file holds it.

    Attributes
    ----------
    array : ndarray, (H, W), (H, W, 3) or (H, W, 4)
        The pixels, in the file's data type.
    rgb : bool
        Whether the last axis is colour.
    pixel_size : (float, float) or None
        Distance between rows and between columns, in `unit`; None where it is not known.
    unit : str or None
        ``um``, ``nm``, ``cm``, ``inch`` or another that the file names.
    """

    array: NDArray[Any]
    rgb: bool
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None


def read_image(path: str | os.PathLike[str]) -> ImageFile:
    """Read one 2-D image, grey or colour.

    A photograph is turned upright as its EXIF orientation says. The look-up table of an
    indexed TIFF (ImageJ's colour maps) is ignored: its indices are the measured values.

    Parameters
    ----------
    path : path-like
        TIFF (ImageJ, OME and plain), PNG, JPEG, or what else Pillow reads.

    Returns
    -------
    ImageFile

    Raises
    ------
    ImageError
        If the file is missing, cannot be read, or holds a stack.
    """
    source = Path(path)
    if source.is_dir():
        raise ImageError(f"{source}: is a folder; name one image file in it")
    if not source.exists():
        raise ImageError(f"{source}: no such file; check the name")
    try:
        if source.suffix.lower() in _TIFF_SUFFIXES:
            return _read_tiff(source)
        return _read_picture(source)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{source}: is no image; give a TIFF, PNG or JPEG file") from error
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ImageError(
            f"{source}: cannot be read ({reason}); give an undamaged TIFF, PNG or JPEG file"
        ) from error


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
) -> None:
    """Write one image, which ImageJ can read where it supports the data type, with its pixel size.

    Parameters
    ----------
    path : path-like
        Replaced as a whole, once everything is written.
    array : array_like, (H, W), (H, W, 3) or (H, W, 4)
        Any integer or floating-point type; kept.
    pixel_size : (float, float), optional
        Distance between rows and between columns, in `unit`.
    unit : str, optional
        Unit of `pixel_size`.
    rgb : bool
        Whether the last axis is colour.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    values = np.asarray(array)
    imagej = values.dtype.name in (_IMAGEJ_GREY if not rgb else _IMAGEJ_COLOUR)
    imagej = imagej and values.shape[2:] != (4,)
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if rgb and values.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    options |= tiff_options(pixel_size, unit, imagej=imagej)
    # By way of memory: NumPy's own writing to files does not notice every full disk.
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, imagej=imagej, **options)
    with replacing(path) as unfinished:
        unfinished.write_bytes(buffer.getbuffer())


def _read_tiff(path: Path) -> ImageFile:
    with tifffile.TiffFile(path) as tif:
        series = [level for level in tif.series if not level.keyframe.is_reduced]
        if len(series) != 1:
            raise ImageError(
                f"{path}: holds {len(series)} images, and one is deblurred at a time; "
                "save one of them as its own file"
            )
        array, axes = series[0].asarray(), series[0].axes
        if series[0].keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            array = ~array if array.dtype.kind in "ub" else array  # larger values brighter
        pixel_size, unit = from_tiff(tif)
    shape = array.shape
    drop = tuple(i for i, axis in enumerate(axes) if axis not in "YXS" and shape[i] == 1)
    array = array.squeeze(drop)
    axes = "".join(axis for i, axis in enumerate(axes) if i not in drop)
    if axes == "SYX":
        array, axes = np.moveaxis(array, 0, -1), "YXS"
    if axes not in ("YX", "YXS"):
        raise ImageError(
            f"{path}: is a stack of shape {shape} (axes {axes}), and one plane is deblurred "
            "at a time; save one plane as its own file"
        )
    if axes == "YXS" and array.shape[-1] not in (3, 4):
        if array.shape[-1] != 2:
            raise ImageError(
                f"{path}: has {array.shape[-1]} samples a pixel; give a grey or RGB(A) image"
            )
        array, axes = array[..., 0], "YX"  # grey with alpha
    return ImageFile(np.ascontiguousarray(array), axes == "YXS", pixel_size, unit)


def _read_picture(path: Path) -> ImageFile:
    if _is_deep_colour_png(path):
        raise ImageError(
            f"{path}: is a 16-bit colour PNG, which would be cut to 8 bits; convert it to TIFF"
        )
    with Image.open(path) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames != 1:
            raise ImageError(
                f"{path}: holds {frames} frames, and one is deblurred at a time; "
                "save one frame as its own file"
            )
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in _ALPHA_MODES or "transparency" in upright.info:
            upright = upright.convert("RGBA")
        elif upright.mode not in _PLAIN_MODES:
            upright = upright.convert("RGB")
        array = np.array(upright)
    if array.dtype.kind == "u":
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return ImageFile(array, array.ndim == 3)


def _is_deep_colour_png(path: Path) -> bool:
    """Whether Pillow would silently halve the depth: PNG's header has depth and colour type."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10" and head[25] in (2, 4, 6)
