"""The dock widget for a known kernel, as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.viewer import Viewer
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QWidget
from superqt.utils import WorkerBase

from napari_selfdeblur import registry, restoration
from napari_selfdeblur._napari import restore_job, restore_widget
from napari_selfdeblur._napari.devices import FoundDevices
from napari_selfdeblur._napari.methods import METHODS, method
from napari_selfdeblur._napari.restore_widget import STEPS, RestoreWidget
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import OutOfMemoryError
from napari_selfdeblur.io import files
from napari_selfdeblur.io.images import describe
from napari_selfdeblur.numerics.nonblind import generator as generator_module

DEVICES = (("cuda:0", "Big card (cuda:0)"), ("cpu", "CPU (2 threads)"))
TITLE = "Restore with a known kernel"


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_widget, "find_devices", lambda: FoundDevices(DEVICES))


@pytest.fixture(autouse=True)
def no_job_left() -> Iterator[None]:
    yield
    for job in list(restore_job._running):
        job.stop()


@pytest.fixture
def psf() -> np.ndarray:
    """A kernel of (5, 3), summing to 2 so that it must be scaled."""
    psf = np.zeros((5, 3), np.float32)
    psf[1:4, 1] = 0.5
    psf[2, 2] = 0.5
    return psf


@pytest.fixture
def made(qtbot, viewer_model: ViewerModel, blurred: np.ndarray, psf: np.ndarray) -> RestoreWidget:
    """A widget on a viewer with the layers 'cells' and 'cells kernel', about to use the CPU."""
    viewer_model.add_image(psf, name="cells kernel")
    viewer_model.add_image(blurred, name="cells")
    made = RestoreWidget(viewer_model)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.device_combo.count() == 3)
    made.device_combo.setCurrentIndex(2)
    qtbot.waitUntil(made.run_button.isEnabled)
    return made


class Held:
    """Stands in for `restore`: returns, or raises, once released."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.error: Exception | None = None
        self.options: dict[str, Any] = {}

    def __call__(self, image, kernel, name, **options) -> np.ndarray:
        self.options = options
        stop = options.get("stop")
        while not self.go.wait(0.005):
            if stop is not None and stop.is_set():
                break
        if self.error is not None:
            raise self.error
        return image.astype(np.float32)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(restoration, "restore", held)
    yield held
    held.go.set()


def press(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose(made: RestoreWidget, name: str) -> None:
    made.method_combo.setCurrentIndex(made.method_combo.findData(name))


def run_to_end(qtbot, made: RestoreWidget) -> Image:
    press(qtbot, made.run_button)
    assert not made.run_button.isEnabled()
    qtbot.waitUntil(made.run_button.isEnabled, timeout=30000)
    assert made.job.error is None
    return made.job.result


def test_the_result_is_that_of_restore(qtbot, made, viewer_model, blurred, psf) -> None:
    """The new layer holds what `restore` returns for these pixels, kernel and method."""
    result = run_to_end(qtbot, made)
    assert result is viewer_model.layers["cells restored (hyper_laplacian)"]
    expected = restoration.restore(blurred, psf, "hyper_laplacian", device="cpu")
    np.testing.assert_allclose(result.data, expected, atol=1e-3)
    assert made.message.text().startswith("Finished after 0:0")
    assert result.name in made.message.text()
    assert made.run_button.isEnabled()
    assert not made.bar.isVisibleTo(made)


def test_the_source_is_not_touched(qtbot, made, viewer_model, blurred) -> None:
    """Image and kernel layers keep pixels, limits and metadata; the choices stay."""
    cells, kernel = viewer_model.layers["cells"], viewer_model.layers["cells kernel"]
    limits = list(cells.contrast_limits)
    run_to_end(qtbot, made)
    np.testing.assert_array_equal(cells.data, blurred)
    assert list(cells.contrast_limits) == limits
    assert cells.metadata == kernel.metadata == {}
    assert (made.layer_combo.layer, made.kernel_choice.layer) == (cells, kernel)


def test_the_result_lies_on_its_source(qtbot, made, viewer_model, blurred) -> None:
    """Scale, translation, units, axis labels, colormap and limits are the source's."""
    field = viewer_model.add_image(
        blurred,
        name="field",
        scale=(0.5, 0.25),
        translate=(3, 4),
        units=("um", "um"),
        axis_labels=("y", "x"),
        colormap="magma",
        contrast_limits=(5, 200),
    )
    made.layer_combo.choose(field)
    result = run_to_end(qtbot, made)
    np.testing.assert_array_equal(result.scale, field.scale)
    np.testing.assert_array_equal(result.translate, field.translate)
    assert result.units == field.units
    assert result.axis_labels == field.axis_labels
    assert result.colormap.name == "magma"
    assert list(result.contrast_limits) == [5, 200]


def test_a_colour_image_stays_one(qtbot, made, viewer_model, blurred) -> None:
    """An RGB layer gives an RGB layer."""
    colour = np.stack([blurred, blurred // 2, 255 - blurred], axis=-1)
    made.layer_combo.choose(viewer_model.add_image(colour, name="photo", rgb=True))
    result = run_to_end(qtbot, made)
    assert result.rgb
    assert result.data.shape == colour.shape


def test_the_record_says_where_it_came_from(qtbot, made, blurred, psf) -> None:
    """The metadata hold method, settings, checksums and versions, and are JSON."""
    choose(made, "sparse")
    made.weight.setText("0.01")
    record = run_to_end(qtbot, made).metadata["selfdeblur"]
    assert json.loads(json.dumps(record)) == record
    assert (record["method"], record["options"]) == ("sparse", {"weight": 0.01})
    assert record["image"] == {**describe(blurred), "name": "cells"}
    assert record["kernel"] == {**describe(psf / psf.sum()), "name": "cells kernel"}
    assert record["status"] == "finished"
    assert record["device"].startswith("CPU")
    assert record["seconds"] > 0
    assert {"python", "torch"} <= record["versions"].keys()


def test_an_automatic_weight_is_recorded_as_such(qtbot, made, held) -> None:
    """'auto' reaches the restoration as no weight, and the record as 'auto'."""
    held.go.set()
    record = run_to_end(qtbot, made).metadata["selfdeblur"]
    assert held.options["weight"] is None
    assert record["options"] == {"weight": "auto"}


def test_a_set_weight_is_the_one_that_runs(qtbot, made, blurred, psf) -> None:
    """With a weight typed in, the result is that of `restore` with it, not the automatic one."""
    automatic = run_to_end(qtbot, made).data
    made.weight.setText("0.002")
    chosen = run_to_end(qtbot, made).data
    expected = restoration.restore(blurred, psf, "hyper_laplacian", weight=0.002, device="cpu")
    np.testing.assert_allclose(chosen, expected, atol=1e-3)
    assert np.abs(chosen - automatic).max() > 1


@pytest.mark.parametrize("text", ["little", "-1", "nan", "inf", ""])
def test_a_wrong_weight_is_told_at_once(qtbot, made, text: str) -> None:
    """What is no weight disables Run and is named, until it is put right."""
    made.weight.setText(text)
    qtbot.waitUntil(lambda: not made.run_button.isEnabled())
    assert made.message.text() == f"weight must be a number of at least 0, or 'auto', got {text!r}"
    made.weight.setText("auto")
    qtbot.waitUntil(made.run_button.isEnabled)
    assert made.message.text() == ""


def test_a_weight_the_method_refuses_is_told(qtbot, made) -> None:
    """A weight outside the method's own range ends the run with the method's words."""
    made.weight.setText("0")
    press(qtbot, made.run_button)
    qtbot.waitUntil(made.run_button.isEnabled)
    assert "weight must be a finite number greater than 0" in made.message.text()


def test_the_kernel_of_the_image_is_suggested(made, viewer_model, blurred, psf) -> None:
    """Until the user chooses, the newest layer called NAME kernel is taken for image NAME."""
    other = viewer_model.add_image(blurred, name="other")
    viewer_model.add_image(blurred, name="a third")
    assert made.kernel_choice.layer.name == "cells kernel"
    newest = viewer_model.add_image(psf, name="other kernel")
    made.layer_combo.choose(other)
    assert made.kernel_choice.layer is newest


def test_what_the_user_chose_stays(qtbot, made, viewer_model, psf) -> None:
    """A kernel layer picked in the list is kept when a likelier one comes."""
    mine = viewer_model.add_image(psf.T, name="measured")
    made.kernel_choice.layer_combo.setFocus()
    qtbot.keyClick(made.kernel_choice.layer_combo, Qt.Key.Key_M)
    assert made.kernel_choice.layer is mine
    viewer_model.add_image(psf, name="cells kernel")
    assert made.kernel_choice.layer is mine


def test_the_kernel_is_shown(qtbot, made, viewer_model) -> None:
    """Size and picture are those of the kernel, also when the layer's pixels change."""
    assert made.kernel_text.text() == "5 x 3 pixels"
    before = made.picture.pixmap().toImage()
    changed = np.zeros((5, 3), np.float32)
    changed[0, 0] = 1
    viewer_model.layers["cells kernel"].data = changed
    qtbot.waitUntil(lambda: made.picture.pixmap().toImage() != before)


def test_a_kernel_from_a_file(qtbot, made, tmp_path: Path, blurred, psf, monkeypatch) -> None:
    """The chosen file is the kernel; its name is shown and recorded."""
    path = tmp_path / "lens.tif"
    files.write_tiff(path, psf.T.copy())
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    press(qtbot, made.kernel_choice.open_button)
    assert made.kernel_choice.file_button.isChecked()
    assert made.kernel_choice.open_button.text() == "lens.tif"
    qtbot.waitUntil(lambda: made.kernel_text.text() == "3 x 5 pixels")
    result = run_to_end(qtbot, made)
    assert result.metadata["selfdeblur"]["kernel"]["name"] == "lens.tif"
    expected = restoration.restore(blurred, psf.T, device="cpu")
    np.testing.assert_allclose(result.data, expected, atol=1e-3)


def test_a_cancelled_dialogue_changes_nothing(qtbot, made, monkeypatch) -> None:
    """Closing the file dialogue without a file leaves the layer as the kernel."""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    press(qtbot, made.kernel_choice.open_button)
    assert made.kernel_choice.layer.name == "cells kernel"


def test_a_file_that_is_no_kernel_is_told(qtbot, made, tmp_path: Path) -> None:
    """A wrong file is named with its fault and disables Run; a layer is a way out."""
    path = tmp_path / "notes.tif"
    path.write_text("no image")
    made.kernel_choice.choose_file(str(path))
    qtbot.waitUntil(lambda: not made.run_button.isEnabled())
    assert "notes.tif" in made.message.text()
    assert made.picture.pixmap().isNull()
    made.kernel_choice.layer_button.setChecked(True)
    qtbot.waitUntil(made.run_button.isEnabled)


def test_no_file_yet_is_told(qtbot, made) -> None:
    """Asking for a file before there is one says so."""
    made.kernel_choice.file_button.setChecked(True)
    qtbot.waitUntil(lambda: made.message.text() == "choose the file that holds the kernel")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.ones((4, 6)), "a kernel has an odd number of rows and columns, this one has 4 x 6"),
        (np.zeros((5, 5)), "a kernel needs a positive value"),
        (np.ones((3, 5, 5)), "has 3 dimensions, an image of 2 is needed"),
        (np.ones((31, 31)), "smaller than the kernel's support"),
    ],
)
def test_a_layer_that_is_no_kernel_is_told(qtbot, made, viewer_model, pixels, message) -> None:
    """Even sides, no light, a stack, or more than the image: each is said, and Run disabled."""
    made.kernel_choice.layer_combo.choose(viewer_model.add_image(pixels, name="wrong"))
    qtbot.waitUntil(lambda: message in made.message.text())
    assert not made.run_button.isEnabled()


def test_an_image_that_cannot_be_restored_is_told(qtbot, made, viewer_model) -> None:
    """An image of one value disables Run."""
    made.layer_combo.choose(viewer_model.add_image(np.ones((16, 16)), name="flat"))
    qtbot.waitUntil(lambda: "the image is constant" in made.message.text())
    assert not made.run_button.isEnabled()


def test_image_and_kernel_must_differ(qtbot, viewer_model: ViewerModel, blurred) -> None:
    """With one layer, or none, the widget says what is missing."""
    alone = RestoreWidget(viewer_model)
    qtbot.addWidget(alone)
    assert "Open Sample" in alone.message.text()
    viewer_model.add_image(blurred)
    qtbot.waitUntil(lambda: alone.message.text().startswith("Choose the kernel"))
    assert not alone.run_button.isEnabled()


def test_every_restoration_is_offered_and_explained(made) -> None:
    """The list is the registry's, each with a title, an explanation and only its own settings."""
    names = [made.method_combo.itemData(i) for i in range(made.method_combo.count())]
    assert names == list(registry.RESTORATIONS)
    assert set(METHODS) == set(names)
    for name in names:
        choose(made, name)
        assert made.explanation.text() == METHODS[name].explanation != ""
        assert made.weight.isEnabled() == METHODS[name].has_weight
        assert made.iterations.isEnabled() == METHODS[name].has_steps


def test_an_unexplained_restoration_goes_by_its_name() -> None:
    """A restoration that is registered and no more can be chosen all the same."""
    assert method("new").title == "new"


def test_the_steps_begin_with_the_methods_own_number(made) -> None:
    """The field starts with what the deep image prior takes when not told."""
    assert STEPS == generator_module.KNOWN_KERNEL.iterations == made.iterations.value()


@pytest.fixture
def small_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = SelfDeblurConfig(iterations=3, channels=8, non_local=False, loss="mse")
    defaults = dict(generator_module.generator.__kwdefaults__)
    monkeypatch.setattr(generator_module.generator, "__kwdefaults__", {**defaults, "config": tiny})


@pytest.mark.usefixtures("small_generator")
def test_the_deep_image_prior_runs_its_steps(qtbot, made, blurred) -> None:
    """The number of steps reaches it; the record holds it and no weight."""
    choose(made, "generator")
    made.iterations.setValue(2)
    made.weight.setText("ignored")
    result = run_to_end(qtbot, made)
    assert result.data.shape == blurred.shape
    assert result.metadata["selfdeblur"]["options"] == {"iterations": 2}
    assert result.metadata["selfdeblur"]["status"] == "finished"


@pytest.mark.usefixtures("small_generator")
def test_the_deep_image_prior_can_be_stopped(qtbot, made, blurred) -> None:
    """Stop ends a fit that would go on for hours, keeps its image and says so."""
    choose(made, "generator")
    made.iterations.setValue(10**8)
    press(qtbot, made.run_button)
    assert made.stop_button.isEnabled()
    qtbot.wait(100)
    assert made.job.running
    press(qtbot, made.stop_button)
    assert not made.stop_button.isEnabled()
    qtbot.waitUntil(made.run_button.isEnabled, timeout=30000)
    assert made.message.text().startswith("Stopped and kept after")
    assert made.job.result.data.shape == blurred.shape
    assert made.job.result.metadata["selfdeblur"]["status"] == "stopped"


def test_the_others_are_simply_busy(qtbot, made, held, viewer_model) -> None:
    """While it runs, time goes by, Run and Stop are disabled and a second run is refused."""
    press(qtbot, made.run_button)
    first = made.job
    assert not made.run_button.isEnabled()
    assert not made.stop_button.isEnabled()
    assert made.bar.isVisibleTo(made)
    assert made.message.text() == "Restoring 'cells': 0:00 elapsed"
    qtbot.waitUntil(lambda: "0:01" in made.message.text())
    made.run()
    made.check()
    assert made.job is first
    assert not made.run_button.isEnabled()
    held.go.set()
    qtbot.waitUntil(made.run_button.isEnabled)
    assert len(viewer_model.layers) == 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OutOfMemoryError("out of memory; crop the image"), "out of memory; crop the image"),
        (RuntimeError("shapes differ"), "unexpected RuntimeError: shapes differ; please report"),
    ],
)
def test_an_error_is_told_and_run_works_again(qtbot, made, held, viewer_model, error, message):
    """A failed run adds no layer and shows its reason; the next one can begin."""
    held.error = error
    held.go.set()
    press(qtbot, made.run_button)
    qtbot.waitUntil(made.run_button.isEnabled)
    assert made.message.text().startswith(message)
    assert (made.job.state, len(viewer_model.layers)) == ("failed", 2)
    held.error = None
    run_to_end(qtbot, made)
    assert len(viewer_model.layers) == 3


def test_a_missing_device_is_told(qtbot, made) -> None:
    """A device that this machine lacks ends the run with the devices there are."""
    made.device_combo.setCurrentIndex(1)
    press(qtbot, made.run_button)
    qtbot.waitUntil(made.run_button.isEnabled)
    assert "device 'cuda:0' is not available here" in made.message.text()


def test_layers_may_go_during_the_run(qtbot, made, held, viewer_model) -> None:
    """With image and kernel deleted, the result is added all the same."""
    press(qtbot, made.run_button)
    viewer_model.layers.clear()
    held.go.set()
    qtbot.waitUntil(lambda: not made.job.running)
    assert [layer.name for layer in viewer_model.layers] == ["cells restored (hyper_laplacian)"]


def test_the_selection_stays(qtbot, made, viewer_model) -> None:
    """The result is not selected in place of what the user had selected."""
    viewer_model.layers.selection = {viewer_model.layers["cells"]}
    run_to_end(qtbot, made)
    assert viewer_model.layers.selection == {viewer_model.layers["cells"]}


def test_removing_the_dock_stops_and_keeps(qtbot, made, held, viewer_model) -> None:
    """Un-parenting, which is how napari removes a dock, ends the fit with its result."""
    parent = QWidget()
    qtbot.addWidget(parent)
    made.setParent(parent)
    choose(made, "generator")
    press(qtbot, made.run_button)
    made.setParent(None)
    qtbot.waitUntil(lambda: not made.job.running)
    assert made.job.state == "stopped"
    assert len(viewer_model.layers) == 3


def test_a_deleted_widget_is_not_called_again(qtbot, held, viewer_model, blurred, psf) -> None:
    """After Qt has deleted the widget mid-run, the result comes and layers come and go."""
    viewer_model.add_image(blurred, name="cells")
    kernel = viewer_model.add_image(psf, name="cells kernel")
    made = RestoreWidget(viewer_model)
    made.layer_combo.choose(viewer_model.layers["cells"])
    made.run()
    job = made.job
    with qtbot.waitSignal(made.destroyed):
        made.deleteLater()
    kernel.data = psf[::-1]
    held.go.set()
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "finished"
    viewer_model.add_image(blurred)
    viewer_model.layers.clear()


@pytest.fixture
def docked(qtbot, npe2pm, make_napari_viewer: Callable[..., Viewer], blurred, psf):
    npe2pm.register(
        PluginManifest.from_file(str(package_files("napari_selfdeblur") / "napari.yaml"))
    )
    viewer = make_napari_viewer()
    viewer.add_image(psf, name="cells kernel")
    viewer.add_image(blurred, name="cells")
    _, made = viewer.window.add_plugin_dock_widget("napari-selfdeblur", TITLE)
    qtbot.waitUntil(lambda: made.device_combo.count() == 3)
    made.device_combo.setCurrentIndex(2)
    qtbot.waitUntil(made.run_button.isEnabled)
    return viewer, made


def test_a_run_in_the_window(qtbot, docked) -> None:
    """The manifest's widget opens in napari and adds its result."""
    viewer, made = docked
    run_to_end(qtbot, made)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells kernel", "cells", "cells restored (hyper_laplacian)"]


@pytest.mark.parametrize("name", ["hyper_laplacian", "generator"])
def test_closing_the_viewer_during_a_run(qtbot, docked, held, name: str) -> None:
    """Closing the window raises nothing, and ends a restoration that can be ended."""
    viewer, made = docked
    choose(made, name)
    press(qtbot, made.run_button)
    job = made.job
    qtbot.waitUntil(lambda: bool(held.options))
    viewer.close()
    if name != "generator":
        held.go.set()
    qtbot.waitUntil(lambda: not job.running)
    assert (job.state, job.result) == ("cancelled", None)


def test_quitting_ends_the_deep_image_prior(qtbot, docked, held) -> None:
    """What napari awaits before it quits does not take the whole fit."""
    _, made = docked
    choose(made, "generator")
    press(qtbot, made.run_button)
    qtbot.waitUntil(lambda: bool(held.options))
    WorkerBase.await_workers(2000)
    qtbot.waitUntil(lambda: not made.job.running)
    assert made.job.state == "cancelled"


def test_opening_the_widget_needs_no_torch() -> None:
    """Importing the widget loads no torch: the window opens before torch is there."""
    code = "import napari_selfdeblur._napari.restore_widget, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
