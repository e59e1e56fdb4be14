"""The choice of a known kernel: an image layer of the viewer, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QRadioButton, QWidget

from napari_selfdeblur._napari.layer_combo import ImageLayerCombo
from napari_selfdeblur._napari.layers import read_source
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.files import read_kernel
from napari_selfdeblur.io.kernels import prepare_kernel

__all__ = ["GivenKernel", "KernelChoice"]

_FILES = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp);;All files (*)"


@dataclass(frozen=True, slots=True, eq=False)
class GivenKernel:
    """A kernel and where it came from.

    Attributes
    ----------
    pixels : ndarray of float32, (kh, kw)
        The PSF: odd sides, >= 0, sum 1.
    name : str
        Name of the layer or the file.
    """

    pixels: NDArray[np.float32]
    name: str


class KernelChoice(QWidget):
    """Chooses a kernel; what is chosen last, layer or file, counts.

    Until the user has chosen, it follows `suggest`.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose image layers are offered.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._chosen_by_user = False
        self._file: GivenKernel | None = None
        self._file_problem = "choose the file that holds the kernel"
        self._image: Image | None = None
        self._watched: Image | None = None
        self.layer_combo = ImageLayerCombo(viewer)
        self.layer_button = QRadioButton("Layer")
        self.layer_button.setChecked(True)
        self.file_button = QRadioButton("File")
        self.open_button = QPushButton("Choose…")
        self._lay_out()
        self.layer_combo.layer_changed.connect(self._on_layer)
        self.layer_combo.activated.connect(self._on_activated)
        self.layer_button.toggled.connect(self.changed)
        self.open_button.clicked.connect(self._on_open)
        # Last: the combo box must have the new layer on its list.
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")
        self._on_layer()

    @property
    def layer(self) -> Image | None:
        """The layer the kernel is taken from, None for a file or where there is no layer."""
        return self.layer_combo.layer if self.layer_button.isChecked() else None

    def kernel(self) -> GivenKernel:
        """Return the kernel as it is now.

        Raises
        ------
        ImageError
            If none is chosen, or what is chosen is no kernel.
        """
        if self.file_button.isChecked():
            if self._file is None:
                raise ImageError(self._file_problem)
            return self._file
        layer = self.layer_combo.layer
        if layer is None:
            raise ImageError("choose a kernel: an image layer, or a file")
        source = read_source(layer)
        return GivenKernel(prepare_kernel(source.image), source.name)

    def choose_file(self, path: str) -> None:
        """Take the kernel from this file; `kernel` raises what is wrong with it."""
        self._file = None
        try:
            self._file = GivenKernel(read_kernel(path), Path(path).name)
        except ImageError as error:
            self._file_problem = str(error)
        self.open_button.setText(Path(path).name)
        self.open_button.setToolTip(path)
        if self.file_button.isChecked():
            self.changed.emit()
        self.file_button.setChecked(True)

    def suggest(self, image: Image | None) -> None:
        """Choose the layer that looks like the kernel of `image`, if the user chose none."""
        self._image = image
        if self._chosen_by_user:
            return
        others = [each for each in self._viewer.layers if isinstance(each, Image)]
        others = [each for each in reversed(others) if each is not image]
        own = "" if image is None else f"{image.name} kernel"
        kernels = [each for each in others if " kernel" in each.name]
        kernels.sort(key=lambda each: not each.name.startswith(own))
        if kernels:
            self.layer_combo.choose(kernels[0])
        elif others and self.layer_combo.layer is image:
            self.layer_combo.choose(others[0])

    def _on_inserted(self) -> None:
        if isalive(self):  # type: ignore[no-untyped-call]
            self.suggest(self._image)
        else:
            self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def _on_layer(self) -> None:
        """Follow the pixels of the chosen layer, which a run may change while it is shown."""
        if self._watched is not None:
            self._watched.events.data.disconnect(self._on_data)
        self._watched = self.layer_combo.layer
        if self._watched is not None:
            self._watched.events.data.connect(self._on_data)
        self.changed.emit()

    def _on_data(self) -> None:
        if isalive(self):  # type: ignore[no-untyped-call]
            self.changed.emit()
        elif self._watched is not None:
            self._watched.events.data.disconnect(self._on_data)
            self._watched = None

    def _on_activated(self) -> None:
        self._chosen_by_user = True
        self.layer_button.setChecked(True)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Kernel", "", _FILES)
        if path:
            self.choose_file(path)

    def _lay_out(self) -> None:
        self.setToolTip(
            "The point spread function: what a point of light became. An image of odd height and "
            "width, dark but for the blur's trace; its values are scaled to add up to 1."
        )
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self.layer_button, 0, 0)
        layout.addWidget(self.layer_combo, 0, 1)
        layout.addWidget(self.file_button, 1, 0)
        layout.addWidget(self.open_button, 1, 1)
