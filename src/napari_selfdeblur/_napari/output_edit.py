"""The choice of where a batch writes its results."""

from __future__ import annotations

from pathlib import Path

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtWidgets import QFileDialog, QMenu

_END = ".ome.zarr"


class OutputEdit(FileEdit):
    """A name that can be typed, and a button with a dialog for folders and one for OME-Zarr.

    An OME-Zarr that exists is a folder. No dialog of the system offers both folders and new names.
    """

    def __init__(self) -> None:
        super().__init__(
            mode=FileDialogMode.OPTIONAL_FILE,
            nullable=True,
            value=None,
            label="Output",
            tooltip="A folder for TIFFs, or a name that ends in .ome.zarr. Results that are "
            "there, of the same settings, are kept.",
        )
        button = self.choose_btn.native
        menu = QMenu(button)
        menu.addAction("Folder").triggered.connect(self._choose_folder)
        menu.addAction("New OME-Zarr").triggered.connect(self._choose_zarr)
        button.setMenu(menu)
        self.choose_btn.text = "Select"

    def _choose_folder(self) -> None:
        title = "Folder for the results, or OME-Zarr of an earlier batch"
        self._take(QFileDialog.getExistingDirectory(self.native, title, self.line_edit.value))

    def _choose_zarr(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self.native, "New OME-Zarr", self.line_edit.value, f"OME-Zarr (*{_END})"
        )
        self._take(chosen if not chosen or chosen.endswith(".zarr") else f"{chosen}{_END}")

    def _take(self, chosen: str) -> None:
        """Show what was chosen, empty where the dialog was left without a choice."""
        if chosen:
            self.value = Path(chosen)
