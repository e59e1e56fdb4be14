"""The batch panel: what it asks for, a batch from its button to its table, and its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QPushButton

import napari_selfdeblur as sd
from napari_selfdeblur._napari.batch_job import BatchJob
from napari_selfdeblur._napari.batch_widget import BatchWidget
from napari_selfdeblur._napari.kernel_choice import KernelChoice
from napari_selfdeblur.io.inputs import SUFFIXES
from napari_selfdeblur.run.record import RunRecord

SECONDS = 60_000
QUICK = {
    "kernel_size": (3, 3), "iterations": 2, "channels": 4, "skip_channels": 2, "scales": 1,
    "non_local": False, "device": "cpu",
}  # fmt: skip


@pytest.fixture
def images(tmp_path: Path, blurred: np.ndarray) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", blurred)
    tifffile.imwrite(folder / "b.tif", np.stack([blurred, blurred[::-1]]))
    (folder / "c.tif").write_text("no image")
    return folder


@pytest.fixture
def panel(machine: None, viewer_model: ViewerModel, qtbot: QtBot) -> BatchWidget:
    panel = BatchWidget(viewer_model)
    qtbot.addWidget(panel.native)
    panel.preset.value = "official"
    panel.form.show(QUICK)
    return panel


def begin(panel: BatchWidget, qtbot: QtBot) -> None:
    """Press Run once it can be pressed."""
    qtbot.waitUntil(lambda: panel.run_button.enabled)
    panel.run_button.native.click()


def run(panel: BatchWidget, qtbot: QtBot) -> None:
    """Do a batch from its button to its end."""
    begin(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.job.running, timeout=SECONDS)


def test_what_is_missing_is_said(
    panel: BatchWidget, images: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    """Inputs, then the output, then a setting that is not allowed; then it can run."""

    def said(text: str) -> None:
        qtbot.waitUntil(lambda: panel.status.message.text().startswith(text))

    assert panel.status.message.text() == "Add files or folders with blurred images"
    panel.inputs.add([str(images)])
    said("Choose the output")
    panel.output.value = tmp_path / "out"
    qtbot.waitUntil(lambda: panel.run_button.enabled)
    panel.form.fields["kernel_size"].widget.value = "4"
    said("Kernel size must be")
    assert not panel.run_button.enabled
    panel.form.show({"kernel_size": (5, 5), "restoration": "sparse", "diagnostics": True})
    said("Diagnostics are of one image; a batch keeps none")
    assert panel.form.marked == "diagnostics"
    assert not panel.run_button.enabled


def test_dialogs_offer_the_images_that_a_folder_has(
    panel: BatchWidget, viewer_model: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the inputs of a batch, and of a known kernel."""
    asked: list[str] = []

    def chosen(*arguments: object) -> tuple[list[str], str]:
        asked.append(str(arguments[3]))
        return [], ""

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", chosen)
    panel.inputs.findChildren(QPushButton)[0].click()
    asked.append(KernelChoice(viewer_model).file.filter)
    for each in asked:
        images = each.partition("(")[2].partition(")")[0]
        assert images.split() == [f"*{suffix}" for suffix in SUFFIXES]
    assert len(asked) == 2


def test_a_batch_and_the_same_again(
    panel: BatchWidget, images: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    """Every frame is a row with its verdict; what is done stays, other settings are refused."""
    panel.inputs.add([str(images)])
    panel.output.value = tmp_path / "out"
    config = panel.form.read()
    times = []
    for _ in range(2):
        run(panel, qtbot)
        table = panel.status.table
        rows = [table.item(row, 0).text() for row in range(table.rowCount())]
        assert sorted(rows) == ["a.tif", "b.tif Q0", "b.tif Q1", "c.tif"]
        assert (panel.job.state, table.failed) == ("finished", 1)
        assert panel.status.message.text().startswith("3 done, ")
        times.append((tmp_path / "out" / "a_deblurred.tif").stat().st_mtime_ns)
    assert times[0] == times[1]
    summary = (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8")
    assert [line.split(",")[0] for line in summary.splitlines()[1:]] == [
        "a.tif", "b.tif", "b.tif", "c.tif"
    ]  # fmt: skip
    record = RunRecord.from_json((tmp_path / "out" / "a_record.json").read_text())
    assert record.config == config
    panel.form.show({"iterations": 3})
    run(panel, qtbot)
    assert panel.job.state == "failed"
    assert "iterations was 2, now 3" in panel.status.message.text()
    panel.form.fields["kernel_size"].widget.value = "4"
    qtbot.waitUntil(lambda: panel.status.message.text().startswith("Kernel size must be"))
    panel.form.fields["kernel_size"].widget.value = "3"
    qtbot.waitUntil(lambda: "iterations was 2, now 3" in panel.status.message.text())


def test_a_stopped_batch_is_completed(
    panel: BatchWidget, images: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    """Stop leaves what is done, and Run does the rest."""
    panel.inputs.add([str(images)])
    panel.output.value = tmp_path / "out"
    panel.form.show({"iterations": 100_000})
    begin(panel, qtbot)
    qtbot.waitUntil(lambda: panel.status.step.text().startswith("Frame 1 of 4"), timeout=SECONDS)
    panel.stop_button.native.click()
    qtbot.waitUntil(lambda: not panel.job.running, timeout=SECONDS)
    assert panel.job.state == "stopped"
    assert panel.status.message.text().endswith("Stopped: Run does what is left")
    assert not list((tmp_path / "out").glob("*.tif"))
    panel.restart.value = True
    panel.form.show({"iterations": 2})
    run(panel, qtbot)
    assert len(list((tmp_path / "out").glob("*_deblurred.tif"))) == 2


def actions(panel: BatchWidget) -> dict[str, QAction]:
    """Return what the button beside the output offers, by its text."""
    menu = panel.output.choose_btn.native.menu()
    return {action.text(): action for action in menu.actions()}


def test_the_output_is_an_existing_folder_or_a_new_store(
    panel: BatchWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dialog for each; one that is left changes nothing, and a store has its ending."""
    answers = {"folder": str(tmp_path), "file": str(tmp_path / "new")}
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answers["folder"])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (answers["file"], ""))
    actions(panel)["Folder"].trigger()
    assert panel.output.value == tmp_path
    actions(panel)["New OME-Zarr"].trigger()
    assert panel.output.value == tmp_path / "new.ome.zarr"
    answers["file"] = str(tmp_path / "old.zarr")
    actions(panel)["New OME-Zarr"].trigger()
    answers |= {"folder": "", "file": ""}
    for action in actions(panel).values():
        action.trigger()
    assert panel.output.value == tmp_path / "old.zarr"


def test_folders_in_folders_and_the_type_of_the_input(
    panel: BatchWidget, images: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    """As the options of the command: an image further down is found, 8 bits stay 8 bits."""
    panel.inputs.add([str(tmp_path)])
    panel.inputs.recursive.setChecked(True)
    panel.output.value = tmp_path / "out"
    panel.form.fields["dtype"].widget.value = "input"
    (images / "c.tif").unlink()
    run(panel, qtbot)
    assert panel.status.table.failed == 0
    assert tifffile.imread(tmp_path / "out" / "a_deblurred.tif").dtype == np.uint8


def test_a_known_kernel_restores(
    panel: BatchWidget, images: Path, blurred: np.ndarray, tmp_path: Path, qtbot: QtBot
) -> None:
    """Settings are then those of a restoration; without the kernel the others come back."""
    before = panel.form.read()
    panel.form.fields["workers"].widget.value = 3
    kernel = np.full((3, 5), 1 / 15, np.float32)
    tifffile.imwrite(tmp_path / "k.tif", kernel)
    panel.kernel.value = tmp_path / "k.tif"
    assert panel.form is panel.known
    assert panel.form.fields["workers"].value() == 3
    assert panel.blind.main.native.isHidden()
    assert not panel.known.main.native.isHidden()
    panel.form.show({"restoration": "sparse", "device": "cpu", "workers": 1})
    panel.inputs.add([str(images / "a.tif")])
    panel.output.value = tmp_path / "out"
    run(panel, qtbot)
    table = panel.status.table
    assert [table.item(0, column).text() for column in range(4)] == [
        "a.tif", "restored", "", "3 x 5"
    ]  # fmt: skip
    expected = sd.restore(blurred, kernel, "sparse", device="cpu")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "a_deblurred.tif"), expected)
    panel.kernel.value = None
    assert panel.form is panel.blind
    assert panel.form.read() == before
    assert panel.known.main.native.isHidden()


def test_a_file_that_is_no_kernel_is_named_at_once(
    panel: BatchWidget, images: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    """Before the batch begins."""
    panel.inputs.add([str(images / "a.tif")])
    panel.output.value = tmp_path / "out"
    panel.kernel.value = images / "c.tif"
    qtbot.waitUntil(lambda: "c.tif: is no image" in panel.status.message.text())
    assert not panel.run_button.enabled


def test_frames_are_counted_before_the_first_is_done(panel: BatchWidget, qtbot: QtBot) -> None:
    """Also where nothing is known of their steps, as on several processes."""
    end = threading.Event()

    def events(_: object) -> Iterator[int]:
        yield 3
        end.wait(SECONDS / 1000)

    job = BatchJob(events)
    panel.status.follow(job)
    job.start()
    qtbot.waitUntil(lambda: panel.status.step.text() == "0 of 3")
    end.set()
    qtbot.waitUntil(lambda: not job.running)


def test_networks_settings_are_for_networks(panel: BatchWidget) -> None:
    """As in the panel for one image: without networks their steps cannot be edited."""
    panel.preset.value = "draft"
    panel.inputs.add(["a.tif"])
    panel.output.value = Path("out")
    panel.check()
    assert not panel.form.fields["iterations"].widget.enabled


def test_reset_returns_to_the_preferences(panel: BatchWidget) -> None:
    """As in the other panels."""
    panel.form.show({"workers": 4, "dtype": "input"})
    panel.reset_button.native.click()
    assert [panel.form.fields[name].value() for name in ("workers", "dtype")] == [1, "float32"]
    assert panel.form.read() == sd.SelfDeblurConfig.preset("fast")
