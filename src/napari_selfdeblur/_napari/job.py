"""One run on a layer: its thread, its end and its layers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils import progress as ActivityBar
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QThread, QTimer, Signal

from napari_selfdeblur._napari.displays import DIAGNOSTICS
from napari_selfdeblur._napari.grid_layers import grid_layers
from napari_selfdeblur._napari.layers import KERNELS_KEY, ResultLayers, Source
from napari_selfdeblur._napari.report import part_of, report_of
from napari_selfdeblur._napari.worker import RunWorker, kernels_of
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import DeblurError

if TYPE_CHECKING:
    from napari_selfdeblur._napari.worker import Outcome, Result
    from napari_selfdeblur.run.events import Progress

_running: set[Job] = set()
"""Holds the runs that nobody else may hold, such as a scripted one whose handle was dropped."""

_REPORT_MS = 100
_POLL_SECONDS = 0.02
_NOTIFY = {"info": show_info, "warning": show_warning, "error": show_error}


def in_qt_thread() -> bool:
    """Whether this is the thread in which a Qt application handles its events."""
    application = QCoreApplication.instance()
    return application is not None and QThread.currentThread() == application.thread()


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
        Does the run, see `RunWorker`.
    name : str
        Name of the layer of the result.
    notify : bool
        Whether the end of the run is shown as a notification of napari.

    Attributes
    ----------
    state : str
        ``ready``, ``running``, then one of ``finished``, ``stopped``, ``failed``, ``cancelled``.
        ``stopped`` has a result; ``cancelled`` is a closed viewer, and has none.
    result : DeblurResult, RestoreResult, StackResult or None
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
        work: Callable[[RunWorker], Result],
        *,
        name: str,
        notify: bool = True,
    ) -> None:
        super().__init__()
        self.source = source
        self.config = config
        self.state = "ready"
        self.result: Result | None = None
        self.error: DeblurError | None = None
        self._notify = notify
        self._viewer = viewer
        self._layers = ResultLayers(viewer, source, name)
        self._worker = RunWorker(work)
        self._window: QObject | None = None
        self._bar: Any = None
        self._begun = self._over = 0.0
        # Single, so that a report ends before the next begins: napari handles pending events
        # while it moves its own bar.
        self._timer = QTimer(self, singleShot=True, interval=_REPORT_MS)
        self._timer.timeout.connect(self._on_timer)

    @property
    def running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self in _running

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

    def start(self, *, activity: bool = True) -> None:
        """Begin the run in a thread of its own.

        With `activity` napari's activity dock shows the progress. The sign that turns meanwhile
        draws the whole window anew many times a second: without a graphics card a run takes
        twice as long.

        Raises
        ------
        DeblurError
            If it was started before, the viewer is closed, or this is not the thread of a Qt
            application.
        """
        if not in_qt_thread():
            raise DeblurError(
                "a run in the background reports to the thread of the Qt application, and this is "
                "not it; use blocking=True, or call from the main thread of a session with Qt"
            )
        window = getattr(self._viewer, "window", None)
        menu = None if window is None else window.main_menu
        if menu is not None and not isalive(menu):  # type: ignore[no-untyped-call]
            raise DeblurError("the viewer is closed; open another one")
        self._begin()
        if menu is not None:
            # Not left to napari, which ends a run with whichever viewer is the current one.
            self._window = menu.window()
            self._window.destroyed.connect(self._on_window_closed)
        if activity:
            self._bar = ActivityBar(total=0, desc=f"SelfDeblur: {self.source.name}")
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)  # type: ignore[arg-type]
        self._worker.start()
        self._timer.start()

    def run(self) -> None:
        """Do the whole run in the calling thread, without previews.

        Raises
        ------
        DeblurError
            If it was started before, or the viewer has a window that is another thread's.
        """
        if getattr(self._viewer, "window", None) is not None and not in_qt_thread():
            raise DeblurError(
                "this viewer's window belongs to another thread; call from the main thread"
            )
        self._begin()
        self._on_returned(self._worker.work())
        self._on_finished()

    def stop(self) -> None:
        """Ask the run to end after its present step and keep what it has; return at once."""
        self._worker.stop()

    def wait(self, timeout: float | None = None) -> Result:
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
        end = math.inf if timeout is None else time.perf_counter() + timeout
        loop = QEventLoop()
        self.ended.connect(loop.quit)
        if timeout is not None:
            QTimer.singleShot(int(timeout * 1000), loop, loop.quit)
        loop.exec()
        # Closing the last window quits the application: it runs no event loop from then on.
        while self.running and time.perf_counter() < end:
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            QCoreApplication.processEvents()
            time.sleep(_POLL_SECONDS)
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

    def _on_timer(self) -> None:
        progress = self._report()
        if progress is not None and self._bar is not None:
            if self._bar.total != progress.total:
                self._bar.total = progress.total
            if progress.part[1] > 1:
                self._bar.set_description(f"SelfDeblur: {self.source.name}, {part_of(progress)}")
            if self.running:  # the pending events may have ended the run
                self._bar.update(progress.iteration - self._bar.n)
        if self.running:
            self._timer.start()

    def _report(self) -> Progress | None:
        """Show the newest preview and event; return the event."""
        worker = self._worker
        if worker.abort_requested:
            return None
        if worker.previews:
            preview = worker.previews.pop()
            assert preview.sharp is not None
            self._layers.show(preview.sharp, preview.kernel, preview.part)
            self._layers.annotate({"status": "running", "config": self.config.to_dict()})
            self.previewed.emit(preview.kernel)
        progress = worker.events.pop() if worker.events else None
        if progress is not None:
            self.progressed.emit(progress)
        return progress

    def _on_window_closed(self) -> None:
        self._worker.quit()

    def _on_returned(self, outcome: Outcome) -> None:
        if self._worker.abort_requested:
            return
        self.result, self.error = outcome
        self.state = "failed"
        if self.result is not None and self.error is None:
            self.state = self.result.record.status
        self._report()
        reason = {} if self.error is None else {"reason": str(self.error)}
        if self.result is None:
            failed = {"status": "failed", "config": self.config.to_dict()}
            self._layers.annotate(failed | reason)
            return
        kernel = kernels_of(self.result)
        facts = self.result.record.to_dict()
        facts["image"] |= {"name": self.source.name}
        if self.source.index:
            facts["image"] |= {"index": self.source.index}
        more = {part: getattr(self.result, part, None) for part in DIAGNOSTICS}
        self._layers.finish(self.result.sharp, kernel, facts | reason, more)
        if facts.get("cells"):
            kernels: Any = getattr(self.result, "kernels", None)
            notes = facts | reason
            self._layers.add(grid_layers(self.source, kernels, facts["cells"], notes))
            assert self._layers.sharp is not None
            self._layers.sharp.metadata[KERNELS_KEY] = kernels
        # of a stack's kernels the last one, which was shown last
        self.previewed.emit(None if kernel is None else kernel[(-1,) * (kernel.ndim - 2)])

    def _on_finished(self) -> None:
        if self.state == "running":
            self.state = "cancelled"
            self.error = DeblurError(
                "the viewer was closed before the run had ended; its result is lost"
            )
        self._over = time.perf_counter()
        self._timer.stop()
        if self._bar is not None:
            self._bar.close()
        if self._window is not None and isalive(self._window):  # type: ignore[no-untyped-call]
            self._window.destroyed.disconnect(self._on_window_closed)
        self._window = None
        _running.discard(self)
        if self._notify and self.state != "cancelled":
            kind, lines = report_of(self)
            _NOTIFY[kind](f"{self.source.name}: {lines[0]}")
        self.ended.emit()
