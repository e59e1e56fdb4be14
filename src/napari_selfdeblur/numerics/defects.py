"""Defective pixels: hot or dead ones, and hits of single rays.

What a lens or a shake has blurred has no detail of one pixel. A pixel far beyond all of its
neighbours says nothing of the image, but it sets the image's range, hides its noise, and rings
in whatever is restored: docs/decisions/0036.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["defects"]

_PAIRS = (((0, 0), (2, 2)), ((0, 1), (2, 1)), ((0, 2), (2, 0)), ((1, 0), (1, 2)))  # of 3 x 3
_BEYOND = 5.0  # spans of the neighbours
_USUAL = 75.0  # percentile of the spans that noise and rounding give
_FAINT = 0.005  # of the image's range: the least span, so that differences below 2.5 % are left
_ROUNDING = 1e-6  # of the largest value
_TAIL = 1.0  # percent of the values at either end that the range leaves out


def defects(plane: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Find pixels that stand out alone, and what to put in their place.

    A pixel is defective if it is above the largest, or below the least, of its eight neighbours by
    more than five spans. The span is that of the four means of opposite neighbours, which on a
    straight edge is small; at least the span below which three quarters of all are, which noise and
    rounding give, and 1/200 of the range in which 98 % of the values lie.

    Parameters
    ----------
    plane : ndarray, (H, W)
        Finite, of any type. At the border neighbours are mirrored.

    Returns
    -------
    where : ndarray of bool, (H, W)
    instead : ndarray, (number of defects,)
        Of the plane's type, row by row: the fifth of the eight neighbours in ascending order, so
        that it is one of the plane's values.
    """
    y: NDArray[Any] = plane.astype(np.result_type(plane.dtype, np.float32))
    y /= np.abs(y).max() or 1  # so that no difference overflows
    rows, columns = y.shape
    around = np.pad(y, 1, mode="reflect")
    pairs = [[around[i : i + rows, j : j + columns] for i, j in pair] for pair in _PAIRS]
    means = [(first + second) / 2 for first, second in pairs]
    span = np.maximum.reduce(means) - np.minimum.reduce(means)
    low, high = np.percentile(y, (_TAIL, 100 - _TAIL))
    np.maximum(span, max(np.percentile(span, _USUAL), _FAINT * (high - low)), out=span)
    neighbours = [each for pair in pairs for each in pair]
    beyond = np.maximum(y - np.maximum.reduce(neighbours), np.minimum.reduce(neighbours) - y)
    where = beyond > _BEYOND * span + _ROUNDING
    row, column = np.nonzero(where)
    exact = np.pad(plane, 1, mode="reflect")
    values = [exact[row + i, column + j] for pair in _PAIRS for i, j in pair]
    return where, np.sort(values, axis=0)[4]
