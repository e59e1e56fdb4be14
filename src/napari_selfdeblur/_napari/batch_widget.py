"""The dock widget for many images: inputs, output, settings, run, and a table of results."""

from __future__ import annotations

from typing import Any, ClassVar

from magicgui.widgets import CheckBox, FileEdit
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from qtpy.QtWidgets import QLabel

from napari_selfdeblur._napari.batch_job import BatchJob, batch_events
from napari_selfdeblur._napari.batch_lists import InputList
from napari_selfdeblur._napari.batch_status import BatchStatus
from napari_selfdeblur._napari.fields import chosen_path, image_file, narrow
from napari_selfdeblur._napari.form import SettingsForm, label_of, labelled
from napari_selfdeblur._napari.forms import BlindForm, RestoreForm
from napari_selfdeblur._napari.kernel_choice import KERNEL_HELP
from napari_selfdeblur._napari.output_edit import OutputEdit
from napari_selfdeblur._napari.panel import Panel
from napari_selfdeblur._napari.plugin import guide, read_preferences
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.files import read_kernel
from napari_selfdeblur.settings import Choice, Integer

_ROWS = {
    "workers": Integer(
        label="Processes",
        low=1,
        high=256,
        help="More than one need the extra napari-selfdeblur[batch].",
    ),
    "dtype": Choice(
        label="Data type",
        group="result",
        choices=("float32", "input"),
        help="Of the images written: float32, or that of each input.",
    ),
}


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
    output : OutputEdit
        A folder, or a name that ends in ``.ome.zarr``.
    kernel : FileEdit
        A known kernel, with which every frame is restored.
    blind, known : SettingsForm
        The settings without and with a known kernel; `form` is the one of them that is shown.
    restart : CheckBox
        Whether what an earlier batch left in the output is deleted.
    """

    TITLE = "SelfDeblur batch"
    SUBTITLE = "Many images"
    LINKS: ClassVar = {"guide": guide("many-images")}
    STOP = ("Stop", "Frames that are done stay: Run goes on with them.")

    status: BatchStatus
    job: BatchJob | None

    def __init__(self, napari_viewer: ViewerModel) -> None:
        self.inputs = InputList()
        super().__init__(napari_viewer)
        self._body.native.layout().insertWidget(1, self.inputs)
        self.inputs.changed.connect(self._on_edit)
        self.output.changed.connect(self._on_edit)
        self.kernel.changed.connect(self._on_kernel)
        self.known.set_visible(False)
        self.reset()
        self.check()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        preferred = read_preferences()
        for form in (self.blind, self.known):
            form.reset(preferred)
            form.show({"workers": 1, "dtype": "float32"})

    def _make_form(self) -> SettingsForm[Any]:
        self.output = OutputEdit()
        self.kernel: FileEdit = image_file(
            "Known kernel",
            f"{KERNEL_HELP} Every image is restored with this one; where there is none, each "
            "image's own is estimated.",
        )
        self.restart = CheckBox(
            text="Make everything again",
            tooltip="Delete what an earlier batch left in the output.",
        )
        self._files = labelled([self.output, self.kernel])
        for each in (self.output, self.kernel):
            narrow(each)
        self.blind = BlindForm(self._viewer, extra=_ROWS)
        self.known = RestoreForm(extra=_ROWS)
        self.preset, self.earlier = self.blind.preset, self.blind.earlier
        return self.blind

    def _make_status(self) -> BatchStatus:
        return BatchStatus(self._colours)

    def _missing(self) -> str:
        if not self.inputs.paths:
            return "Add files or folders with blurred images"
        if chosen_path(self.output) is None:
            return "Choose the output: a folder, or a name that ends in .ome.zarr"
        return ""

    def _refuse_choices(self) -> None:
        if (kernel := chosen_path(self.kernel)) is not None:
            read_kernel(kernel)
            self.known.read()
        elif self.blind.settled().diagnostics:
            raise ConfigError(
                "diagnostics are of one image; a batch keeps none", field="diagnostics"
            )

    def _make_job(self) -> BatchJob:
        kernel, output = chosen_path(self.kernel), chosen_path(self.output)
        assert output is not None
        events = batch_events(
            self.form.read(),
            self.inputs.paths,
            output,
            kernel=None if kernel is None else read_kernel(kernel),
            recursive=self.inputs.recursive.isChecked(),
            restart=bool(self.restart.value),
            **{name: self.form.fields[name].value() for name in _ROWS},
        )
        window = getattr(self._viewer, "window", None)
        menu = None if window is None else window.main_menu
        return BatchJob(events, None if menu is None else menu.window())

    def _begin(self, job: BatchJob) -> None:
        self.status.follow(job)
        job.start()

    def _on_kernel(self, _: Any = None) -> None:
        """Show the settings of a restoration where a kernel is known, else those of a run."""
        form = self.blind if chosen_path(self.kernel) is None else self.known
        if form is not self.form:
            before, self.form = self.form, form
            before.mark(None, self._colours.error)
            form.show({name: before.fields[name].value() for name in (*_ROWS, "device")})
            before.set_visible(False)
            form.set_visible(True)
        self._on_edit()

    @property
    def _forms(self) -> list[SettingsForm[Any]]:
        return [self.blind, self.known]

    @property
    def _rows(self) -> list[Widget]:
        return [self._files, self.blind.main, self.known.main, self.restart]

    @property
    def _aligned(self) -> list[QLabel]:
        files = [label_of(each) for each in (self.output, self.kernel)]
        labels = [label for form in self._forms for label in form.labels]
        return [*(label for label in files if label is not None), *labels]
