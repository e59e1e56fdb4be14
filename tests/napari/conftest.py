"""A run whose course the test decides, and a check that no thread or widget stays behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari_selfdeblur.numerics.progress import Progress
from qtpy.QtWidgets import QApplication
from superqt.utils import WorkerBase

from napari_selfdeblur._napari import job as job_module
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.io import images
from napari_selfdeblur.run import run as workflow
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.run import DeblurResult

_PREVIEW_STEPS = 20
NAPARI_WARNS = "ignore::pydantic.warnings.PydanticDeprecatedSince20"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/napari" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings(NAPARI_WARNS))


class FakeRun:
    """Stands in for `iter_deblur`: steps until told to finish, stopped or told to fail.

    The preview of step n is an image of the value n and a kernel whose first pixel is 1.
    """

    def __init__(self) -> None:
        self.finish = threading.Event()
        self.fail_at: int | None = None
        self.error: BaseException = ValueError("no error was chosen")
        self.calls = 0
        self.steps = 0
        self.verdict: dict[str, Any] = {"credible": True, "reasons": []}
        self.in_frame: Callable[[], Any] = object

    def __call__(
        self,
        image: np.ndarray,
        *,
        config: SelfDeblurConfig,
        rgb: bool,
        preview_seconds: float,
        stop: threading.Event,
    ) -> Generator[Progress, None, DeblurResult]:
        self.calls += 1
        held = self.in_frame()
        start = time.perf_counter()
        kernel = np.zeros(config.kernel_size, np.float32)
        kernel[0, 0] = 1
        step = 0
        while True:
            step += 1
            self.steps = step
            if step == self.fail_at:
                assert held is not None
                raise self.error
            sharp = np.full(image.shape, step, np.float32)
            seconds = time.perf_counter() - start
            ending = stop.is_set() or self.finish.is_set()
            if ending or step % _PREVIEW_STEPS == 1:
                yield Progress(step, 1000, 1 / step, seconds, sharp, kernel)
            else:
                yield Progress(step, 1000, 1 / step, seconds)
            if ending:
                break
            time.sleep(0.004)
        record = RunRecord(
            config=config,
            version="0",
            versions={},
            device="fake",
            seconds=1.0,
            iterations=step,
            status="stopped" if stop.is_set() else "finished",
            losses=(1.0,),
            image=images.describe(image),
            verdict=self.verdict,
            created="2026-01-01T00:00:00+00:00",
        )
        return DeblurResult(sharp, kernel, record)


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    run = FakeRun()
    monkeypatch.setattr(workflow, "iter_deblur", run)
    return run


@pytest.fixture
def blurred() -> np.ndarray:
    """A small image with some structure: uint8, (24, 32)."""
    rows, columns = np.mgrid[:24, :32]
    return (127 + 100 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8)


@pytest.fixture
def viewer_model(qapp: QApplication) -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def config() -> SelfDeblurConfig:
    return SelfDeblurConfig(kernel_size=5, iterations=3, channels=8, non_local=False, device="cpu")


@pytest.fixture(autouse=True)
def nothing_left_behind(qapp: QApplication) -> Iterator[None]:
    """Every test ends with no job, worker or new window of its own."""
    before = set(QApplication.topLevelWidgets())
    yield
    for job in list(job_module._running):
        job.stop()
    WorkerBase.await_workers(5000)
    for _ in range(3):
        qapp.processEvents()
    assert not job_module._running
    assert not WorkerBase._worker_set
    left = {widget for widget in set(QApplication.topLevelWidgets()) - before if widget.isVisible()}
    assert not left
