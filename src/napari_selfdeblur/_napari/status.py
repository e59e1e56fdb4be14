"""How far a run is and how it ended: a bar, the times, the kernel enlarged, a message."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from napari_selfdeblur._napari.message import Message
from napari_selfdeblur._napari.report import clock, part_of, report_of
from napari_selfdeblur._napari.theme import Colours

if TYPE_CHECKING:
    from napari_selfdeblur._napari.job import Job
    from napari_selfdeblur.run.events import Progress

KERNEL_SIDE = 72
_TICK_MS = 500
_STAGES = {
    "read": "Reading",
    "size": "Kernel size",
    "edges": "Kernels by edges",
    "joint": "Networks",
    "alternating": "Networks, in turn",
    "fuse": "Comparison",
    "restart": "Other kernel sizes",
    "refine": "Refinement",
    "spread": "Spread",
    "grid": "Kernels of cells",
    "restore": "Restoration",
}


class StatusView(QWidget):
    """Progress and end of one run, and what is wrong with the settings before it."""

    def __init__(self, colours: Colours) -> None:
        super().__init__()
        self._job: Job | None = None
        self.bar = QProgressBar()
        self.stage, self.times, self.loss = (_line() for _ in range(3))
        self.kernel = QLabel()
        self.kernel.setToolTip("The kernel, enlarged: what a point of light became.")
        self.kernel.setFixedSize(KERNEL_SIDE, KERNEL_SIDE)
        self.kernel.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message = Message(colours)
        self._clock = QTimer(self, interval=_TICK_MS)
        self._clock.timeout.connect(self._tick)
        self._lay_out()
        self.clear()

    @property
    def occupied(self) -> bool:
        """Whether something of a run is shown."""
        return not self._numbers.isHidden()

    def follow(self, job: Job) -> None:
        """Show this job from its beginning on."""
        self.clear()
        self._job = job
        self.bar.setRange(0, 0)
        self.stage.setText("Preparing")
        self.times.setText(f"{clock(0)} elapsed")
        self._numbers.show()
        job.progressed.connect(self.show_progress)
        job.previewed.connect(self.show_kernel)
        self._clock.start()

    def end(self) -> None:
        """Show how the job ended."""
        job = self._job
        assert job is not None
        self._clock.stop()
        done = job.state == "finished"
        if self.bar.maximum() == 0 or done:
            self.bar.setRange(0, 1)
            self.bar.setValue(1 if done else 0)
        self.stage.setText(job.state.capitalize())
        self.times.setText(f"{clock(job.seconds)} elapsed")
        kind, lines = report_of(job)
        self.say("\n".join(lines), kind)

    def clear(self) -> None:
        """Show nothing of the last run."""
        self._job = None
        self._numbers.hide()
        self.loss.hide()
        self.kernel.clear()
        self.kernel.hide()
        self.say("")

    def show_progress(self, progress: Progress) -> None:
        """Show stage, step, loss, time gone and time left."""
        self._clock.stop()
        part, parts = progress.part
        single = parts > 1 and progress.total == 1  # of a stack the parts are the steps then
        done, total = (part, parts) if single else (progress.iteration, progress.total)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        name = _STAGES.get(progress.stage, progress.stage.capitalize())
        of = f", {part_of(progress)}" if parts > 1 else ""
        self.stage.setText(f"{name}{of}" if single else f"{name}{of}: {done} of {total}")
        left = progress.seconds_left
        about = "" if left is None else f", {clock(left)} left"
        self.times.setText(f"{clock(progress.seconds)} elapsed{about}")
        finite = math.isfinite(progress.loss)
        self.loss.setText(f"loss {progress.loss:.3g}" if finite else "")
        if finite:
            self.loss.show()

    def show_kernel(self, kernel: NDArray[np.float32] | None) -> None:
        """Show the kernel enlarged, each of its pixels a block."""
        if kernel is not None:
            self.kernel.setPixmap(kernel_picture(kernel))
            self.kernel.show()

    def say(self, text: str, kind: str = "info") -> None:
        """Show a message: ``info``, ``warning`` or ``error``."""
        self.message.say(text, kind)

    def complain(self, text: str, kind: str) -> None:
        """Say what is wrong with the settings; where nothing is, leave what is said of a run."""
        if text or not self.occupied:
            self.say(text, kind)

    def recolour(self, colours: Colours) -> None:
        """Use the colours of another theme."""
        self.message.recolour(colours)

    def _tick(self) -> None:
        if self._job is not None:
            self.times.setText(f"{clock(self._job.seconds)} elapsed")

    def _lay_out(self) -> None:
        self.bar.setTextVisible(False)
        self.bar.setMinimumWidth(40)
        numbers = QVBoxLayout()
        numbers.setSpacing(2)
        for widget in (self.bar, self.stage, self.times, self.loss):
            numbers.addWidget(widget)
        self._numbers = QWidget()
        row = QHBoxLayout(self._numbers)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(numbers, 1)
        row.addWidget(self.kernel, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._numbers)
        layout.addWidget(self.message)


def kernel_picture(kernel: NDArray[np.float32]) -> QPixmap:
    """Return a picture of a kernel, each of its pixels a block, that fits `KERNEL_SIDE`."""
    scaled = kernel / max(float(kernel.max()), float(np.finfo(np.float32).tiny))
    colours = ensure_colormap("inferno").map(scaled.ravel())
    rgba = np.round(255 * colours).astype(np.uint8).reshape(*kernel.shape, 4)
    height, width = kernel.shape
    picture = QImage(rgba.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return QPixmap.fromImage(picture.copy()).scaled(
        KERNEL_SIDE,
        KERNEL_SIDE,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.FastTransformation,
    )


def _line() -> QLabel:
    """Return a label of one line that does not keep the panel from becoming narrower."""
    label = QLabel()
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label
