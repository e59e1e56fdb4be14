"""How far a run is: a bar, the numbers, and the kernel enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_selfdeblur._napari.tooltips import TOOLTIPS

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Progress

__all__ = ["ProgressPanel", "clock", "kernel_picture"]

_KERNEL_SIDE = 84


class ProgressPanel(QWidget):
    """Progress of one run."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1)
        self.bar.setFormat("%v of %m steps")
        self.times = QLabel()
        self.loss = QLabel()
        self.kernel = QLabel()
        self.kernel.setToolTip(TOOLTIPS["kernel"])
        self.kernel.setFixedSize(_KERNEL_SIDE, _KERNEL_SIDE)
        self.kernel.setAlignment(Qt.AlignmentFlag.AlignCenter)
        numbers = QVBoxLayout()
        numbers.addWidget(self.bar)
        numbers.addWidget(self.times)
        numbers.addWidget(self.loss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(numbers, 1)
        layout.addWidget(self.kernel)

    def begin(self, total: int) -> None:
        """Show that a run of `total` steps is being prepared."""
        self.bar.setRange(0, 0)
        self.times.setText(f"Preparing {total} steps")
        self.loss.clear()
        self.kernel.clear()

    def show_progress(self, progress: Progress) -> None:
        """Show step, loss, time gone and time left."""
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.iteration)
        left = progress.seconds_left
        if left is None:
            self.times.setText(f"{clock(progress.seconds)} elapsed")
            self.loss.setText("a draft, to begin with")
        else:
            self.times.setText(f"{clock(progress.seconds)} elapsed, about {clock(left)} left")
            self.loss.setText(f"loss {progress.loss:.3g}")

    def end(self, iterations: int, total: int, seconds: float) -> None:
        """Show where the run ended."""
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(iterations)
        self.times.setText(f"{clock(seconds)} elapsed")

    def show_kernel(self, kernel: NDArray[np.float32]) -> None:
        """Show the kernel enlarged, each of its pixels a block."""
        self.kernel.setPixmap(kernel_picture(kernel, _KERNEL_SIDE))


def kernel_picture(kernel: NDArray[np.float32], side: int) -> QPixmap:
    """Return a picture of a kernel, each of its pixels a block, that fits a square of `side`."""
    scaled = kernel / max(float(kernel.max()), float(np.finfo(np.float32).tiny))
    colours = ensure_colormap("inferno").map(scaled.ravel())
    rgba = np.round(255 * colours).astype(np.uint8).reshape(*kernel.shape, 4)
    height, width = kernel.shape
    picture = QImage(rgba.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return QPixmap.fromImage(picture.copy()).scaled(
        side,
        side,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.FastTransformation,
    )


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
