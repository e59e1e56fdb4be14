"""Fifty runs in one viewer, most of them ended by force: nothing grows."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from statistics import median
from typing import Any

import numpy as np
import psutil
import pytest
from napari.viewer import Viewer
from npe2 import PluginManifest
from qtpy.QtCore import QEvent, QThreadPool
from qtpy.QtWidgets import QApplication

from napari_selfdeblur._napari.job import Job

PLUGIN, PANEL = "napari-selfdeblur", "SelfDeblur"
SHORT = {
    "kernel_size": (5, 5),
    "iterations": 8,
    "channels": 4,
    "solvers": ("joint",),
    "restoration": None,
    "device": "cpu",
}
RUNS, FORCED = 50, 30
EARLY, LATE = (9, 10, 11), (RUNS - 2, RUNS - 1, RUNS)
_LONG = 120_000  # ms, on a busy machine


@dataclass(frozen=True)
class Held:
    """What the process holds between two runs; memory in bytes."""

    memory: int
    threads: int
    widgets: int
    connections: int


def connections(viewer: Viewer) -> int:
    """Return how many callbacks the events of the viewer and its layers have.

    napari keeps the weak reference to a widget that is gone until the event's next time.
    """
    groups: list[Any] = [viewer.events, viewer.layers.events, viewer.layers.selection.events]
    groups += [viewer.dims.events, *(layer.events for layer in viewer.layers)]
    emitters = [each for group in groups for each in group.emitters.values()]
    callbacks = [callback for each in emitters for callback in each.callbacks]
    return sum(not isinstance(each, tuple) or each[0]() is not None for each in callbacks)


def held(viewer: Viewer) -> Held:
    """Return what is held once everything that can go has gone."""
    QThreadPool.globalInstance().waitForDone()
    for _ in range(2):
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QApplication.processEvents()
        gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    process = psutil.Process()
    return Held(
        memory=process.memory_info().rss,
        threads=process.num_threads(),
        widgets=len(QApplication.allWidgets()),
        connections=connections(viewer),
    )


class Session:
    """A viewer with one image and the panel, in which runs are begun and disturbed."""

    def __init__(self, qtbot: Any, viewer: Viewer, blurred: np.ndarray) -> None:
        self.qtbot, self.viewer, self.blurred = qtbot, viewer, blurred
        self.add_source()
        self.open()

    def add_source(self) -> None:
        self.viewer.add_image(self.blurred, name="cells")

    def open(self) -> None:
        _, self.panel = self.viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
        self.panel.form.show(SHORT)

    def results(self) -> list[Any]:
        return [layer for layer in self.viewer.layers if layer.name != "cells"]

    def stop(self) -> None:
        self.panel.stop()

    def delete(self) -> None:
        for layer in self.results():
            self.viewer.layers.remove(layer)

    def delete_one(self) -> None:
        for layer in self.results()[:1]:
            self.viewer.layers.remove(layer)

    def delete_all(self) -> None:
        self.viewer.layers.clear()

    def replace(self) -> None:
        self.viewer.layers["cells"].data = self.blurred[::-1, :20].astype(np.float64)

    def hide(self) -> None:
        for layer in self.viewer.layers:
            layer.visible = False
            layer.name = "renamed"

    def close(self) -> None:
        self.viewer.window.remove_dock_widget(self.panel.native)
        self.panel.native.deleteLater()

    def tidy(self, job: Job) -> None:
        """Await the end of the run, and make the session what it was before."""
        self.qtbot.waitUntil(lambda: not job.running, timeout=_LONG)
        assert job.state in ("finished", "stopped"), (job.state, job.error)
        if not self.viewer.window.dock_widgets:
            self.open()
        self.viewer.layers.clear()
        self.add_source()


FORCES: list[Callable[[Session], None]] = [
    Session.stop,
    Session.delete,
    Session.delete_one,
    Session.delete_all,
    Session.replace,
    Session.hide,
    Session.close,
]


@pytest.mark.timeout(1800)
def test_fifty_runs_leave_nothing_behind(
    qtbot, machine, npe2pm, make_napari_viewer, blurred
) -> None:
    """Runs that end well or are stopped, deleted or closed at random moments hold nothing.

    Memory around the 50th run is within 5 % of that around the 10th; threads, widgets and event
    connections do not grow.
    """
    npe2pm.register(PluginManifest.from_file(str(files("napari_selfdeblur") / "napari.yaml")))
    rng = np.random.default_rng(0)
    session = Session(qtbot, make_napari_viewer(), blurred)
    seconds, found = 1.0, {}
    for number, forced in enumerate(
        rng.permutation([True] * FORCED + [False] * (RUNS - FORCED)), 1
    ):
        qtbot.waitUntil(lambda: session.panel.run_button.enabled, timeout=_LONG)
        session.panel.run()
        job = session.panel.job
        if forced:
            qtbot.wait(int(1000 * rng.uniform(0, seconds)))
            FORCES[rng.integers(len(FORCES))](session)
        session.tidy(job)
        seconds = job.seconds if job.state == "finished" else seconds
        if number in (*EARLY, *LATE):
            found[number] = held(session.viewer)
    print(f"\nafter 10 runs {found[10]}\nafter {RUNS} runs {found[RUNS]}")  # for pytest -s
    early, late = ([found[number] for number in few] for few in (EARLY, LATE))
    memory = [median(each.memory for each in few) for few in (early, late)]
    assert abs(memory[1] / memory[0] - 1) < 0.05
    # What is deleted may go some events later: the least of the last counts.
    for name in ("threads", "widgets", "connections"):
        least, most = (
            f(getattr(each, name) for each in few) for f, few in ((min, late), (max, early))
        )
        assert least <= most, name
