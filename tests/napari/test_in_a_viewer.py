"""The plugin in napari's own window: manifest, menu, samples, docks, clicks, closing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari._qt.widgets.qt_command_palette import QCommandPalette
from napari.settings import get_plugin_settings
from napari.viewer import Viewer
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QWidget
from superqt.utils import WorkerBase

import napari_selfdeblur
from napari_selfdeblur._napari import cost
from napari_selfdeblur._napari import plugin as registration
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.panel import Panel
from napari_selfdeblur._napari.plugin import PLUGIN, Preferences, read_preferences
from napari_selfdeblur.config import DEVICE
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.io import samples
from napari_selfdeblur.presets import PRESETS

FIND_DEVICES = cost.find_devices
DEBLUR, RESTORE, BATCH = "SelfDeblur", "Restore with a known kernel", "Batch"
pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def manifest() -> PluginManifest:
    return PluginManifest.from_file(str(files("napari_selfdeblur") / "napari.yaml"))


@pytest.fixture
def plugin(npe2pm, manifest: PluginManifest) -> PluginManager:
    npe2pm.register(manifest)
    return npe2pm


@pytest.fixture
def viewer(plugin: PluginManager, make_napari_viewer: Callable[..., Viewer], blurred) -> Viewer:
    made = make_napari_viewer()
    made.add_image(blurred, name="cells")
    return made


@pytest.fixture
def docked(qtbot, viewer: Viewer) -> Panel:
    return ready(qtbot, viewer)


def ready(qtbot, viewer: Viewer) -> Panel:
    _, made = viewer.window.add_plugin_dock_widget(PLUGIN, DEBLUR)
    made.form.show({"kernel_size": (5, 5)})
    qtbot.waitUntil(lambda: made.run_button.enabled and made.cost.value.startswith("about"))
    return made


def press(qtbot, button) -> None:
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def begin(qtbot, docked: Panel) -> Job:
    press(qtbot, docked.run_button)
    job = docked.job
    assert job is not None
    qtbot.waitUntil(lambda: job.layers[0] is not None)
    return job


def test_the_manifest_is_valid(manifest: PluginManifest) -> None:
    """npe2 accepts the manifest and finds everything it names."""
    manifest.validate_imports()
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "napari-selfdeblur"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_the_preferences_page_offers_what_can_be_chosen(manifest: PluginManifest) -> None:
    """Presets, devices and defaults of the page are those of the package."""
    page = manifest.contributions.configurations["defaults"].properties
    assert page["preset"].enum == list(PRESETS)
    assert page["device"].enum == list(DEVICE.choices)
    known = Preferences()
    assert page["preset"].default == known.preset
    assert page["device"].default == known.device
    assert page["preview_seconds"].default == known.preview_seconds


def test_preferences_are_read_from_napari(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user chose on the page is what a panel starts with."""
    chosen = get_plugin_settings(PLUGIN).defaults
    monkeypatch.setattr(chosen, "preset", "official")
    monkeypatch.setattr(chosen, "preview_seconds", 3.0)
    assert read_preferences() == Preferences("official", "auto", 3.0)


def test_without_the_page_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where napari does not know the plugin, the package's own defaults are taken."""
    monkeypatch.setattr(registration, "PLUGIN", "no-such-plugin")
    assert read_preferences() == Preferences()


def test_devices_are_found() -> None:
    """The search names at least the CPU, last because it is the slowest."""
    assert FIND_DEVICES().found[-1][0] == "cpu"


def test_samples_open_with_scale_and_units(viewer: Viewer) -> None:
    """File > Open Sample adds 2-D image layers with the samples' pixels, scales and units."""
    for key in ("motion_blurred_photograph", "blurred_microscopy_field"):
        (layer,) = viewer.open_sample(PLUGIN, key)
        sample = getattr(samples, key)()
        np.testing.assert_array_equal(layer.data, sample.blurred)
        np.testing.assert_allclose(layer.scale, sample.scale)
        assert [str(unit) for unit in layer.units] == [sample.unit] * 2
        assert layer.axis_labels == ("y", "x")


@pytest.mark.parametrize(
    ("command", "name", "title"),
    [("open", DEBLUR, "SelfDeblur"), ("open_restore", RESTORE, "Restore with a known kernel")],
)
def test_there_is_one_panel_however_it_is_opened(
    qtbot, viewer: Viewer, blurred, command: str, name: str, title: str
) -> None:
    """Menu of plugins, menu of layers, and script open or raise one dock, titled without doubling.

    The command of the menu of layers chooses the active layer in it.
    """
    other = viewer.add_image(blurred, name="other")
    viewer.layers.selection.active = viewer.layers["cells"]
    commands = get_app_model().commands
    layers_menu = get_app_model().menus.get_menu("napari/layers/filter")
    assert f"{PLUGIN}.{command}" in [item.command.id for item in layers_menu]
    plugins = {DEBLUR: "widget", RESTORE: "restore"}
    commands.execute_command(f"{PLUGIN}.{plugins[name]}").result()
    dock, made = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    commands.execute_command(f"{PLUGIN}.{command}").result()
    assert made.image.layer is viewer.layers["cells"]
    dock.hide()
    viewer.layers.selection.active = other
    commands.execute_command(f"{PLUGIN}.{command}").result()
    assert made.image.layer is other
    assert not dock.isHidden()
    assert len(viewer.window.dock_widgets) == 1
    qtbot.waitUntil(lambda: dock.titleBarWidget().title.text() == title)
    assert dock.windowTitle() == title
    dock.setFloating(True)
    assert dock.titleBarWidget().title.text() == title


@pytest.mark.parametrize("word", ["sharpen", "deblur", "deconvolution", "psf"])
def test_the_command_palette_finds_it(viewer: Viewer, word: str) -> None:
    """What a user would type lists the commands that open the panels."""
    palette = QCommandPalette(viewer.window.main_menu.window())
    hits = [rule.id for rule in palette._list.iter_top_hits(word)]
    assert {f"{PLUGIN}.open", f"{PLUGIN}.open_restore"} <= set(hits)
    palette.deleteLater()


def test_a_run_by_clicks_in_both_themes(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """In a real window runs end with their layers beside the source, the kernel in view."""
    for theme, count in (("light", 3), ("dark", 5)):
        viewer.theme = theme
        fake_run.finish.clear()
        job = begin(qtbot, docked)
        fake_run.finish.set()
        qtbot.waitUntil(lambda job=job: not job.running)
        assert job.state == "finished"
        assert len(viewer.layers) == count
    low, high = viewer.layers["cells kernel"].extent.world
    half = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    centre = np.array(viewer.scene.camera.center[-2:])
    assert (low >= centre - half).all()
    assert (high <= centre + half).all()


@pytest.mark.parametrize("names", [(DEBLUR, RESTORE), (BATCH,)])
def test_panels_fit_a_small_window(qtbot, make_napari_viewer, plugin, blurred, names) -> None:
    """At 1280 x 720 panels do not make the window grow; at 300 px nothing is cut."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(blurred, name="an image with a name that is too long for a narrow panel")
    window = viewer.window.main_menu.window()
    docks = [viewer.window.add_plugin_dock_widget(PLUGIN, name)[0] for name in names]
    viewer.window.resize(1280, 720)
    window.resizeDocks(docks, [300] * len(docks), Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: docks[0].width() == 300)
    for group in docks[0].inner_widget().form.groups.values():
        group.expand(False)
    for dock in docks:
        dock.inner_widget().status.say(f"{'long_name' * 10}.json: it cannot be read", "error")
    qtbot.wait(100)
    assert (window.width(), window.height()) == (1280, 720)
    for dock in docks:
        panel = dock.inner_widget()
        room = panel._scroll.viewport()
        assert panel._body.native.width() <= room.width()
        for child in panel._body.native.findChildren(QWidget):
            if child.isVisibleTo(panel._body.native):
                right = child.mapTo(panel._body.native, child.rect().topRight()).x()
                assert right <= room.width()


def test_closing_the_dock_stops_and_keeps(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """Removing the dock mid-run ends the run and keeps its result."""
    job = begin(qtbot, docked)
    viewer.window.remove_dock_widget(docked.native)
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "stopped"
    assert viewer.layers["cells deblurred"].metadata["selfdeblur"]["status"] == "stopped"
    docked.native.deleteLater()


@pytest.mark.parametrize("finishing", [True, False])
def test_closing_the_viewer_ends_the_run(
    qtbot, fake_run, viewer: Viewer, docked, finishing: bool
) -> None:
    """Closing the window, mid-run or just as it ends, raises nothing and leaves no thread."""
    job = begin(qtbot, docked)
    if finishing:
        fake_run.finish.set()
        time.sleep(0.1)
    viewer.close()
    qtbot.waitUntil(lambda: not job.running)
    assert job.state in ("cancelled", "finished") if finishing else job.state == "cancelled"
    steps = fake_run.steps
    time.sleep(0.05)
    assert fake_run.steps == steps


def test_a_run_ends_with_its_own_viewer(
    qtbot, fake_run, viewer: Viewer, make_napari_viewer, blurred
) -> None:
    """Of two viewers, closing one ends its run and lets the other's go on."""
    other = make_napari_viewer()
    other.add_image(blurred, name="other")
    jobs = [
        napari_selfdeblur.deblur_layer(each, name, kernel_size=5)
        for each, name in ((viewer, "cells"), (other, "other"))
    ]
    qtbot.waitUntil(lambda: all(job.layers[0] is not None for job in jobs))
    other.close()
    qtbot.waitUntil(lambda: not jobs[1].running)
    assert jobs[1].state == "cancelled"
    assert jobs[0].running, (jobs[0].state, jobs[0].error, fake_run.steps)
    fake_run.finish.set()
    assert jobs[0].wait(5).record.status == "finished"
    assert "cells deblurred" in viewer.layers


def test_quitting_ends_the_run_at_once(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """What napari awaits before it quits does not take the whole run, even with nobody looking."""
    begin(qtbot, docked)
    WorkerBase.await_workers(2000)
    steps = fake_run.steps
    time.sleep(0.05)
    assert fake_run.steps == steps


def test_an_error_leaves_the_viewer_usable(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """With a window open, a failed run shows its reason and another can follow."""
    fake_run.fail_at, fake_run.error = 3, RuntimeError("no luck")
    press(qtbot, docked.run_button)
    qtbot.waitUntil(lambda: docked.run_button.enabled)
    assert "no luck" in docked.status.message.text()
    fake_run.fail_at = None
    job = begin(qtbot, docked)
    fake_run.finish.set()
    qtbot.waitUntil(lambda: job.state == "finished")


def test_a_scripted_run(fake_run, viewer: Viewer, blurred) -> None:
    """With blocking=True both layers are returned; else a handle to stop, wait for and read."""
    fake_run.finish.set()
    sharp, kernel = napari_selfdeblur.deblur_layer(viewer, "cells", kernel_size=5, blocking=True)
    assert (sharp.name, kernel.name) == ("cells deblurred", "cells kernel")
    assert sharp.metadata["selfdeblur"]["status"] == "finished"
    fake_run.finish.clear()
    job = napari_selfdeblur.deblur_layer(
        viewer, viewer.layers["cells"], kernel_size=7, preset="paper", seed=2
    )
    assert job.running
    job.stop()
    assert job.wait(5) is job.result
    ran = job.result.record.config
    assert (ran.name, ran.kernel_size, ran.seed) == ("paper", (7, 7), 2)


def test_a_scripted_run_s_errors(fake_run, viewer: Viewer) -> None:
    """The error of a blocking run is raised; a wrong layer name is refused with those there are."""
    fake_run.fail_at, fake_run.error = 2, RuntimeError("no luck")
    with pytest.raises(DeblurError, match="no luck"):
        napari_selfdeblur.deblur_layer(viewer, "cells", kernel_size=5, blocking=True)
    with pytest.raises(ConfigError, match=r"'cells'.*got 'cell'"):
        napari_selfdeblur.deblur_layer(viewer, "cell")


def test_another_thread_computes_for_itself(
    fake_run, viewer: Viewer, viewer_model, blurred
) -> None:
    """Off the main thread a blocking run is done there, where no window is touched by it."""
    viewer_model.add_image(blurred, name="cells")
    fake_run.finish.set()
    with ThreadPoolExecutor(1) as pool:
        layers = pool.submit(
            napari_selfdeblur.deblur_layer, viewer_model, "cells", kernel_size=5, blocking=True
        ).result(20)
        assert [layer.name for layer in layers] == ["cells deblurred", "cells kernel"]
        for blocking in (True, False):
            refused = pool.submit(
                napari_selfdeblur.deblur_layer, viewer, "cells", kernel_size=5, blocking=blocking
            )
            with pytest.raises(DeblurError, match="main thread"):
                refused.result(20)
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("wrong", [None, "viewer", 3])
def test_what_is_no_viewer_is_refused(wrong) -> None:
    """The first argument must be a viewer, with a window or without."""
    with pytest.raises(ConfigError, match="or a ViewerModel, got a"):
        napari_selfdeblur.deblur_layer(wrong, "cells", blocking=True)


def test_quitting_the_application_does_not_end_the_wait(tmp_path: Path) -> None:
    """Where the last window's closing quits the application, wait() returns at the run's end."""
    code = """
import threading
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layers import read_source
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

application, quitted = QApplication([]), threading.Event()
viewer = ViewerModel()
source = read_source(viewer.add_image(np.eye(24), name="cells"))

def work(worker):
    quitted.wait()
    raise ValueError("ended by itself")

def quit():
    application.quit()
    threading.Timer(0.2, quitted.set).start()

def run():
    job = Job(viewer, source, SelfDeblurConfig(), work, name="cells deblurred", notify=False)
    job.start()
    QTimer.singleShot(10, quit)
    try:
        job.wait()
    except DeblurError as error:
        print(error)

QTimer.singleShot(0, run)
application.exec()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "ended by itself" in done.stdout.decode()


def test_a_closed_viewer_is_refused(fake_run, viewer: Viewer) -> None:
    """A run on a viewer whose window is gone is refused, and nothing is left running."""
    layer = viewer.layers["cells"]
    viewer.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    with pytest.raises(DeblurError, match="the viewer is closed"):
        napari_selfdeblur.deblur_layer(viewer, layer, kernel_size=5)
    assert fake_run.calls == 0


def test_a_blocking_run_needs_no_application(tmp_path: Path) -> None:
    """In a process without a Qt application a blocking run ends, and another is refused."""
    code = """
import numpy as np
from napari.components import ViewerModel
import napari_selfdeblur
from napari_selfdeblur.errors import DeblurError
from qtpy.QtCore import QCoreApplication
viewer = ViewerModel()
viewer.add_image(np.add.outer(np.arange(24), np.arange(24) ** 2) % 17, name="cells")
config = napari_selfdeblur.SelfDeblurConfig(
    kernel_size=5, iterations=1, channels=4, non_local=False, device="cpu"
)
sharp, kernel = napari_selfdeblur.deblur_layer(viewer, "cells", config=config, blocking=True)
assert kernel.data.shape == (5, 5) and QCoreApplication.instance() is None
try:
    napari_selfdeblur.deblur_layer(viewer, "cells", config=config)
except DeblurError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "blocking=True" in done.stdout.decode()
