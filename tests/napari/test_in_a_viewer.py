"""The plugin in napari's own window: manifest, menu, samples, docks, closing."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from napari.viewer import Viewer
from napari_selfdeblur._napari.devices import FoundDevices, find_devices
from npe2 import PluginManager, PluginManifest
from superqt.utils import WorkerBase

import napari_selfdeblur
from napari_selfdeblur._napari import preferences, widget
from napari_selfdeblur._napari.job import DeblurJob
from napari_selfdeblur._napari.menu import open_with_active_layer
from napari_selfdeblur._napari.preferences import PLUGIN, Preferences, read_preferences
from napari_selfdeblur.config import DEVICES, PRESETS
from napari_selfdeblur.errors import ConfigError, DeblurError, OutOfMemoryError
from napari_selfdeblur.io import samples


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget, "find_devices", lambda: FoundDevices((("cpu", "CPU"),)))


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
def docked(qtbot, viewer: Viewer) -> widget.DeblurWidget:
    _, made = viewer.window.add_plugin_dock_widget(PLUGIN, "SelfDeblur")
    made.form.fields["kernel_size"].setValue(5)
    qtbot.waitUntil(made.run_button.isEnabled)
    return made


def begin(qtbot, fake_run, docked: widget.DeblurWidget) -> DeblurJob:
    docked.run_button.click()
    job = docked.job
    assert job is not None
    qtbot.waitUntil(lambda: job.layers[0] is not None)
    return job


def test_the_manifest_is_valid(manifest: PluginManifest) -> None:
    """npe2 accepts the manifest and finds everything it names."""
    manifest.validate_imports()
    assert manifest.display_name == "SelfDeblur"


def test_the_preferences_page_offers_what_can_be_chosen(manifest: PluginManifest) -> None:
    """Presets, devices and defaults of the page are those of the package."""
    page = manifest.contributions.configurations["defaults"].properties
    assert page["preset"].enum == list(PRESETS)
    assert page["device"].enum == list(DEVICES)
    known = Preferences()
    assert page["preset"].default == known.preset
    assert page["device"].default == known.device
    assert page["preview_seconds"].default == known.preview_seconds


def test_preferences_are_read_from_napari(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user chose on the page is what a widget starts with."""
    chosen = get_plugin_settings(PLUGIN).defaults
    monkeypatch.setattr(chosen, "preset", "official")
    monkeypatch.setattr(chosen, "preview_seconds", 3.0)
    assert read_preferences() == Preferences("official", "auto", 3.0)


def test_without_the_page_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where napari does not know the plugin, the package's own defaults are taken."""
    monkeypatch.setattr(preferences, "PLUGIN", "no-such-plugin")
    assert read_preferences() == Preferences()


@pytest.mark.parametrize("key", ["motion_blurred_photograph", "blurred_microscopy_field"])
def test_samples_open_with_scale_and_units(viewer: Viewer, key: str) -> None:
    """File > Open Sample adds one 2-D image layer with the sample's pixels, scale and unit."""
    (layer,) = viewer.open_sample(PLUGIN, key)
    sample = getattr(samples, key)()
    np.testing.assert_array_equal(layer.data, sample.blurred)
    np.testing.assert_allclose(layer.scale, sample.scale)
    assert [str(unit) for unit in layer.units] == [sample.unit] * 2
    assert layer.axis_labels == ("y", "x")


def test_the_menu_command_opens_the_dock_with_the_active_layer(viewer: Viewer, blurred) -> None:
    """Layers > Filter opens one dock, however often, and chooses the active layer in it."""
    other = viewer.add_image(blurred, name="other")
    viewer.layers.selection.active = viewer.layers["cells"]
    open_with_active_layer(viewer)
    made = viewer.window.dock_widgets["SelfDeblur (napari-selfdeblur)"]
    assert made.layer_combo.currentText() == "cells"
    viewer.layers.selection.active = other
    open_with_active_layer(viewer)
    assert made.layer_combo.currentText() == "other"
    assert len(viewer.window.dock_widgets) == 1


def test_the_menu_entry_is_there(viewer: Viewer, docked) -> None:
    """The command stands under Layers > Filter and runs with the viewer given by napari."""
    from napari._app_model import get_app_model

    app = get_app_model()
    commands = [item.command.id for item in app.menus.get_menu("napari/layers/filter")]
    assert f"{PLUGIN}.open" in commands
    app.commands.execute_command(f"{PLUGIN}.open").result()
    assert docked.layer_combo.currentText() == "cells"


def test_devices_are_found() -> None:
    """The search names at least the CPU, last because it is the slowest."""
    assert find_devices().devices[-1][0] == "cpu"


def test_a_run_in_the_window(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """In a real window the run ends with two layers beside the source."""
    job = begin(qtbot, fake_run, docked)
    fake_run.finish.set()
    qtbot.waitUntil(lambda: not job.running)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells kernel", "cells deblurred"]


def test_closing_the_dock_stops_and_keeps(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """Removing the dock mid-run ends the run and keeps its result."""
    job = begin(qtbot, fake_run, docked)
    viewer.window.remove_dock_widget(docked)
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "stopped"
    assert viewer.layers["cells deblurred"].metadata["selfdeblur"]["status"] == "stopped"
    docked.deleteLater()


def test_closing_the_viewer_ends_the_run(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """Closing the window mid-run raises nothing and leaves no thread."""
    job = begin(qtbot, fake_run, docked)
    viewer.close()
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "cancelled"
    steps = fake_run.steps
    time.sleep(0.05)
    assert fake_run.steps == steps


def test_a_result_that_meets_a_closed_window_does_no_harm(qtbot, fake_run, viewer, docked) -> None:
    """A run that ends just as the window closes raises nothing."""
    job = begin(qtbot, fake_run, docked)
    fake_run.finish.set()
    time.sleep(0.1)
    viewer.close()
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "cancelled"


def test_quitting_ends_the_run_at_once(qtbot, fake_run, viewer: Viewer, docked) -> None:
    """What napari awaits before it quits does not take the whole run, even with nobody looking."""
    begin(qtbot, fake_run, docked)
    WorkerBase.await_workers(2000)
    steps = fake_run.steps
    time.sleep(0.05)
    assert fake_run.steps == steps


@pytest.mark.parametrize("error", [RuntimeError("no luck"), OutOfMemoryError("crop the image")])
def test_an_error_leaves_the_viewer_usable(qtbot, fake_run, viewer, docked, error) -> None:
    """With a window open, a failed run shows its reason and another can follow."""
    fake_run.fail_at, fake_run.error = 3, error
    docked.run_button.click()
    qtbot.waitUntil(docked.run_button.isEnabled)
    assert str(error) in docked.message.text()
    fake_run.fail_at = None
    job = begin(qtbot, fake_run, docked)
    fake_run.finish.set()
    qtbot.waitUntil(lambda: job.state == "finished")


def test_a_scripted_run_returns_both_layers(viewer: Viewer, config, blurred) -> None:
    """With blocking=True one call ends with the deblurred and the kernel layer."""
    sharp, kernel = napari_selfdeblur.deblur_layer(viewer, "cells", config=config, blocking=True)
    assert (sharp.name, kernel.name) == ("cells deblurred", "cells kernel")
    assert sharp.data.shape == blurred.shape
    assert kernel.data.sum() == pytest.approx(1, abs=1e-5)
    assert sharp.metadata["selfdeblur"]["status"] == "finished"


def test_a_scripted_run_in_the_background(fake_run, viewer: Viewer) -> None:
    """Without blocking, the call returns a handle to stop, wait for and read the run."""
    job = napari_selfdeblur.deblur_layer(
        viewer, viewer.layers["cells"], kernel_size=7, preset="paper", iterations=50, seed=2
    )
    assert job.running
    job.stop()
    assert job.wait(5) is job.result
    ran = job.result.record.config
    assert (ran.name, ran.kernel_size, ran.iterations, ran.seed) == ("paper", (7, 7), 50, 2)


def test_a_blocking_run_raises_its_error(fake_run, viewer: Viewer) -> None:
    """The error of a blocking run is raised where it was called."""
    fake_run.fail_at, fake_run.error = 2, RuntimeError("no luck")
    with pytest.raises(DeblurError, match="no luck"):
        napari_selfdeblur.deblur_layer(viewer, "cells", kernel_size=5, blocking=True)


def test_closing_the_viewer_ends_a_scripted_run(qtbot, fake_run, viewer: Viewer) -> None:
    """A run without a widget ends with its window too."""
    job = napari_selfdeblur.deblur_layer(viewer, "cells", kernel_size=5)
    qtbot.waitUntil(lambda: job.layers[0] is not None)
    viewer.close()
    qtbot.waitUntil(lambda: not job.running)
    assert job.result is None


def test_an_unknown_layer_name_lists_the_known(viewer: Viewer) -> None:
    """A wrong layer name is refused with the names there are."""
    with pytest.raises(ConfigError, match=r"'cells'.*got 'cell'"):
        napari_selfdeblur.deblur_layer(viewer, "cell")
