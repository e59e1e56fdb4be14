"""What the axes of an image of any number of planes mean."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

__all__ = ["Layout", "Plane", "plane_label"]

Plane = tuple[int, ...]
"""Indices along the axes before rows and columns; empty for an image of one plane."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Axes, size, data type and scale of an image.

    Attributes
    ----------
    axes : str
        A letter for each axis: T, C, Z or another, then Y and X, last S where it is colour.
    shape : tuple of int
        Length of each axis.
    dtype : str
        Data type, as NumPy names it.
    scale : tuple of (float or None)
        Distance between neighbours along each axis, in its unit; None where it is not known.
    units : tuple of (str or None)
        Unit of each axis: ``um``, ``s``, or another that the file names.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float | None, ...]
    units: tuple[str | None, ...]

    @classmethod
    def of_plane(
        cls,
        shape: tuple[int, ...],
        dtype: str,
        pixel_size: tuple[float, float] | None,
        unit: str | None,
    ) -> Layout:
        """Return the layout of one plane (H, W), (H, W, 3) or (H, W, 4)."""
        extra = len(shape) - 2
        sides = pixel_size or (None, None)
        return cls(
            axes="YXS"[: len(shape)],
            shape=shape,
            dtype=dtype,
            scale=(*sides, *[None] * extra),
            units=(unit, unit, *[None] * extra),
        )

    @property
    def rgb(self) -> bool:
        """Whether the last axis is colour."""
        return self.axes.endswith("S")

    @property
    def leading(self) -> str:
        """The axes along which planes follow one another."""
        return self.axes.removesuffix("S")[:-2]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of planes along each leading axis."""
        return self.shape[: len(self.leading)]

    @property
    def sides(self) -> tuple[int, ...]:
        """Shape of one plane: rows, columns, and colours where there are."""
        return self.shape[len(self.leading) :]

    @property
    def planes(self) -> list[Plane]:
        """Every plane, the last leading axis first to change."""
        return list(itertools.product(*(range(count) for count in self.counts)))

    @property
    def pixel_size(self) -> tuple[tuple[float, float] | None, str | None]:
        """((row distance, column distance), unit); (None, None) where they are not known."""
        at = len(self.leading)
        row, column = self.scale[at : at + 2]
        if row is None or column is None or self.units[at] != self.units[at + 1]:
            return None, None
        return (row, column), self.units[at]

    def with_dtype(self, dtype: str) -> Layout:
        """Return this layout of another data type."""
        return replace(self, dtype=dtype)

    def with_plane(self, sides: tuple[int, ...], dtype: str) -> Layout:
        """Return the layout of grey planes of other sides along the same leading axes."""
        at = len(self.leading)
        return Layout(
            axes=f"{self.leading}YX",
            shape=(*self.counts, *sides),
            dtype=dtype,
            scale=self.scale[: at + 2],
            units=self.units[: at + 2],
        )


def plane_label(axes: str, plane: Plane) -> str:
    """Return the name of a plane: ``T0_C1``; empty where an image has one plane."""
    return "_".join(f"{axis}{index}" for axis, index in zip(axes, plane, strict=True))
