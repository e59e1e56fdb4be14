"""An image whose defective pixels are replaced where it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics.defects import defects
from napari_selfdeblur.numerics.tiles import Window

__all__ = ["Defects", "Repaired", "read"]


@dataclass(frozen=True, slots=True, eq=False)
class Defects:
    """Defective pixels of an image and what is put in their place.

    Attributes
    ----------
    places : ndarray of int, (2 or 3, n)
        Their rows and columns, and channels of a colour image.
    values : ndarray, (n,)
        What takes their place, of the image's type.
    """

    places: NDArray[np.intp]
    values: NDArray[Any]

    @classmethod
    def of(cls, pixels: NDArray[Any], *, colour: bool) -> Defects:
        """Find those of an image, (H, W) or (H, W, 3 or 4), in colour channel by channel."""
        if not colour:
            where, values = defects(pixels)
            return cls(np.array(np.nonzero(where)), values)
        found = [defects(pixels[..., channel]) for channel in range(3)]
        places = [
            [*np.nonzero(where), np.full(values.size, channel)]
            for channel, (where, values) in enumerate(found)
        ]
        return cls(np.hstack(places), np.concatenate([values for _, values in found]))

    def repaired(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of an image without them; the image itself where there are none."""
        if not self.values.size:
            return pixels
        fixed = pixels.copy()
        fixed[tuple(self.places)] = self.values
        return fixed

    def moved(self, rows: int, columns: int) -> Defects:
        """Return them by so many rows and columns further down and to the right."""
        shift = np.zeros((len(self.places), 1), dtype=np.intp)
        shift[:2, 0] = rows, columns
        return Defects(self.places + shift, self.values)

    def within(self, window: Window) -> Defects:
        """Return those inside a window, counted from its corner."""
        (top, bottom), (left, right) = ((each.start, each.stop) for each in window)
        row, column, *_ = self.places
        inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
        return Defects(self.places[:, inside], self.values[inside]).moved(-top, -left)

    def __add__(self, other: Defects) -> Defects:
        return Defects(
            np.hstack([self.places, other.places]), np.concatenate([self.values, other.values])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """An image read by window, without its defects."""

    source: Any
    defects: Defects

    def __getitem__(self, window: Window) -> NDArray[Any]:
        return self.defects.within(window).repaired(read(self.source, window))


def read(source: Any, window: Window) -> NDArray[Any]:
    """Return a window of an image as an array.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    if isinstance(source, np.ndarray | Repaired):
        return source[window]
    try:
        return np.asarray(source[window])
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ImageError(
            f"the image, a {type(source).__name__}, cannot be read ({error}); load it into memory "
            "first, for example by numpy.asarray(image)"
        ) from error
