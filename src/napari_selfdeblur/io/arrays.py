"""What a caller passes as an image or kernel, as one array of real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.errors import ImageError

__all__ = ["as_array", "check_finite", "check_size", "is_colour", "on_grid"]

_MOST_STEPS = 65535  # of a camera's counts
_ROUNDING = 1e-6  # of the range: a few digits of float32

_REMEDIES = {
    "b": "a mask holds no blur: pass the grey image it was made from",
    "c": "pass its magnitude, np.abs(...)",
}


def as_array(image: ArrayLike, what: str = "image", kinds: str = "iuf") -> NDArray[Any]:
    """Return an image or kernel as an array, without copying one.

    A torch tensor may require a gradient or lie on a device. `what` is the argument's name in
    messages, `kinds` are the data types allowed.

    Raises
    ------
    ImageError
        If pixels are masked, or it is not one array of whole or floating-point numbers.
    """
    if np.ma.is_masked(image):
        raise ImageError(
            f"some pixels of the {what} are masked; fill them, {what}.filled(value), or crop them"
        )
    detach = getattr(image, "detach", None)
    try:
        array = np.asarray(detach().cpu() if callable(detach) else image)
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"the {what} of type {type(image).__name__} is not one array ({error}); pass a "
            "single one, for example data[0] of a multiscale layer"
        ) from error
    if array.dtype.kind in kinds:
        return array
    remedy = _REMEDIES.get(array.dtype.kind, "convert it, for example by astype('float32')")
    raise ImageError(f"the {what} of type {array.dtype} does not hold grey values; {remedy}")


def is_colour(shape: tuple[int, ...], rgb: bool | None) -> bool:
    """Return whether the last axis is colour; `rgb` None takes three axes, the last of 3 or 4.

    Raises
    ------
    ImageError
        If an image of `shape` is empty, or is not one plane.
    """
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


def check_size(shape: tuple[int, ...], kernel_size: tuple[int, int]) -> None:
    """Raise `ImageError` if an image of `shape` is smaller than its kernel."""
    if shape[0] >= kernel_size[0] and shape[1] >= kernel_size[1]:
        return
    fitting = min(*shape, *kernel_size) - 1  # edge-based estimation needs a larger image
    fitting -= 1 - fitting % 2
    smaller = f"a kernel_size of at most {fitting} or " if fitting >= 3 else ""
    sizes = (" x ".join(map(str, sides)) for sides in (shape, kernel_size))
    raise ImageError(
        "the image is {} pixels, smaller than the kernel's support of {}; ".format(*sizes)
        + f"choose {smaller}a larger image"
    )


def check_finite(array: NDArray[Any]) -> None:
    """Raise `ImageError` if a value is NaN or infinite."""
    nans, infinities = np.count_nonzero(np.isnan(array)), np.count_nonzero(np.isinf(array))
    if nans or infinities:
        raise ImageError(
            f"{nans} values of the image are NaN and {infinities} infinite, of {array.size}; "
            "replace them, for example by the median of the others, or crop them away"
        )


def on_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values of equal steps, at most 65535, without their rounding errors; others as given.

    Counts of a camera that were scaled and kept in float32 are off by some 1e-7 of their range,
    which the steps of a network magnify: the same counts in another type gave another image.
    """
    if np.unique(values.ravel()[: 2 * _MOST_STEPS]).size > _MOST_STEPS:
        return values
    levels = np.unique(values)
    lowest, highest = levels[0], levels[-1]
    if not 2 < levels.size <= _MOST_STEPS:
        return values
    step = np.diff(levels).min()
    for level in levels[1:].tolist():  # each one makes the step more exact
        count = round((level - lowest) / step)
        if count > _MOST_STEPS:
            return values
        step = (level - lowest) / count
    counts = np.rint((values - lowest) / step)
    exact: NDArray[np.float64] = lowest + (highest - lowest) * (counts / counts.max())
    return exact if np.abs(exact - values).max() <= _ROUNDING * (highest - lowest) else values
