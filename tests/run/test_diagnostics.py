"""Residual and spread: what a result leaves unexplained, and how far plausible ones differ."""

import itertools
import threading

import numpy as np
import pytest
from scipy.signal import fftconvolve

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError, DeblurWarning
from napari_selfdeblur.io import frames
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.diagnostics import Spread, residual
from napari_selfdeblur.numerics.fusion import Candidate, plausible
from napari_selfdeblur.numerics.runtime import estimate_memory
from napari_selfdeblur.run.batch import prepare_batch, store_at
from napari_selfdeblur.run.batch_frame import Work

RNG = np.random.default_rng(0)
LUMA = (0.299, 0.587, 0.114)
SAMPLE = motion_blurred_photograph(size=64)
BLURRED = SAMPLE.blurred[:48, :48]
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=9, device="cpu")
MEASURES = {"spectrum": 0.0, "informative": 0.5, "residual": 1.0, "sparsity": 0.5, "geary": 0.8}
MEASURES |= {"width": 2.0, "sigma": 0.01}


def candidate(kernel, **changes):
    return Candidate(kernel, "edges", MEASURES | changes)


@pytest.fixture(scope="module")
def both():
    """The same run without and with diagnostics, of an image with an offset, and its events."""
    image, events = 300 + 3 * BLURRED.astype(np.uint16), []
    plain = sd.deblur(image, config=DRAFT)
    asked = sd.deblur(image, config=DRAFT, diagnostics=True, on_progress=events.append)
    return image, plain, asked, events


def test_the_residual_of_the_truth_is_nothing():
    """y - k * x is 0 for y = k * x, and by definition where k * x needs what lies outside."""
    x = RNG.random((40, 31)).astype(np.float32)
    k = RNG.random((7, 5)).astype(np.float32)
    k /= k.sum()
    y = RNG.random((40, 31)).astype(np.float32)
    y[3:-3, 2:-2] = fftconvolve(x, k, mode="valid")
    np.testing.assert_allclose(residual(y, k, x), 0, atol=1e-6)
    assert not residual(x[:5], k, x[:5]).any()  # the kernel is larger than the image


def test_the_spread_is_the_weighted_standard_deviation():
    """Added one by one, images have the deviation that they have together."""
    images, weights = RNG.random((5, 6, 7)).astype(np.float32), np.array([1, 0.5, 0.2, 0.9, 0.1])
    spread = Spread((6, 7))
    for image, weight in zip(images, weights, strict=True):
        spread.add(image.copy(), weight)
    mean = np.average(images, axis=0, weights=weights)
    expected = np.sqrt(np.average((images - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(spread.deviation, expected, atol=1e-6)


def test_plausible_kernels_are_the_cheap_ones_registered():
    """What much speaks against is left out; a shifted copy of a kernel comes back unshifted."""
    k = SAMPLE.kernel.astype(np.float32)
    moved = np.roll(np.pad(k, 3), (3, -2), axis=(0, 1))
    wrong = candidate(np.full((9, 9), 1 / 81, np.float32), spectrum=5.0)
    found = plausible([candidate(k), wrong, candidate(moved)], k, 6)
    assert [weight for _, weight in found] == pytest.approx([1, 1])
    sides = {kernel.shape[0] for kernel, _ in found}
    padded = [np.pad(kernel, (max(sides) - kernel.shape[0]) // 2) for kernel, _ in found]
    np.testing.assert_allclose(padded[0], padded[1], atol=0.02 * k.max())
    assert len(plausible([candidate(k)] * 8, k, 6)) == 6


def test_nothing_is_kept_that_was_not_asked_for(both):
    """Without the setting there is neither image, and with it the result is the same."""
    _, plain, asked, _ = both
    assert plain.residual is None
    assert plain.spread is None
    np.testing.assert_array_equal(plain.sharp, asked.sharp)
    np.testing.assert_array_equal(plain.kernel, asked.kernel)
    assert asked.record.config.diagnostics


def test_the_residual_is_in_the_images_units(both):
    """It is the blurred image less the sharp one blurred again, in the values of both."""
    image, _, asked, _ = both
    assert asked.residual.dtype == np.float32
    assert asked.residual.shape == image.shape
    a, b = (n // 2 for n in asked.kernel.shape)
    again = fftconvolve(asked.sharp, asked.kernel, mode="valid")
    np.testing.assert_allclose(asked.residual[a:-a, b:-b], image[a:-a, b:-b] - again, atol=0.02)
    asked.residual[a:-a, b:-b] = 0
    assert not asked.residual.any()


def test_the_spread_is_in_the_images_units(both):
    """It is larger than the noise of rounding and smaller than the image's own deviation."""
    image, _, asked, _ = both
    assert asked.spread.dtype == np.float32
    assert asked.spread.shape == image.shape
    assert 0.1 < asked.spread.mean() < image.std()


def test_the_spread_is_a_stage(both):
    """It comes between fusion and restoration; the last event is still the result."""
    _, _, asked, events = both
    stages = [stage for stage, _ in itertools.groupby(events, key=lambda event: event.stage)]
    assert stages == ["edges", "fuse", "refine", "spread", "restore"]
    np.testing.assert_array_equal(events[-1].sharp, asked.sharp)


def test_blocks_of_rows_make_no_difference(both, monkeypatch):
    """A frame computed by few rows at a time has the residual of the whole."""
    image, *_ = both
    frame = frames.Frame.of(image, (3, 3))
    monkeypatch.setattr(frames, "_BLOCK", 5 * image.shape[1])
    assert len(frame.blocks) == 10
    again = sd.deblur(image, config=DRAFT.replace(restoration=None), diagnostics=True)
    a, b = (n // 2 for n in again.kernel.shape)
    expected = image[a:-a, b:-b] - fftconvolve(again.sharp, again.kernel, mode="valid")
    np.testing.assert_allclose(again.residual[a:-a, b:-b], expected, atol=0.02)
    assert again.spread is None  # without a restoration there is nothing to compare


def test_of_a_colour_image_they_are_of_the_luma():
    """Both have rows and columns alone, and the residual is that of the luma."""
    plane = BLURRED // 3
    image = np.stack([plane + 70, plane + 90, 160 - plane], axis=-1)  # far from black and white
    result = sd.deblur(image, config=DRAFT, diagnostics=True)
    assert result.residual.shape == result.spread.shape == image.shape[:2]
    a, b = (n // 2 for n in result.kernel.shape)
    again = fftconvolve(result.sharp @ LUMA, result.kernel, mode="valid")
    expected = (image @ LUMA)[a:-a, b:-b] - again
    np.testing.assert_allclose(result.residual[a:-a, b:-b], expected, atol=0.02)


def test_a_stop_leaves_the_spread_out():
    """Stopped while it is made, the run returns its best estimate with a residual."""
    stop = threading.Event()

    def on_progress(event):
        if event.stage == "spread":
            stop.set()

    result = sd.deblur(BLURRED, config=DRAFT, diagnostics=True, stop=stop, on_progress=on_progress)
    assert result.record.status == "stopped"
    assert result.spread is None
    assert np.isfinite(result.residual).all()


def test_one_estimate_has_no_spread():
    """A warning says so; the result is there."""
    config = sd.SelfDeblurConfig(
        kernel_size=5,
        iterations=2,
        channels=8,
        skip_channels=4,
        device="cpu",
        restoration="sparse",
        diagnostics=True,
    )
    with pytest.warns(DeblurWarning, match="no spread"):
        result = sd.deblur(BLURRED, config=config)
    assert result.spread is None
    assert result.residual is not None


def test_stacks_and_batches_refuse(tmp_path):
    """They would compute what they do not keep."""
    config = DRAFT.replace(diagnostics=True)
    with pytest.raises(ConfigError, match="planes of a stack"):
        sd.deblur_stack(np.stack([BLURRED] * 2), "ZYX", config=config)
    with pytest.raises(ConfigError, match="frames of a batch"):
        prepare_batch([tmp_path / "a.tif"], store_at(tmp_path / "out"), Work(config))


def test_the_memory_is_counted():
    """A run with diagnostics is expected to need six float32 images more."""
    asked = DRAFT.replace(diagnostics=True)
    more = estimate_memory(asked, (500, 600)) - estimate_memory(DRAFT, (500, 600))
    assert more == 24 * 500 * 600
