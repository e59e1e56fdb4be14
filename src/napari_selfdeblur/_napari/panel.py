"""What all panels have: settings, Run, Stop, Reset, and what is said of the run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from magicgui.widgets import Container, Label, PushButton
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from napari_selfdeblur._napari.batch_job import BatchJob
from napari_selfdeblur._napari.batch_status import BatchStatus
from napari_selfdeblur._napari.cost import Devices, find_devices
from napari_selfdeblur._napari.dock import dock_of, keep_title
from napari_selfdeblur._napari.form import SettingsForm, align
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.status import StatusView
from napari_selfdeblur._napari.theme import colours
from napari_selfdeblur._napari.worker import CallWorker
from napari_selfdeblur.errors import DeblurError

_CHECK_MS = 100
_LEAST_WIDTH, _LEAST_HEIGHT = 270, 160


class Panel(Container[Widget]):
    """A dock widget that runs one job after another.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose theme is followed.

    Attributes
    ----------
    form : SettingsForm
        The settings.
    run_button, stop_button, reset_button : PushButton
        Begin a run; end it and keep what it has; return to the preferences.
    status : StatusView or BatchStatus
        Progress, end, and messages.
    devices : Devices or None
        What the machine has; None until that is known.
    job : Job, BatchJob or None
        The last run begun here.
    """

    TITLE: ClassVar[str]
    SUBTITLE: ClassVar[str]
    LINKS: ClassVar[Mapping[str, str | None]]
    STOP: ClassVar[tuple[str, str]] = (
        "Stop and keep",
        "End the run after its present step and keep what it has found.",
    )
    """Text and tooltip of the button that ends a run."""

    status: StatusView | BatchStatus
    job: Job | BatchJob | None

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(labels=False)
        self._viewer = viewer
        self._colours = colours(viewer.theme)
        self._complaint = ""
        self.job = None
        self.devices: Devices | None = None
        self.form = self._make_form()
        self.run_button = PushButton(text="Run", tooltip="The viewer stays usable meanwhile.")
        text, tooltip = self.STOP
        self.stop_button = PushButton(text=text, tooltip=tooltip, enabled=False)
        self.reset_button = PushButton(
            text="Reset", tooltip="Return every setting to your preferences (File > Preferences)."
        )
        self.status = self._make_status()
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
        problem, field, kind = self._find_problem()
        if field in self.form.fields and field != self.form.marked:
            self._show(self.form.fields[field].widget.native)
        self.form.mark(field, self._colours.error)
        self.run_button.enabled = not problem
        said = (self._complaint, "error") if self._complaint else (problem, kind)
        self.status.complain(*said)
        return not problem

    def run(self) -> None:
        """Begin a run with the present choices; nothing happens while one is running."""
        if not self.check():
            return
        try:
            job = self._make_job()
        except DeblurError as error:
            self._complain(str(error))
            return
        self.job = job
        job.ended.connect(self._on_ended)
        self.run_button.enabled, self.stop_button.enabled = False, True
        self._show(self.status)
        self._begin(job)

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
    def _make_status(self) -> StatusView | BatchStatus: ...

    @abstractmethod
    def _missing(self) -> str:
        """Return what is still to be chosen, empty where nothing is."""

    @abstractmethod
    def _refuse_choices(self) -> None:
        """Raise what is wrong with the choices, once nothing is missing."""

    @abstractmethod
    def _make_job(self) -> Job | BatchJob: ...

    @abstractmethod
    def _begin(self, job: Any) -> None:
        """Show a job from its beginning on, and start it."""

    @property
    def _forms(self) -> list[SettingsForm[Any]]:
        """Every form of the panel."""
        return [self.form]

    @property
    def _rows(self) -> list[Widget]:
        """What is shown above the buttons."""
        return [self.form.main]

    @property
    def _aligned(self) -> list[QLabel]:
        """The labels that are to be equally wide."""
        return self.form.labels

    @property
    def _running(self) -> bool:
        return self.job is not None and self.job.running

    def _find_problem(self) -> tuple[str, str | None, str]:
        """Return what is wrong, empty where nothing is, the field where it is, and its kind."""
        if missing := self._missing():
            return missing, None, "info"
        try:
            self._refuse_choices()
        except DeblurError as error:
            field = getattr(error, "field", None)
            return self.form.by_label(str(error), field), field, "error"
        return ("" if self.devices is None else self.devices.problem), None, "error"

    def _complain(self, reason: str) -> None:
        """Say why something was not done; it stays in view until the next edit, or a run's end."""
        self._complaint = reason
        self.status.say(reason, "error")

    def _on_edit(self, _: Any = None) -> None:
        self._complaint = ""
        self._timer.start()

    def _on_ended(self) -> None:
        self.stop_button.enabled = False
        self._complaint = ""
        self.check()
        self.status.end()
        self._show(self.status)

    def _on_devices(self, devices: Devices) -> None:
        self.devices = devices
        if isalive(self.native):  # type: ignore[no-untyped-call]
            for form in self._forms:
                form.offer_devices(devices.found)
            self.check()

    def _on_parent(self, _: Any) -> None:
        dock = dock_of(self.native)
        if dock is not None:
            # Later: napari makes the dock's title bar after it has put the widget in.
            # Without the panel itself: a timer whose widget has gone may keep what it would call.
            QTimer.singleShot(0, dock, partial(keep_title, dock, self.TITLE))
            QTimer.singleShot(0, self.native, partial(align, self._aligned))
        elif self.native.parent() is None and self.job is not None:
            self.job.stop()  # the dock was removed: end the run and keep its result

    def _on_theme(self, _: Any) -> None:
        self._colours = colours(self._viewer.theme)
        self.status.recolour(self._colours)
        self.form.mark(self.form.marked, self._colours.error)
        self._header.value = self._links()
        QTimer.singleShot(0, self.native, partial(align, self._aligned))

    def _release(self) -> None:
        """Leave the viewer and the job alone: Qt has deleted this panel's widgets."""
        self._viewer.events.theme.disconnect(self._on_theme)
        if self.job is not None and isalive(self.job):  # type: ignore[no-untyped-call]
            self.job.ended.disconnect(self._on_ended)
            self.job.stop()

    def _connect(self) -> None:
        self._timer.timeout.connect(self.check)
        for form in self._forms:
            form.changed.connect(self._on_edit)
            form.refused.connect(self._complain)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self.reset_button.clicked.connect(self.reset)
        self._viewer.events.theme.connect(self._on_theme)
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
        self._body: Container[Widget] = Container(labels=False, scrollable=True)
        self._body.extend([self._header, *self._rows, buttons])
        self._body.margins = (0, 0, 8, 0)
        layout = self._body.native.layout()
        layout.setSpacing(4)
        groups = (group for form in self._forms for group in form.groups.values())
        for widget in (self.status, *groups):
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
