"""Runs of images with hot and dead pixels: they give what the image without them gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io import frames
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.images import describe

KERNEL = np.zeros((5, 5), np.float32)
KERNEL[2] = KERNEL[1, 4] = 1
KERNEL /= KERNEL.sum()
HOT = ([0, 31, 60, 64, 95], [95, 50, 20, 0, 60])
DEAD = (70, 70)


def scene() -> NDArray[np.uint16]:
    """Return a photograph of 200 to 1200 counts, blurred by `KERNEL`, with noise."""
    y = fftconvolve(data.camera()[60:360:3, 120:420:3] / 255, KERNEL, mode="valid")
    y += np.random.default_rng(0).normal(0, 0.005, y.shape)
    return np.rint(y.clip(0, 1) * 1000 + 200).astype(np.uint16)


CLEAN = scene()


def with_defects(image: NDArray[Any]) -> NDArray[Any]:
    y = image.copy()
    y[HOT] = 60_000
    y[DEAD] = 0
    return y


def test_a_hot_pixel_does_not_set_the_range() -> None:
    """Value range, noise and restoration are those of the image without the defects."""
    y = with_defects(CLEAN)
    assert Frame.of(y, (5, 5)).value_range == Frame.of(CLEAN, (5, 5)).value_range
    assert sd.estimate_noise(y) == pytest.approx(sd.estimate_noise(CLEAN), rel=0.02)
    expected = sd.restore(CLEAN, KERNEL, "sparse", device="cpu")
    restored = sd.restore(y, KERNEL, "sparse", device="cpu")
    assert np.abs(restored - expected).mean() < 1


def test_a_run_finds_the_same_kernel() -> None:
    """The record says how many pixels were replaced, and describes the image as it is."""
    y = with_defects(CLEAN)
    expected = sd.deblur(CLEAN, preset="draft", kernel_size=5, device="cpu")
    result = sd.deblur(y, preset="draft", kernel_size=5, device="cpu")
    assert np.corrcoef(result.kernel.ravel(), expected.kernel.ravel())[0, 1] > 0.97
    assert expected.record.image["defects"] == 0
    assert result.record.image["defects"] == 6
    assert describe(y).items() <= result.record.image.items()
    np.testing.assert_array_equal(y, with_defects(CLEAN))


@pytest.mark.parametrize("kind", [np.asarray, lambda y: da.from_array(y, chunks=(16, 20))])
def test_every_window_is_repaired(
    kind: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read block by block, whatever the windows are that are read after."""
    monkeypatch.setattr(frames, "_BLOCK", 20 * 96)
    y = with_defects(CLEAN)
    frame, expected = Frame.of(kind(y), (5, 5)), Frame.of(CLEAN, (5, 5))
    assert frame.description["defects"] == 6
    bad = np.zeros(y.shape, bool)
    bad[HOT] = bad[DEAD] = True
    for rows, columns in [(slice(0, 96), slice(0, 96)), (slice(25, 71), slice(40, 96))]:
        found = frame.plane((rows, columns))
        exact = expected.plane((rows, columns))
        np.testing.assert_array_equal(found[~bad[rows, columns]], exact[~bad[rows, columns]])
        np.testing.assert_allclose(found, exact, atol=0.2)


def test_channels_have_defects_of_their_own() -> None:
    """In colour a defect is one channel's; alpha is left as it is."""
    y = np.stack([CLEAN, CLEAN // 2, CLEAN // 3, np.zeros_like(CLEAN)], axis=-1)
    hot = y.copy()
    hot[30, 40, 1] = hot[50, 60, 3] = 60_000
    frame, expected = Frame.of(hot, (5, 5)), Frame.of(y, (5, 5))
    assert frame.description["defects"] == 1
    np.testing.assert_allclose(frame.y, expected.y, atol=0.05)
    np.testing.assert_array_equal(np.delete(frame.y, 30, 0), np.delete(expected.y, 30, 0))
    assert frame.restore_range(frame.y)[50, 60, 3] == 60_000


def test_a_constant_image_with_a_hot_pixel_shows_no_blur() -> None:
    y = np.full((64, 64), 100, np.uint16)
    y[20, 20] = 4000
    with pytest.raises(ImageError, match="constant"):
        Frame.of(y, (5, 5))


def test_planes_of_a_stack_share_a_range_without_the_defects() -> None:
    """A hot pixel in one plane does not dim the others; the record has the array's extremes."""
    series = np.stack([CLEAN, with_defects(CLEAN)])
    clean = np.stack([CLEAN, CLEAN])
    options = {"axes": "TYX", "device": "cpu"}
    restored = sd.restore_stack(series, KERNEL, "sparse", **options)
    expected = sd.restore_stack(clean, KERNEL, "sparse", **options)
    np.testing.assert_array_equal(restored.sharp[0], expected.sharp[0])
    assert restored.record.image["max"] == 60_000
