"""One run on a layer: its thread, its stop button and its layers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils import progress as ActivityBar
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, QTimer, Signal
from superqt.utils import create_worker

from napari_selfdeblur._napari.layers import ResultLayers, Source
from napari_selfdeblur._napari.report import Report, report_of
from napari_selfdeblur._napari.worker import Mailbox, Outcome, StopFlag, Work, run_steps
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.settings import Settings

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult

__all__ = ["Job"]

_running: set[Job] = set()
"""Keeps a run alive that nobody holds, such as a scripted one whose handle was dropped."""

_NOTIFY = {"info": show_info, "warning": show_warning, "error": show_error}


class Job(QObject):
    """One run on an image; make it, `start` it, and once only.

    It outlives the widget that began it and ends with its viewer's window. All its methods are
    for the main thread.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the intermediate and the final layers.
    source : Source
        The image.
    config : Settings
        What to run.
    work : callable
        Begins the run; see `worker.Work`.
    name : str
        Name of the layer of the result.
    notify : bool
        Whether the end of the run is shown as a notification of napari.

    Attributes
    ----------
    state : str
        ``ready``, ``running``, then one of ``finished``, ``stopped``, ``failed``, ``cancelled``.
        ``stopped`` has a result; ``cancelled`` is a closed viewer, and has none.
    result : DeblurResult or RestoreResult or None
        The outcome of a finished or stopped run, and what a failed run had reached.
    error : DeblurError or None
        Why a run failed or was cancelled.
    progressed : Signal(Progress)
        Emitted a few times a second.
    previewed : Signal(ndarray)
        The kernel, each time the layers change.
    ended : Signal()
        Emitted once, whatever the end.
    """

    progressed = Signal(object)
    previewed = Signal(object)
    ended = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        source: Source,
        config: Settings,
        work: Work,
        *,
        name: str,
        notify: bool = True,
    ) -> None:
        super().__init__()
        self.source = source
        self.config = config
        self.state = "ready"
        self.result: DeblurResult | RestoreResult | None = None
        self.error: DeblurError | None = None
        self._work = work
        self._notify = notify
        self._layers = ResultLayers(viewer, source, name)
        self._window = _window(viewer)
        self._window_closed = False
        self._stop = StopFlag()
        self._mailbox = Mailbox()
        self._worker: Any = None
        self._bar: Any = None
        self._in_activity = False
        self._begun = self._over = 0.0

    @property
    def running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self.state == "running"

    @property
    def seconds(self) -> float:
        """Time it took, until now while it runs; 0 before."""
        if self.state == "ready":
            return 0.0
        return (time.perf_counter() if self.running else self._over) - self._begun

    @property
    def layers(self) -> tuple[Image | None, Image | None]:
        """The layers of image and kernel, None until the first preview."""
        return self._layers.sharp, self._layers.kernel

    def report(self) -> Report:
        """Return what is to be said of the run as it is."""
        return report_of(self)

    def start(self) -> None:
        """Begin the run in a thread of its own.

        Raises
        ------
        DeblurError
            If it was started before, or no Qt application runs the viewer.
        """
        if QCoreApplication.instance() is None:
            raise DeblurError("without a Qt application a run cannot report; use blocking=True")
        self._begin()
        # Not napari's own create_worker: that ends a run with whichever viewer is the current one.
        self._worker = create_worker(run_steps, self._work, self._stop, self._mailbox)
        self._bar = ActivityBar(total=0, desc=f"SelfDeblur: {self.source.name}")
        self._stop.worker = self._worker
        self._worker.yielded.connect(self._on_report)
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)
        if self._window is not None:
            self._window.destroyed.connect(self._on_window_closed)
        self._worker.start()

    def run(self) -> None:
        """Do the whole run in the calling thread; nothing is stopped or shown by others."""
        self._begin()
        self._window = None
        steps = run_steps(self._work, self._stop, self._mailbox)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self._on_returned(end.value)
                break
            self._report()
        self._on_finished()

    def stop(self) -> None:
        """Ask the run to end after its present step and keep what it has; return at once."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> DeblurResult | RestoreResult:
        """Return the result, keeping the viewer alive until it is there.

        Parameters
        ----------
        timeout : float, optional
            Give up after so many seconds; the run goes on.

        Raises
        ------
        DeblurError
            If the run failed, was cancelled, or was never started.
        TimeoutError
            If `timeout` seconds have passed.
        """
        if self.state == "ready":
            raise DeblurError("this run was not started; call start() before wait()")
        if self.running:
            self._wait(timeout)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def _wait(self, timeout: float | None) -> None:
        loop = QEventLoop()
        timer = QTimer()
        timer.setSingleShot(True)
        timer.timeout.connect(loop.quit)
        self.ended.connect(loop.quit)
        if timeout is not None:
            timer.start(int(timeout * 1000))
        loop.exec()
        if self.running:
            raise TimeoutError(
                f"the run has not ended within {timeout:g} s; it goes on: "
                "wait() again, or stop() it"
            )

    def _begin(self) -> None:
        if self.state != "ready":
            raise DeblurError("this run was started before; make a new one to run again")
        self.state = "running"
        self._begun = time.perf_counter()
        _running.add(self)

    def _on_report(self) -> None:
        progress = self._report()
        # napari handles pending events while it moves its own bar, among them this job's next
        # report and its end: nothing of this report may come after it, and none within it.
        if progress is not None and not self._in_activity:
            self._in_activity = True
            bar = self._bar
            if bar.total != progress.total:
                bar.total = progress.total
            if self.running:
                bar.update(progress.iteration - bar.n)
            self._in_activity = False

    def _report(self) -> Progress | None:
        progress, preview = self._mailbox.take()
        if self._abandoned:
            return None
        if preview is not None and preview.sharp is not None:
            self._layers.show(preview.sharp, preview.kernel)
            self._layers.annotate({"status": "running", "config": self.config.to_dict()})
            self.previewed.emit(preview.kernel)
        if progress is not None:
            self.progressed.emit(progress)
        return progress

    @property
    def _abandoned(self) -> bool:
        """Whether the window was closed, or napari has quit the worker."""
        quit_ = self._worker is not None and self._worker.abort_requested
        return self._window_closed or bool(quit_)

    def _on_window_closed(self) -> None:
        self._window_closed = True
        self._window = None
        self._stop.set()

    def _on_returned(self, outcome: Outcome) -> None:
        if self._abandoned:
            return
        self._report()
        result, error = outcome.result, outcome.error
        self.result, self.error = result, error
        reason = {} if error is None else {"reason": str(error)}
        if result is not None:
            self.state = "failed" if error is not None else result.record.status
            kernel = getattr(result, "kernel", None)
            facts = result.record.to_dict()
            facts["image"]["name"] = self.source.name
            self._layers.finish(result.sharp, kernel, facts | reason)
            self.previewed.emit(kernel)
        else:
            self.state = "failed"
            facts = {"status": "failed", "config": self.config.to_dict()}
            self._layers.annotate(facts | reason)

    def _on_finished(self) -> None:
        if self.running:
            self.state = "cancelled"
            self.error = DeblurError(
                "the viewer was closed before the run had ended; its result is lost"
            )
        self._over = time.perf_counter()
        # The worker holds the generator, and with it the networks and the device's memory;
        # the window holds the whole viewer.
        self._worker = self._stop.worker = None
        if self._bar is not None:
            self._bar.close()
        if self._window is not None and not self._window_closed:
            self._window.destroyed.disconnect(self._on_window_closed)
        self._window = None
        self._stop.set()
        _running.discard(self)
        if self._notify and self.state != "cancelled":
            report = self.report()
            _NOTIFY[report.kind](f"{self.source.name}: {report.headline}")
        self.ended.emit()


def _window(viewer: ViewerModel) -> QObject | None:
    """Return the Qt window of a viewer, None for a model without one."""
    window = getattr(viewer, "window", None)
    return None if window is None else window.main_menu.window()
