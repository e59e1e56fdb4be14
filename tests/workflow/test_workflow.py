import json
import threading

import numpy as np
import pytest
import torch
from scipy import ndimage

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError, DivergedError, ImageError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.solvers import networks as optimise
from napari_selfdeblur.numerics.fusion import draft_share, final, laid_on
from napari_selfdeblur.restoration import restore_plane
from napari_selfdeblur.run import run as workflow
from napari_selfdeblur.run.record import RunRecord

TINY = sd.SelfDeblurConfig.preset("official").replace(
    kernel_size=5, iterations=4, channels=8, skip_channels=4, device="cpu", precision="float32"
)
rng = np.random.default_rng(0)
GREY = rng.integers(20, 200, (34, 37)).astype(np.uint8)


def drive(run):
    seen = []
    while True:
        try:
            seen.append(next(run))
        except StopIteration as end:
            return seen, end.value


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY.astype(np.uint16) * 200,
        GREY.astype(np.float64) * 3 - 100,
        rng.integers(0, 256, (34, 37, 3)).astype(np.uint8),
        rng.integers(0, 256, (34, 37, 4)).astype(np.uint8),
    ],
    ids=["uint8", "uint16", "float64", "rgb", "rgba"],
)
def test_result_has_the_images_shape_and_range(image):
    """result.sharp is float32 of the image's shape, in its values; the kernel is a PSF."""
    before = image.copy()
    result = sd.deblur(image, config=TINY)
    assert result.sharp.dtype == np.float32
    assert result.sharp.shape == image.shape
    spread = float(image.max()) - float(image.min())
    assert result.sharp.min() >= float(image.min()) - 0.5 * spread
    assert result.sharp.max() <= float(image.max()) + 0.5 * spread
    assert result.kernel.shape == (5, 5)
    assert result.kernel.min() >= 0
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(image, before)


def test_last_progress_shows_the_result():
    """What the last progress carries is what the run returns."""
    seen, result = drive(sd.iter_deblur(GREY, config=TINY))
    assert [p.iteration for p in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal(seen[-1].sharp, result.sharp)
    np.testing.assert_array_equal(seen[-1].kernel, result.kernel)


def test_progress_reaches_the_caller():
    """deblur calls on_progress once a step, with the same facts."""
    seen = []
    result = sd.deblur(GREY, config=TINY, on_progress=seen.append)
    assert [p.loss for p in seen] == pytest.approx(list(result.record.losses))


def test_run_is_reproducible_from_its_record():
    """The configuration in a record, read back from JSON, repeats the run."""
    first = sd.deblur(GREY, config=TINY.replace(seed=7))
    record = RunRecord.from_json(first.record.to_json())
    second = sd.deblur(GREY, config=record.config)
    np.testing.assert_array_equal(first.sharp, second.sharp)
    np.testing.assert_array_equal(first.kernel, second.kernel)


def test_record_says_how_the_result_was_made():
    """The record names settings, seed, versions, device, time, losses, image and verdict."""
    record = json.loads(sd.deblur(GREY, config=TINY).record.to_json())
    assert record["config"]["seed"] == 0
    assert record["config"]["kernel_size"] == [5, 5]
    assert record["versions"]["torch"]
    assert record["device"].startswith("CPU")
    assert record["seconds"] > 0
    assert len(record["losses"]) == record["iterations"] == 4
    assert record["status"] == "finished"
    assert record["image"]["shape"] == [34, 37]
    assert set(record["verdict"]) == {"credible", "reasons", "measures", "kept"}


def test_a_run_can_begin_with_the_draft():
    """draft_first shows classical estimates as step 0, before the steps of the run."""
    sample = motion_blurred_photograph(size=64)
    config = TINY.replace(draft_first=True, restoration="sparse", kernel_size=17)
    seen, result = drive(sd.iter_deblur(sample.blurred, config=config))
    draft = [p for p in seen if p.iteration == 0]
    assert draft == seen[: len(draft)]
    assert len(draft) == 4
    assert all(p.sharp.shape == sample.blurred.shape and p.seconds_left is None for p in draft)
    assert [p.iteration for p in seen[len(draft) :]] == [1, 2, 3, 4]
    assert len(result.record.losses) == result.record.iterations == 4
    times = [p.seconds for p in seen]
    assert times == sorted(times)
    np.testing.assert_array_equal(seen[-1].sharp, result.sharp)
    np.testing.assert_array_equal(seen[-1].kernel, result.kernel)


def mixture(networks, draft, **changes):
    config = TINY.replace(restoration="sparse", restoration_share=0.5, **changes)
    return final(Y, Y, networks, draft, config, torch.device("cpu"))


SAMPLE = motion_blurred_photograph(size=128)
Y = (SAMPLE.blurred / 255).astype(np.float32)
TRUE = SAMPLE.kernel
DIFFUSE = np.full(TRUE.shape, 1 / TRUE.size, np.float32)
POINT = np.zeros_like(TRUE)
POINT[8, 8] = 1


@pytest.mark.parametrize("wrong", [DIFFUSE, POINT], ids=["diffuse", "no blur"])
def test_a_failed_estimate_has_no_share(wrong):
    """A kernel that is none at all loses, whether it is the draft's or the networks'."""
    networks, draft = mixture(TRUE, wrong), mixture(wrong, TRUE)
    assert (networks.kept, draft.kept) == ("networks", "draft")
    np.testing.assert_array_equal(networks.kernel, TRUE)
    np.testing.assert_array_equal(draft.kernel, TRUE)
    np.testing.assert_array_equal(draft.sharp, restore_plane(Y, TRUE, "sparse", device="cpu"))
    alone = mixture(wrong, None)
    assert alone.kept == "networks"
    np.testing.assert_array_equal(alone.kernel, wrong)


def share(own, drafted, kernel=TRUE, draft=TRUE):
    return draft_share(own.astype(np.float32), drafted.astype(np.float32), Y, kernel, draft)


def test_estimates_that_agree_are_averaged():
    """Even halves, and more for a draft that has more detail; ringing is no detail."""
    truth = (SAMPLE.sharp / 255).astype(np.float32)
    soft, softer = (ndimage.gaussian_filter(truth, sigma) for sigma in (0.4, 0.8))
    assert share(truth, truth) == share(truth, soft) == 0.5
    assert share(softer, truth) == 1
    assert 0.5 < share(soft, soft + 0.2 * (truth - soft)) < 1
    ringing = soft + 0.1 * np.sin(np.arange(128))
    assert share(ringing, soft) is None


def test_estimates_that_disagree_are_not_averaged():
    """A draft that lacks a part of the kernel has no share, unless the networks' image rings."""
    part = np.where(np.arange(17) < 8, TRUE, 0)
    part /= part.sum()
    assert share(Y, Y, draft=part) == 0
    assert share(Y + 0.1 * np.sin(np.arange(128)), Y, draft=part) is None


def test_estimates_are_laid_on_each_other_before_they_are_mixed():
    """A draft that lies elsewhere in its support is moved onto the networks', with its image."""
    moved = ndimage.shift(TRUE, (1, -1), order=0)
    end = mixture(TRUE, moved / moved.sum())
    assert end.kept == "both"
    np.testing.assert_allclose(end.kernel, TRUE, atol=0.01)
    same = mixture(TRUE, TRUE)
    inner = slice(20, -20), slice(20, -20)
    np.testing.assert_allclose(end.sharp[inner], same.sharp[inner], atol=0.03)
    shift, kernel = laid_on(moved, TRUE)
    np.testing.assert_allclose(shift, (-1, 1))
    assert kernel.sum() == pytest.approx(1, abs=1e-6)


def test_stop_keeps_what_there_is():
    """A set stop ends the run normally; its record says it was stopped."""
    stop = threading.Event()
    run = sd.iter_deblur(GREY, config=TINY, stop=stop)
    next(run)
    stop.set()
    seen, result = drive(run)
    assert len(seen) == 1
    assert result.record.status == "stopped"
    assert result.record.iterations == 2
    np.testing.assert_array_equal(seen[-1].sharp, result.sharp)


def test_divergence_keeps_the_last_good_image_in_the_images_range(monkeypatch):
    """The error of a failed run carries the image before it, in the source's values."""
    real_step = optimise.JointOptimiser.step

    def step(self):
        done = real_step(self)
        return done._replace(loss=float("nan")) if self.t == 3 else done

    monkeypatch.setattr(optimise.JointOptimiser, "step", step)
    run = sd.iter_deblur(GREY, config=TINY, preview_steps=1)
    next(run)
    second = next(run)
    with pytest.raises(DivergedError) as caught:
        next(run)
    np.testing.assert_array_equal(caught.value.estimate.sharp, second.sharp)


def test_input_is_checked_before_the_first_step():
    """Bad input fails when the run is asked for, not when it is stepped."""
    with pytest.raises(ImageError):
        sd.iter_deblur(np.full((30, 30), np.nan), config=TINY)
    with pytest.raises(ConfigError, match="kernel_size must be odd, got 20; try 21"):
        sd.iter_deblur(GREY, kernel_size=20)
    with pytest.raises(ConfigError, match="preset must be one of"):
        sd.iter_deblur(GREY, preset="best")
    with pytest.raises(ConfigError, match="either config or preset, not both"):
        sd.iter_deblur(GREY, preset="fast", config=TINY)


def test_arguments_replace_fields_of_the_configuration():
    """Single settings change the preset or configuration they are given with."""
    assert workflow.configure() == sd.SelfDeblurConfig.preset("fast")
    chosen = workflow.configure(13, "paper", iterations=200, seed=3)
    assert chosen == sd.SelfDeblurConfig.preset("paper").replace(
        kernel_size=13, iterations=200, seed=3
    )
    assert workflow.configure(7, config=TINY).kernel_size == (7, 7)
    assert workflow.configure(config=TINY) == TINY


def test_paper_preset_measures_the_noise(monkeypatch):
    """tv_weight='auto' is a tenth of the measured noise (equation 6), and is recorded."""
    monkeypatch.setattr(workflow, "noise_sigma", lambda y: 0.03)
    result = sd.deblur(GREY, config=TINY.replace(loss="mse", tv_weight="auto"))
    assert result.record.image["tv_weight"] == pytest.approx(0.003)
