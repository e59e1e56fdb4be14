"""The size of a kernel's support, where it is not given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ImageError

__all__ = ["next_size", "sides_of", "sizes_to_try", "with_size"]

_LADDER = (13, 19, 27, 39, 55, 77, 109, 155, 219)  # pixels; sqrt(2) apart
_FIRST = 5  # of them are always tried
_PART = 0.4  # of the image's shorter side that a kernel may take
_FILLED = 0.7  # of the largest support tried: a kernel this long may have been cut
_MASS = 0.98  # of the kernel that lies within its extent; the rest is noise
_MARGIN = 2  # pixels around it


def sizes_to_try(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sides that are always tried on an image of `shape`, rising.

    Raises
    ------
    ImageError
        If the image is too small for any.
    """
    fitting = [side for side in _LADDER[:_FIRST] if side <= _PART * min(shape)]
    smallest = (int(_PART * min(shape)) - 1) | 1  # the largest odd number within
    if not fitting and smallest < 3:
        raise ImageError(
            f"the image of {shape[0]} x {shape[1]} pixels is too small for its kernel size to be "
            "found; give kernel_size, or take a larger image"
        )
    return [(side, side) for side in fitting or [smallest]]


def with_size(config: SelfDeblurConfig, shape: tuple[int, int]) -> SelfDeblurConfig:
    """Return settings with a size in place of "auto": the largest that is always tried.

    What time and memory a run will take is estimated by it, before the size is known.

    Raises
    ------
    ImageError
        If the image is too small for any.
    """
    if config.kernel_size != "auto":
        return config
    return config.replace(kernel_size=sizes_to_try(shape)[-1])


def next_size(
    kernel: NDArray[np.floating], tried: tuple[int, int], shape: tuple[int, int]
) -> tuple[int, int] | None:
    """Return larger sides worth trying after `tried`, the largest so far; None if there are none.

    Parameters
    ----------
    kernel : ndarray, (kh, kw)
        The best one so far.
    tried, shape : (int, int)
        Largest sides tried, and the image's.
    """
    side = max(tried)
    larger = [each for each in _LADDER if side < each <= _PART * min(shape)]
    cut = max(extent_of(kernel)) > _FILLED * side
    return (larger[0], larger[0]) if larger and cut else None


def sides_of(kernel: NDArray[np.floating], shape: tuple[int, int]) -> tuple[int, int]:
    """Return the odd sides of a square support for a kernel like this one in an image."""
    largest = min(shape) - 1 + min(shape) % 2
    side = min(max(extent_of(kernel)) + 2 * _MARGIN, largest)
    return side, side


def extent_of(kernel: NDArray[np.floating]) -> tuple[int, int]:
    """Return the odd sides around the centroid within which 98 % of each marginal lie."""
    sides = []
    for axis in (1, 0):
        line = kernel.sum(axis)
        centre = round(float(ndimage.center_of_mass(line)[0]))
        distance = np.abs(np.arange(line.size) - centre)
        mass = np.cumsum(np.bincount(distance, weights=line))
        sides.append(2 * int(np.argmax(mass >= _MASS * mass[-1])) + 1)
    return sides[0], sides[1]
