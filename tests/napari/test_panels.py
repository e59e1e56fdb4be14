"""Both panels as a user meets them: fields, buttons, messages; without a window of napari."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils import progress
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_selfdeblur._napari import cost, panel, plugin, widget
from napari_selfdeblur._napari.panel import Panel
from napari_selfdeblur._napari.plugin import Preferences
from napari_selfdeblur._napari.report import clock
from napari_selfdeblur._napari.restore_widget import RestoreWidget
from napari_selfdeblur._napari.widget import DeblurWidget
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError, OutOfMemoryError
from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.presets import PRESETS

pytestmark = pytest.mark.usefixtures("machine")
FIND_COST = cost.find_cost
PSF = np.array([[0, 0, 0], [0, 0.5, 0], [0, 0.5, 0.5], [0, 0.5, 0], [0, 0, 0]], np.float32)


@pytest.fixture
def made(qtbot, viewer_model: ViewerModel, blurred: np.ndarray) -> DeblurWidget:
    """A panel on a viewer with the layer 'cells', ready to run."""
    viewer_model.add_image(blurred, name="cells")
    return ready(qtbot, DeblurWidget(viewer_model), kernel_size=(5, 5))


@pytest.fixture
def restoring(qtbot, viewer_model: ViewerModel, blurred: np.ndarray) -> RestoreWidget:
    """A panel on a viewer with the layers 'cells' and 'cells kernel', ready to run."""
    viewer_model.add_image(PSF, name="cells kernel")
    viewer_model.add_image(blurred, name="cells")
    return ready(qtbot, RestoreWidget(viewer_model), device="cpu")


def ready(qtbot, made: Panel, **values) -> Panel:
    qtbot.addWidget(made.native)
    qtbot.waitUntil(lambda: made.form.fields["device"].widget.native.count() == 3)
    made.form.show(values)
    qtbot.waitUntil(lambda: made.run_button.enabled)
    return made


def press(qtbot, button) -> None:
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def message(made: Panel) -> str:
    return made.status.message.text()


def edit(made: Panel, name: str, value) -> None:
    made.form.fields[name].widget.value = value


def run_to_end(qtbot, made: Panel) -> None:
    press(qtbot, made.run_button)
    qtbot.waitUntil(lambda: made.run_button.enabled, timeout=30000)


def listed(made: Panel) -> list[str]:
    combo = made.image.widget.native
    return [combo.itemText(index) for index in range(combo.count())]


@pytest.mark.parametrize(
    ("kind", "config"), [(DeblurWidget, SelfDeblurConfig), (RestoreWidget, RestoreConfig)]
)
def test_every_setting_is_in_the_panel(qtbot, viewer_model, kind, config) -> None:
    """Each field of the settings has its widget inside the panel."""
    made = kind(viewer_model)
    qtbot.addWidget(made.native)
    assert set(config.kinds()) <= set(made.form.fields)
    assert all(made.native.isAncestorOf(f.widget.native) for f in made.form.fields.values())


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_run_as_published(made: DeblurWidget, name: str) -> None:
    """Choosing a preset and nothing else describes that preset, kernel size apart."""
    made.preset.value = name
    assert made.form.read() == SelfDeblurConfig.preset(name).replace(kernel_size=5)


def test_the_preset_is_shown_before_there_is_an_image(qtbot, viewer_model: ViewerModel) -> None:
    """Without an image the preset shown is that of the settings, and another can be chosen."""
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made.native)
    assert made.preset.value == made.form.read().name == "fast"
    made.preset.value = "draft"
    assert made.form.read().name == "draft"


def test_a_changed_preset_is_custom(qtbot, made: DeblurWidget) -> None:
    """The preset shown is the one the settings are, 'custom' where they are none's."""
    edit(made, "channels", 32)
    qtbot.waitUntil(lambda: made.preset.value == "custom")
    made.preset.value = "paper"
    qtbot.waitUntil(lambda: "custom" not in made.preset.choices)
    assert made.form.read().name == made.preset.value == "paper"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("kernel_size", "20", "Kernel size must be odd, got 20; try 21"),
        ("kernel_size", "25", "Kernel size must fit into the image of 24 x 32 pixels"),
        ("lr_image", "0", "Image step size must be a number greater than 0"),
        ("solvers", "guess", "Estimates by must be one or more of edges"),
    ],
)
def test_a_wrong_setting_is_named_at_once(
    qtbot, made: DeblurWidget, name: str, value: str, text: str
) -> None:
    """The field is marked, the reason given by its label, and Run disabled, until it is right."""
    before = made.form.fields[name].widget.value
    edit(made, name, value)
    qtbot.waitUntil(lambda: not made.run_button.enabled)
    assert message(made).startswith(text)
    assert made.form.marked == name
    edit(made, name, before)
    qtbot.waitUntil(lambda: made.run_button.enabled)
    assert (message(made), made.form.marked) == ("", None)


def test_without_networks_there_are_no_iterations(qtbot, made: DeblurWidget) -> None:
    """Their steps can be set where a network is among the solvers, and are kept meanwhile."""
    iterations = made.form.fields["iterations"].widget
    edit(made, "iterations", "300")
    for solvers, allowed in (("edges", False), ("edges, joint", True)):
        edit(made, "solvers", solvers)
        qtbot.waitUntil(lambda wanted=allowed: iterations.enabled is wanted)
    assert made.form.read().iterations == 300


def test_what_the_machine_lacks_is_named(qtbot, made: DeblurWidget, monkeypatch) -> None:
    """A precision that is not available is marked as soon as that is known."""
    problem = "bfloat16 is not available on the CPU; choose float32"
    answer = {"problem": problem, "field": "precision"}
    monkeypatch.setattr(cost, "find_cost", lambda *asked: cost.Cost(*asked, **answer))
    edit(made, "precision", "bfloat16")
    qtbot.waitUntil(lambda: made.form.marked == "precision")
    assert message(made) == problem
    assert made.form.groups["computing"].isExpanded()


def test_pixels_changed_in_place_are_the_ones_checked(
    qtbot, made: DeblurWidget, viewer_model: ViewerModel
) -> None:
    """An image made constant, or put right again, in place is judged as it is at Run."""
    layer = viewer_model.layers["cells"]
    pixels = layer.data.copy()
    layer.data[:] = 7
    edit(made, "iterations", 1)
    edit(made, "solvers", "joint")
    edit(made, "channels", 4)
    edit(made, "restoration", "none")
    run_to_end(qtbot, made)
    assert "constant" in message(made)
    layer.data[:] = pixels
    run_to_end(qtbot, made)
    assert message(made).startswith("Finished")


@pytest.mark.parametrize("kind", [DeblurWidget, RestoreWidget])
def test_without_an_image_it_says_what_to_do(qtbot, viewer_model: ViewerModel, kind) -> None:
    """An empty viewer disables Run and points to the samples."""
    made = kind(viewer_model)
    qtbot.addWidget(made.native)
    assert not made.run_button.enabled
    assert "Open Sample" in message(made)


def test_the_layer_list_is_fresh(made: DeblurWidget, viewer_model, blurred: np.ndarray) -> None:
    """Added, renamed, reordered and removed layers show at once; the choice stays."""
    cells = viewer_model.layers["cells"]
    other = viewer_model.add_image(blurred, name="other")
    viewer_model.add_points(np.zeros((1, 2)), name="points")
    assert listed(made) == ["other", "cells"]
    assert made.image.layer is cells
    other.name = "renamed"
    cells.name = "nuclei"
    assert sorted(listed(made)) == ["nuclei", "renamed"]
    assert (made.image.layer, made.image.widget.native.currentText()) == (cells, "nuclei")
    viewer_model.layers.move(0, 3)
    assert made.image.layer is cells
    viewer_model.layers.remove(cells)
    assert (made.image.layer, made.image.widget.native.currentText()) == (other, "renamed")
    viewer_model.layers.clear()
    assert made.image.layer is None


def test_time_and_memory_are_shown_before_run(qtbot, made: DeblurWidget, monkeypatch) -> None:
    """What a run needs is shown beside each other and follows the settings."""

    def find(config: SelfDeblurConfig, *asked: Any) -> cost.Cost:
        return cost.Cost(config, *asked, f"{config.channels} {asked[0]}")

    monkeypatch.setattr(cost, "find_cost", find)
    edit(made, "channels", 48)
    qtbot.waitUntil(lambda: made.cost.value == "48 (24, 32)")


def test_a_run_ends_the_wait_for_its_cost(qtbot, fake_run, made: DeblurWidget, monkeypatch) -> None:
    """A run begun while its cost is measured leaves no announcement of it, then or when known."""
    known = threading.Event()

    def find(config: SelfDeblurConfig, *asked: Any) -> cost.Cost:
        assert known.wait(30)
        return cost.Cost(config, *asked, "measured")

    monkeypatch.setattr(cost, "find_cost", find)
    edit(made, "channels", 48)
    qtbot.waitUntil(lambda: made.cost.value == "Measuring the time it will take")
    press(qtbot, made.run_button)
    assert made.cost.value == ""
    known.set()
    qtbot.waitUntil(lambda: not made._measuring)
    assert made.cost.value == ""
    fake_run.finish.set()
    qtbot.waitUntil(lambda: made.cost.value == "measured")


def test_a_time_that_cannot_be_measured_is_not_known(qtbot, made, monkeypatch) -> None:
    """Whatever the measurement raises, the panel says so and can run; it is asked once."""
    asked = []

    def fail(*values: Any) -> None:
        asked.append(values)
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(cost, "find_cost", fail)
    edit(made, "kernel_size", "7")
    qtbot.waitUntil(lambda: made.cost.value == "The time it will take is not known")
    made.check()
    assert made.cost.value == "The time it will take is not known"
    assert made.run_button.enabled
    assert len(asked) == 1


def test_the_cost_is_that_of_the_numerics() -> None:
    """Time and memory in words are for these settings and this shape."""
    config = SelfDeblurConfig.preset("draft").replace(device="cpu")
    found = FIND_COST(config, (64, 64))
    assert not found.problem
    assert found.text.startswith("64 x 64 px: about 0:")
    assert "of memory" in found.text


def test_the_time_is_a_range_where_networks_may_be_left_out() -> None:
    """From the time without to that with them; one time where every solver is asked for."""
    small = {"iterations": 100_000, "channels": 4, "scales": 2, "kernel_size": 9, "device": "cpu"}
    config = SelfDeblurConfig.preset("draft").replace(solvers=("edges", "joint"), **small)
    both, every = (
        FIND_COST(config.replace(adaptive=each), (64, 64)).text for each in (True, False)
    )
    assert re.search(r"about 0:\d\d to \d+:\d\d(:\d\d)?, ", both)
    assert " to " not in every


def test_too_little_memory_is_said_before_the_run(monkeypatch) -> None:
    """What cannot fit into this machine is refused with the remedy, and no field is to blame."""
    memory = runtime.psutil.virtual_memory()
    monkeypatch.setattr(runtime.psutil, "virtual_memory", lambda: memory._replace(total=2**20))
    found = FIND_COST(SelfDeblurConfig.preset("fast").replace(device="cpu"), (2048, 2048))
    assert "out of memory" in found.problem
    assert "crop the image" in found.problem
    assert found.field is None


def test_a_missing_torch_is_reported(qtbot, viewer_model: ViewerModel, monkeypatch) -> None:
    """If torch cannot be loaded, the panel opens and says so."""
    broken = cost.Devices(problem="PyTorch is broken")
    monkeypatch.setattr(panel, "find_devices", lambda: broken)
    viewer_model.add_image(np.zeros((30, 30)))
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made.native)
    qtbot.waitUntil(lambda: message(made) == "PyTorch is broken")


def test_preferences_are_the_start(qtbot, viewer_model: ViewerModel, monkeypatch) -> None:
    """A new panel, and a reset one, shows the user's preset, device and interval."""
    chosen = Preferences(preset="paper", device="cuda", preview_seconds=2.0)
    monkeypatch.setattr(widget, "read_preferences", lambda: chosen)
    viewer_model.add_image(np.zeros((30, 30)))
    made = ready(qtbot, DeblurWidget(viewer_model))
    start = made.form.read()
    assert (start.name, start.device) == ("paper", "cuda:0")
    assert made.form.fields["preview_seconds"].value() == 2
    made.preset.value = "fast"
    edit(made, "seed", 9)
    press(qtbot, made.reset_button)
    assert made.form.read() == start.replace(device="cuda")


def test_a_run_of_a_panel_is_shown_there_alone(qtbot, fake_run, made: DeblurWidget) -> None:
    """Not by napari's activity dock too, which draws the whole window again and again."""
    press(qtbot, made.run_button)
    assert made.job.running
    assert not progress._all_instances
    fake_run.finish.set()
    qtbot.waitUntil(lambda: not made.job.running)


def test_run_to_the_end(qtbot, fake_run, made: DeblurWidget, viewer_model) -> None:
    """Run is disabled while running; stage, bar, times and kernel move; the end is said."""
    press(qtbot, made.run_button)
    assert (made.run_button.enabled, made.stop_button.enabled) == (False, True)
    status = made.status
    qtbot.waitUntil(lambda: status.bar.value() > 1)
    assert status.bar.maximum() == 1000
    assert status.stage.text() == f"Networks: {status.bar.value()} of 1000"
    assert status.times.text().endswith("elapsed, 1:00 left")
    assert status.loss.text().startswith("loss ")
    assert not status.kernel.pixmap().isNull()
    fake_run.finish.set()
    qtbot.waitUntil(lambda: made.run_button.enabled)
    assert not made.stop_button.enabled
    assert message(made).startswith("Finished after 0:0")
    assert len(viewer_model.layers) == 3
    assert made.image.widget.native.currentText() == "cells"


def test_settings_stay_between_runs(qtbot, fake_run, made: DeblurWidget) -> None:
    """After a run every field shows what it showed before, and Run runs again."""
    edit(made, "seed", 4)
    before = made.form.read()
    fake_run.finish.set()
    for count in (1, 2):
        run_to_end(qtbot, made)
        assert made.form.read() == before
        assert fake_run.calls == count


def test_doubts_and_advice_are_said_twice_alike(qtbot, fake_run, made: DeblurWidget) -> None:
    """A doubtful result comes with every reason and advice; the notification says doubtful too."""
    fake_run.verdict = {
        "credible": False,
        "reasons": ["the kernel is flat"],
        "advice": ["choose a smaller kernel"],
    }
    fake_run.finish.set()
    notification_manager.records.clear()
    run_to_end(qtbot, made)
    first, *others = message(made).splitlines()
    assert first.endswith("The result is doubtful.")
    assert others == ["• the kernel is flat", "• choose a smaller kernel"]
    (notified,) = notification_manager.records
    assert notified.message == f"cells: {first}"
    assert notified.severity.value == "warning"


@pytest.mark.parametrize("change", ["setting", "layer"])
def test_what_belongs_to_an_old_run_goes(
    qtbot, fake_run, made: DeblurWidget, viewer_model, blurred, change: str
) -> None:
    """With another layer or setting, bar, kernel and message of the last run are gone."""
    fake_run.finish.set()
    run_to_end(qtbot, made)
    assert made.status.occupied
    if change == "setting":
        edit(made, "seed", 5)
    else:
        made.image.choose(viewer_model.add_image(blurred, name="other"))
    assert not made.status.occupied
    assert message(made) == ""
    assert made.status.kernel.pixmap().isNull()


def test_stop_and_keep(qtbot, fake_run, made: DeblurWidget, viewer_model) -> None:
    """The button ends the run; image and kernel stay."""
    press(qtbot, made.run_button)
    qtbot.waitUntil(lambda: fake_run.steps > 3)
    press(qtbot, made.stop_button)
    qtbot.waitUntil(lambda: made.run_button.enabled)
    assert message(made).startswith("Stopped and kept after")
    assert len(viewer_model.layers) == 3


def test_a_second_run_while_running_is_refused(qtbot, fake_run, made: DeblurWidget) -> None:
    """Neither the button nor a call begins a second run."""
    press(qtbot, made.run_button)
    first = made.job
    press(qtbot, made.run_button)
    made.run()
    assert made.job is first
    fake_run.finish.set()
    qtbot.waitUntil(lambda: made.run_button.enabled)
    assert fake_run.calls == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OutOfMemoryError("out of memory on cuda:0; crop the image"), "crop the image"),
        (RuntimeError("shape mismatch"), "unexpected RuntimeError: shape mismatch"),
    ],
)
def test_an_error_is_said_and_run_works_again(
    qtbot, fake_run, made: DeblurWidget, error: Exception, text: str
) -> None:
    """After a failed run its reason is shown and the next run can begin."""
    fake_run.fail_at, fake_run.error = 3, error
    run_to_end(qtbot, made)
    assert text in message(made)
    assert not made.stop_button.enabled
    fake_run.fail_at = None
    fake_run.finish.set()
    run_to_end(qtbot, made)
    assert message(made).startswith("Finished")


def test_a_failed_run_leaves_an_earlier_result(qtbot, fake_run, made, viewer_model) -> None:
    """The layers of a finished run are not touched by a later one that fails."""
    fake_run.finish.set()
    run_to_end(qtbot, made)
    good = viewer_model.layers["cells deblurred"]
    pixels, facts = good.data.copy(), dict(good.metadata["selfdeblur"])
    fake_run.fail_at, fake_run.error = 1, OutOfMemoryError("out of memory")
    run_to_end(qtbot, made)
    np.testing.assert_array_equal(good.data, pixels)
    assert good.metadata["selfdeblur"] == facts
    assert len(viewer_model.layers) == 3


def test_the_last_good_estimate_is_announced(qtbot, fake_run, made, blurred) -> None:
    """When the loss diverges, the message says that the last estimate is kept."""
    fake_run.fail_at, fake_run.error = 1, DivergedError("the loss became NaN")
    fake_run.error.result = fake_run.result(blurred, made.form.read(), 2, "diverged")
    run_to_end(qtbot, made)
    assert message(made).endswith("the loss became NaN. The last estimate is kept.")


def test_removing_the_panel_from_its_parent_stops_and_keeps(
    qtbot, fake_run, made: DeblurWidget, viewer_model
) -> None:
    """Un-parenting, which is how napari removes a dock, ends the run with its result."""
    parent = QWidget()
    qtbot.addWidget(parent)
    made.native.setParent(parent)
    press(qtbot, made.run_button)
    qtbot.waitUntil(lambda: fake_run.steps > 3)
    made.native.setParent(None)
    job = made.job
    qtbot.waitUntil(lambda: not job.running)
    assert job.state == "stopped"
    assert len(viewer_model.layers) == 3


@pytest.mark.parametrize("kind", [DeblurWidget, RestoreWidget])
def test_a_deleted_panel_is_not_called_again(
    qtbot, fake_run, viewer_model: ViewerModel, blurred: np.ndarray, kind
) -> None:
    """After Qt has deleted the panel mid-run, the run ends and layers and themes come and go."""
    kernel = viewer_model.add_image(PSF, name="cells kernel")
    viewer_model.add_image(blurred, name="cells")
    made = kind(viewer_model)
    made.form.show({"device": "cpu"})
    made.image.choose(viewer_model.layers["cells"])
    made.run()
    job = made.job
    gone: list[bool] = []
    made.native.destroyed.connect(lambda: gone.append(True))
    made.native.deleteLater()
    qtbot.waitUntil(lambda: gone == [True])
    qtbot.waitUntil(lambda: not job.running, timeout=30000)
    assert job.result is not None
    kernel.data = PSF[::-1]
    viewer_model.theme = "light"
    viewer_model.add_image(blurred)
    viewer_model.layers.clear()


def test_a_theme_changes_the_colours(qtbot, made: DeblurWidget, viewer_model) -> None:
    """Message, mark and links take the colours of the new theme at once."""
    edit(made, "kernel_size", "4")
    qtbot.waitUntil(lambda: made.form.marked == "kernel_size")
    field = made.form.fields["kernel_size"].widget.native
    dark = (made.status.message.styleSheet(), field.styleSheet(), made._header.value)
    viewer_model.theme = "light"
    light = (made.status.message.styleSheet(), field.styleSheet(), made._header.value)
    assert all(one != other for one, other in zip(dark, light, strict=True))


def test_the_guide_has_the_sections_that_are_linked() -> None:
    """The links lead to the guide itself, at headings that it has, below the metadata's address."""
    guide = Path(__file__).parents[2] / "docs" / "user-guide.md"
    headings = [line.lstrip("# ") for line in guide.read_text().splitlines() if line[:1] == "#"]
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for kind in (DeblurWidget, RestoreWidget):
        address, _, anchor = kind.LINKS["guide"].partition("#")
        assert address.endswith("/blob/main/docs/user-guide.md")
        assert anchor in anchors
    assert DeblurWidget.LINKS["paper"] == plugin.PAPER


def test_a_restoration_of_a_layer(qtbot, restoring: RestoreWidget, viewer_model) -> None:
    """The result is added beside its source, which stays; the end is said."""
    run_to_end(qtbot, restoring)
    assert [layer.name for layer in viewer_model.layers] == [
        "cells kernel",
        "cells",
        "cells restored (hyper_laplacian)",
    ]
    assert message(restoring).startswith("Finished after 0:0")


def test_only_the_restoration_s_own_settings_can_be_edited(restoring: RestoreWidget) -> None:
    """Choosing another restoration enables the fields that it has, and no other."""
    expected = {
        "sparse": (True, False),
        "generator": (False, True),
        "hyper_laplacian": (True, True),
    }
    for name, enabled in expected.items():
        edit(restoring, "restoration", name)
        fields = (restoring.form.fields[each].widget for each in ("weight", "iterations"))
        assert tuple(field.enabled for field in fields) == enabled
        assert restoring.form.read().restoration == name


def test_a_set_weight_is_the_one_that_runs(qtbot, restoring: RestoreWidget) -> None:
    """A weight typed in reaches the restoration; what is no weight is named."""
    edit(restoring, "weight", "-1")
    qtbot.waitUntil(lambda: restoring.form.marked == "weight")
    assert message(restoring).startswith("Weight must be")
    edit(restoring, "weight", "0.25")
    qtbot.waitUntil(lambda: restoring.run_button.enabled)
    run_to_end(qtbot, restoring)
    assert restoring.job.result.record.config.weight == 0.25


def test_the_kernel_of_the_image_is_suggested(restoring, viewer_model, blurred) -> None:
    """Until the user chooses, the newest layer called NAME kernel is taken for image NAME."""
    choice = restoring.kernel_choice
    assert choice.layer is viewer_model.layers["cells kernel"]
    newer = viewer_model.add_image(PSF, name="cells kernel [1]")
    assert choice.layer is newer
    viewer_model.add_image(PSF, name="other kernel")
    assert choice.layer is newer
    choice.choice.widget.native.setCurrentText("other kernel")
    choice.choice.widget.native.activated.emit(0)
    viewer_model.add_image(PSF, name="cells kernel [2]")
    assert choice.layer is viewer_model.layers["other kernel"]


def test_a_picture_of_many_kernels_is_no_kernel(qtbot, restoring, viewer_model) -> None:
    """The run says what a layer is, whatever its name; a picture of a grid's kernels is refused."""
    choice = restoring.kernel_choice
    noted = {"metadata": {"selfdeblur_part": "kernels"}}
    picture = viewer_model.add_image(np.ones((9, 9)), name="cells kernels", **noted)
    assert choice.layer is viewer_model.layers["cells kernel"]
    choice.choice.choose(picture)
    qtbot.waitUntil(lambda: "picture of the kernels of a grid" in message(restoring))
    assert not restoring.run_button.enabled
    viewer_model.layers.remove("cells kernel")
    psf = viewer_model.add_image(PSF, name="psf", metadata={"selfdeblur_part": "kernel"})
    assert choice.layer is psf


def test_the_kernel_is_shown(qtbot, restoring: RestoreWidget, viewer_model) -> None:
    """Size and picture are those of the kernel, also when its pixels change in place."""
    assert restoring.kernel_text.text() == "5 x 3 pixels"
    before = restoring.picture.pixmap().toImage()
    layer = viewer_model.layers["cells kernel"]
    layer.data[0, 0] = 3
    layer.refresh()
    qtbot.waitUntil(lambda: restoring.picture.pixmap().toImage() != before)
    layer.data = np.ones((7, 7), np.float32)
    qtbot.waitUntil(lambda: restoring.kernel_text.text() == "7 x 7 pixels")


def test_a_kernel_from_a_file(qtbot, restoring: RestoreWidget, tmp_path: Path) -> None:
    """A file takes the place of the layer, and is recorded; a layer chosen later counts again."""
    write_tiff(tmp_path / "psf.tif", np.ones((3, 3), np.float32))
    choice = restoring.kernel_choice
    choice.file.value = tmp_path / "psf.tif"
    qtbot.waitUntil(lambda: restoring.kernel_text.text() == "3 x 3 pixels")
    run_to_end(qtbot, restoring)
    assert restoring.job.result.record.kernel["name"] == "psf.tif"
    choice.choice.widget.native.activated.emit(0)
    qtbot.waitUntil(lambda: restoring.kernel_text.text() == "5 x 3 pixels")


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (lambda layer, _: setattr(layer, "data", np.ones((4, 4))), "odd number of rows"),
        (lambda layer, _: setattr(layer, "data", np.zeros((3, 3))), "needs a positive value"),
        (lambda layer, _: setattr(layer, "data", np.ones((25, 25))), "smaller than the kernel"),
        (lambda _, choice: setattr(choice.file, "value", Path("no/such.tif")), "no/such.tif"),
    ],
)
def test_what_is_no_kernel_is_named(
    qtbot, restoring: RestoreWidget, viewer_model, prepare: Callable[..., None], text: str
) -> None:
    """Even sides, no light, more than the image, a missing file: said, and Run disabled."""
    prepare(viewer_model.layers["cells kernel"], restoring.kernel_choice)
    qtbot.waitUntil(lambda: text in message(restoring))
    assert not restoring.run_button.enabled


def test_image_and_kernel_must_differ(qtbot, viewer_model: ViewerModel, blurred) -> None:
    """With one layer, the panel says what is missing."""
    viewer_model.add_image(blurred)
    made = RestoreWidget(viewer_model)
    qtbot.addWidget(made.native)
    assert "Choose the kernel" in message(made)
    assert not made.run_button.enabled


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")]
)
def test_durations_are_clock_times(seconds: float, text: str) -> None:
    """Durations read as minutes and seconds, with hours where there are any."""
    assert clock(seconds) == text


def test_opening_a_panel_needs_no_torch() -> None:
    """Importing the panels loads no torch: the window opens before torch is there."""
    code = (
        "from napari_selfdeblur._napari import restore_widget, widget; "
        "import sys; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
