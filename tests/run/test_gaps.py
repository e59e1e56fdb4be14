"""Runs of images with pixels without data: they give what the rest of the image gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.io.frames import Frame

KERNEL = np.zeros((5, 5), np.float32)
KERNEL[2] = KERNEL[1, 4] = 1
KERNEL /= KERNEL.sum()


def scene() -> NDArray[np.uint16]:
    """Return a photograph of 200 to 1200 counts, blurred by `KERNEL`, with noise."""
    y = fftconvolve(data.camera()[60:360:2, 120:420:2] / 255, KERNEL, mode="valid")
    y += np.random.default_rng(0).normal(0, 0.005, y.shape)
    return np.rint(y.clip(0, 1) * 1000 + 200).astype(np.uint16)


CLEAN = scene()
FRAMED = np.pad(CLEAN, ((0, 0), (16, 0)))
INSIDE = np.s_[:, 16:]


def test_a_margin_changes_neither_range_nor_noise() -> None:
    """They are measured where there is data."""
    framed, clean = Frame.of(FRAMED, (5, 5)), Frame.of(CLEAN, (5, 5))
    assert framed.value_range == clean.value_range
    assert framed.description["gaps"] == 16 * len(CLEAN)
    assert clean.description["gaps"] == 0
    assert sd.estimate_noise(FRAMED) == pytest.approx(sd.estimate_noise(CLEAN), rel=1e-6)


def test_a_margin_is_kept_and_does_not_ring() -> None:
    """What is restored beside it is as it is without it, up to the image's border."""
    restored = sd.restore(FRAMED, KERNEL, "sparse", device="cpu")
    assert (restored[:, :16] == 0).all()
    expected = sd.restore(CLEAN, KERNEL, "sparse", device="cpu")
    assert np.abs(restored[INSIDE] - expected).mean() < 3  # of 1000 counts


def test_a_run_finds_the_same_kernel() -> None:
    """It is estimated from the part with data, and the record says where that is."""
    result = sd.deblur(FRAMED, preset="draft", kernel_size=5, device="cpu")
    alone = sd.deblur(CLEAN, preset="draft", kernel_size=5, device="cpu")
    assert np.allclose(result.kernel, alone.kernel, atol=1e-5)
    assert result.record.image["gaps"] == 16 * len(CLEAN)
    assert (result.sharp[:, :16] == 0).all()


def test_each_plane_of_a_stack_has_its_own() -> None:
    """A series registered by whole pixels: the scale is that of the data."""
    series = np.stack([FRAMED, np.pad(CLEAN, ((0, 0), (0, 16)))])
    result = sd.deblur_stack(series, axes="TYX", preset="draft", kernel_size=5, device="cpu")
    assert (np.asarray(result.sharp)[0, :, :16] == 0).all()
    assert (np.asarray(result.sharp)[1, :, -16:] == 0).all()
