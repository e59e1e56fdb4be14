"""Pixels of one image out of a file of each format, upright, in grey or RGB(A)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from warnings import warn

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile as OpenedFile

from napari_selfdeblur.errors import DeblurWarning, ImageError
from napari_selfdeblur.io.pixel_size import from_tiff

__all__ = [
    "GREY",
    "Admit",
    "ImageFile",
    "as_seen",
    "images_of",
    "opened_tiff",
    "orientation_of",
    "read_picture",
    "read_tiff",
    "upright",
]

N = TypeVar("N", int, float)

Admit = Callable[[tuple[int, int], int], None]
"""Given rows and columns, and bytes, of an image not yet decoded: raises to refuse it."""

_PLAIN_MODES = {"L", "RGB", "RGBA", "1", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_ALPHA_MODES = {"LA", "La", "PA", "RGBa"}
GREY = {tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK}
_PICTURE_BYTES = 4  # a pixel, in Pillow
_ORIENTATION = 274  # the tag's number, in TIFF and in EXIF
_DEEP = {"PNG": imagecodecs.png_decode, "JPEG2000": imagecodecs.jpeg2k_decode}
_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_TURNED = (5, 6, 7, 8)  # orientations that exchange rows and columns


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


def read_tiff(path: Path, admit: Admit) -> ImageFile:
    """Read a TIFF: grey and RGB(A) as stored, other colour as Pillow converts it to RGB."""
    with opened_tiff(path) as tif:
        series = images_of(path, tif)
        if len(series) != 1:
            raise ImageError(
                f"{path}: holds {len(series)} images, and one is deblurred at a time; "
                "save one of them as its own file"
            )
        image, page = series[0], series[0].keyframe
        orientation = orientation_of(page)
        pixel_size, unit = from_tiff(tif)
        if pixel_size is not None:
            pixel_size = as_seen(pixel_size, orientation)
        # The look-up table of ImageJ's indexed images colours what was measured: the indices.
        indices = page.photometric == tifffile.PHOTOMETRIC.PALETTE and tif.is_imagej
        if not indices and page.photometric not in {*GREY, tifffile.PHOTOMETRIC.RGB}:
            if page.bitspersample > 8:
                kind = tifffile.PHOTOMETRIC(page.photometric).name
                raise ImageError(
                    f"{path}: is {kind}, which is read of 8 bits only; convert it to RGB"
                )
            return replace(read_picture(path, admit), pixel_size=pixel_size, unit=unit)
        admit(as_seen((page.imagelength, page.imagewidth), orientation), image.nbytes)
        array = image.asarray()
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "ub":
            array = ~array  # larger values brighter
    array, rgb = _plane(path, array, image.axes)
    return ImageFile(np.ascontiguousarray(upright(array, orientation)), rgb, pixel_size, unit)


def opened_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF; a description that tifffile cannot make sense of is ignored."""
    tif = tifffile.TiffFile(path)
    try:
        _ = tif.series
    except Exception as error:
        tif.close()
        tif = tifffile.TiffFile(path, is_ome=False, is_shaped=False, is_imagej=False)
        reason = f"{path.name}: the description is ignored, it is malformed: {error!s:.100}"
        warn(reason, DeblurWarning, stacklevel=2)
    return tif


def images_of(path: Path, tif: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the images of a TIFF, at least one, less their smaller copies.

    Raises
    ------
    ImageError
        If there is none, or the file ends before its last page.
    """
    _ = len(tif.pages)  # goes through them all
    tif.filehandle.seek(tif.pages.next_page_offset or 0)
    following = int.from_bytes(tif.filehandle.read(tif.tiff.offsetsize), _ORDERS[tif.byteorder])
    if following >= tif.filehandle.size:
        raise ImageError(f"{path}: cannot be read (it is cut off); give an undamaged file")
    series = [level for level in tif.series if not level.keyframe.is_reduced]
    if not series:
        raise ImageError(f"{path}: cannot be read (it has no pages); give an undamaged file")
    return series


def orientation_of(page: tifffile.TiffPage) -> int:
    """Return how a page is turned, 1 where it is upright (TIFF 6.0, tag 274)."""
    tag = page.tags.get(_ORIENTATION)
    return 1 if tag is None else tag.value


def read_picture(path: Path, admit: Admit) -> ImageFile:
    """Read what Pillow reads, in its own depth; the colours of palettes and CMYK as RGB."""
    # Pillow warns of large images, which `admit` judges, and of metadata that are not used.
    with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames != 1:
            raise ImageError(
                f"{path}: holds {frames} frames, and one is deblurred at a time; "
                "save one frame as its own file"
            )
        pixels = picture.height * picture.width
        admit((picture.height, picture.width), pixels * _PICTURE_BYTES)
        if picture.mode == "LAB":
            raise ImageError(f"{path}: is in CIELAB colour; convert it to RGB")
        if picture.format == "JPEG2000" or _is_deep_colour(picture):
            return _deep(path, picture)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in _ALPHA_MODES or "transparency" in upright.info:
            upright = upright.convert("RGBA")
        elif upright.mode not in _PLAIN_MODES:
            upright = upright.convert("RGB")
        array = np.array(upright)
    if array.dtype.kind == "u":
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return ImageFile(array, array.ndim == 3)


def _is_deep_colour(picture: OpenedFile) -> bool:
    """Whether Pillow would cut the depth to 8 bits, by its decoder's arguments."""
    if picture.mode not in ("RGB", "RGBA") or picture.format not in ("PNG", "PPM"):
        return False
    arguments = picture.tile[0].args  # the decoder's: its mode, and of PPM the maximum
    if isinstance(arguments, tuple):
        return isinstance(arguments[-1], int) and arguments[-1] > 255
    return ";16" in str(arguments)


def _deep(path: Path, picture: Image.Image) -> ImageFile:
    """Read what may have more than 8 bits a channel."""
    decode = _DEEP.get(picture.format or "")
    if decode is None:
        raise ImageError(
            f"{path}: is 16-bit colour, which would be cut to 8 bits; convert it to TIFF"
        )
    orientation = picture.getexif().get(_ORIENTATION, 1)
    array = upright(decode(path.read_bytes()), orientation)
    rgb = array.ndim == 3 and array.shape[-1] > 2
    return ImageFile(np.ascontiguousarray(array if rgb or array.ndim == 2 else array[..., 0]), rgb)


def _plane(path: Path, array: NDArray[Any], axes: str) -> tuple[NDArray[Any], bool]:
    """Return the one plane of a TIFF's array, colour last, and whether it is colour."""
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
    if axes == "YX" or array.shape[-1] in (3, 4):
        return array, axes == "YXS"
    if array.shape[-1] == 2:  # grey with alpha
        return array[..., 0], False
    raise ImageError(f"{path}: has {array.shape[-1]} samples a pixel; give a grey or RGB(A) image")


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return rows and columns as they are seen, of an image stored in a TIFF orientation."""
    if orientation in _TURNED:
        array = array.swapaxes(0, 1)
    rows, columns = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1), slice(None)
    if orientation in (2, 3, 6, 7):
        columns = slice(None, None, -1)
    return array[rows, columns]


def as_seen(sides: tuple[N, N], orientation: int) -> tuple[N, N]:
    """Return what belongs to stored rows and columns in the order in which they are seen."""
    return (sides[1], sides[0]) if orientation in _TURNED else sides
