"""What a caller passes as an image or kernel, as one array of real numbers."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.errors import ImageError

__all__ = ["MOST_STEPS", "Grid", "as_array", "as_source", "check_finite", "check_size", "is_colour"]

MOST_STEPS = 65535  # of a camera's counts
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
    _check_kind(array.dtype, what, kinds)
    return array


def as_source(image: Any) -> Any:
    """Return an image as something of which windows are read: ``image[rows, columns]``.

    A dask, zarr or HDF5 array, or whatever else has shape, data type and slicing, stays what it
    is; anything else becomes an array, see `as_array`, with its errors.
    """
    is_array = all(hasattr(image, name) for name in ("shape", "ndim", "__getitem__"))
    kind = getattr(image, "dtype", None)
    if isinstance(image, np.ndarray) or not is_array or not isinstance(kind, np.dtype):
        return as_array(image)
    _check_kind(kind, "image", "iuf")
    if not all(isinstance(n, int | np.integer) for n in image.shape):
        raise ImageError(
            f"the image's shape {image.shape} is not known; of a dask array, call "
            "compute_chunk_sizes() first"
        )
    return image


def _check_kind(dtype: np.dtype[Any], what: str, kinds: str) -> None:
    if dtype.kind not in kinds:
        remedy = _REMEDIES.get(dtype.kind, "convert it, for example by astype('float32')")
        raise ImageError(f"the {what} of type {dtype} does not hold grey values; {remedy}")


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


def check_finite(nans: int, infinities: int, size: int) -> None:
    """Raise `ImageError` if values of an image of `size` values are NaN or infinite."""
    if nans or infinities:
        raise ImageError(
            f"{nans} values of the image are NaN and {infinities} infinite, of {size}; "
            "replace them, for example by the median of the others, or crop them away"
        )


class Grid(NamedTuple):
    """Values of equal steps, at most 65535, off by rounding errors.

    Counts of a camera that were scaled and kept in float32 are off by some 1e-7 of their range,
    which the steps of a network magnify: the same counts in another type gave another image.
    """

    lowest: float
    highest: float
    step: float

    @classmethod
    def of(cls, levels: NDArray[np.float64]) -> Self | None:
        """Return the grid that all `levels`, different and rising, lie on; None if there is none.

        There are at most 65536 of them where there is a grid.
        """
        if not 2 < levels.size <= MOST_STEPS:
            return None
        lowest, highest = float(levels[0]), float(levels[-1])
        step = float(np.diff(levels).min())
        for level in levels[1:].tolist():  # each one makes the step more exact
            count = round((level - lowest) / step)
            if count > MOST_STEPS:
                return None
            step = (level - lowest) / count
        grid = cls(lowest, highest, step)
        off = np.abs(grid.exact(levels) - levels).max()
        return grid if off <= _ROUNDING * (highest - lowest) else None

    def exact(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the grid without their rounding errors."""
        counts = np.rint((values - self.lowest) / self.step)
        most = np.rint((self.highest - self.lowest) / self.step)
        return np.asarray(self.lowest + (self.highest - self.lowest) * (counts / most))
