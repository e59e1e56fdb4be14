"""Pixels without data: found where something is filled or drawn in, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_selfdeblur.numerics.gaps import Gaps, filled, find_gaps

SMOOTH = 80 + 0.4 * gaussian_filter(data.camera()[:200, :180].astype(float), 2)
Y = (SMOOTH + np.random.default_rng(0).normal(0, 1, SMOOTH.shape)).round().astype(np.uint8)
ROWS, COLUMNS = np.indices(Y.shape)
MARGIN = COLUMNS < 20
CORNERS = (ROWS + COLUMNS < 60) | (ROWS - COLUMNS > 150)
BAR = (abs(ROWS - 150) < 4) & (abs(COLUMNS - 120) < 30)


@pytest.mark.parametrize("where", [MARGIN, CORNERS, BAR], ids=["margin", "corners", "bar"])
@pytest.mark.parametrize("value", [0, 255])
def test_what_is_filled_in_is_found(where: NDArray[np.bool_], value: int) -> None:
    """Exactly those pixels are, in grey and in colour."""
    image = np.where(where, np.uint8(value), Y.clip(3, 250))
    assert np.array_equal(find_gaps(image), where)
    assert np.array_equal(find_gaps(np.stack([image, image // 2, image], axis=-1)), where)


def test_nothing_is_found_in_a_blurred_image() -> None:
    """Neither in flat parts, nor in clipped ones, nor in a single value."""
    assert not find_gaps(Y).any()
    assert not find_gaps(SMOOTH.round()).any()
    assert not find_gaps((Y * 1.6).clip(0, 255).astype(np.uint8)).any()
    assert not find_gaps(np.full((20, 30), 7)).any()
    assert not find_gaps(np.zeros((2, 3), np.float32)).any()


def test_gaps_are_kept_by_block_and_read_by_window() -> None:
    """Windows need not begin at a byte."""
    gaps = Gaps.of([CORNERS[:70], CORNERS[70:]])
    assert gaps is not None
    window = slice(13, 155), slice(3, 45)
    assert np.array_equal(gaps.within(window), CORNERS[window])
    assert gaps.count == CORNERS.sum()
    assert Gaps.of([np.zeros((4, 9), bool)]) is None


def test_the_clear_rectangle_has_no_gaps() -> None:
    """All of the image where such a rectangle would hold less than half of the data."""
    margin, scattered = Gaps.of([MARGIN]), Gaps.of([(ROWS % 20 == 0) & (COLUMNS % 20 == 0)])
    assert margin is not None
    assert scattered is not None
    assert not MARGIN[margin.clear].any()
    assert margin.clear == (slice(0, 200), slice(24, 180))
    assert scattered.clear == (slice(0, 200), slice(0, 180))


def test_gaps_are_filled_with_what_is_next_to_them() -> None:
    """So nothing there stands out."""
    y = np.where(MARGIN, np.float32(0), np.float32(1))
    assert (filled(y, MARGIN) == 1).all()
    assert filled(y, ~MARGIN).max() == 0
    assert (filled(y, np.ones_like(MARGIN)) == 0).all()
