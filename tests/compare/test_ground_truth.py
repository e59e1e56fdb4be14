"""Measuring results against a known sharp image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_selfdeblur.compare.ground_truth import GroundTruth
from napari_selfdeblur.errors import ImageError


def _scene(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(3).random(shape)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_truth_itself_is_perfect(dtype: str) -> None:
    """The truth, as float32 in its own values, has no error whatever its data type."""
    peak = 1 if dtype == "float32" else np.iinfo(dtype).max
    truth = (_scene(48, 56) * peak).astype(dtype)
    assert GroundTruth(truth, truth).psnr(truth.astype(np.float32)) == math.inf


def test_shift_does_not_count() -> None:
    """A result shifted by whole pixels scores as well as an unshifted one."""
    truth = _scene(60, 60)
    assert GroundTruth(truth, truth).psnr(np.roll(truth, (3, -2), (0, 1))) > 100


@pytest.mark.parametrize(("dtype", "peak"), [("uint8", 255.0), ("float64", 1.0)])
def test_known_error_gives_known_psnr(dtype: str, peak: float) -> None:
    """A constant error of a tenth of the peak is 20 dB."""
    truth = (_scene(48, 48) * 0.5 * peak).astype(dtype)
    assert GroundTruth(truth, truth).psnr(truth + 0.1 * peak) == pytest.approx(20)


def test_truth_and_image_may_differ_in_type() -> None:
    """An 8-bit truth measures a float image in [0, 1]."""
    truth = (_scene(48, 48) * 255).astype(np.uint8)
    image = truth.astype(np.float32) / 255
    assert GroundTruth(truth, image).psnr(image) > 120


def test_colour_is_compared_by_luma() -> None:
    """Two colour images of the same luma are equal, and a grey truth fits a grey colour image."""
    grey = (_scene(48, 48) * 255).astype(np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    assert GroundTruth(grey, colour).psnr(colour) > 200
    tinted = colour + np.array([0.114, 0, -0.299])
    assert GroundTruth(colour, colour).psnr(tinted) > 200


def test_wrong_truths_are_refused() -> None:
    """A truth of another size, or a constant one of unknown range, is refused."""
    with pytest.raises(ImageError, match="same field"):
        GroundTruth(_scene(48, 48), _scene(48, 50))
    with pytest.raises(ImageError, match="constant"):
        GroundTruth(np.full((48, 48), 7, np.uint16), _scene(48, 48))
