"""Pixels that stand out alone in an image that is blurred."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_selfdeblur.numerics.defects import defects


def photograph(name: str = "camera", blur: float = 1.5, noise: float = 0.01) -> NDArray[np.uint8]:
    sharp = getattr(data, name)()[100:228, 100:228] / 255
    y = gaussian_filter(sharp, blur) if blur else sharp
    y = y + np.random.default_rng(0).normal(0, noise, y.shape)
    return np.rint(np.clip(0.8 * y + 0.1, 0, 1) * 255).astype(np.uint8)


# In the middle, on the border, in two corners, side by side with one between.
PLACES = ([40, 0, 0, 127, 90, 90], [60, 30, 0, 127, 70, 72])


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float32, np.float64])
def test_hot_and_dead_pixels_are_found(dtype, value):
    """All of them and nothing else; what takes their place is a neighbour's value and near."""
    clean = photograph("moon").astype(dtype)
    y = clean.copy()
    y[PLACES] = value
    where, instead = defects(y)
    assert np.argwhere(where).tolist() == sorted(np.transpose(PLACES).tolist())
    assert instead.dtype == dtype
    assert np.isin(instead, clean).all()
    np.testing.assert_allclose(instead, clean[where], atol=15)


@pytest.mark.parametrize("noise", [0, 0.002, 0.01, 0.05])
@pytest.mark.parametrize("blur", [0, 0.5, 1, 3])
@pytest.mark.parametrize("name", ["camera", "coins", "moon", "page", "brick", "text"])
def test_an_image_without_defects_has_none(name, blur, noise):
    """Photographs, of print too, sharp or blurred, with noise or without."""
    assert not defects(photograph(name, blur, noise))[0].any()


def test_stars_and_lines_are_no_defects():
    """Points blurred by an optical system and lines one pixel wide are left, in any direction."""
    y = np.zeros((96, 96))
    rng = np.random.default_rng(0)
    y[rng.integers(0, 96, 20), rng.integers(0, 96, 20)] = 1
    y = gaussian_filter(y, 0.88)
    y[48, 10:80] = y[10:80, 48] = 1
    y[range(20, 60), range(20, 60)] = 1
    assert not defects(y)[0].any()


def test_faint_pixels_are_left():
    """Up to 2 % of the range, also where nothing else is: rounding leaves such pixels."""
    y = np.tile(np.linspace(0, 1, 64), (64, 1))
    y[20, 20] += 0.02
    assert not defects(y)[0].any()
    y[20, 20] += 0.08
    assert defects(y)[0].sum() == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_small_images_have_none(shape):
    assert not defects(np.arange(np.prod(shape)).reshape(shape))[0].any()


def test_extremes_of_integers_do_not_wrap():
    """Differences of unsigned numbers are not taken in their own type."""
    y = np.full((16, 16), 2**64 - 2, dtype=np.uint64)
    y[5, 5] = 0
    where, instead = defects(y)
    assert np.argwhere(where).tolist() == [[5, 5]]
    assert instead == [2**64 - 2]
