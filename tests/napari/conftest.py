"""A run whose course the test decides, and a check that no thread or widget stays behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Generator, Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest
from npe2._pytest_plugin import TestPluginManager
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QWidget
from superqt.utils import WorkerBase

from napari_selfdeblur import api
from napari_selfdeblur._napari import cost, panel
from napari_selfdeblur._napari import job as job_module
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.io import images
from napari_selfdeblur.numerics.support import with_size
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.result import DeblurResult

_PREVIEW_STEPS = 20
_SECONDS_TO_END = 30
NAPARI_WARNS = "ignore::pydantic.warnings.PydanticDeprecatedSince20"


class PatientQtBot(QtBot):
    """Waits as long as a busy machine may need; what is waited for comes at once on others."""

    def waitUntil(self, callback: Callable[[], object], *, timeout: int = 60_000) -> None:
        super().waitUntil(callback, timeout=timeout)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """Return pytest-qt's helper, more patient."""
    return PatientQtBot(request)


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
        self.preview_seconds = 0.0
        self.verdict: dict[str, Any] = {"credible": True, "reasons": [], "advice": []}
        self.in_frame: Callable[[], Any] = object

    def __call__(
        self,
        image: np.ndarray,
        *_: None,
        config: SelfDeblurConfig,
        rgb: bool,
        preview_seconds: float,
        stop: threading.Event,
    ) -> Generator[Progress, None, DeblurResult]:
        self.calls += 1
        self.preview_seconds = preview_seconds
        held = self.in_frame()
        start = time.perf_counter()
        step = 0
        while True:
            step += 1
            self.steps = step
            if step == self.fail_at:
                assert held is not None
                raise self.error
            seconds = time.perf_counter() - start
            ending = stop.is_set() or self.finish.is_set()
            status = "stopped" if stop.is_set() else "finished"
            result = self.result(image, config, step, status)
            preview = {}
            if ending or step % _PREVIEW_STEPS == 1:
                preview = {"sharp": result.sharp, "kernel": result.kernel}
            yield Progress("joint", step, 1000, 1 / step, seconds, 60.0, **preview)
            if ending:
                return result
            time.sleep(0.004)

    def result(
        self, image: np.ndarray, config: SelfDeblurConfig, step: int, status: str
    ) -> DeblurResult:
        kernel = np.zeros(with_size(config, image.shape[:2]).sides, np.float32)
        kernel[0, 0] = 1
        record = RunRecord(
            config=config,
            used=config,
            device="fake",
            seconds=1.0,
            iterations=step,
            status=status,
            losses=(1.0,),
            image=images.describe(image),
            verdict=self.verdict,
        )
        return DeblurResult(np.full(image.shape, step, np.float32), kernel, record)


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    run = FakeRun()
    monkeypatch.setattr(api, "iter_deblur", run)
    return run


DEVICES = (("cuda:0", "Big card (cuda:0)"), ("cpu", "CPU (2 threads)"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose devices and speed are known at once."""
    monkeypatch.setattr(panel, "find_devices", lambda: cost.Devices(DEVICES))
    monkeypatch.setattr(cost, "find_cost", lambda *asked: cost.Cost(*asked, "about 1:30, 2.0 GiB"))


@pytest.fixture
def blurred() -> np.ndarray:
    """A small image with some structure: uint8, (24, 32)."""
    rows, columns = np.mgrid[:24, :32]
    return (127 + 100 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8)


@pytest.fixture
def plugins(npe2pm: TestPluginManager) -> None:
    """This plugin beside napari's own readers and writers."""
    npe2pm.register(PluginManifest.from_file(str(files("napari_selfdeblur") / "napari.yaml")))
    npe2pm.register(PluginManifest.from_distribution("napari"))


@pytest.fixture
def viewer_model(qapp: QApplication) -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def config() -> SelfDeblurConfig:
    return SelfDeblurConfig(kernel_size=5, iterations=3, channels=8, non_local=False, device="cpu")


@pytest.fixture(autouse=True)
def nothing_left_behind(qapp: QApplication) -> Iterator[None]:
    """Every test ends with no job, worker or new window of its own."""
    before = _windows()
    yield
    for job in list(job_module._running):
        job.stop()
    # A worker begun while Qt handles events, as the panel's measuring of the time is, joins the
    # thread pool a millisecond later: the pool may be empty and the worker still to come.
    deadline = time.monotonic() + _SECONDS_TO_END
    while (job_module._running or WorkerBase._worker_set) and time.monotonic() < deadline:
        WorkerBase.await_workers(1000 * _SECONDS_TO_END)
        qapp.processEvents()
    assert not job_module._running
    assert not WorkerBase._worker_set
    assert not {widget for widget in _windows() - before if widget.isVisible()}


def _windows() -> set[QWidget]:
    """Return the top-level widgets.

    Without garbage collection: it deletes a widget that nobody holds while the list of them is
    made, and the process crashes (a segmentation fault in PySide6 6.11 and before).
    """
    gc.disable()
    try:
        return set(QApplication.topLevelWidgets())
    finally:
        gc.enable()
