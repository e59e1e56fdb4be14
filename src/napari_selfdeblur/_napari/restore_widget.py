"""The dock widget for a known kernel: choose image, kernel and restoration, run, keep."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtWidgets import QHBoxLayout, QLabel

from napari_selfdeblur._napari.forms import RestoreForm
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.kernel_choice import KernelChoice
from napari_selfdeblur._napari.layer_panel import LayerPanel
from napari_selfdeblur._napari.plugin import guide, read_preferences
from napari_selfdeblur._napari.stack_rows import PLANES_ROW, sides_of
from napari_selfdeblur._napari.status import KERNEL_SIDE, kernel_picture
from napari_selfdeblur._napari.work import restore_job
from napari_selfdeblur.errors import ImageError


class RestoreWidget(LayerPanel):
    """Restores an image layer of `napari_viewer` with a kernel that is known.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.
    """

    TITLE = "Restore with a known kernel"
    SUBTITLE = "Non-blind deconvolution"
    LINKS: ClassVar = {"guide": guide("restore-with-a-known-kernel")}

    form: RestoreForm

    def __init__(self, napari_viewer: ViewerModel) -> None:
        self.kernel_choice = KernelChoice(napari_viewer)
        super().__init__(napari_viewer)
        self._on_image()
        self.image.changed.connect(self._on_image)
        self.kernel_choice.changed.connect(self._on_edit)
        self.reset()
        self.check()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        self.form.reset(read_preferences())

    def _make_form(self) -> RestoreForm:
        self.picture, self.kernel_text = QLabel(), QLabel()
        self.picture.setFixedSize(KERNEL_SIDE, KERNEL_SIDE)
        form = RestoreForm(
            first=[self.image.widget, self.kernel_choice.choice.widget, self.kernel_choice.file],
            before=PLANES_ROW,
        )
        row = QHBoxLayout()
        row.addWidget(self.picture)
        row.addWidget(self.kernel_text, 1)
        form.main.native.layout().insertLayout(3, row)
        return form

    def _job_of(self, layer: Image) -> Job:
        kernel, name = self._kernels(layer)
        return restore_job(
            self._viewer,
            layer,
            kernel,
            self.form.read(),
            kernel_name=name,
            planes=self.rows.planes(layer),
        )

    def _refuse(self, layer: Image) -> None:
        self.picture.clear()
        self.kernel_text.clear()
        if layer is self.kernel_choice.layer:
            raise ImageError("Choose the kernel: another image layer, or a file")
        kernels, _ = self._kernels(layer)
        *lead, rows, columns = kernels.shape
        count = f", {math.prod(lead)} kernels" if lead else ""
        self.kernel_text.setText(f"{rows} x {columns} pixels{count}")
        self.picture.setPixmap(kernel_picture(kernels[(0,) * len(lead)]))
        self.form.read()
        height, width = sides_of(layer)
        if height < rows or width < columns:
            raise ImageError(
                f"the image is smaller than the kernel of {rows} x {columns} pixels; "
                "choose another kernel or image"
            )

    def _kernels(self, layer: Image) -> tuple[NDArray[np.float32], str]:
        """Return what restores the chosen planes of `layer`, and its name."""
        every = self.rows.planes(layer) == "all"
        return self.kernel_choice.kernels(layer) if every else self.kernel_choice.kernel()

    def _on_image(self) -> None:
        self.kernel_choice.suggest(self.image.layer)

    def _release(self) -> None:
        super()._release()
        self.kernel_choice.release()
