"""The dock widget: choose an image, run, watch, stop and keep."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import create_worker

from napari_selfdeblur._napari.checks import ImageCheck, memory_text
from napari_selfdeblur._napari.devices import FoundDevices, find_devices
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur._napari.job import DeblurJob
from napari_selfdeblur._napari.layer_combo import ImageLayerCombo
from napari_selfdeblur._napari.preferences import PLUGIN, read_preferences
from napari_selfdeblur._napari.progress_panel import ProgressPanel, clock
from napari_selfdeblur._napari.tooltips import TOOLTIPS
from napari_selfdeblur.errors import ConfigError, DeblurError, DeviceError

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Progress

__all__ = ["DeblurWidget"]

_PAPER = "https://arxiv.org/abs/1908.02197"
_CHECK_MS = 100
_LINK = "#7aa2f7"
_KEPT = {
    "both": " Draft and networks agree and were averaged.",
    "draft": " The draft's kernel was kept.",
}
_COLOURS = {"info": "", "warning": "color: #e5b567;", "error": "color: #ff6b6b;"}


class DeblurWidget(QWidget):
    """Runs SelfDeblur on an image layer of `napari_viewer`.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._job: DeblurJob | None = None
        self._torch_loaded = False
        self._steps, self._seconds = 0, 0.0
        self._image_check = ImageCheck()
        self.layer_combo = ImageLayerCombo(napari_viewer)
        self.form = SettingsForm(read_preferences(), self.layer_combo)
        self.memory = QLabel()
        self.run_button = QPushButton("Run")
        self.stop_button = QPushButton("Stop and keep")
        self.panel = ProgressPanel()
        self.message = QLabel()
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(_CHECK_MS)
        self._lay_out()
        self._connect()
        self._device_worker = create_worker(find_devices)
        self._device_worker.returned.connect(self._on_devices)
        self._device_worker.start()
        self.check()

    @property
    def job(self) -> DeblurJob | None:
        """The last run begun here."""
        return self._job

    def choose_active_layer(self) -> None:
        """Choose the viewer's active layer if it is an image."""
        self.layer_combo.choose_active()

    def check(self) -> bool:
        """Say what is wrong with the present choices, if anything is, and return if nothing is."""
        running = self._job is not None and self._job.running
        problem, field = self._problem()
        self.form.mark(field)
        if not running:
            self.run_button.setEnabled(problem is None)
            if problem is not None:
                self._say(problem, "error" if field else "info")
            elif self.message.property("check"):
                self._say("")
            self.message.setProperty("check", problem is not None)
        return problem is None

    def run(self) -> None:
        """Begin a run with the present choices; nothing happens while one is running."""
        layer = self.layer_combo.layer
        if (self._job is not None and self._job.running) or layer is None or not self.check():
            return
        try:
            job = DeblurJob(
                self._viewer,
                layer,
                self.form.config(),
                preview_seconds=self.form.preview_seconds,
            )
        except DeblurError as error:
            self._say(str(error), "error")
            return
        self._job = job
        job.progressed.connect(self.panel.show_progress)
        job.progressed.connect(self._on_progress)
        job.previewed.connect(self.panel.show_kernel)
        job.ended.connect(self._on_ended)
        self.destroyed.connect(job.stop)
        self.panel.begin(job.config.iterations)
        self.panel.show()
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(True)
        self._steps, self._seconds = 0, 0.0
        self._say(f"Deblurring '{layer.name}'")
        job.start()

    def stop(self) -> None:
        """End the run after its present step and keep what it has."""
        if self._job is not None and self._job.running:
            self.stop_button.setEnabled(False)
            self._say("Stopping after the present step")
            self._job.stop()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        self.form.reset(read_preferences())

    def event(self, event: QEvent) -> bool:
        """Stop the run, keeping its result, when the dock that held the widget is removed."""
        removed = event.type() == QEvent.Type.ParentChange and self.parent() is None
        if removed and self._job is not None:
            self._job.stop()
        return bool(super().event(event))

    def _problem(self) -> tuple[str | None, str | None]:
        """Return what is wrong and the field where it is."""
        layer = self.layer_combo.layer
        if layer is None:
            return "Open a blurred image, or File > Open Sample > SelfDeblur", None
        try:
            config = self.form.config()
        except ConfigError as error:
            self.memory.clear()
            return str(error), str(error).split(maxsplit=1)[0]
        if self._torch_loaded:
            try:
                self.memory.setText(memory_text(layer, config))
            except DeviceError as error:
                self.memory.clear()
                return str(error), "precision" if config.precision == "bfloat16" else "device"
        problem = self._image_check.problem(layer, config.kernel_size)
        return problem, None if problem is None else "layer"

    def _on_progress(self, progress: Progress) -> None:
        self._steps, self._seconds = progress.iteration, progress.seconds

    def _on_ended(self) -> None:
        job = self._job
        assert job is not None
        self.stop_button.setEnabled(False)
        self.panel.end(self._steps, job.config.iterations, self._seconds)
        self.check()
        if job.result is None:
            kept = " The last estimate is kept." if job.layers[0] is not None else ""
            self._say(f"{job.error}.{kept}", "error")
            return
        record = job.result.record
        done = "Finished" if record.status == "finished" else "Stopped and kept"
        text = f"{done} after {record.iterations} steps in {clock(record.seconds)}."
        verdict = record.verdict or {"credible": True}
        text += _KEPT.get(verdict.get("kept", ""), "")
        if verdict["credible"]:
            self._say(text)
        else:
            doubts = "".join(f"\n• {reason}" for reason in verdict["reasons"])
            self._say(f"{text} The result is doubtful:{doubts}", "warning")

    def _on_devices(self, found: FoundDevices) -> None:
        if found.problem is not None:
            self._say(found.problem, "error")
            return
        self._torch_loaded = True
        self.form.set_devices(found.devices)

    def _say(self, text: str, kind: str = "info") -> None:
        self.message.setStyleSheet(_COLOURS[kind])
        self.message.setText(text)

    def _connect(self) -> None:
        self._check_timer.timeout.connect(self.check)
        self.form.changed.connect(self._check_timer.start)
        self.layer_combo.layer_changed.connect(self._check_timer.start)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self._reset_button.clicked.connect(self.reset)

    def _lay_out(self) -> None:
        title = QLabel(_header())
        title.setOpenExternalLinks(True)
        self._reset_button = QToolButton()
        self._reset_button.setText("Reset")
        self._reset_button.setToolTip(TOOLTIPS["reset"])
        header = QHBoxLayout()
        header.addWidget(title, 1)
        header.addWidget(self._reset_button)

        settings = QWidget()
        inner = QVBoxLayout(settings)
        inner.setContentsMargins(0, 0, 6, 0)
        inner.addWidget(self.form)
        inner.addStretch()
        scroll = QScrollArea()
        scroll.setWidget(settings)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

        self.run_button.setToolTip(TOOLTIPS["run"])
        self.stop_button.setToolTip(TOOLTIPS["stop"])
        self.stop_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.panel.hide()

        layout = QVBoxLayout(self)
        layout.addLayout(header)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.memory)
        layout.addLayout(buttons)
        layout.addWidget(self.panel)
        layout.addWidget(self.message)


def _header() -> str:
    links = {"paper": _PAPER}
    try:
        urls: Any = metadata(PLUGIN).get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a source tree that was not installed
        urls = []
    for entry in urls:
        name, _, address = entry.partition(", ")
        if name == "Documentation":
            links["guide"] = address
    linked = " · ".join(
        f'<a href="{links[name]}" style="color: {_LINK}">{name}</a>' for name in sorted(links)
    )
    return f"<b>Blind deconvolution</b> &nbsp; {linked}"
