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

__all__ = ["LUMA", "PreparedImage", "cast_like", "describe", "natural_range", "prepare"]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in the luma Y of full-range YCbCr (ITU-R BT.601); they sum to one."""

_HEADROOM_BELOW, _HEADROOM_ABOVE = 0.1, 0.25
_EPSILON = float(np.finfo(np.float32).eps)
_LARGEST = 1e38  # a third of float32's maximum, so that chroma and headroom cannot overflow


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
        Values the source can hold, to which a restored image is clipped: the value range of
        8-bit images and of floats inside [0, 1], otherwise the data type's limits, from 0
        up where no value of the source is negative.
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
                f"the image to put back is {_size(luma.shape)}, its source {_size(self.y.shape)} "
                "pixels; crop it to the source's size"
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
    image: ArrayLike, kernel_size: tuple[int, int], *, rgb: bool | None = None
) -> PreparedImage:
    """Check an image and map it to the grey [0, 1] float32 plane that is deblurred.

    The map is affine: blurring commutes with it because the kernel sums to one. 8-bit values
    0 to 255 become 0 to 1 and floats inside [0, 1] stay as they are. Other images get headroom,
    for a sharp image has a larger range than its blurred one while x is confined to [0, 1]:
    from 0.1 r below the minimum (not below 0 if no value is negative) to 0.25 r above the
    maximum, r being maximum minus minimum, both within the data type's limits.

    Parameters
    ----------
    image : array_like, (H, W), (H, W, 3) or (H, W, 4)
        Any integer or floating-point type; also what numpy can read, such as a dask array.
        It is never modified.
    kernel_size : (int, int)
        Support of the kernel in pixels; the image must be at least as large.
    rgb : bool or None
        Whether the last axis is colour; None takes three axes, the last of 3 or 4, as colour.

    Raises
    ------
    ImageError
        If the image is masked, not real numbers, not one plane, empty, smaller than the kernel,
        not finite, beyond float32's range or constant.
    """
    array = _as_array(image)
    colour = _is_colour(array.shape, rgb)
    _check_size(array.shape[:2], kernel_size)
    _check_finite(array)
    planes = array[..., :3] if colour else array
    value_range, limits = _ranges(planes)
    values = planes.astype(np.float64)
    luma = values @ LUMA if colour else values
    _check_contrast(luma, value_range)
    low, high = value_range
    return PreparedImage(
        y=np.clip((luma - low) / (high - low), 0, 1).astype(np.float32, order="C"),
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
    array = _as_array(image)
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


def natural_range(image: NDArray[Any]) -> tuple[float, float] | None:
    """Return black and white of 8-bit images and of floats inside [0, 1], None for others."""
    if image.dtype == np.uint8:
        return 0.0, 255.0
    if image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 1:
        return 0.0, 1.0
    return None


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


def _as_array(image: ArrayLike) -> NDArray[Any]:
    if np.ma.is_masked(image):
        raise ImageError("some pixels are masked; fill them, image.filled(value), or crop them")
    try:
        array = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"this {type(image).__name__} is not one array ({error}); pass a single image, "
            "for example data[0] of a multiscale layer"
        ) from error
    if array.dtype.kind in "iuf":
        return array
    remedies = {
        "b": "a mask holds no blur: pass the grey image it was made from",
        "c": "pass its magnitude, np.abs(image)",
    }
    remedy = remedies.get(array.dtype.kind, "convert it, for example image.astype('float32')")
    raise ImageError(f"an image of type {array.dtype} has no grey values to deblur; {remedy}")


def _is_colour(shape: tuple[int, ...], rgb: bool | None) -> bool:
    if 0 in shape:
        raise ImageError(f"the image of shape {shape} is empty; choose one that has pixels")
    last_is_colour = len(shape) >= 3 and shape[-1] in (3, 4)
    colour = len(shape) == 3 and last_is_colour if rgb is None else rgb
    if colour and not last_is_colour:
        raise ImageError(
            f"a colour image has shape (H, W, 3) or (H, W, 4), got {shape}; "
            "pass rgb=False for a grey image"
        )
    extra = len(shape) - int(colour) - 2
    if extra < 0:
        raise ImageError(f"an image needs rows and columns, got shape {shape}; pass a 2-D array")
    if extra > 0:
        channels_last = len(shape) == 3 and shape[-1] <= 4
        plane = "..., 0" if channels_last else ", ".join(["0"] * extra)
        hint = ", or rgb=True if its last axis is colour" if last_is_colour else ""
        what = f"the image of shape {shape} is a stack"
        raise ImageError(f"{what}; pick one plane, for example image[{plane}]{hint}")
    return colour


def _check_size(shape: tuple[int, ...], kernel_size: tuple[int, int]) -> None:
    if shape[0] >= kernel_size[0] and shape[1] >= kernel_size[1]:
        return
    fitting = min(*shape, *kernel_size)
    fitting -= 1 - fitting % 2
    smaller = f"a kernel_size of at most {fitting} or " if fitting >= 3 else ""
    raise ImageError(
        f"the image is {_size(shape)} pixels, smaller than the kernel's support of "
        f"{_size(kernel_size)}; choose {smaller}a larger image"
    )


def _check_finite(array: NDArray[Any]) -> None:
    nans, infinities = np.count_nonzero(np.isnan(array)), np.count_nonzero(np.isinf(array))
    if nans or infinities:
        raise ImageError(
            f"{nans} values of the image are NaN and {infinities} infinite, of {array.size}; "
            "replace them, for example by the median of the others, or crop them away"
        )


def _ranges(planes: NDArray[Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the values that become 0 and 1, and those a restored image is clipped to."""
    natural = natural_range(planes)
    if natural is not None:
        return natural, natural
    lowest, highest = float(planes.min()), float(planes.max())
    if planes.dtype.kind == "f":
        type_max = min(float(np.finfo(planes.dtype).max), _LARGEST)
        type_min = -type_max
        if max(-lowest, highest) > type_max:
            raise ImageError(
                f"the image's values reach {max(-lowest, highest):g}, too near float32's limit; "
                "divide the image by its maximum"
            )
    else:
        type_min, type_max = float(np.iinfo(planes.dtype).min), float(np.iinfo(planes.dtype).max)
    limits = (0.0 if lowest >= 0 else type_min, type_max)
    spread = highest - lowest
    low = max(lowest - _HEADROOM_BELOW * spread, limits[0])
    high = min(highest + _HEADROOM_ABOVE * spread, limits[1])
    return (low, high), limits


def _check_contrast(luma: NDArray[np.float64], value_range: tuple[float, float]) -> None:
    """Refuse an image whose y, or whose result in its own values, is constant in float32."""
    lowest, highest, (low, high) = float(luma.min()), float(luma.max()), value_range
    if highest - lowest <= _EPSILON * max(abs(lowest), abs(highest), high - low):
        raise ImageError(
            f"the image is constant: its values span {lowest:g} to {highest:g}, so nothing shows "
            "the blur; choose a region with structure, or subtract its offset and rescale it"
        )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
