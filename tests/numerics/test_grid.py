"""A grid of kernels: its regions, interpolation, registration and what neighbours say."""

import numpy as np
import pytest
from scipy import ndimage

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics import grid as module
from napari_selfdeblur.numerics.grid import (
    KernelGrid,
    centres_of,
    check_grid,
    grid_of,
    mosaic,
    regions_of,
    registered,
)
from napari_selfdeblur.numerics.registration import shift_between
from napari_selfdeblur.numerics.tiles import tiles

CENTRES = (np.array([10.0, 30.0]), np.array([20.0, 60.0, 100.0]))


def disk(radius: float, side: int = 13) -> np.ndarray:
    r = np.hypot(*np.indices((side, side)) - side // 2)
    k = np.clip(radius + 0.5 - r, 0, 1)
    return (k / k.sum()).astype(np.float32)


def kernels(rows: int = 2, columns: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    k = rng.random((rows, columns, 5, 5), dtype=np.float32)
    return k / k.sum(axis=(2, 3), keepdims=True)


def test_at_a_centre_the_kernel_is_the_cells_own():
    """Between two centres it is the mean by distance; beyond the outermost it stays."""
    k = kernels()
    grid = KernelGrid(k, CENTRES)
    for i, row in enumerate(CENTRES[0]):
        for j, column in enumerate(CENTRES[1]):
            np.testing.assert_array_equal(grid.at((row, column)), k[i, j])
    np.testing.assert_allclose(grid.at((10, 30)), 0.75 * k[0, 0] + 0.25 * k[0, 1], rtol=1e-6)
    np.testing.assert_allclose(grid.at((20, 80)), k[:, 1:].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(grid.at((-50, 500)), k[0, 2])
    assert grid.at((17, 33)).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("shape", "grid"), [((300, 400), (3, 2)), ((131, 131), (2, 2))])
def test_regions_cover_the_frame_inside_it(shape, grid):
    """Each is eight kernels wide or its cell; their centres rise, and no pixel is left out."""
    regions = regions_of(grid, shape, (9, 7))
    covered = np.zeros(shape, bool)
    for rows, columns in regions:
        covered[rows, columns] = True
        for span, n, count in zip((rows, columns), shape, grid, strict=True):
            assert 0 <= span.start < span.stop <= n
            assert span.stop - span.start >= min(max(n // count, 72), n)
    assert covered.all()
    for centres, count in zip(centres_of(grid, regions), grid, strict=True):
        assert len(centres) == count
        assert (np.diff(centres) > 0).all()


def test_a_grid_that_is_too_fine_is_refused():
    """With the largest one that fits; 1 x 1 fits everywhere."""
    check_grid((1, 1), (20, 20), (31, 31))
    check_grid((3, 2), (300, 200), (15, 15))
    with pytest.raises(ConfigError, match="choose at most 3 x 2") as error:
        check_grid((4, 2), (300, 200), (15, 15))
    assert error.value.field == "kernel_grid"
    with pytest.raises(ConfigError, match="choose no grid"):
        check_grid((2, 2), (100, 100), (31, 31))


def test_registered_kernels_lie_on_that_of_the_frame():
    """A copy moved by a fraction of a pixel comes back; the frame's does not move."""
    frame = disk(3.3)
    shifted = ndimage.shift(disk(3.3, 17), (0.4, -1.7), order=3).clip(0).astype(np.float32)
    fixed, moved = registered(frame, [shifted])
    assert fixed.shape == moved.shape
    assert fixed.sum() == pytest.approx(1, abs=1e-6)
    middle = fixed.shape[0] // 2
    inner = fixed[middle - 6 : middle + 7, middle - 6 : middle + 7]
    np.testing.assert_allclose(inner, frame, atol=1e-7)
    assert np.abs(shift_between(fixed, moved)).max() <= 0.05
    assert np.linalg.norm(moved - fixed) < 0.15 * np.linalg.norm(fixed)  # cubic, of sharp edges


def test_the_support_holds_the_largest_kernel():
    """A cell's kernel that is wider than the frame's is not cut, and stays in the middle."""
    fixed, moved = registered(disk(2, 7), [disk(6, 15)])
    assert fixed.shape == moved.shape >= (13, 13)
    middle = moved.shape[0] // 2
    np.testing.assert_allclose(ndimage.center_of_mass(moved), middle, atol=0.05)
    np.testing.assert_allclose(ndimage.center_of_mass(fixed), middle, atol=1e-3)


def test_equal_kernels_give_a_grid_of_equal_kernels():
    """Also in cells without one; each is confirmed by the others."""
    k = disk(3)
    grid, confirmed = grid_of(k, [k, None, k, k, None, k], (2, 3), CENTRES)
    for each in grid.kernels.reshape(6, *grid.kernel_size):
        np.testing.assert_allclose(each, k, atol=1e-6)
    assert [value is None for value in confirmed] == [False, True, False, False, True, False]
    assert min(value for value in confirmed if value is not None) == pytest.approx(1, abs=1e-5)


def test_a_cell_without_kernel_has_its_neighbours(monkeypatch):
    """The nearer count more; where there are none it has the frame's."""
    monkeypatch.setattr(module, "_FROM_NEIGHBOURS", 0.0)
    small, large = disk(2), disk(4)
    grid, _ = grid_of(small, [small, None, None, None, large], (1, 5), CENTRES)
    widths = [float(k.max()) for k in grid.kernels[0]]
    assert widths == sorted(widths, reverse=True)
    first, *_, last = grid.kernels[0]
    np.testing.assert_allclose(grid.kernels[0, 2], (first + last) / 2, atol=1e-7)
    alone, confirmed = grid_of(small, [None] * 6, (2, 3), CENTRES)
    np.testing.assert_array_equal(alone.kernels[1, 2], small)
    assert confirmed == [None] * 6


def test_a_kernel_takes_a_fifth_of_its_neighbours():
    """Sums stay 1, and of one row the middle cell has both sides."""
    k = kernels(1, 3)
    smooth = module._smoothed(k)
    np.testing.assert_allclose(smooth[0, 1], 0.8 * k[0, 1] + 0.1 * (k[0, 0] + k[0, 2]), rtol=1e-5)
    np.testing.assert_allclose(smooth[0, 0], 0.8 * k[0, 0] + 0.2 * k[0, 1], rtol=1e-5)
    np.testing.assert_array_equal(module._smoothed(k[:, :1]), k[:, :1])


def test_a_mosaic_has_each_kernel_in_the_middle_of_its_cell():
    """Row by row, with at least a pixel around."""
    k = kernels()
    laid = mosaic(k)
    assert laid.shape == (14, 21)
    np.testing.assert_array_equal(laid[8:13, 15:20], k[1, 2])
    wide = mosaic(k, (9, 11))
    assert wide.shape == (18, 33)
    np.testing.assert_array_equal(wide[11:16, 25:30], k[1, 2])
    assert wide.sum() == pytest.approx(6, abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "side", "grid"), [((500, 640), 17, (3, 4)), ((130, 90), 5, (2, 1))]
)
def test_tiles_of_a_grid_sum_to_one_and_are_small(shape, side, grid):
    """Half a cell or three kernels without margins, on a frame that is one tile otherwise."""
    total = np.zeros(shape)
    parts = list(tiles(shape, (side, side), grid))
    for window, share, centre in parts:
        total[window] += share
        assert all(s.start <= c <= s.stop for s, c in zip(window, centre, strict=True))
        for span, n, count in zip(window, shape, grid, strict=True):
            core = max(n / (2 * count), 3 * side) if count > 1 else n
            assert span.stop - span.start <= 2 * core + 7 * side
    assert len(parts) > 1
    np.testing.assert_allclose(total, 1, atol=1e-6)
