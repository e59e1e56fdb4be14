"""What both panels have: an image, settings, Run, Stop, and what is said of the run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from magicgui.widgets import Container, Label, PushButton
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QSizePolicy, QWidget

from napari_selfdeblur._napari.cost import Devices, find_devices
from napari_selfdeblur._napari.dock import dock_of, keep_title
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layer_choice import LayerChoice
from napari_selfdeblur._napari.layers import refuse_others
from napari_selfdeblur._napari.stack_rows import StackRows
from napari_selfdeblur._napari.status import StatusView
from napari_selfdeblur._napari.theme import colours
from napari_selfdeblur._napari.worker import CallWorker
from napari_selfdeblur.errors import DeblurError

NO_IMAGE = "Open a blurred image, or File > Open Sample > napari-selfdeblur"
_CHECK_MS = 100
_DIMS = ("current_step", "ndisplay", "order")  # events by which another plane is displayed
_LEAST_WIDTH, _LEAST_HEIGHT = 270, 160


class Panel(Container[Widget]):
    """A dock widget that runs one `Job` after another on a layer of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.

    Attributes
    ----------
    image : LayerChoice
        The blurred image.
    form : SettingsForm
        The settings.
    run_button, stop_button, reset_button : PushButton
        Begin a run; end it and keep what it has; return to the preferences.
    status : StatusView
        Progress, end, and messages.
    devices : Devices or None
        What the machine has; None until that is known.
    job : Job or None
        The last run begun here.
    """

    TITLE: ClassVar[str]
    SUBTITLE: ClassVar[str]
    LINKS: ClassVar[Mapping[str, str | None]]

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(labels=False)
        self._viewer = viewer
        self._colours = colours(viewer.theme)
        self._complaint = ""
        self.job: Job | None = None
        self.devices: Devices | None = None
        self.image = LayerChoice(
            viewer,
            "Image",
            "The blurred image, grey or colour, or a stack of them. It is not changed.",
        )
        self.form = self._make_form()
        self.rows = StackRows(self.form)
        self.run_button = PushButton(text="Run", tooltip="The viewer stays usable meanwhile.")
        self.stop_button = PushButton(
            text="Stop and keep",
            tooltip="End the run after its present step and keep what it has found.",
            enabled=False,
        )
        self.reset_button = PushButton(
            text="Reset", tooltip="Return every setting to your preferences (File > Preferences)."
        )
        self.status = StatusView(self._colours)
        self._timer = QTimer(self.native, singleShot=True, interval=_CHECK_MS)
        self._lay_out()
        self._connect()
        finding = CallWorker(find_devices)
        finding.returned.connect(self._on_devices)
        finding.start()

    def check(self) -> bool:
        """Say what is wrong with the present choices, if anything is, and return if nothing is."""
        if self._running or not isalive(self.native):  # type: ignore[no-untyped-call]
            return False
        problem, field = self._find_problem()
        if field in self.form.fields and field != self.form.marked:
            self._show(self.form.fields[field].widget.native)
        self.form.mark(field, self._colours.error)
        self.run_button.enabled = not problem
        if problem or not self.status.occupied:
            said = self._complaint or problem
            self.status.say(said, "info" if said == NO_IMAGE else "error")
        return not problem

    def run(self) -> None:
        """Begin a run with the present choices; nothing happens while one is running."""
        layer = self.image.layer
        if layer is None or not self.check():
            return
        try:
            job = self._make_job(layer)
        except DeblurError as error:
            self._complain(str(error))
            return
        self.job = job
        job.ended.connect(self._on_ended)
        self.run_button.enabled, self.stop_button.enabled = False, True
        self.status.follow(job)
        self._show(self.status)
        job.start(activity=False)  # the panel shows how far it is

    def stop(self) -> None:
        """End the run after its present step and keep what it has."""
        if self.job is not None and self._running:
            self.stop_button.enabled = False
            self.status.say("Stopping after the present step")
            self.job.stop()

    @abstractmethod
    def reset(self) -> None:
        """Return every setting to the user's preferences."""

    @abstractmethod
    def _make_form(self) -> SettingsForm[Any]: ...

    @abstractmethod
    def _make_job(self, layer: Image) -> Job: ...

    @abstractmethod
    def _refuse(self, layer: Image) -> None:
        """Raise what is wrong with the choices, beyond what holds of every panel."""

    @property
    def _running(self) -> bool:
        return self.job is not None and self.job.running

    def _find_problem(self) -> tuple[str, str | None]:
        """Return what is wrong, empty where nothing is, and the field where it is."""
        self.rows.follow(self.image.layer)
        if self.image.layer is None:
            return NO_IMAGE, None
        try:
            refuse_others(self.image.layer)
            self.rows.refuse(self._viewer, self.image.layer)
            self._refuse(self.image.layer)
        except DeblurError as error:
            field = getattr(error, "field", None)
            return self.form.by_label(str(error), field), field
        return ("" if self.devices is None else self.devices.problem), None

    def _complain(self, reason: str) -> None:
        """Say why something was not done; it stays in view until the next edit."""
        self._complaint = reason
        self.status.say(reason, "error")

    def _on_edit(self, _: Any = None) -> None:
        """Clear what is shown of the last run: it belongs to other choices."""
        self._complaint = ""
        if not self._running and self.status.occupied:
            self.status.clear()
        self._timer.start()

    def _on_dims(self, _: Any = None) -> None:
        """Check later: another plane is displayed, or the layer has changed."""
        self._timer.start()

    def _on_ended(self) -> None:
        self.stop_button.enabled = False
        self.check()
        self.status.end()
        self._show(self.status)

    def _on_devices(self, devices: Devices) -> None:
        self.devices = devices
        if isalive(self.native):  # type: ignore[no-untyped-call]
            self.form.offer_devices(devices.found)
            self.check()

    def _on_parent(self, _: Any) -> None:
        dock = dock_of(self.native)
        if dock is not None:
            # Later: napari makes the dock's title bar after it has put the widget in.
            # Without the panel itself: a timer whose widget has gone may keep what it would call.
            QTimer.singleShot(0, dock, partial(keep_title, dock, self.TITLE))
            QTimer.singleShot(0, self.native, self.form.align)
        elif self.native.parent() is None and self.job is not None:
            self.job.stop()  # the dock was removed: end the run and keep its result

    def _on_theme(self, _: Any) -> None:
        self._colours = colours(self._viewer.theme)
        self.status.recolour(self._colours)
        self.form.mark(self.form.marked, self._colours.error)
        self._header.value = self._links()
        QTimer.singleShot(0, self.native, self.form.align)

    def _release(self) -> None:
        """Leave the viewer and the job alone: Qt has deleted this panel's widgets."""
        self._viewer.events.theme.disconnect(self._on_theme)
        for name in _DIMS:
            getattr(self._viewer.dims.events, name).disconnect(self._on_dims)
        self.image.release()
        if self.job is not None and isalive(self.job):  # type: ignore[no-untyped-call]
            self.job.ended.disconnect(self._on_ended)
            self.job.stop()

    def _connect(self) -> None:
        self._timer.timeout.connect(self.check)
        self.form.changed.connect(self._on_edit)
        self.image.changed.connect(self._on_edit)
        self.image.edited.connect(self._on_dims)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self.reset_button.clicked.connect(self.reset)
        self._viewer.events.theme.connect(self._on_theme)
        for name in _DIMS:
            getattr(self._viewer.dims.events, name).connect(self._on_dims)
        self.native_parent_changed.connect(self._on_parent)
        self.native.destroyed.connect(self._release)

    def _lay_out(self) -> None:
        self._header = Label(value=self._links())
        self._header.native.setOpenExternalLinks(True)
        self._header.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        buttons = Container(
            widgets=[self.run_button, self.stop_button, self.reset_button],
            layout="horizontal",
            labels=False,
        )
        buttons.margins = (0, 0, 0, 0)
        self._body = Container(
            widgets=[self._header, self.form.main, buttons], labels=False, scrollable=True
        )
        self._body.margins = (0, 0, 8, 0)
        layout = self._body.native.layout()
        layout.setSpacing(4)
        for widget in (self.status, *self.form.groups.values()):
            layout.addWidget(widget)
        layout.addStretch()
        self._scroll = self._body.root_native_widget
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setMinimumSize(_LEAST_WIDTH, _LEAST_HEIGHT)
        self.margins = (6, 2, 2, 2)
        self.native.layout().addWidget(self._scroll)

    def _show(self, widget: QWidget) -> None:
        """Scroll down or up to `widget`, once it has been laid out."""
        QTimer.singleShot(0, widget, partial(self._scroll.ensureWidgetVisible, widget, 0, 20))

    def _links(self) -> str:
        style = f'style="color: {self._colours.link}"'
        linked = (f'<a href="{url}" {style}>{name}</a>' for name, url in self.LINKS.items() if url)
        return " · ".join([f"<b>{self.SUBTITLE}</b>", *linked])
