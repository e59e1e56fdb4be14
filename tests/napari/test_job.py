"""The life of a background run: every end it can come to."""

from __future__ import annotations

import gc
import json
import threading
import time
import warnings
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils import progress
from napari.utils.notifications import notification_manager

import napari_selfdeblur
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.work import deblur_job, restore_job
from napari_selfdeblur._napari.worker import CallWorker
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import (
    DeblurError,
    DeblurWarning,
    DivergedError,
    ImageError,
    OutOfMemoryError,
)
from napari_selfdeblur.run import restoration
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.record import RestoreRecord, RunRecord


@pytest.fixture
def source(viewer_model: ViewerModel, blurred: np.ndarray) -> Image:
    return viewer_model.add_image(blurred, name="cells")


@pytest.fixture
def job(viewer_model: ViewerModel, source: Image, config: SelfDeblurConfig) -> Job:
    return deblur_job(viewer_model, source, config)


def previewed(job: Job) -> bool:
    return job.layers[0] is not None


def names(viewer: ViewerModel) -> list[str]:
    return sorted(layer.name for layer in viewer.layers)


@pytest.mark.parametrize("activity", [True, False])
def test_napari_shows_the_activity_where_it_is_asked_to(fake_run, job: Job, activity: bool) -> None:
    """From the start of the run to its end."""
    job.start(activity=activity)
    assert len(progress._all_instances) == activity
    fake_run.finish.set()
    job.wait(60)
    assert not progress._all_instances


def test_a_real_run_leaves_two_layers_and_its_record(
    viewer_model: ViewerModel, source: Image, job: Job, blurred: np.ndarray
) -> None:
    """A run on an image of 24 x 32 ends with image, kernel and record; the source is untouched."""
    job.start()
    result = job.wait(60)
    sharp, kernel = job.layers
    assert names(viewer_model) == ["cells", "cells deblurred", "cells kernel"]
    assert sharp is not None
    assert kernel is not None
    np.testing.assert_array_equal(sharp.data, result.sharp)
    np.testing.assert_array_equal(kernel.data, result.kernel)
    assert sharp.data.shape == blurred.shape
    assert sharp.data.dtype == np.float32
    assert kernel.data.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(source.data, blurred)
    for layer in (sharp, kernel):
        facts = json.loads(json.dumps(layer.metadata["selfdeblur"]))
        assert RunRecord.from_dict(facts).config == job.config
        assert facts["image"]["name"] == "cells"
    assert job.state == "finished"


def test_a_real_run_of_a_colour_layer(viewer_model: ViewerModel, config: SelfDeblurConfig) -> None:
    """An RGB layer gives an RGB result of its shape."""
    colour = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    job = deblur_job(viewer_model, viewer_model.add_image(colour, rgb=True), config)
    job.start()
    job.wait(60)
    sharp = job.layers[0]
    assert sharp is not None
    assert sharp.rgb
    assert sharp.data.shape == colour.shape


def test_previews_come_while_it_runs(qtbot, fake_run, viewer_model: ViewerModel, job: Job) -> None:
    """Both layers show intermediate estimates, always the same two layers."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    sharp = job.layers[0]
    seen = float(sharp.data[0, 0])
    qtbot.waitUntil(lambda: float(sharp.data[0, 0]) > seen)
    assert sharp.metadata["selfdeblur"]["status"] == "running"
    assert len(viewer_model.layers) == 3
    fake_run.finish.set()
    job.wait(5)
    assert job.layers[0] is sharp


def test_progress_is_reported(qtbot, fake_run, job: Job) -> None:
    """Reports carry step, total, loss and time, in the order of the steps."""
    seen = []
    job.progressed.connect(seen.append)
    job.start()
    qtbot.waitUntil(lambda: len(seen) >= 2)
    fake_run.finish.set()
    job.wait(5)
    steps = [progress.iteration for progress in seen]
    assert steps == sorted(set(steps))
    assert steps[-1] == fake_run.steps
    assert all(progress.total == 1000 for progress in seen)


def test_stop_keeps_what_there_is(qtbot, fake_run, job: Job) -> None:
    """A stopped run has a result, says so in its record, and shows it."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    job.stop()
    result = job.wait(5)
    assert job.state == result.record.status == "stopped"
    sharp = job.layers[0]
    np.testing.assert_array_equal(sharp.data, result.sharp)
    assert sharp.metadata["selfdeblur"]["status"] == "stopped"


def test_an_unforeseen_error_ends_the_run(qtbot, fake_run, job: Job) -> None:
    """A RuntimeError of the numerics arrives as a DeblurError; the last preview stays, marked."""
    fake_run.fail_at, fake_run.error = 20, RuntimeError("shape mismatch")
    job.start()
    with pytest.raises(DeblurError, match="unexpected RuntimeError: shape mismatch") as caught:
        job.wait(5)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert job.state == "failed"
    assert not job.running
    facts = job.layers[0].metadata["selfdeblur"]
    assert facts["status"] == "failed"
    assert "shape mismatch" in facts["reason"]


def test_out_of_memory_ends_the_run(fake_run, viewer_model: ViewerModel, job) -> None:
    """Out of memory at the first step: the message is passed on and no layer is left."""
    fake_run.fail_at = 1
    fake_run.error = OutOfMemoryError("out of memory on cuda:0: crop the image")
    job.start()
    with pytest.raises(OutOfMemoryError, match="crop the image"):
        job.wait(5)
    assert names(viewer_model) == ["cells"]


def test_a_failed_run_lets_go_of_its_networks(fake_run, job: Job) -> None:
    """What the frames of a failed run held is freed, although the error is kept."""
    held = []

    class Network:
        def __init__(self) -> None:
            held.append(weakref.ref(self))

    fake_run.in_frame = Network
    fake_run.fail_at, fake_run.error = 2, RuntimeError("out of luck")
    job.start()
    with pytest.raises(DeblurError):
        job.wait(5)
    gc.collect()
    assert job.error is not None
    assert held[0]() is None


def test_a_failed_run_keeps_its_last_good_estimate(fake_run, job: Job) -> None:
    """The result that the error brings is shown with its record, and why the run failed."""
    fake_run.fail_at, fake_run.error = 7, DivergedError("the loss became NaN at step 7")
    fake_run.error.result = fake_run.result(job.source.image, job.config, 42, "diverged")
    job.start()
    with pytest.raises(DivergedError, match="NaN"):
        job.wait(5)
    sharp, _ = job.layers
    assert sharp.data.min() == sharp.data.max() == 42
    facts = sharp.metadata["selfdeblur"]
    assert (facts["status"], facts["reason"]) == ("diverged", "the loss became NaN at step 7")
    assert (job.state, job.result) == ("failed", fake_run.error.result)


@pytest.mark.parametrize("which", [0, 1])
def test_deleting_a_preview_layer_does_not_end_the_run(
    qtbot, fake_run, viewer_model: ViewerModel, job: Job, which: int
) -> None:
    """The run goes on without the layer; the result is shown in full at the end."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    viewer_model.layers.remove(job.layers[which])
    before = fake_run.steps
    qtbot.waitUntil(lambda: fake_run.steps > before + 20)
    assert len(viewer_model.layers) == 2
    fake_run.finish.set()
    job.wait(5)
    assert names(viewer_model) == ["cells", "cells deblurred", "cells kernel"]


def test_deleting_the_source_does_not_end_the_run(
    qtbot, fake_run, viewer_model: ViewerModel, source: Image, job: Job
) -> None:
    """The run owns a copy of the image, so the source layer may go."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    viewer_model.layers.remove(source)
    fake_run.finish.set()
    job.wait(5)
    assert names(viewer_model) == ["cells deblurred", "cells kernel"]


def test_what_the_user_does_to_the_layers_meanwhile_is_survived(
    qtbot, fake_run, viewer_model: ViewerModel, source: Image, job: Job, blurred
) -> None:
    """Renamed, hidden, overwritten, cropped or cleared: the result is shown in full."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    sharp, kernel = job.layers
    source.data = blurred[:7, ::2].astype(float)
    source.name, sharp.name, kernel.name = "kernel", "", "cells deblurred"
    sharp.visible = kernel.visible = False
    sharp.data, kernel.data = sharp.data[:5], kernel.data[:2, :1]
    sharp.metadata = {"mine": 1}
    viewer_model.dims.ndisplay = 3
    before = float(sharp.data.max())
    qtbot.waitUntil(lambda: sharp.data.shape == blurred.shape and sharp.data.max() > before)
    viewer_model.layers.clear()
    fake_run.finish.set()
    result = job.wait(5)
    sharp, kernel = job.layers
    assert list(viewer_model.layers) == [kernel, sharp]
    np.testing.assert_array_equal(sharp.data, result.sharp)
    np.testing.assert_array_equal(kernel.data, result.kernel)
    assert sharp.data.shape == blurred.shape
    assert sharp.metadata["selfdeblur"]["status"] == "finished"


def test_a_job_runs_once(fake_run, job: Job) -> None:
    """A second start is refused, while running and after."""
    job.start()
    with pytest.raises(DeblurError, match="started before"):
        job.start()
    fake_run.finish.set()
    job.wait(5)
    with pytest.raises(DeblurError, match="started before"):
        job.start()
    assert fake_run.calls == 1


def test_waiting_has_its_limits(fake_run, job: Job) -> None:
    """wait() refuses a run that was not started and gives up in time on one that goes on."""
    with pytest.raises(DeblurError, match="not started"):
        job.wait()
    job.start()
    with pytest.raises(TimeoutError, match="it goes on"):
        job.wait(0.05)
    assert job.running
    fake_run.finish.set()
    assert job.wait(5) is job.result


def test_a_quit_worker_ends_the_run(qtbot, fake_run, job: Job) -> None:
    """What napari does to its workers when a window closes: the run ends, without a result."""
    job.start()
    qtbot.waitUntil(lambda: previewed(job))
    job._worker.quit()
    with pytest.raises(DeblurError, match="viewer was closed"):
        job.wait(5)
    assert job.state == "cancelled"
    assert job.result is None


def test_a_busy_viewer_piles_up_nothing(fake_run, job: Job) -> None:
    """Of all the steps that pass while the viewer is busy, only the newest is reported."""
    seen = []
    job.progressed.connect(seen.append)
    job.start()
    while fake_run.steps < 51:
        time.sleep(0.01)
    fake_run.finish.set()
    job.wait(5)
    assert seen[0].iteration >= 50


def test_previews_are_not_faster_than_the_viewer_bears(
    fake_run, viewer_model: ViewerModel, source: Image, config: SelfDeblurConfig
) -> None:
    """An interval below a quarter of a second is raised to it."""
    job = deblur_job(viewer_model, source, config, preview_seconds=0.001)
    fake_run.finish.set()
    job.start()
    job.wait(5)
    assert fake_run.preview_seconds == 0.25


def test_an_image_that_cannot_be_deblurred_is_reported(
    viewer_model: ViewerModel, config: SelfDeblurConfig
) -> None:
    """A constant image ends the run with the message of the image check."""
    job = deblur_job(viewer_model, viewer_model.add_image(np.ones((24, 24))), config)
    job.start()
    with pytest.raises(ImageError, match=r"constant|contrast"):
        job.wait(60)
    assert len(viewer_model.layers) == 1


def test_a_run_without_a_qt_loop(fake_run, viewer_model: ViewerModel, job: Job) -> None:
    """run() does the whole run in the calling thread and leaves what a thread would."""
    fake_run.finish.set()
    job.run()
    assert job.state == "finished"
    assert names(viewer_model) == ["cells", "cells deblurred", "cells kernel"]
    assert job.wait() is job.result


def test_a_real_restoration(viewer_model: ViewerModel, source: Image, blurred) -> None:
    """A restoration leaves one layer, what `restore` returns, with its record."""
    psf = np.full((3, 5), 1 / 15, np.float32)
    job = restore_job(viewer_model, source, psf, RestoreConfig(device="cpu"), kernel_name="psf")
    job.start()
    job.wait(60)
    assert names(viewer_model) == ["cells", "cells restored (hyper_laplacian)"]
    layer, none = job.layers
    assert none is None
    np.testing.assert_array_equal(layer.data, napari_selfdeblur.restore(blurred, psf, device="cpu"))
    facts = json.loads(json.dumps(layer.metadata["selfdeblur"]))
    assert (facts["image"]["name"], facts["kernel"]["name"]) == ("cells", "psf")
    assert RestoreRecord.from_dict(facts).config == RestoreConfig(device="cpu")


def test_a_restoration_reports_its_steps(viewer_model: ViewerModel, source: Image) -> None:
    """Each step of a network is an event, as in a run."""
    config = RestoreConfig(restoration="generator", iterations=3, device="cpu")
    kernel = np.full((3, 5), 1 / 15, np.float32)
    job = restore_job(viewer_model, source, kernel, config, kernel_name="psf")
    seen: list[Progress] = []
    job.progressed.connect(seen.append)
    job.run()
    newest = seen[-1]
    assert (newest.stage, newest.iteration, newest.total) == ("restore", 3, 3)
    assert newest.loss > 0
    assert newest.seconds > newest.seconds_left == 0


def test_a_failed_restoration_took_some_time(
    viewer_model: ViewerModel, source: Image, monkeypatch
) -> None:
    """The seconds of a job are counted from its start to its end, whatever the end."""

    def fail(*_, **__) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(restoration, "run_restoration", fail)
    kernel = np.ones((1, 1), np.float32)
    job = restore_job(viewer_model, source, kernel, RestoreConfig(), kernel_name="psf")
    assert job.seconds == 0
    job.start()
    with pytest.raises(DeblurError, match="no luck"):
        job.wait(5)
    assert 0 < job.seconds < 60


def test_a_warning_of_a_run_is_shown_by_napari(fake_run, job: Job) -> None:
    """What the run warns of in its thread is a notification, as any warning is in napari."""
    fake_run.in_frame = lambda: warnings.warn("there is no spread", DeblurWarning, stacklevel=2)
    fake_run.finish.set()
    before = len(notification_manager.records)
    with warnings.catch_warnings(action="default"), notification_manager:
        job.start()
        job.wait(60)
    assert "there is no spread" in [e.message for e in notification_manager.records[before:]]


def test_workers_that_overlap_leave_warnings_alone(qtbot) -> None:
    """The first to begin ends first: warnings are shown as before, meanwhile and afterwards."""
    before, filters = warnings.showwarning, list(warnings.filters)
    going = [threading.Event(), threading.Event()]
    workers = [CallWorker(each.wait) for each in going]
    for worker in workers:
        worker.start()
    qtbot.waitUntil(lambda: all(worker.is_running for worker in workers))
    assert warnings.showwarning == before
    for worker, each in zip(workers, going, strict=True):
        with qtbot.waitSignal(worker.finished):
            each.set()
    assert (warnings.showwarning, list(warnings.filters)) == (before, filters)
