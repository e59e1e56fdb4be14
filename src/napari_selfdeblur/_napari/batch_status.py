"""How far a batch is, what became of each frame, and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_selfdeblur._napari.batch_job import BatchJob
from napari_selfdeblur._napari.batch_lists import ResultTable
from napari_selfdeblur._napari.message import Message
from napari_selfdeblur._napari.theme import Colours

if TYPE_CHECKING:
    from napari_selfdeblur.run.batch_frame import FrameReport
    from napari_selfdeblur.run.events import Progress


class BatchStatus(QWidget):
    """Progress, end and table of one batch, and what is wrong with the choices."""

    def __init__(self, colours: Colours) -> None:
        super().__init__()
        self._colours = colours
        self._end = ("", "info")
        self._job: BatchJob | None = None
        self.bar, self.table = QProgressBar(), ResultTable()
        self.step, self.message = QLabel(), Message(colours)
        self.bar.setTextVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.bar, self.step, self.message, self.table):
            layout.addWidget(widget)
            widget.hide()

    def follow(self, job: BatchJob) -> None:
        """Show this batch from its beginning on."""
        self._job = job
        job.opened.connect(self._on_opened)
        job.progressed.connect(self._on_progress)
        job.reported.connect(self._on_report)
        self.table.setRowCount(0)
        self.table.hide()
        self.bar.setRange(0, 0)
        self.step.setText("Opening the inputs")
        self.bar.show()
        self.step.show()
        self.say("")

    def end(self) -> None:
        """Show how the batch ended."""
        job = self._job
        assert job is not None
        self.bar.hide()
        self.step.hide()
        if job.error is not None:
            text = str(job.error).replace("give --restart to make", "choose to make")
            self._end = (text, "error")
        else:
            stopped = "\nStopped: Run does what is left" if job.state == "stopped" else ""
            kind = "warning" if self.table.failed or self.table.doubtful else "info"
            self._end = (self.table.summary() + stopped, kind)
        self.say(*self._end)

    def complain(self, text: str, kind: str) -> None:
        """Say what is wrong with the choices; where nothing is, how the last batch ended."""
        self.say(*((text, kind) if text else self._end))

    def say(self, text: str, kind: str = "info") -> None:
        """Show a message: ``info``, ``warning`` or ``error``."""
        self.message.say(text, kind)

    def recolour(self, colours: Colours) -> None:
        """Use the colours of another theme."""
        self._colours = colours
        self.table.recolour(colours)
        self.message.recolour(colours)

    def _on_opened(self, total: int) -> None:
        self.step.setText(f"0 of {total}")

    def _on_progress(self, progress: Progress) -> None:
        number, total = progress.part
        done = f"{progress.stage} {progress.iteration} of {progress.total}"
        self.step.setText(f"Frame {number} of {total}: {done}")

    def _on_report(self, report: FrameReport) -> None:
        assert self._job is not None
        self.table.show()
        self.table.add(report, self._colours)
        self.bar.setRange(0, max(1, self._job.total))
        self.bar.setValue(self.table.rowCount())
        self.step.setText(f"{self.table.rowCount()} of {self._job.total}")
