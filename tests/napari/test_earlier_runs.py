"""The settings of an earlier run, from a result layer or a saved record, back in a panel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QFileDialog

from napari_selfdeblur._napari.batch_widget import BatchWidget
from napari_selfdeblur._napari.earlier_runs import EarlierRuns
from napari_selfdeblur._napari.widget import DeblurWidget
from napari_selfdeblur._napari.work import restore_job
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.run.batch_record import BatchRecord
from napari_selfdeblur.run.record import RestoreRecord, RunRecord
from napari_selfdeblur.run.stack_record import StackRecord

pytestmark = pytest.mark.usefixtures("machine")
ASKED = SelfDeblurConfig.preset("quality").replace(
    region="whole", device="cuda:7", seed=5, restoration_share=1 / 3, kernel_grid=(1, 2)
)
USED = ASKED.replace(kernel_size=17, region=((0, 20), (0, 30)), device="cpu", tv_weight=0.1)
COMMON: dict[str, Any] = {"device": "CPU", "seconds": 1.0, "status": "finished", "image": {}}
RUN = RunRecord(config=ASKED, used=USED, iterations=1, losses=(1.0,), **COMMON)
STACK = StackRecord(config=ASKED, axes="TYX", kernels="plane", planes=(), **COMMON)
RESTORED = RestoreRecord(config=RestoreConfig(), kernel={}, **COMMON)
BATCH = BatchRecord(axes="TYX", shape=(1, 9, 9), planes=({"plane": "T0", **RUN.to_dict()},))


@pytest.fixture
def made(qtbot, viewer_model: ViewerModel, blurred: np.ndarray) -> DeblurWidget:
    """A panel on a viewer with the layer 'cells', ready to run."""
    viewer_model.add_image(blurred, name="cells")
    made = DeblurWidget(viewer_model)
    qtbot.addWidget(made.native)
    qtbot.waitUntil(lambda: made.run_button.enabled and made.devices is not None)
    return made


def result(viewer: ViewerModel, name: str, facts: Mapping[str, Any], part: str = "deblurred"):
    """Add a layer as a run does."""
    metadata = {"selfdeblur": dict(facts), "selfdeblur_part": part}
    return viewer.add_image(np.eye(5), name=name, metadata=metadata)


def offered(earlier: EarlierRuns) -> dict[str, Any]:
    """Return what the menu lists when it opens: its actions, by their texts."""
    menu = earlier.native.menu()
    menu.aboutToShow.emit()
    return {each.text(): each for each in menu.actions() if each.text()}


def choose_file(monkeypatch, earlier: EarlierRuns, path: Path) -> None:
    """Choose a file in the dialog."""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    offered(earlier)["Settings of a file…"].trigger()


def test_what_was_asked_for_comes_back(made: DeblurWidget, viewer_model) -> None:
    """All settings, none rounded; not the size, region and device that the run found."""
    result(viewer_model, "nuclei deblurred", RUN.to_dict())
    offered(made.earlier)["Settings of nuclei deblurred"].trigger()
    assert made.form.read() == ASKED
    assert made.form.read().kernel_size == "auto"


def test_a_run_is_repeated(qtbot, made: DeblurWidget, viewer_model) -> None:
    """After other choices the settings of a result give the same pixels again."""
    small = {"solvers": ("joint",), "iterations": 2, "channels": 4, "restoration": None}
    made.form.show({**small, "kernel_size": (5, 5), "seed": 3, "device": "cpu"})
    pixels = []
    for _ in range(2):
        qtbot.waitUntil(lambda: made.run_button.enabled)
        made.run()
        qtbot.waitUntil(lambda: not made.job.running)
        pixels.append(made.job.layers[0].data)
        made.reset()
        offered(made.earlier)["Settings of cells deblurred"].trigger()
    np.testing.assert_array_equal(*pixels)
    assert "Settings of cells deblurred [1]" in offered(made.earlier)


def test_each_run_is_listed_once(made: DeblurWidget, viewer_model) -> None:
    """By its image, or what is left of it, topmost first; without a result only a file."""
    assert list(offered(made.earlier)) == ["Settings of a file…"]
    one, other = (RUN.to_dict() | {"created": created} for created in ("1", "2"))
    result(viewer_model, "a deblurred", one)
    result(viewer_model, "a kernel", one, "kernel")
    image = result(viewer_model, "b & c deblurred", other)
    result(viewer_model, "b & c kernel", other, "kernel")
    result(viewer_model, "b & c residual", other, "residual")
    names = ["Settings of b && c deblurred", "Settings of a deblurred", "Settings of a file…"]
    assert list(offered(made.earlier)) == names
    viewer_model.layers.remove(image)
    assert "Settings of b && c residual" in offered(made.earlier)


def test_only_blind_runs_are_listed(qtbot, made: DeblurWidget, viewer_model) -> None:
    """Neither a restoration, whose settings are others, nor a batch, nor what is no record."""
    cells = viewer_model.layers["cells"]
    psf = np.eye(3, dtype=np.float32)
    restore_job(viewer_model, cells, psf, RestoreConfig(device="cpu"), kernel_name="psf").run()
    assert cells is not viewer_model.layers[-1]
    result(viewer_model, "batch", BATCH.to_dict())
    for name, facts in {"x": {}, "y": {"config": 3}, "z": {"config": {"other": 1}}}.items():
        result(viewer_model, name, facts)
    viewer_model.add_image(np.eye(5), metadata={"selfdeblur": "a text"})
    assert list(offered(made.earlier)) == ["Settings of a file…"]


@pytest.mark.parametrize("name", ["cells_record.json", "cells_deblurred.tif", "cells_kernel.tif"])
def test_of_a_saved_run(made: DeblurWidget, tmp_path, monkeypatch, name: str) -> None:
    """The record is chosen, or an image that it lies beside."""
    (tmp_path / "cells_record.json").write_text(RUN.to_json())
    for part in ("deblurred", "kernel"):
        write_tiff(tmp_path / f"cells_{part}.tif", np.eye(5))
    choose_file(monkeypatch, made.earlier, tmp_path / name)
    assert made.form.read() == ASKED


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "not a record: Expecting"),
        ("a.json", "[]", "not a run record: a JSON object is expected"),
        ("a.json", json.dumps(RUN.to_dict() | {"later": 1}), "unknown field later"),
        ("a.json", RUN.to_json().replace('"whole"', "5", 1), "region must"),
        ("a.json", RESTORED.to_json(), "it is the record of a restoration"),
        ("a.json", BATCH.to_json(), "it is the record of a batch"),
        ("a.json", None, "it cannot be read"),
        ("a.tif", "no image", "no record of a run lies beside it"),
    ],
)
def test_a_bad_file_is_named(
    qtbot, made: DeblurWidget, tmp_path, monkeypatch, name: str, text: str | None, reason: str
) -> None:
    """The panel says why, until the next edit; every setting stays and can be run."""
    made.form.show({"seed": 8, "kernel_size": (5, 5)})
    qtbot.waitUntil(lambda: "about" in made.cost.value)
    before = made.form.read()
    if text is not None:
        (tmp_path / name).write_text(text)
    choose_file(monkeypatch, made.earlier, tmp_path / name)
    for _ in range(2):
        assert made.status.message.text().startswith(f"{name}: ")
        assert reason in made.status.message.text()
        assert made.check()  # as when the time has been measured
    assert made.form.read() == before
    made.form.fields["seed"].widget.value = 9
    qtbot.waitUntil(lambda: made.status.message.text() == "")


def test_the_end_of_a_run_is_said_in_place_of_a_bad_file(
    qtbot, made: DeblurWidget, tmp_path, monkeypatch
) -> None:
    """A run changes no setting, and its report stays."""
    made.form.show({"solvers": ("joint",), "iterations": 2, "channels": 4, "restoration": None})
    made.form.show({"kernel_size": (5, 5), "device": "cpu"})
    choose_file(monkeypatch, made.earlier, tmp_path / "gone.json")
    qtbot.waitUntil(lambda: made.run_button.enabled)
    made.run()
    qtbot.waitUntil(lambda: not made.job.running)
    made.check()
    assert made.status.message.text().startswith("Finished after")


def test_no_file_changes_nothing(made: DeblurWidget, monkeypatch) -> None:
    """A dialog that is cancelled leaves the settings and says nothing."""
    before = made.form.read()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    offered(made.earlier)["Settings of a file…"].trigger()
    assert (made.form.read(), made.status.message.text()) == (before, "")


def test_of_a_stack_the_rows_come_back(made: DeblurWidget, viewer_model, blurred) -> None:
    """Which planes share a kernel is taken too; a run of one plane leaves the rows as they are."""
    stack = viewer_model.add_image(np.stack([blurred, blurred]), name="series")
    made.image.choose(stack)
    result(viewer_model, "all", STACK.to_dict())
    result(viewer_model, "one", RUN.to_dict())
    for name in ("all", "one"):
        offered(made.earlier)[f"Settings of {name}"].trigger()
        made.check()
        assert (made.rows.planes(stack), made.rows.kernels()) == ("all", "plane")
        assert made.form.read() == ASKED


def test_a_batch_takes_them_too(qtbot, viewer_model, tmp_path, monkeypatch) -> None:
    """What was tried on one image, or on a stack, is the batch's; a bad file is named.

    Its name stays in view until the next edit.
    """
    panel = BatchWidget(viewer_model)
    qtbot.addWidget(panel.native)
    qtbot.waitUntil(lambda: panel.form.fields["device"].widget.native.count() > 1)
    for name, record in {"one": RUN, "all": STACK}.items():
        panel.reset()
        result(viewer_model, name, record.to_dict())
        offered(panel.earlier)[f"Settings of {name}"].trigger()
        assert panel.form.read() == ASKED
    choose_file(monkeypatch, panel.earlier, tmp_path / "gone.json")
    for _ in range(2):
        assert panel.status.message.text().startswith("gone.json: it cannot be read")
        panel.check()
    assert panel.form.read() == ASKED
    panel.inputs.add(["a.tif"])
    qtbot.waitUntil(lambda: panel.status.message.text().startswith("Choose the output"))
