"""Pixels without data: the margins of a registered or rotated image, frames, scale bars, labels.

They hold one value, and what is drawn or filled in is not blurred: its outline is a step that the
blurred image has nowhere. Such a step rings in whatever is restored, and a kernel that is to
explain it is wrong: docs/decisions/0037.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, maximum_filter
from skimage.measure import label

from napari_selfdeblur.numerics.tiles import Window, whole

__all__ = ["Gaps", "filled", "find_gaps"]

_LEAST = 4  # pixels of a patch
_LAG = 2  # pixels across an outline: one may be a mixture of both sides
_STEEP = 2.0  # times the change over as many pixels beyond
_AT_ONCE = 0.75  # of the change, to the first pixel
_USUAL, _RARE = 90, 99.9  # percentiles of the changes in the image
_NEVER = 1e300  # larger than any change
_SQUARES = 64  # along the longer side, that a rectangle without gaps is made of
_BLOCK = 8  # pixels: their sides are multiples, so that a rectangle begins where a JPEG block does
_MOST = 0.5  # of the data, that the rectangle has to hold


def find_gaps(plane: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where an image has no data.

    A patch is a connected set of at least four pixels of one value. From it to two pixels beyond
    its outline the image has to change by more than twice as much as over the next two pixels, in
    the mean. Where a lens or a shake has blurred the image, or a detector has clipped it, it does
    not. And the step has to be larger than 99.9 % of such changes between pixels outside of
    patches; or the patch holds one side of the image; or it touches the border, and its least step
    is more than twice the mean change beyond, and more than 90 % of the others. Of the highest
    value, which may be a detector's limit, three quarters of the change have to be at the first
    pixel. Further pixels of a value so found are gaps too if their outline is as steep or a gap is
    nearer than four pixels.

    Parameters
    ----------
    plane : ndarray, (H, W) or (H, W, channels)
        Finite, of any real type.

    Returns
    -------
    ndarray of bool, (H, W)
    """
    patch = _patches(plane)
    y = plane.astype(np.float64)
    y = y if y.ndim == 2 else y.mean(axis=-1)
    sizes = np.bincount(patch.ravel())
    flat = (sizes >= _LEAST)[patch]
    if not flat.any():
        return flat
    found, (usual, rare) = _Outlines.of(y, patch, flat, sizes.size), _changes(y, flat)
    steep = (found.count > 0) & (found.step > _STEEP * found.beyond)
    highest = np.unique(patch[y == y.max()])  # a detector's limit?
    steep[highest] &= found.first[highest] > _AT_ONCE * found.step[highest]
    drawn = found.step > rare * found.count
    drawn[[edge[0] for edge in _borders(patch) if (edge == edge[0]).all()]] = True
    touching = np.unique(np.concatenate(_borders(patch)))
    least, beyond = found.least[touching], found.beyond[touching]
    clear = (least > usual) & (least * found.count[touching] > _STEEP * beyond)
    drawn[touching[clear]] = True
    gaps = (steep & drawn & (sizes >= _LEAST))[patch]
    if not gaps.any():
        return gaps
    near = maximum_filter(gaps, 4 * _LAG - 1)
    return np.asarray(gaps | ((steep[patch] | near) & np.isin(y, np.unique(y[gaps]))))


@dataclass(frozen=True, eq=False)
class Gaps:
    """Where a frame of any size has no data, one bit a pixel.

    Attributes
    ----------
    shape : (int, int)
        The frame's.
    bits : ndarray of uint8, (H, ceil(W / 8))
        As `numpy.packbits` makes them along the rows.
    """

    shape: tuple[int, int]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.bool_]]) -> Gaps | None:
        """Return the gaps of a frame by its blocks of rows; None where it has none."""
        rows = [(part.shape, np.packbits(part, axis=1)) for part in parts]
        bits = np.concatenate([each for _, each in rows])
        return cls((bits.shape[0], rows[0][0][1]), bits) if bits.any() else None

    def within(self, window: Window) -> NDArray[np.bool_]:
        """Return where a window has no data."""
        rows, columns = window
        first = columns.start // 8
        bits = self.bits[rows, first : math.ceil(columns.stop / 8)]
        count = columns.stop - 8 * first
        return np.unpackbits(bits, axis=1, count=count)[:, columns.start - 8 * first :].astype(bool)

    @property
    def count(self) -> int:
        """How many pixels have no data."""
        return int(np.bitwise_count(self.bits).sum())

    @cached_property
    def clear(self) -> Window:
        """Return the largest rectangle without gaps; all of the frame if it holds less than half.

        It is made of up to 64 squares along either side.
        """
        side = _BLOCK * math.ceil(max(self.shape) / (_BLOCK * _SQUARES))
        starts = [range(0, n, side) for n in self.shape]
        free = np.array(
            [
                [
                    not self.within(
                        (
                            slice(top, min(top + side, self.shape[0])),
                            slice(left, min(left + side, self.shape[1])),
                        )
                    ).any()
                    for left in starts[1]
                ]
                for top in starts[0]
            ]
        )
        (top, bottom), (left, right) = _largest(free)
        rows = slice(top * side, min(bottom * side, self.shape[0]))
        columns = slice(left * side, min(right * side, self.shape[1]))
        held = (rows.stop - rows.start) * (columns.stop - columns.start)
        data = math.prod(self.shape) - self.count
        return (rows, columns) if held >= _MOST * data else whole(self.shape)


def filled(y: NDArray[np.float32], gaps: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return an image (H, W) whose gaps have the values of the nearest pixels, 0 if it is all."""
    if not gaps.any():
        return y
    if gaps.all():
        return np.zeros_like(y)
    nearest = distance_transform_edt(gaps, return_distances=False, return_indices=True)
    return np.asarray(y[tuple(nearest)])


@dataclass(frozen=True, slots=True, eq=False)
class _Outlines:
    """Of each patch the sums of changes, how often its outline is crossed, and the least step."""

    first: NDArray[np.float64]
    step: NDArray[np.float64]
    beyond: NDArray[np.float64]
    count: NDArray[np.intp]
    least: NDArray[np.float64]

    @classmethod
    def of(
        cls, y: NDArray[np.float64], patch: NDArray[np.intp], flat: NDArray[np.bool_], patches: int
    ) -> _Outlines:
        """Follow each outline in four directions, where no other patch of some size follows."""
        index, changes = [np.empty(0, np.intp)], [np.empty((3, 0))]
        for turned in range(4):
            p, v, f = np.rot90(patch, turned), np.rot90(y, turned), np.rot90(flat, turned)
            if len(p) <= 2 * _LAG:
                continue
            out = (p[: -2 * _LAG] != p[1 : 1 - 2 * _LAG]) & ~f[_LAG:-_LAG]
            inside, next_, second, last = (
                v[i : len(v) - 2 * _LAG + i] for i in (0, 1, _LAG, 2 * _LAG)
            )
            each = np.abs([next_ - inside, second - inside, last - second])
            index.append(p[: -2 * _LAG][out])
            changes.append(each[:, out])
        of, (first, step, beyond) = np.concatenate(index), np.concatenate(changes, axis=1)
        least = np.full(patches, np.inf)
        np.minimum.at(least, of, step)
        return cls(
            np.asarray(np.bincount(of, first, patches), float),
            np.asarray(np.bincount(of, step, patches), float),
            np.asarray(np.bincount(of, beyond, patches), float),
            np.bincount(of, minlength=patches),
            np.where(least < np.inf, least, 0),
        )


def _patches(plane: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return a number for each connected set of pixels of one value."""
    channels = plane.reshape(*plane.shape[:2], -1)
    codes = np.zeros(plane.shape[:2], np.int64)
    for channel in np.moveaxis(channels, -1, 0):
        values, code = np.unique(channel, return_inverse=True)
        codes = codes * values.size + code.reshape(codes.shape)
        codes = np.unique(codes, return_inverse=True)[1].reshape(codes.shape)
    return np.asarray(label(codes + 1, connectivity=1))


def _changes(y: NDArray[np.float64], flat: NDArray[np.bool_]) -> tuple[float, float]:
    """Return what 90 and 99.9 % of the changes over two pixels outside of patches are at most."""
    changes = [
        np.abs(v[_LAG:] - v[:-_LAG])[~f[_LAG:] & ~f[:-_LAG]] for v, f in ((y, flat), (y.T, flat.T))
    ]
    every = np.concatenate(changes)
    usual, rare = np.percentile(every, (_USUAL, _RARE)) if every.size else (_NEVER, _NEVER)
    return float(usual), float(rare)


def _borders(patch: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [patch[0], patch[-1], patch[:, 0], patch[:, -1]]


def _largest(free: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return rows and columns of the largest rectangle of True, (0, 0) twice if there is none."""
    best, area = ((0, 0), (0, 0)), 0
    for top, bottom in combinations(range(len(free) + 1), 2):
        clear = np.concatenate([[False], free[top:bottom].all(axis=0), [False]])
        ends = np.flatnonzero(clear[1:] != clear[:-1]).reshape(-1, 2)
        for left, right in ends.tolist():
            if (bottom - top) * (right - left) > area:
                best, area = ((top, bottom), (left, right)), (bottom - top) * (right - left)
    return best
