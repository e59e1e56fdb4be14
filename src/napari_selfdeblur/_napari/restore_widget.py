"""The dock widget for a known kernel: choose image, kernel and method, run, keep."""

from __future__ import annotations

import math

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import create_worker

from napari_selfdeblur import registry
from napari_selfdeblur._napari.checks import ImageCheck
from napari_selfdeblur._napari.device_combo import DeviceCombo
from napari_selfdeblur._napari.devices import FoundDevices, find_devices
from napari_selfdeblur._napari.kernel_choice import GivenKernel, KernelChoice
from napari_selfdeblur._napari.layer_combo import ImageLayerCombo
from napari_selfdeblur._napari.methods import method
from napari_selfdeblur._napari.preferences import read_preferences
from napari_selfdeblur._napari.progress_panel import clock, kernel_picture
from napari_selfdeblur._napari.restore_job import Restoration, RestoreJob
from napari_selfdeblur._napari.tooltips import TOOLTIPS
from napari_selfdeblur.errors import ConfigError, ImageError

__all__ = ["STEPS", "RestoreWidget"]

STEPS = 1000
"""What the field for the steps starts with: the restoration's own number."""

_AUTO = "auto"
_CHECK_MS = 100
_CLOCK_MS = 500
_PICTURE_SIDE = 84
_ERROR = "color: #ff6b6b;"


class RestoreWidget(QWidget):
    """Restores an image layer of `napari_viewer` with a kernel that is known.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._job: RestoreJob | None = None
        self._image_check = ImageCheck()
        self.layer_combo = ImageLayerCombo(napari_viewer)
        self.kernel_choice = KernelChoice(napari_viewer)
        self.kernel_choice.suggest(self.layer_combo.layer)
        self.picture = QLabel()
        self.kernel_text = QLabel()
        self.method_combo = QComboBox()
        self.explanation = QLabel()
        self.weight = QLineEdit(_AUTO)
        self.iterations = QSpinBox()
        self.device_combo = DeviceCombo(read_preferences().device)
        self.run_button = QPushButton("Run")
        self.stop_button = QPushButton("Stop and keep")
        self.bar = QProgressBar()
        self.message = QLabel()
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(_CHECK_MS)
        self._clock_timer = QTimer(self)
        self._clock_timer.setInterval(_CLOCK_MS)
        self._fill()
        self._lay_out()
        self._connect()
        self._device_worker = create_worker(find_devices)
        self._device_worker.returned.connect(self._on_devices)
        self._device_worker.start()
        self._on_method()
        self.check()

    @property
    def job(self) -> RestoreJob | None:
        """The last restoration begun here."""
        return self._job

    def settings(self) -> Restoration:
        """Return what the fields describe.

        Raises
        ------
        ConfigError
            If the weight is no number.
        """
        name = str(self.method_combo.currentData())
        known = method(name)
        return Restoration(
            name=name,
            weight=_weight(self.weight.text()) if known.has_weight else None,
            iterations=self.iterations.value() if known.has_steps else None,
            device=self.device_combo.name,
        )

    def check(self) -> bool:
        """Say what is wrong with the present choices, if anything is, and return if nothing is."""
        problem = self._problem()
        if self._job is None or not self._job.running:
            self.run_button.setEnabled(problem is None)
            if problem is not None:
                self._say(problem, wrong=self.layer_combo.layer is not None)
            elif self.message.property("check"):
                self._say("")
            self.message.setProperty("check", problem is not None)
        return problem is None

    def run(self) -> None:
        """Begin a restoration with the present choices; nothing happens while one is running."""
        layer = self.layer_combo.layer
        if (self._job is not None and self._job.running) or layer is None or not self.check():
            return
        job = RestoreJob(self._viewer, layer, self.kernel_choice.kernel(), self.settings())
        self._job = job
        job.ended.connect(self._on_ended)
        self.destroyed.connect(job.stop)
        self.run_button.setEnabled(False)
        self.stop_button.setEnabled(method(job.settings.name).has_steps)
        self.bar.show()
        job.start()
        self._on_clock()
        self._clock_timer.start()

    def stop(self) -> None:
        """End a restoration that has steps after its present one, and keep what it has."""
        if self._job is not None and self._job.running:
            self.stop_button.setEnabled(False)
            self._clock_timer.stop()
            self._say("Stopping after the present step")
            self._job.stop()

    def event(self, event: QEvent) -> bool:
        """Stop, keeping the result, when the dock that held the widget is removed."""
        removed = event.type() == QEvent.Type.ParentChange and self.parent() is None
        if removed and self._job is not None:
            self._job.stop()
        return bool(super().event(event))

    def _problem(self) -> str | None:
        layer = self.layer_combo.layer
        if layer is None:
            self._show_kernel(None)
            return "Open a blurred image, or File > Open Sample > SelfDeblur"
        if layer is self.kernel_choice.layer:
            self._show_kernel(None)
            return "Choose the kernel: another image layer, or a file"
        try:
            kernel = self.kernel_choice.kernel()
        except ImageError as error:
            self._show_kernel(None)
            return str(error)
        self._show_kernel(kernel)
        try:
            self.settings()
        except ConfigError as error:
            return str(error)
        height, width = kernel.pixels.shape
        return self._image_check.problem(layer, (height, width))

    def _show_kernel(self, kernel: GivenKernel | None) -> None:
        if kernel is None:
            self.picture.clear()
            self.kernel_text.clear()
            return
        height, width = kernel.pixels.shape
        self.picture.setPixmap(kernel_picture(kernel.pixels, _PICTURE_SIDE))
        self.kernel_text.setText(f"{height} x {width} pixels")

    def _on_ended(self) -> None:
        job = self._job
        assert job is not None
        self._clock_timer.stop()
        self.bar.hide()
        self.stop_button.setEnabled(False)
        self.check()
        if job.error is not None:
            self._say(f"{job.error}", wrong=True)
        elif job.result is not None:
            done = "Finished" if job.state == "finished" else "Stopped and kept"
            self._say(f"{done} after {clock(job.seconds)}: '{job.result.name}'")

    def _on_clock(self) -> None:
        if self._job is not None and self._job.running:
            self._say(f"Restoring '{self._job.source.name}': {clock(self._job.seconds)} elapsed")

    def _on_layer(self) -> None:
        self.kernel_choice.suggest(self.layer_combo.layer)
        self._check_timer.start()

    def _on_method(self) -> None:
        known = method(str(self.method_combo.currentData()))
        self.explanation.setText(known.explanation)
        self.weight.setEnabled(known.has_weight)
        self.iterations.setEnabled(known.has_steps)
        self._check_timer.start()

    def _on_devices(self, found: FoundDevices) -> None:
        if found.problem is not None:
            self._say(found.problem, wrong=True)
            return
        self.device_combo.offer(found.devices)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self.message.setStyleSheet(_ERROR if wrong else "")
        self.message.setText(text)

    def _fill(self) -> None:
        for name in registry.RESTORATIONS:
            self.method_combo.addItem(method(name).title, name)
            explanation = f"{name}: {method(name).explanation}"
            self.method_combo.setItemData(
                self.method_combo.count() - 1, explanation, Qt.ItemDataRole.ToolTipRole
            )
        self.iterations.setRange(1, 2**31 - 1)
        self.iterations.setSingleStep(100)
        self.iterations.setValue(STEPS)
        self.bar.setRange(0, 0)
        self.bar.hide()
        self.stop_button.setEnabled(False)
        self.picture.setFixedSize(_PICTURE_SIDE, _PICTURE_SIDE)
        for label in (self.explanation, self.message):
            label.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _connect(self) -> None:
        self._check_timer.timeout.connect(self.check)
        self._clock_timer.timeout.connect(self._on_clock)
        self.layer_combo.layer_changed.connect(self._on_layer)
        self.kernel_choice.changed.connect(self._check_timer.start)
        self.method_combo.currentIndexChanged.connect(self._on_method)
        self.weight.textChanged.connect(self._check_timer.start)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        kernel_row = QHBoxLayout()
        kernel_row.addWidget(self.picture)
        kernel_row.addWidget(self.kernel_text, 1)
        form.addRow("Image", self.layer_combo)
        form.addRow("Kernel", self.kernel_choice)
        form.addRow("", kernel_row)
        form.addRow("Method", self.method_combo)
        form.addRow("", self.explanation)
        form.addRow("Weight", self.weight)
        form.addRow("Iterations", self.iterations)
        form.addRow("Device", self.device_combo)
        self.layer_combo.setToolTip(TOOLTIPS["layer"])
        self.weight.setToolTip(
            "Weight of the prior beside the data: larger is smoother, smaller is sharper and "
            "noisier. 'auto' follows the image's measured noise. The deep image prior has none."
        )
        self.iterations.setToolTip("Steps of the deep image prior; the other methods need none.")
        self.device_combo.setToolTip(TOOLTIPS["device"])
        self.run_button.setToolTip("Restore the image; the viewer stays usable.")
        self.stop_button.setToolTip(
            "End the deep image prior after its present step and keep the image it has."
        )
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        layout.addStretch()


def _weight(text: str) -> float | None:
    """Return the weight typed in, None for one that follows the noise."""
    if text.strip() == _AUTO:
        return None
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ConfigError(f"weight must be a number of at least 0, or 'auto', got {text!r}")
    return weight
