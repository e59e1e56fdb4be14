"""A batch on a real cluster of two workers, which end on the way."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.io.folder_store import FolderStore
from napari_selfdeblur.io.stores import FrameRef
from napari_selfdeblur.io.zarr_store import ZarrStore
from napari_selfdeblur.run.batch import iter_batch, prepare_batch
from napari_selfdeblur.run.batch_frame import FrameReport, Work
from napari_selfdeblur.run.cluster import _client, _environment, distributed

Run = Callable[..., tuple[int, dict[str, Any], str]]
Scene = Callable[..., NDArray[np.uint16]]
WORK = Work(RestoreConfig(iterations=2, device="cpu"), np.full((3, 3), 1 / 9, np.float32))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a cluster of two processes, where a frame may end one process.

    A process is given all that it will do at once: when it ends, all of that has ended with it.
    """
    from distributed import LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.scheduler.worker-saturation": "inf",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address


def reports(scheduler: str, images: Path, store: FolderStore | ZarrStore) -> list[FrameReport]:
    batch = prepare_batch(sorted(images.iterdir()), store, WORK)
    events = list(iter_batch(batch, execute=distributed(scheduler=scheduler)))
    assert all(isinstance(event, FrameReport) for event in events)
    return [event for event in events if isinstance(event, FrameReport)]


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_two_workers_give_what_one_process_gives(
    scheduler: str, run: Run, images: Path, tmp_path: Path, out: str
) -> None:
    """Every plane, kernel and verdict is the same to the last bit."""
    words = [images, "-o"]
    there = run(*words, tmp_path / "there" / out, "--scheduler", scheduler)
    here = run(*words, tmp_path / "here" / out)
    assert there[0] == here[0] == 0
    hashes = []
    for place in ("there", "here"):
        kind = ZarrStore if out.endswith("zarr") else FolderStore
        batch = prepare_batch(
            sorted(images.iterdir()), kind(tmp_path / place / out), Work(*_as_run(tmp_path))
        )
        markers = [batch.store.marker(frame) for frame in batch.frames]
        hashes.append([(each["sharp"], each["kernel"]) for each in markers if each])
    assert len(hashes[0]) == 8
    assert hashes[0] == hashes[1]


def _as_run(tmp_path: Path) -> tuple[RestoreConfig, NDArray[np.float32]]:
    kernel = tifffile.imread(tmp_path / "kernel.tif")
    return RestoreConfig(iterations=2, device="cpu"), kernel / kernel.sum()


def test_the_frame_of_a_worker_that_ends_is_done_by_another(
    scheduler: str, images: Path, tmp_path: Path
) -> None:
    """A worker killed by SIGKILL at work on a frame costs nothing but time."""

    class Fatal(FolderStore):
        def write(self, frame: FrameRef, *args: Any) -> None:
            flag = self.path / "killed"
            if frame.label == "Z1" and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            super(type(self), self).write(frame, *args)

    done = reports(scheduler, images, Fatal(tmp_path / "out"))
    assert (tmp_path / "out" / "killed").exists()
    assert [each.status for each in done] == ["done"] * 8
    assert len({(each.output, each.plane) for each in done}) == 8
    again = reports(scheduler, images, FolderStore(tmp_path / "out"))
    assert all(each.resumed for each in again)


def test_a_frame_that_ends_every_worker_is_named(
    scheduler: str, images: Path, tmp_path: Path
) -> None:
    """The others are done, by workers that took the place of those that ended."""

    class Fatal(FolderStore):
        def write(self, frame: FrameRef, *args: Any) -> None:
            if frame.name == "colour":
                os.kill(os.getpid(), signal.SIGKILL)
            super(type(self), self).write(frame, *args)

    done = {
        (each.output, each.plane): each
        for each in reports(scheduler, images, Fatal(tmp_path / "out"))
    }
    failed = done.pop(("colour", ""))
    assert failed.status == "failed"
    assert "ended several times, perhaps for lack of memory" in failed.reason
    assert {each.status for each in done.values()} == {"done"}


def test_a_scheduler_that_does_not_answer_is_named(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address is a wrong argument."""
    monkeypatch.setattr("napari_selfdeblur.run.cluster._WAIT", 0.2)
    words = [images / "a.tif", "-o", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9"]
    status, _, error = run(*words)
    assert status == 2
    assert "the scheduler tcp://127.0.0.1:9 does not answer" in error


def test_own_workers_keep_their_memory_and_leave_no_trace() -> None:
    """Dask's trimming, which slows each frame, is off; the caller's environment is as before."""
    before = dict(os.environ)
    with _client(1, None, "cpu") as client:
        found = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
        threads = client.run(os.environ.get, "OMP_NUM_THREADS")
    assert list(found.values()) == [os.environ.get("MALLOC_TRIM_THRESHOLD_")]
    assert list(threads.values()) == ["1"]
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("device", "visible", "given"),
    [
        ("auto", None, ["0", "1", "0"]),
        ("cuda", "2, 5", ["2", "5", "2"]),
        ("cuda:1", None, [None, None, None]),
        ("cpu", None, [None, None, None]),
    ],
)
def test_each_worker_has_one_of_the_gpus_that_may_be_used(
    device: str, visible: str | None, given: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the user names is every worker's."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [_environment(n, device).get("CUDA_VISIBLE_DEVICES") for n in range(3)]
    assert found == given
