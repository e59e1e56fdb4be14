"""Where a candidate lies on the truth: the best shift, to a quarter of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import correlate

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import as_array

__all__ = ["Alignment", "align", "grey_plane"]

_PHASES = 4  # steps a pixel

Plane = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """A candidate at its best shift.

    `shift` are the rows and columns by which the candidate's content lies further down and right
    than the truth's, in pixels: truth[r, c] corresponds to candidate[r + shift[0], c + shift[1]].
    `truth_crop` is the truth without its margin, `candidate_crop` the candidate, interpolated, at
    the same places.
    """

    shift: tuple[float, float]
    candidate_crop: Plane
    truth_crop: Plane


def align(
    candidate: ArrayLike, truth: ArrayLike, *, crop: int = 15, max_shift: float = 10.0
) -> Alignment:
    """Return the candidate at the shift with the least sum of squared differences.

    All shifts by quarters of a pixel up to `max_shift` pixels in each direction are compared, with
    bilinear interpolation, over the truth (H, W) without a margin of `crop` pixels on each side. A
    candidate (H + 2 m, W + 2 n) is centred on it. The outcome is that of the exhaustive search, in
    a hundredth of its time: bilinear interpolation is linear, so one cross-correlation at whole
    pixels, interpolated, serves every sub-pixel shift; sums of squares come from integral images.
    Shifts which rounding errors of that could confuse are compared directly.

    Raises
    ------
    ImageError
        If the shapes do not fit each other, a value is not finite, or the candidate's margin is
        narrower than the greatest shift.
    """
    wide, target, reach = _windows(candidate, truth, crop, max_shift)
    last = math.floor(max_shift * _PHASES)
    grid = np.arange(-last, last + 1)
    ssd = _all_ssd(wide, target, reach, grid)
    tolerance = 1e-10 * (float(np.sum(wide**2)) + float(np.sum(target**2)))
    best, least = (0, 0), math.inf
    for row, column in np.argwhere(ssd <= ssd.min() + tolerance):
        shift = (int(grid[row]), int(grid[column]))
        exact = float(np.sum((_sample(wide, target.shape, reach, shift) - target) ** 2))
        if exact < least:
            best, least = shift, exact
    return Alignment(
        shift=(best[0] / _PHASES, best[1] / _PHASES),
        candidate_crop=_sample(wide, target.shape, reach, best),
        truth_crop=target,
    )


def grey_plane(image: ArrayLike, name: str) -> Plane:
    """Return a finite 2-D float64 image or kernel, or raise `ImageError` calling it `name`."""
    array = as_array(image, name, "buif").astype(np.float64)
    if array.ndim != 2:
        raise ImageError(f"the {name} must be 2-D, got shape {array.shape}; pass its luma")
    if not np.isfinite(array).all():
        raise ImageError(f"the {name} holds NaN or infinity; replace these values")
    return array


def _windows(
    candidate: ArrayLike, truth: ArrayLike, crop: int, max_shift: float
) -> tuple[Plane, Plane, int]:
    """Return the candidate `reach` pixels around the cropped truth, that truth, and `reach`."""
    image, target = grey_plane(candidate, "candidate"), grey_plane(truth, "truth")
    excess = [a - b for a, b in zip(image.shape, target.shape, strict=True)]
    if any(e < 0 or e % 2 for e in excess):
        raise ImageError(
            f"the candidate {image.shape} must have the shape of the truth {target.shape} or "
            "extend it equally on both sides; crop or pad it"
        )
    reach = math.ceil(max_shift)
    starts = [crop + e // 2 - reach for e in excess]
    sides = [n - 2 * crop for n in target.shape]
    if crop < 0 or max_shift < 0 or min(starts) < 0:
        raise ImageError(
            f"a shift of {max_shift} pixels leaves a candidate of {image.shape} when the margin "
            f"is {crop}; choose max_shift at most {max(crop, 0) + min(excess) // 2}"
        )
    if min(sides) < 1:
        raise ImageError(
            f"nothing of the truth {target.shape} is left without a margin of {crop}; "
            "choose smaller crop and max_shift"
        )
    (top, left), (height, width) = starts, sides
    wide = image[top : top + height + 2 * reach, left : left + width + 2 * reach]
    return wide, target[crop : crop + height, crop : crop + width], reach


def _all_ssd(
    wide: Plane,
    target: Plane,
    reach: int,
    grid: NDArray[np.int_],
) -> Plane:
    """Return the sum of squared differences at every pair of shifts, to rounding error."""
    cross = correlate(wide, target, mode="valid", method="fft")
    energy = float(np.sum(target**2))
    ssd = np.empty((grid.size, grid.size))
    for row_phase in range(_PHASES):
        rows = np.flatnonzero(grid % _PHASES == row_phase)
        for column_phase in range(_PHASES):
            columns = np.flatnonzero(grid % _PHASES == column_phase)
            fractions = (row_phase / _PHASES, column_phase / _PHASES)
            squares = _box_sums(_interpolate(wide, fractions) ** 2, target.shape)
            table = squares - 2 * _interpolate(cross, fractions) + energy
            index = np.ix_(grid[rows] // _PHASES + reach, grid[columns] // _PHASES + reach)
            ssd[np.ix_(rows, columns)] = table[index]
    return ssd


def _sample(
    wide: Plane,
    shape: tuple[int, ...],
    reach: int,
    shift: tuple[int, int],
) -> Plane:
    """Return `wide` at the truth's pixels moved by `shift`, counted in quarters of a pixel."""
    (row, row_phase), (column, column_phase) = (divmod(s, _PHASES) for s in shift)
    top, left = row + reach, column + reach
    region = wide[
        top : top + shape[0] + (row_phase > 0), left : left + shape[1] + (column_phase > 0)
    ]
    return _interpolate(region, (row_phase / _PHASES, column_phase / _PHASES))


def _interpolate(image: Plane, fractions: tuple[float, float]) -> Plane:
    """Return the image moved up and left by fractions of a pixel, smaller by one where moved."""
    down, right = fractions
    if down:
        image = (1 - down) * image[:-1] + down * image[1:]
    if right:
        image = (1 - right) * image[:, :-1] + right * image[:, 1:]
    return image


def _box_sums(image: Plane, shape: tuple[int, ...]) -> Plane:
    """Return the sum over the window of `shape` at each of its places."""
    integral = np.pad(image.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = integral[shape[0] :] - integral[: -shape[0]]
    sums: Plane = rows[:, shape[1] :] - rows[:, : -shape[1]]
    return sums
