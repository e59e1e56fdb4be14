"""Clipped pixels: those at an upper limit of the detector or the format.

Where y is clipped, k * x may be anything from y up: the pixel is a lower bound of k * x. Clipping
at a lower limit is not searched for: x is not negative, so that a pixel at 0 bounds k * x on
both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["clipped_pixels"]

_LEVELS = 4  # next to the highest value
_EXCESS, _DEVIATIONS = 1.5, 5.0


def clipped_pixels(y: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Return where y is clipped above, or None where it is not.

    The histogram of an image falls towards its end, or ends in a few pixels. One whose last
    level holds half as many pixels again as the fullest of the four levels before, and five
    standard deviations (Poisson's) more, is clipped at that level, which need not be the
    format's: a 12-bit detector's is 4095 in 16 bits.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image of any range; finite.

    Returns
    -------
    ndarray of bool, (H, W), or None
        Whether a pixel has the highest value.
    """
    _, counts = np.unique(y, return_counts=True)
    if counts.size == 1:
        return None
    last, usual = float(counts[-1]), float(counts[-1 - _LEVELS : -1].max())
    if last <= _EXCESS * usual + _DEVIATIONS * np.sqrt(last):
        return None
    return np.asarray(y == y.max())
