"""The region of a frame that the kernel is estimated from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.regions import Structure, region_shape, with_region

DRAFT = SelfDeblurConfig.preset("draft")
CAMERA = np.asarray(data.camera()[::2, ::2] / 255, np.float32)


def structure(y: NDArray[np.float32], sigma: float = 0.01, level: float | None = None) -> Structure:
    return Structure.of(lambda window: y[window], (y.shape[0], y.shape[1]), sigma, level)


def frame(level: float = 0.3) -> NDArray[np.float32]:
    """Return a flat field with noise."""
    noise = np.random.default_rng(0).normal(level, 0.01, (700, 900))
    return noise.astype(np.float32)


def overlap(window: tuple[slice, slice], top: int, left: int, side: int) -> float:
    rows, columns = window
    high = min(rows.stop, top + side) - max(rows.start, top)
    wide = min(columns.stop, left + side) - max(columns.start, left)
    return max(high, 0) * max(wide, 0) / side**2


def test_the_region_is_where_the_edges_are() -> None:
    """Noise is no structure: of a flat frame with one scene the region is the scene's."""
    y = frame()
    y[300:556, 500:756] += CAMERA - 0.5
    assert overlap(structure(y).best((256, 256)), 300, 500, 256) > 0.75


def test_edges_of_one_direction_count_less() -> None:
    """Stripes do not show the blur along them, however strong they are."""
    y = frame()
    y[:, :400] += 0.6 * ((np.arange(400) // 16) % 2)
    y[400:656, 600:856] += 0.5 * (CAMERA - 0.5)
    assert overlap(structure(y).best((256, 256)), 400, 600, 256) > 0.75


def test_a_clipped_region_counts_less() -> None:
    """Of two equal scenes the one that is not clipped is chosen."""
    y = frame()
    y[:256, :256], y[400:656, 600:856] = CAMERA, CAMERA
    y[:256, :256] = np.minimum(2 * y[:256, :256], 1)
    assert overlap(structure(y, level=1.0).best((256, 256)), 400, 600, 256) > 0.75


def test_other_regions_lie_apart_and_have_edges() -> None:
    """Regions to compare with are not the flat rest of the frame."""
    y = frame()
    for top, left in ((0, 0), (400, 0), (0, 600)):
        y[top : top + 256, left : left + 256] += CAMERA - 0.5
    found = structure(y)
    best = found.best((224, 224))
    others = found.others((224, 224), [best], 3)
    assert len(others) == 2
    for one in (best, *others):
        assert max(overlap(one, *corner, 256) for corner in ((0, 0), (400, 0), (0, 600))) > 0.5
    assert all(overlap(best, o[0].start, o[1].start, 224) == 0 for o in others)


def test_frames_of_any_shape_have_a_region() -> None:
    """Blocks may end in one row or column."""
    y = np.random.default_rng(0).random((513, 1025)).astype(np.float32)
    rows, columns = structure(y).best((200, 300))
    assert (rows.stop - rows.start, columns.stop - columns.start) == (200, 300)
    assert rows.stop <= 513
    assert columns.stop <= 1025


@pytest.mark.parametrize(
    ("changes", "shape", "expected"),
    [
        ({}, (500, 900), (500, 900)),
        ({}, (2048, 2048), (512, 512)),
        ({"kernel_size": 99}, (2048, 2048), (792, 792)),
        ({"kernel_size": 99}, (600, 9000), (600, 792)),
        ({"solvers": ("edges", "joint")}, (2048, 2048), (256, 256)),
        ({"solvers": ("edges", "edges")}, (2048, 2048), (512, 512)),
        ({"region": "whole"}, (2048, 2048), (2048, 2048)),
        ({"region": ((10, 60), (5, 105))}, (2048, 2048), (50, 100)),
        ({"restoration": None}, (2048, 2048), (2048, 2048)),
    ],
)
def test_the_regions_size(
    changes: dict[str, object], shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Several kernels wide, no larger than the frame, all of it where nothing restores the rest."""
    config = DRAFT.replace(**changes)
    assert region_shape(config, shape) == expected
    assert region_shape(with_region(config, shape), shape) == expected
