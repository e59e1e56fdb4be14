"""The dock widget for many images: inputs, output, settings, run, and a table of results."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, FileEdit
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel

from napari_selfdeblur._napari.batch_job import BatchJob, batch_events
from napari_selfdeblur._napari.batch_lists import InputList
from napari_selfdeblur._napari.batch_status import BatchStatus
from napari_selfdeblur._napari.forms import BlindForm
from napari_selfdeblur._napari.panel import Panel
from napari_selfdeblur._napari.plugin import guide, read_preferences
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.settings import Integer

_WORKERS = Integer(
    label="Processes",
    low=1,
    high=256,
    help="More than one need the extra napari-selfdeblur[batch].",
)


class BatchWidget(Panel):
    """Deblurs files and folders of images into a folder or an OME-Zarr.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose theme is followed.

    Attributes
    ----------
    inputs : InputList
        The files and folders.
    output : FileEdit
        A folder, or a name that ends in ``.ome.zarr``.
    restart : CheckBox
        Whether what an earlier batch left in the output is deleted.
    """

    TITLE = "SelfDeblur batch"
    SUBTITLE = "Many images"
    LINKS: ClassVar = {"guide": guide("many-images")}
    STOP = ("Stop", "Frames that are done stay: Run goes on with them.")

    form: BlindForm
    status: BatchStatus
    job: BatchJob | None

    def __init__(self, napari_viewer: ViewerModel) -> None:
        self.inputs = InputList()
        super().__init__(napari_viewer)
        self._body.native.layout().insertWidget(1, self.inputs)
        self.inputs.changed.connect(self._on_edit)
        self.output.changed.connect(self._on_edit)
        self.reset()
        self.check()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        self.form.reset(read_preferences())

    def _make_form(self) -> BlindForm:
        self.output = FileEdit(
            mode=FileDialogMode.OPTIONAL_FILE,
            nullable=True,
            label="Output",
            tooltip="A folder for TIFFs, or a name that ends in .ome.zarr. Results that are "
            "there, of the same settings, are kept.",
        )
        self.restart = CheckBox(
            text="Make everything again",
            tooltip="Delete what an earlier batch left in the output.",
        )
        form = BlindForm(self._viewer, first=[self.output], extra={"workers": _WORKERS})
        self.preset, self.earlier = form.preset, form.earlier
        return form

    def _make_status(self) -> BatchStatus:
        return BatchStatus(self._colours)

    def _missing(self) -> str:
        if not self.inputs.paths:
            return "Add files or folders with blurred images"
        if self.output.value is None or not str(self.output.value).strip():
            return "Choose the output: a folder, or a name that ends in .ome.zarr"
        return ""

    def _refuse_choices(self) -> None:
        if self.form.settled().diagnostics:
            raise ConfigError(
                "diagnostics are of one image; a batch keeps none", field="diagnostics"
            )
        self.form.fields["workers"].value()

    def _make_job(self) -> BatchJob:
        events = batch_events(
            self.form.read(),
            self.inputs.paths,
            Path(str(self.output.value)),
            workers=int(self.form.fields["workers"].value()),
            restart=bool(self.restart.value),
        )
        window = getattr(self._viewer, "window", None)
        menu = None if window is None else window.main_menu
        return BatchJob(events, None if menu is None else menu.window())

    def _begin(self, job: BatchJob) -> None:
        self.status.follow(job)
        job.start()

    @property
    def _rows(self) -> list[Widget]:
        return [self.form.main, self.restart]
