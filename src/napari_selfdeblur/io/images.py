"""Arrays at the edge: what describes one, the values that become 0 and 1, other data types."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import as_array

__all__ = [
    "LUMA",
    "Range",
    "Scale",
    "cast_like",
    "check_contrast",
    "describe",
    "description",
    "full_scale",
    "little_endian",
    "natural_range",
    "ranges",
]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in the luma Y of full-range YCbCr (ITU-R BT.601); they sum to one."""

Range = tuple[float, float]
Scale = tuple[Range, Range, bool]
"""What `ranges` returns: of one image, or of all planes of a stack."""

_HEADROOM = 0.25  # of maximum minus minimum
_BRIGHT = 2 / 3  # of it that the median lies above the minimum where the background is bright
_REACHED, _SPANNED = 0.5, 0.25  # of the full scale, by an image whose scale it is
_EPSILON = float(np.finfo(np.float32).eps)
_LARGEST = 1e38  # a third of float32's maximum, so that chroma and headroom cannot overflow
_SMALLEST = 1e-30  # below, float32 has not all its digits


def describe(image: ArrayLike) -> dict[str, Any]:
    """Return shape, data type, extremes and fingerprint of an image as JSON-ready values.

    Returns
    -------
    dict
        ``shape`` (list of int), ``dtype`` (its name), ``min`` and ``max`` (None where they are
        not finite or there are no pixels) and ``sha256`` of the values in C order,
        little-endian, so that it depends on neither memory layout nor byte order.

    Raises
    ------
    ImageError
        If the image is masked or does not hold real numbers.
    """
    array = as_array(image)
    extremes = (array.min(), array.max()) if array.size else (math.nan, math.nan)
    digest = hashlib.sha256(little_endian(array))
    return description(array.shape, array.dtype, extremes, digest.hexdigest())


def description(
    shape: tuple[int, ...], dtype: np.dtype[Any], extremes: tuple[Any, Any], digest: str
) -> dict[str, Any]:
    """Return what `describe` says of an image of which these are known."""
    number: Callable[[Any], int | float] = float if dtype.kind == "f" else int
    low, high = (number(each) if math.isfinite(each) else None for each in extremes)
    return {"shape": list(shape), "dtype": dtype.name, "min": low, "max": high, "sha256": digest}


def little_endian(array: NDArray[Any]) -> bytes:
    """Return the values in C order, little-endian."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def full_scale(image: NDArray[Any]) -> float | None:
    """Return white of 8-bit images (255) and of floats inside [0, 1] (1), None for others."""
    return _white(image.dtype, image.min(), image.max())


def natural_range(image: NDArray[Any]) -> Range | None:
    """Return black and white of an image on the full scale of its type; None for others.

    An image is on its `full_scale` if it reaches half of it and spans a quarter: 12-bit data
    divided by 65535 is not.
    """
    return _natural(image.dtype, float(image.min()), float(image.max()))


def cast_like(array: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return `array` in another data type, saturating at its limits.

    Parameters
    ----------
    array : array_like of float
        Any shape.
    dtype : dtype
        Values are rounded for an integer type and cast for a float one.

    Raises
    ------
    ImageError
        If `dtype` is neither integer nor float, or NaN would have to become an integer.
    """
    target = np.dtype(dtype)
    values: NDArray[Any] = np.asarray(array)
    if target.kind == "f":
        values = np.clip(values, np.finfo(target).min, np.finfo(target).max)
        return values.astype(target)
    if target.kind not in "iu":
        raise ImageError(
            f"an image cannot be stored as {target.name}; choose an integer type or float32"
        )
    low, high = np.iinfo(target).min, np.iinfo(target).max
    values = np.rint(values.astype(np.float64))
    if np.isnan(values).any():
        raise ImageError(f"NaN cannot be stored as {target.name}; store the image as float32")
    # as a float a 64-bit maximum rounds up to a value that no longer fits the integer
    top = float(high) if int(float(high)) == high else math.nextafter(high, 0)
    values = np.clip(values, low, top)
    return values.astype(target)


def ranges(
    dtype: np.dtype[Any], extremes: Range, median: Callable[[], float]
) -> tuple[Range, Range, bool]:
    """Return the values that become 0 and 1, those a result is clipped to, and if both are natural.

    The map is affine: blurring commutes with it because the kernel sums to one. Where the image
    has a `natural_range`, that becomes [0, 1]. Any other is mapped by its own values alone, so
    that neither data type nor scale nor offset matters: r being maximum minus minimum, from the
    minimum to 0.25 r above the maximum, for what is bright was brighter before the blur while x
    is confined to [0, 1]. On a bright background (median above two thirds of the range) what is
    dark was darker: there from 0.25 r below the minimum.

    Parameters
    ----------
    dtype : dtype
        The image's.
    extremes : (float, float)
        Its least and largest value, of a colour image without alpha.
    median : callable
        Returns its median; called only where that matters.

    Raises
    ------
    ImageError
        If the values are too large or too close together for float32.
    """
    natural = _natural(dtype, *extremes)
    if natural is not None:
        return natural, natural, True
    lowest, highest = extremes
    if max(-lowest, highest) > _LARGEST:
        raise ImageError(
            f"the image's values reach {max(-lowest, highest):g}, too near float32's limit; "
            "divide the image by its maximum"
        )
    spread = highest - lowest
    if 0 < spread < _SMALLEST:
        raise ImageError(
            f"the image's values span {spread:g}, too little for float32; divide the image by "
            "its maximum"
        )
    bright = median() - lowest > _BRIGHT * spread
    low = lowest - _HEADROOM * spread if bright else lowest
    limit = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(np.float32)
    return (low, highest + _HEADROOM * spread), (low, float(limit.max)), False


def check_contrast(extremes: Range, value_range: Range) -> None:
    """Refuse an image whose y, or whose result in its own values, is constant in float32.

    `extremes` are those of the grey or luma plane.
    """
    (lowest, highest), (low, high) = extremes, value_range
    if highest - lowest <= _EPSILON * max(abs(lowest), abs(highest), high - low):
        raise ImageError(
            f"the image is constant: its values span {lowest:g} to {highest:g}, so nothing shows "
            "the blur; choose a region with structure, or subtract its offset and rescale it"
        )


def _white(dtype: np.dtype[Any], lowest: float, highest: float) -> float | None:
    if dtype == np.uint8:
        return 255.0
    return 1.0 if dtype.kind == "f" and lowest >= 0 and highest <= 1 else None


def _natural(dtype: np.dtype[Any], lowest: float, highest: float) -> Range | None:
    white = _white(dtype, lowest, highest)
    if white is None:
        return None
    on_scale = highest >= _REACHED * white and highest - lowest >= _SPANNED * white
    return (0.0, white) if on_scale else None
