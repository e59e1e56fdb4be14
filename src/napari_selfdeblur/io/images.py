"""Arrays at the edge: what can be deblurred, its range to [0, 1] and back, colour by luma."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import as_array, check_finite, check_size, is_colour, on_grid

__all__ = [
    "LUMA",
    "PreparedImage",
    "Scale",
    "cast_like",
    "describe",
    "full_scale",
    "natural_range",
    "prepare",
    "scale_of",
]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in the luma Y of full-range YCbCr (ITU-R BT.601); they sum to one."""

Range = tuple[float, float]
Scale = tuple[Range, Range]
"""The values that become 0 and 1, and those to which a restored image is clipped."""

_HEADROOM = 0.25  # of maximum minus minimum
_BRIGHT = 2 / 3  # of it that the median lies above the minimum where the background is bright
_REACHED, _SPANNED = 0.5, 0.25  # of the full scale, by an image whose scale it is
_EPSILON = float(np.finfo(np.float32).eps)
_LARGEST = 1e38  # a third of float32's maximum, so that chroma and headroom cannot overflow
_SMALLEST = 1e-30  # below, float32 has not all its digits


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """A blurred image ready for the numerics, and the way back to its own values.

    Attributes
    ----------
    y : ndarray of float32, (H, W)
        The grey image, or the luma of a colour one; in [0, 1], C-contiguous, its own memory.
    value_range : (float, float)
        The image's values that become 0 and 1.
    limits : (float, float)
        Values to which a restored image is clipped: the natural range where the image has one,
        otherwise from the lower end of the value range up to what an integer type can hold.
    chroma : ndarray of float32, (H, W, 3), or None
        Colour minus luma of each channel, in the image's values; None for a grey image.
    alpha : ndarray of float32, (H, W), or None
        The alpha channel, in the image's values.
    """

    y: NDArray[np.float32]
    value_range: tuple[float, float]
    limits: tuple[float, float]
    chroma: NDArray[np.float32] | None = None
    alpha: NDArray[np.float32] | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """`limits` in the units of `y`."""
        low, high = self.value_range
        return (self.limits[0] - low) / (high - low), (self.limits[1] - low) / (high - low)

    def restore_range(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return `x` as an image of the source's shape and value range.

        Parameters
        ----------
        x : array_like of float, (H, W)
            Grey or luma image in the units of `y`.

        Returns
        -------
        ndarray of float32, (H, W), (H, W, 3) or (H, W, 4)
            Clipped to `limits`. A colour image gets the blurred chroma and its own alpha back:
            with Cb and Cr kept, YCbCr adds the change of luma to each of R, G and B.

        Raises
        ------
        ImageError
            If `x` has not the shape of `y`.
        """
        luma = np.asarray(x, dtype=np.float64)
        if luma.shape != self.y.shape:
            raise ImageError(
                f"the image to put back has shape {luma.shape}, its source {self.y.shape}; crop it "
                "to the source's size"
            )
        low, high = self.value_range
        values = low + luma * (high - low)
        if self.chroma is not None:
            values = values[..., None] + self.chroma
        restored = np.clip(values, *self.limits).astype(np.float32)
        if self.alpha is not None:
            restored = np.concatenate([restored, self.alpha[..., None]], axis=-1)
        return restored


def prepare(
    image: ArrayLike,
    kernel_size: tuple[int, int],
    *,
    rgb: bool | None = None,
    check: Callable[[tuple[int, int]], object] | None = None,
    scale: Scale | None = None,
) -> PreparedImage:
    """Check an image and map it to the grey [0, 1] float32 plane that is deblurred.

    The map is affine: blurring commutes with it because the kernel sums to one. Where the image
    has a `natural_range`, that becomes [0, 1]. Any other is mapped by its own values alone, so
    that neither data type nor scale nor offset matters: r being maximum minus minimum, from the
    minimum to 0.25 r above the maximum, for what is bright was brighter before the blur while x
    is confined to [0, 1]. On a bright background (median above two thirds of the range) what is
    dark was darker: there from 0.25 r below the minimum.

    Parameters
    ----------
    image : array_like, (H, W), (H, W, 3) or (H, W, 4)
        Any integer or floating-point type; also what numpy can read, such as a dask array.
        It is never modified.
    kernel_size : (int, int)
        Support of the kernel in pixels; the image must be at least as large.
    rgb : bool or None
        Whether the last axis is colour; None takes three axes, the last of 3 or 4, as colour.
    check : callable, optional
        Called with rows and columns before memory is taken for the image.
    scale : Scale, optional
        The `scale_of` a stack that the image is a plane of; by default the image's own.

    Raises
    ------
    ImageError
        If the image is masked, not real numbers, not one plane, empty, smaller than the kernel,
        not finite, beyond float32's range or constant.
    """
    array = as_array(image)
    colour = is_colour(array.shape, rgb)
    check_size(array.shape[:2], kernel_size)
    if check is not None:
        check((array.shape[0], array.shape[1]))
    check_finite(array)
    planes = array[..., :3] if colour else array
    values = planes.astype(np.float64)
    value_range, limits = scale or _scale_of(planes, values)
    luma = values @ LUMA if colour else values
    _check_contrast(luma, value_range)
    low, high = value_range
    scaled = (values - low) / (high - low)
    if array.dtype.kind == "f" and limits != value_range:
        scaled = on_grid(scaled)
    y = scaled @ LUMA if colour else scaled
    return PreparedImage(
        y=np.clip(y, 0, 1).astype(np.float32, order="C"),
        value_range=value_range,
        limits=limits,
        chroma=(values - luma[..., None]).astype(np.float32) if colour else None,
        alpha=array[..., 3].astype(np.float32) if colour and array.shape[-1] == 4 else None,
    )


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
    number: Callable[[Any], int | float] = float if array.dtype.kind == "f" else int
    extremes = [number(f()) for f in (array.min, array.max)] if array.size else [math.nan] * 2
    low, high = (value if math.isfinite(value) else None for value in extremes)
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "min": low,
        "max": high,
        "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
    }


def full_scale(image: NDArray[Any]) -> float | None:
    """Return white of 8-bit images (255) and of floats inside [0, 1] (1), None for others."""
    if image.dtype.kind not in "uf":
        return None
    return _white(image.dtype, float(image.min()), float(image.max()))


def natural_range(image: NDArray[Any]) -> Range | None:
    """Return black and white of an image on the full scale of its type; None for others.

    An image is on its `full_scale` if it reaches half of it and spans a quarter: 12-bit data
    divided by 65535 is not.
    """
    return _natural(image.dtype, float(image.min()), float(image.max()))


def scale_of(dtype: np.dtype[Any], lowest: float, highest: float, median: float) -> Scale:
    """Return the scale of an image, or of a stack, by its data type and values.

    Raises
    ------
    ImageError
        If the values are beyond float32's range, or too close together for it.
    """
    natural = _natural(dtype, lowest, highest)
    if natural is not None:
        return natural, natural
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
    low = lowest - _HEADROOM * spread if median - lowest > _BRIGHT * spread else lowest
    limit = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(np.float32)
    return (low, highest + _HEADROOM * spread), (low, float(limit.max))


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


def _scale_of(planes: NDArray[Any], values: NDArray[np.float64]) -> Scale:
    """Return the image's own scale; `values` are those of `planes`."""
    lowest, highest = float(values.min()), float(values.max())
    return scale_of(planes.dtype, lowest, highest, float(np.median(values)))


def _check_contrast(luma: NDArray[np.float64], value_range: Range) -> None:
    """Refuse an image whose y, or whose result in its own values, is constant in float32."""
    lowest, highest, (low, high) = float(luma.min()), float(luma.max()), value_range
    if highest - lowest <= _EPSILON * max(abs(lowest), abs(highest), high - low):
        raise ImageError(
            f"the image is constant: its values span {lowest:g} to {highest:g}, so nothing shows "
            "the blur; choose a region with structure, or subtract its offset and rescale it"
        )
