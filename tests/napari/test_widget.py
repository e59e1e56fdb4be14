"""The dock widget as a user meets it: fields, buttons, messages."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_selfdeblur import registry
from napari_selfdeblur._napari import tooltips, widget
from napari_selfdeblur._napari.devices import FoundDevices
from napari_selfdeblur._napari.preferences import Preferences
from napari_selfdeblur._napari.progress_panel import clock
from napari_selfdeblur._napari.widget import DeblurWidget
from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError, OutOfMemoryError
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.progress import Estimate, Progress

DEVICES = (("cuda:0", "Big card (cuda:0)"), ("cpu", "CPU (2 threads)"))


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget, "find_devices", lambda: FoundDevices(DEVICES))


@pytest.fixture
def deblur_widget(qtbot, viewer_model: ViewerModel, blurred: np.ndarray) -> DeblurWidget:
    viewer_model.add_image(blurred, name="cells")
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.form.fields["device"].count() == 3)
    made.form.fields["kernel_size"].setValue(5)
    qtbot.waitUntil(made.run_button.isEnabled)
    return made


def press(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def field(made: DeblurWidget, name: str):
    return made.form.fields[name]


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_run_as_published(deblur_widget: DeblurWidget, name: str) -> None:
    """Choosing a preset and nothing else describes that preset, kernel size apart."""
    field(deblur_widget, "preset").setCurrentText(name)
    expected = SelfDeblurConfig.preset(name).replace(kernel_size=5)
    assert deblur_widget.form.config() == expected
    assert field(deblur_widget, "iterations").value() == expected.iterations


def test_every_field_reaches_the_configuration(deblur_widget: DeblurWidget) -> None:
    """What is typed into a field is what is run."""
    field(deblur_widget, "kernel_size").setValue(7)
    field(deblur_widget, "kernel_width").setValue(9)
    field(deblur_widget, "iterations").setValue(12)
    field(deblur_widget, "seed").setValue(3)
    field(deblur_widget, "device").setCurrentIndex(2)
    field(deblur_widget, "tv_weight").setText("1e-6")
    field(deblur_widget, "lr_image").setText("0.005")
    field(deblur_widget, "lr_kernel").setText("2e-4")
    field(deblur_widget, "loss").setCurrentText("ssim")
    field(deblur_widget, "channels").setValue(16)
    field(deblur_widget, "non_local").setChecked(True)
    field(deblur_widget, "optimiser").setCurrentText("alternating")
    field(deblur_widget, "precision").setCurrentText("float32")
    restoration = next(iter(registry.RESTORATIONS))
    field(deblur_widget, "restoration").setCurrentText(restoration)
    assert deblur_widget.form.config() == SelfDeblurConfig.preset("fast").replace(
        kernel_size=(7, 9),
        iterations=12,
        seed=3,
        device="cpu",
        tv_weight=1e-6,
        loss="ssim",
        lr_image=0.005,
        lr_kernel=2e-4,
        channels=16,
        non_local=True,
        optimiser="alternating",
        precision="float32",
        restoration=restoration,
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("kernel_size", lambda f: f.setValue(20), "kernel_size must be odd, got 20; try 21"),
        (
            "tv_weight",
            lambda f: f.setText("little"),
            "tv_weight must be a number, got 'little'; try 0",
        ),
        ("lr_image", lambda f: f.setText("auto"), "lr_image must be a number greater than 0"),
        ("tv_weight", lambda f: f.setText("-1"), "tv_weight must be"),
        ("layer", None, "smaller|at least"),
    ],
)
def test_a_wrong_setting_is_flagged_at_once(
    qtbot, deblur_widget: DeblurWidget, name: str, change, message: str
) -> None:
    """The field is marked, the reason shown and Run disabled, until the value is put right."""
    if change is None:
        field(deblur_widget, "kernel_size").setValue(31)
    else:
        change(field(deblur_widget, name))
    qtbot.waitUntil(lambda: not deblur_widget.run_button.isEnabled())
    assert deblur_widget.form.marked() == [name]
    assert re.search(message, deblur_widget.message.text())
    press(qtbot, deblur_widget._reset_button)
    field(deblur_widget, "kernel_size").setValue(5)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert deblur_widget.form.marked() == []
    assert deblur_widget.message.text() == ""


def test_a_precision_that_is_missing_is_flagged(
    qtbot, monkeypatch: pytest.MonkeyPatch, deblur_widget: DeblurWidget
) -> None:
    """As soon as torch is there it is known what it cannot do here."""
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda device: False)
    qtbot.waitUntil(lambda: deblur_widget.memory.text() != "")
    precision = field(deblur_widget, "precision")
    precision.setCurrentIndex(precision.findData("bfloat16"))
    qtbot.waitUntil(lambda: "no fast bfloat16" in deblur_widget.message.text())
    assert not deblur_widget.run_button.isEnabled()
    assert deblur_widget.form.marked() == ["precision"]
    assert deblur_widget.memory.text() == ""


def test_a_stack_is_flagged(qtbot, deblur_widget: DeblurWidget, viewer_model: ViewerModel) -> None:
    """Choosing a layer of three dimensions says how to get at one plane."""
    stack = viewer_model.add_image(np.zeros((3, 16, 16)), name="stack")
    deblur_widget.layer_combo.choose(stack)
    qtbot.waitUntil(lambda: "Split Stack" in deblur_widget.message.text())
    assert not deblur_widget.run_button.isEnabled()
    assert deblur_widget.form.marked() == ["layer"]


def test_without_an_image_it_says_what_to_do(qtbot, viewer_model: ViewerModel) -> None:
    """An empty viewer disables Run and points to the samples."""
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made)
    assert not made.run_button.isEnabled()
    assert "Open Sample" in made.message.text()


def test_the_layer_list_is_fresh(
    deblur_widget: DeblurWidget, viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """Added, renamed, reordered and removed layers show at once; the choice stays."""
    combo = deblur_widget.layer_combo

    def listed() -> list[str]:
        return [combo.itemText(index) for index in range(combo.count())]

    cells = viewer_model.layers["cells"]
    other = viewer_model.add_image(blurred, name="other")
    viewer_model.add_points(np.zeros((1, 2)), name="points")
    assert listed() == ["other", "cells"]
    assert combo.layer is cells
    other.name = "renamed"
    assert listed() == ["renamed", "cells"]
    viewer_model.layers.move(0, 3)
    assert listed() == ["cells", "renamed"]
    assert (combo.layer, combo.currentText()) == (cells, "cells")
    viewer_model.layers.remove(cells)
    assert (combo.layer, combo.currentText()) == (other, "renamed")
    viewer_model.layers.clear()
    assert combo.layer is None


def test_choosing_in_the_list_chooses_the_layer(
    qtbot, deblur_widget: DeblurWidget, viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """The layer picked in the combo box is the one that is run."""
    other = viewer_model.add_image(blurred, name="other")
    combo = deblur_widget.layer_combo
    combo.setFocus()
    qtbot.keyClick(combo, Qt.Key.Key_Up)
    assert combo.layer is other


def test_devices_of_this_machine_are_offered(deblur_widget: DeblurWidget) -> None:
    """The list shows what was found, and what 'auto' will take."""
    combo = field(deblur_widget, "device")
    assert [combo.itemText(i) for i in range(3)] == [
        "auto: Big card (cuda:0)",
        "Big card (cuda:0)",
        "CPU (2 threads)",
    ]
    assert deblur_widget.form.config().device == "auto"


def test_a_missing_torch_is_reported(qtbot, viewer_model: ViewerModel, monkeypatch) -> None:
    """If torch cannot be loaded, the widget opens and says so."""
    monkeypatch.setattr(widget, "find_devices", lambda: FoundDevices(problem="PyTorch is broken"))
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.message.text() == "PyTorch is broken")


def test_preferences_are_the_start(qtbot, viewer_model: ViewerModel, monkeypatch) -> None:
    """A new widget, and a reset one, shows the user's preset, device and interval."""
    chosen = Preferences(preset="paper", device="cuda", preview_seconds=2.0)
    monkeypatch.setattr(widget, "read_preferences", lambda: chosen)
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: field(made, "device").count() == 3)
    start = made.form.config()
    assert (start.name, start.device, made.form.preview_seconds) == ("paper", "cuda:0", 2.0)
    field(made, "preset").setCurrentText("fast")
    field(made, "seed").setValue(9)
    press(qtbot, made._reset_button)
    assert made.form.config() == start


def test_a_device_that_is_gone_falls_back_to_auto(qtbot, viewer_model, monkeypatch) -> None:
    """A preferred device that this machine lacks is replaced by auto."""
    monkeypatch.setattr(widget, "read_preferences", lambda: replace(Preferences(), device="mps"))
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: field(made, "device").count() == 3)
    assert made.form.config().device == "auto"


def test_run_to_the_end(qtbot, fake_run, deblur_widget, viewer_model) -> None:
    """Run is disabled while running; bar, times and kernel move; the end is told."""
    press(qtbot, deblur_widget.run_button)
    assert not deblur_widget.run_button.isEnabled()
    assert deblur_widget.stop_button.isEnabled()
    panel = deblur_widget.panel
    qtbot.waitUntil(lambda: panel.bar.value() > 1)
    assert panel.bar.maximum() == 1000
    assert "left" in panel.times.text()
    assert "loss" in panel.loss.text()
    assert not panel.kernel.pixmap().isNull()
    fake_run.finish.set()
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert not deblur_widget.stop_button.isEnabled()
    assert deblur_widget.message.text().startswith(f"Finished after {fake_run.steps} steps")
    assert len(viewer_model.layers) == 3
    assert deblur_widget.layer_combo.currentText() == "cells"


def test_settings_stay_between_runs(qtbot, fake_run, deblur_widget) -> None:
    """After a run every field shows what it showed before, and Run runs again."""
    field(deblur_widget, "seed").setValue(4)
    before = deblur_widget.form.config()
    fake_run.finish.set()
    for count in (1, 2):
        press(qtbot, deblur_widget.run_button)
        qtbot.waitUntil(deblur_widget.run_button.isEnabled)
        assert deblur_widget.form.config() == before
        assert fake_run.calls == count


@pytest.mark.parametrize(
    ("kept", "told"),
    [("both", "were averaged."), ("draft", "was kept."), ("networks", r"in \d+:\d\d.")],
)
def test_it_is_told_what_was_kept(qtbot, fake_run, deblur_widget, kept: str, told: str) -> None:
    """After a draft the user learns which of the two estimates the result is."""
    fake_run.verdict = {"credible": True, "reasons": [], "kept": kept}
    fake_run.finish.set()
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(lambda: deblur_widget.message.text().startswith("Finished"))
    assert re.search(told + "$", deblur_widget.message.text())


def test_doubts_are_told(qtbot, fake_run, deblur_widget) -> None:
    """A result that is not credible is announced with every reason."""
    fake_run.verdict = {"credible": False, "reasons": ["kernel is flat", "image is flat"]}
    fake_run.finish.set()
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    lines = deblur_widget.message.text().splitlines()
    assert lines[0].endswith("The result is doubtful:")
    assert lines[1:] == ["• kernel is flat", "• image is flat"]


def test_the_memory_need_is_told(qtbot, deblur_widget, viewer_model) -> None:
    """Before Run, the widget shows the estimate, and a larger one for a wider network."""
    large = viewer_model.add_image(np.random.default_rng(0).random((200, 300)))
    deblur_widget.layer_combo.choose(large)
    qtbot.waitUntil(lambda: "200 x 300 pixels" in deblur_widget.memory.text())
    before = deblur_widget.memory.text()
    field(deblur_widget, "channels").setValue(1024)
    qtbot.waitUntil(lambda: deblur_widget.memory.text() != before)


def test_stop_and_keep(qtbot, fake_run, deblur_widget, viewer_model) -> None:
    """The button ends the run; image and kernel stay."""
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(lambda: fake_run.steps > 3)
    press(qtbot, deblur_widget.stop_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert deblur_widget.message.text().startswith("Stopped and kept after")
    assert len(viewer_model.layers) == 3


def test_a_second_run_while_running_is_refused(qtbot, fake_run, deblur_widget) -> None:
    """Neither the button nor a call begins a second run."""
    press(qtbot, deblur_widget.run_button)
    first = deblur_widget.job
    press(qtbot, deblur_widget.run_button)
    deblur_widget.run()
    deblur_widget.check()
    assert not deblur_widget.run_button.isEnabled()
    assert deblur_widget.job is first
    fake_run.finish.set()
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert fake_run.calls == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OutOfMemoryError("out of memory on cuda:0; crop the image"), "crop the image"),
        (RuntimeError("shape mismatch"), "unexpected RuntimeError: shape mismatch"),
        (DivergedError("the loss became NaN"), "the loss became NaN"),
    ],
)
def test_an_error_is_told_and_run_works_again(
    qtbot, fake_run, deblur_widget, error: Exception, message: str
) -> None:
    """After a failed run its reason is shown and the next run can begin."""
    fake_run.fail_at, fake_run.error = 3, error
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert message in deblur_widget.message.text()
    assert not deblur_widget.stop_button.isEnabled()
    fake_run.fail_at = None
    fake_run.finish.set()
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(lambda: deblur_widget.message.text().startswith("Finished"))


def test_a_failed_run_leaves_an_earlier_result(qtbot, fake_run, deblur_widget, viewer_model):
    """The layers of a finished run are not touched by a later one that fails."""
    fake_run.finish.set()
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    good = viewer_model.layers["cells deblurred"]
    pixels, facts = good.data.copy(), dict(good.metadata["selfdeblur"])
    fake_run.fail_at, fake_run.error = 1, OutOfMemoryError("out of memory")
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    np.testing.assert_array_equal(good.data, pixels)
    assert good.metadata["selfdeblur"] == facts
    assert len(viewer_model.layers) == 3


def test_the_last_good_estimate_is_announced(qtbot, fake_run, deblur_widget, blurred) -> None:
    """When the loss diverges, the message says that the last estimate is kept."""
    kernel = np.full((5, 5), 1 / 25, np.float32)
    good = Estimate(blurred.astype(np.float32), kernel, 2, True, (1.0,))
    fake_run.fail_at, fake_run.error = 1, DivergedError("the loss became NaN", good)
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(deblur_widget.run_button.isEnabled)
    assert "last estimate is kept" in deblur_widget.message.text()


def test_removing_the_widget_from_its_parent_stops_and_keeps(
    qtbot, fake_run, deblur_widget, viewer_model
) -> None:
    """Un-parenting, which is how napari removes a dock, ends the run with its result."""
    parent = QWidget()
    qtbot.addWidget(parent)
    deblur_widget.setParent(parent)
    press(qtbot, deblur_widget.run_button)
    qtbot.waitUntil(lambda: fake_run.steps > 3)
    deblur_widget.setParent(None)
    job = deblur_widget.job
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "stopped"
    assert len(viewer_model.layers) == 3


def test_a_deleted_widget_is_not_called_again(
    qtbot, fake_run, viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """After Qt has deleted the widget mid-run, the run ends and layers can come and go."""
    viewer_model.add_image(blurred)
    made = DeblurWidget(viewer_model)
    made.form.fields["kernel_size"].setValue(5)
    made.run()
    job = made.job
    qtbot.waitUntil(lambda: fake_run.steps > 3)
    with qtbot.waitSignal(made.destroyed):
        made.deleteLater()
    qtbot.waitUntil(lambda: not job.running)
    viewer_model.add_image(blurred)
    viewer_model.layers.clear()
    assert job.state == "stopped"


def test_every_tooltip_is_a_field_and_every_preset_explained(deblur_widget) -> None:
    """No field lacks its explanation, and the preset's names every preset."""
    assert all(each.toolTip() for each in deblur_widget.form.fields.values())
    assert all(name in tooltips.TOOLTIPS["preset"] for name in PRESETS)


def test_time_left_is_that_of_the_remaining_steps() -> None:
    """After a quarter of the steps in 10 s, 30 s are left."""
    assert Progress(25, 100, 1.0, 10.0).seconds_left == pytest.approx(30)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")]
)
def test_durations_are_clock_times(seconds: float, text: str) -> None:
    """Durations read as minutes and seconds, with hours where there are any."""
    assert clock(seconds) == text


def test_opening_the_widget_needs_no_torch() -> None:
    """Importing the widget loads no torch: the window opens before torch is there."""
    code = "import napari_selfdeblur._napari.widget, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
