"""The dock widget for many images: inputs, output, settings, run, and a table of results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, Container, FileEdit, Label, PushButton
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QLabel, QProgressBar, QSizePolicy

from napari_selfdeblur._napari.batch_job import BatchJob, Events, batch_events
from napari_selfdeblur._napari.batch_lists import InputList, ResultTable
from napari_selfdeblur._napari.cost import Devices, find_devices
from napari_selfdeblur._napari.dock import dock_of, keep_title
from napari_selfdeblur._napari.earlier_runs import EarlierRuns, PresetRow
from napari_selfdeblur._napari.fields import narrow
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur._napari.plugin import guide, read_preferences
from napari_selfdeblur._napari.preset_choice import PresetChoice, values_of
from napari_selfdeblur._napari.theme import colours
from napari_selfdeblur._napari.worker import CallWorker
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.settings import Integer

if TYPE_CHECKING:
    from napari_selfdeblur.run.batch_frame import FrameReport
    from napari_selfdeblur.run.events import Progress

_WORKERS = Integer(
    label="Processes",
    low=1,
    high=256,
    help="More than one need the extra napari-selfdeblur[batch].",
)
_LEAST_WIDTH, _LEAST_HEIGHT = 270, 160


class BatchWidget(Container[Widget]):
    """Deblurs files and folders of images into a folder or an OME-Zarr.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose theme is followed.

    Attributes
    ----------
    inputs : InputList
        The files and folders.
    output : FileEdit
        A folder, or a name that ends in ``.ome.zarr``.
    form : SettingsForm
        The settings of each run.
    table : ResultTable
        What became of each frame.
    job : BatchJob or None
        The last batch begun here.
    """

    TITLE = "SelfDeblur batch"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(labels=False)
        self._viewer = napari_viewer
        self._colours = colours(napari_viewer.theme)
        self._kind = "info"
        self.job: BatchJob | None = None
        self.inputs = InputList()
        self.output = FileEdit(
            mode=FileDialogMode.OPTIONAL_FILE,
            nullable=True,
            label="Output",
            tooltip="A folder for TIFFs, or a name that ends in .ome.zarr. Results that are "
            "there, of the same settings, are kept.",
        )
        narrow(self.output)
        self.preset, self.earlier = PresetChoice(), EarlierRuns(napari_viewer)
        row = PresetRow(self.preset, self.earlier)
        self.form = SettingsForm(
            SelfDeblurConfig, first=[self.output, row], extra={"workers": _WORKERS}
        )
        self.restart = CheckBox(
            text="Make everything again",
            tooltip="Delete what an earlier batch left in the output.",
        )
        self.run_button = PushButton(text="Run", tooltip="The viewer stays usable meanwhile.")
        self.stop_button = PushButton(
            text="Stop", tooltip="Frames that are done stay: Run goes on with them.", enabled=False
        )
        self.bar, self.table = QProgressBar(), ResultTable()
        self.step, self.message = QLabel(), QLabel()
        self._lay_out()
        self._connect()
        self.reset()
        finding = CallWorker(find_devices)
        finding.returned.connect(self._on_devices)
        finding.start()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        chosen = read_preferences()
        config = SelfDeblurConfig.preset(chosen.preset).replace(device=chosen.device)
        self.preset.value = chosen.preset
        self.form.show({name: getattr(config, name) for name in config.kinds()})

    def check(self, _: Any = None) -> bool:
        """Say what is wrong with the present choices, if anything is, and return if nothing is."""
        if self._running or not isalive(self.native):  # type: ignore[no-untyped-call]
            return False
        problem, field = self._find_problem()
        self.form.mark(field, self._colours.error)
        self.run_button.enabled = not problem
        if problem or not self.table.rowCount():
            self.say(problem, "error" if field else "info")
        return not problem

    def run(self) -> None:
        """Begin a batch; nothing happens while one is running."""
        if not self.check():
            return
        window = getattr(self._viewer, "window", None)
        menu = None if window is None else window.main_menu
        self.job = BatchJob(self._events(), None if menu is None else menu.window())
        self.job.progressed.connect(self._on_progress)
        self.job.reported.connect(self._on_report)
        self.job.ended.connect(self._on_ended)
        self.table.setRowCount(0)
        self.table.hide()
        self.bar.setRange(0, 0)
        self.bar.show()
        self.step.show()
        self.step.setText("Opening the inputs")
        self.say("")
        self.run_button.enabled, self.stop_button.enabled = False, True
        self.job.start()

    def stop(self) -> None:
        """End the batch; frames that are done stay."""
        if self.job is not None and self._running:
            self.stop_button.enabled = False
            self.say("Stopping")
            self.job.stop()

    def say(self, text: str, kind: str = "info") -> None:
        """Show a message: ``info``, ``warning`` or ``error``."""
        self._kind = kind
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.message.setStyleSheet(f"color: {getattr(self._colours, kind)};")

    @property
    def _running(self) -> bool:
        return self.job is not None and self.job.running

    def _events(self) -> Events:
        """Return what the batch's thread does with the present choices."""
        return batch_events(
            self.form.read(),
            self.inputs.paths,
            Path(str(self.output.value)),
            workers=int(self.form.fields["workers"].value()),
            restart=bool(self.restart.value),
        )

    def _find_problem(self) -> tuple[str, str | None]:
        """Return what is wrong, empty where nothing is, and the field where it is."""
        if not self.inputs.paths:
            return "Add files or folders with blurred images", None
        if self.output.value is None or not str(self.output.value).strip():
            return "Choose the output: a folder, or a name that ends in .ome.zarr", None
        try:
            config = self.form.read()
            self.preset.show_name(config.name)
            if config.diagnostics:
                raise ConfigError(
                    "diagnostics are of one image; a batch keeps none", field="diagnostics"
                )
            self.form.fields["workers"].value()
        except ConfigError as error:
            return self.form.by_label(str(error), error.field), error.field
        return "", None

    def _on_progress(self, progress: Progress) -> None:
        number, total = progress.part
        done = f"{progress.stage} {progress.iteration} of {progress.total}"
        self.step.setText(f"Frame {number} of {total}: {done}")

    def _on_report(self, report: FrameReport) -> None:
        assert self.job is not None
        self.table.show()
        self.table.add(report, self._colours)
        self.bar.setRange(0, max(1, self.job.total))
        self.bar.setValue(self.table.rowCount())
        self.step.setText(f"{self.table.rowCount()} of {self.job.total}")

    def _on_ended(self) -> None:
        job = self.job
        assert job is not None
        if not isalive(self.native):  # type: ignore[no-untyped-call]
            return
        self.stop_button.enabled = False
        self.bar.hide()
        self.step.hide()
        self.check()
        if job.error is not None:
            text = str(job.error).replace("give --restart to make", "choose to make")
            self.say(text, "error")
            return
        lines = [self.table.summary()]
        if job.state == "stopped":
            lines.append("Stopped: Run does what is left")
        self.say(
            "\n".join(lines), "warning" if self.table.failed or self.table.doubtful else "info"
        )

    def _on_preset(self, name: str) -> None:
        if values := values_of(name):
            self.form.show(values)

    def _on_earlier(self, values: Mapping[str, Any]) -> None:
        """Show the settings of an earlier run; a batch takes every plane by itself."""
        self.form.show({name: values[name] for name in values if name in self.form.fields})

    def _on_refused(self, reason: str) -> None:
        self.say(reason, "error")

    def _on_devices(self, devices: Devices) -> None:
        if isalive(self.native):  # type: ignore[no-untyped-call]
            self.form.offer_devices(devices.found)
            if devices.problem:
                self.say(devices.problem, "error")

    def _on_theme(self, _: Any) -> None:
        self._colours = colours(self._viewer.theme)
        self.say(self.message.text(), self._kind)
        self.table.recolour(self._colours)
        self._header.value = self._links()
        QTimer.singleShot(0, self.native, self.form.align)

    def _on_parent(self, _: Any) -> None:
        dock = dock_of(self.native)
        if dock is not None:
            QTimer.singleShot(0, dock, partial(keep_title, dock, self.TITLE))
            QTimer.singleShot(0, self.native, self.form.align)
        elif self.native.parent() is None and self.job is not None:
            self.job.stop()

    def _release(self) -> None:
        """Leave the viewer and the job alone: Qt has deleted this panel's widgets."""
        self._viewer.events.theme.disconnect(self._on_theme)
        if self.job is not None and isalive(self.job):  # type: ignore[no-untyped-call]
            self.job.stop()

    def _connect(self) -> None:
        self.inputs.changed.connect(self.check)
        self.output.changed.connect(self.check)
        self.form.changed.connect(self.check)
        self.preset.changed.connect(self._on_preset)
        self.earlier.chosen.connect(self._on_earlier)
        self.earlier.refused.connect(self._on_refused)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self._viewer.events.theme.connect(self._on_theme)
        self.native_parent_changed.connect(self._on_parent)
        self.native.destroyed.connect(self._release)

    def _lay_out(self) -> None:
        self._header = Label(value=self._links())
        self._header.native.setOpenExternalLinks(True)
        self._header.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        buttons = Container(
            widgets=[self.run_button, self.stop_button], layout="horizontal", labels=False
        )
        buttons.margins = (0, 0, 0, 0)
        body: Container[Widget] = Container(labels=False, scrollable=True)
        body.extend([self._header, self.form.main, self.restart, buttons])
        body.margins = (0, 0, 8, 0)
        layout = body.native.layout()
        layout.setSpacing(4)
        layout.insertWidget(1, self.inputs)
        self.message.setWordWrap(True)
        self.message.setMinimumWidth(1)  # a long name in it must not widen the panel
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        results = (self.bar, self.step, self.message, self.table)
        for widget in (*results, *self.form.groups.values()):
            layout.addWidget(widget)
        layout.addStretch()
        self.bar.setTextVisible(False)
        for each in (self.bar, self.step, self.table):
            each.hide()
        scroll = body.root_native_widget
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setMinimumSize(_LEAST_WIDTH, _LEAST_HEIGHT)
        self._body = body
        self.margins = (6, 2, 2, 2)
        self.native.layout().addWidget(scroll)

    def _links(self) -> str:
        url = guide("many-images")
        link = f' · <a href="{url}" style="color: {self._colours.link}">guide</a>' if url else ""
        return f"<b>Many images</b>{link}"
