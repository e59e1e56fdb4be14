"""Frames in overlapping tiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import next_fast_len

from napari_selfdeblur.numerics import tiles as module
from napari_selfdeblur.numerics.tiles import tile_shape, tiled_pixels, tiles

SHAPES = [((2048, 2048), (25, 25)), ((900, 3100), (5, 9)), ((4000, 6000), (45, 45))]


@pytest.mark.parametrize(("shape", "kernel_size"), SHAPES)
def test_the_shares_of_all_tiles_sum_to_one(
    shape: tuple[int, int], kernel_size: tuple[int, int]
) -> None:
    """Every pixel of the frame comes from its tiles, and from them alone."""
    total, pixels = np.zeros(shape, np.float32), 0
    for window, share, _ in tiles(shape, kernel_size):
        assert 0 <= share.min() <= share.max() <= 1
        total[window] += share
        pixels += (share.shape[0] + kernel_size[0] - 1) * (share.shape[1] + kernel_size[1] - 1)
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert pixels == tiled_pixels(shape, kernel_size)


def test_a_tile_counts_nothing_within_two_kernel_sides_of_its_border() -> None:
    """Its border lies inside the frame, where others know more; at the frame's own it counts."""
    for window, share, _ in tiles((2048, 2048), (25, 25)):
        rows, columns = window
        for axis, (span, profile) in enumerate(
            ((rows, share.max(axis=1)), (columns, share.max(axis=0)))
        ):
            first, last = span.start == 0, span.stop == 2048
            assert profile[:50].max() == pytest.approx(float(first)), axis
            assert profile[-50:].max() == pytest.approx(float(last)), axis


def test_a_small_frame_is_one_tile() -> None:
    """Then restoring by tiles is restoring."""
    (tile,) = tiles((1200, 700), (31, 31))
    assert tile.window == (slice(0, 1200), slice(0, 700))
    assert (tile.share == 1).all()


def test_sides_of_tiles_transform_fast() -> None:
    """Margins reach up to the next fast length of the part of x that a tile depends on."""
    for (rows, columns), _, _ in tiles((5000, 5000), (31, 21)):
        for span, side in ((rows, 31), (columns, 21)):
            length = span.stop - span.start + side - 1
            assert length == next_fast_len(length, real=True)


def test_a_tile_is_bounded_whatever_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sides depend on the kernel's, not on the frame's."""
    sides = [max(tile_shape((n, n), (25, 25))) for n in (2048, 8192, 50_000)]
    assert max(sides) < 1.6 * module._CORE + 8 * 25
    monkeypatch.setattr(module, "_CORE", 64)
    assert max(tile_shape((500, 500), (5, 5))) < 200
