"""What the panels for an image layer have beside what every panel has."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layer_choice import LayerChoice
from napari_selfdeblur._napari.layers import refuse_others
from napari_selfdeblur._napari.panel import Panel
from napari_selfdeblur._napari.stack_rows import StackRows
from napari_selfdeblur._napari.status import StatusView

NO_IMAGE = "Open a blurred image, or File > Open Sample > napari-selfdeblur"
_DIMS = ("current_step", "ndisplay", "order")  # events by which another plane is displayed


class LayerPanel(Panel):
    """A dock widget that runs one `Job` after another on a layer of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.

    Attributes
    ----------
    image : LayerChoice
        The blurred image.
    rows : StackRows
        What is asked of a stack.
    """

    status: StatusView
    job: Job | None

    def __init__(self, viewer: ViewerModel) -> None:
        self.image = LayerChoice(
            viewer,
            "Image",
            "The blurred image, grey or colour, or a stack of them. It is not changed.",
        )
        super().__init__(viewer)
        self.rows = StackRows(self.form)

    @abstractmethod
    def _job_of(self, layer: Image) -> Job: ...

    @abstractmethod
    def _refuse(self, layer: Image) -> None:
        """Raise what is wrong with the choices, beyond what holds of every layer."""

    def _make_status(self) -> StatusView:
        return StatusView(self._colours)

    def _missing(self) -> str:
        self.rows.follow(self.image.layer)
        return NO_IMAGE if self.image.layer is None else ""

    def _refuse_choices(self) -> None:
        layer = self.image.layer
        assert layer is not None
        refuse_others(layer)
        self.rows.refuse(self._viewer, layer)
        self._refuse(layer)

    def _make_job(self) -> Job:
        assert self.image.layer is not None
        return self._job_of(self.image.layer)

    def _begin(self, job: Job) -> None:
        self.status.follow(job)
        job.start(activity=False)  # the panel shows how far it is

    def _on_edit(self, _: Any = None) -> None:
        """Clear what is shown of the last run: it belongs to other choices."""
        if not self._running and self.status.occupied:
            self.status.clear()
        super()._on_edit()

    def _on_dims(self, _: Any = None) -> None:
        """Check later: another plane is displayed, or the layer has changed."""
        self._timer.start()

    def _release(self) -> None:
        super()._release()
        for name in _DIMS:
            getattr(self._viewer.dims.events, name).disconnect(self._on_dims)
        self.image.release()

    def _connect(self) -> None:
        super()._connect()
        self.image.changed.connect(self._on_edit)
        self.image.edited.connect(self._on_dims)
        for name in _DIMS:
            getattr(self._viewer.dims.events, name).connect(self._on_dims)
