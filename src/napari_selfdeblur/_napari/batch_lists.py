"""The two lists of the batch panel: what goes in, and what became of each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QListWidget,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_selfdeblur._napari.fields import IMAGE_FILES
from napari_selfdeblur._napari.theme import Colours

if TYPE_CHECKING:
    from napari_selfdeblur.run.batch_frame import FrameReport

_COLUMNS = ("Image", "Verdict", "Score", "Kernel", "Time")
_LIST_HEIGHT, _TABLE_HEIGHT = 80, 220


class InputList(QWidget):
    """Files and folders, added by dialogs, and whether folders are searched to the bottom."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.list.setTextElideMode(Qt.TextElideMode.ElideLeft)
        self.list.setToolTip("Each image is deblurred by itself, of a stack each plane.")
        row = QHBoxLayout()
        actions = {
            "Add files": self._add_files,
            "Add folder": self._add_folder,
            "Remove": self._remove,
        }
        for text, action in actions.items():
            button = QPushButton(text)
            button.clicked.connect(action)
            row.addWidget(button)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.recursive = QCheckBox("Search folders in folders too")
        layout.addWidget(self.list)
        layout.addLayout(row)
        layout.addWidget(self.recursive)

    @property
    def paths(self) -> list[str]:
        """The files and folders, in their order."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def add(self, paths: list[str]) -> None:
        """Add files and folders that are not there yet."""
        self.list.addItems([path for path in dict.fromkeys(paths) if path not in self.paths])
        self.changed.emit()

    def _add_files(self) -> None:
        self.add(QFileDialog.getOpenFileNames(self, "Blurred images", "", IMAGE_FILES)[0])

    def _add_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of images, or OME-Zarr")
        self.add([folder] if folder else [])

    def _remove(self) -> None:
        for item in self.list.selectedItems():
            self.list.takeItem(self.list.row(item))
        self.changed.emit()


class ResultTable(QTableWidget):
    """A row for each frame; the reason of a failed or doubtful one is its tooltip."""

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self._reports: list[FrameReport] = []
        self.setHorizontalHeaderLabels(list(_COLUMNS))
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(_TABLE_HEIGHT)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def setRowCount(self, rows: int) -> None:
        """Change the number of rows; none forgets the reports."""
        if rows == 0:
            self._reports = []
        super().setRowCount(rows)

    @property
    def failed(self) -> int:
        """How many frames failed."""
        return sum(each.status == "failed" for each in self._reports)

    @property
    def doubtful(self) -> int:
        """How many results may be wrong."""
        return sum(each.credible is False for each in self._reports)

    def add(self, report: FrameReport, colours: Colours) -> None:
        """Add a frame's row, and scroll to it."""
        row = self.rowCount()
        self._reports.append(report)
        super().setRowCount(row + 1)
        texts = (
            " ".join(filter(None, (report.input, report.plane))),
            report.outcome,
            "" if report.score is None else f"{report.score:.2f}",
            report.kernel_size,
            "" if report.seconds is None else f"{report.seconds:.1f} s",
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip("\n".join(filter(None, (text, report.reason))))
            self.setItem(row, column, item)
        self._paint(row, report, colours)
        self.scrollToBottom()

    def recolour(self, colours: Colours) -> None:
        """Use the colours of another theme."""
        for row, report in enumerate(self._reports):
            self._paint(row, report, colours)

    def summary(self) -> str:
        """Return the counts in words."""
        done = len(self._reports) - self.failed
        text = f"{done} done, {self.doubtful} of them doubtful, {self.failed} failed"
        return f"{text}. Point at a row for its reason" if self.doubtful + self.failed else text

    def _paint(self, row: int, report: FrameReport, colours: Colours) -> None:
        wrong = colours.error if report.status == "failed" else colours.warning
        right = report.status == "done" and report.credible is not False
        item = self.item(row, 1)
        if item is not None:
            item.setForeground(QColor(colours.info if right else wrong))
