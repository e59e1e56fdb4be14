"""Clipped pixels: those at an upper limit of the detector or the format.

Where y is clipped, k * x may be anything from y up: the pixel is a lower bound of k * x. Clipping
at a lower limit is not searched for: x is not negative, so that a pixel at 0 bounds k * x on
both sides.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_level"]

_LEVELS = 4  # next to the highest value
_EXCESS, _DEVIATIONS = 1.5, 5.0


def clip_level(parts: Iterable[NDArray[np.floating]]) -> float | None:
    """Return the value at which an image is clipped above, or None where it is not.

    The histogram of an image falls towards its end, or ends in a few pixels. One whose last
    level holds half as many pixels again as the fullest of the four levels before, and five
    standard deviations (Poisson's) more, is clipped at that level, which need not be the
    format's: a 12-bit detector's is 4095 in 16 bits.

    Parameters
    ----------
    parts : iterable of ndarray
        Planes of any range, finite, that together are the blurred image.

    Returns
    -------
    float or None
        The highest value of all.
    """
    levels, counts = np.empty(0), np.empty(0, int)
    for part in parts:
        own, number = np.unique(part, return_counts=True)
        # The highest levels of all are among the highest of each.
        every = np.concatenate([levels, own[-1 - _LEVELS :]])
        number = np.concatenate([counts, number[-1 - _LEVELS :]])
        levels, where = np.unique(every, return_inverse=True)
        counts = np.bincount(where, number).astype(int)
        levels, counts = levels[-1 - _LEVELS :], counts[-1 - _LEVELS :]
    if counts.size == 1:
        return None
    last, usual = float(counts[-1]), float(counts[:-1].max())
    if last <= _EXCESS * usual + _DEVIATIONS * np.sqrt(last):
        return None
    return float(levels[-1])
