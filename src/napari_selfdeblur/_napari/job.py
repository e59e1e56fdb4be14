"""One run in the background: its thread, its stop button and its two layers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEventLoop, QObject, QTimer, Signal

from napari_selfdeblur._napari.layers import ResultLayers, read_source
from napari_selfdeblur._napari.worker import Mailbox, Outcome, run_steps
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError, DivergedError

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Progress
    from napari_selfdeblur.run.run import DeblurResult

__all__ = ["MIN_PREVIEW_SECONDS", "DeblurJob"]

MIN_PREVIEW_SECONDS = 0.25
"""Layers are updated no faster: each update costs time that the run then lacks."""

_running: set[DeblurJob] = set()
"""Keeps a run alive that nobody holds, such as a scripted one whose handle was dropped."""


class DeblurJob(QObject):
    """One SelfDeblur run on a layer of a viewer; make it, `start` it, and once only.

    It outlives the widget that began it. All its methods are for the main thread.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the intermediate and the final layers.
    layer : napari.layers.Image
        A 2-D image, grey or RGB(A). It is copied and never changed.
    config : SelfDeblurConfig
        What to run.
    preview_seconds : float
        Seconds between two updates of the layers, at least `MIN_PREVIEW_SECONDS`.
    notify : bool
        Whether the end of the run, or its error, is shown as a notification of napari.

    Attributes
    ----------
    state : str
        ``ready``, ``running``, then one of ``finished``, ``stopped``, ``failed``, ``cancelled``.
        ``stopped`` has a result; ``cancelled`` is a closed viewer, and has none.
    result : DeblurResult or None
        The outcome of a finished or stopped run.
    error : DeblurError or None
        Why a run failed or was cancelled.
    progressed : Signal(Progress)
        Emitted a few times a second.
    previewed : Signal(ndarray)
        The kernel, each time the layers change.
    ended : Signal()
        Emitted once, whatever the end.

    Raises
    ------
    ImageError
        If `layer` is not a 2-D image layer.
    """

    progressed = Signal(object)
    previewed = Signal(object)
    ended = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image,
        config: SelfDeblurConfig,
        *,
        preview_seconds: float = 0.5,
        notify: bool = True,
    ) -> None:
        super().__init__()
        self._notify = notify
        self.config = config
        self.source = read_source(layer)
        self.state = "ready"
        self.result: DeblurResult | None = None
        self.error: DeblurError | None = None
        self._layers = ResultLayers(viewer, self.source)
        self._preview_seconds = max(MIN_PREVIEW_SECONDS, preview_seconds)
        self._stop = threading.Event()
        self._mailbox = Mailbox()
        self._worker: Any = None
        self._in_activity = False

    @property
    def running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self.state == "running"

    @property
    def layers(self) -> tuple[Image | None, Image | None]:
        """The deblurred layer and the kernel layer, None until the first preview."""
        return self._layers.sharp, self._layers.kernel

    def start(self) -> None:
        """Begin the run in a thread of its own.

        Raises
        ------
        DeblurError
            If it was started before.
        """
        if self.state != "ready":
            raise DeblurError("this run was started before; make a new DeblurJob to run again")
        self.state = "running"
        _running.add(self)
        self._worker = create_worker(
            run_steps,
            self.source.image,
            self.config,
            self.source.rgb,
            self._preview_seconds,
            self._stop,
            self._mailbox,
            _progress={"desc": f"SelfDeblur: {self.source.name}"},
        )
        self._worker.yielded.connect(self._on_report)
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def stop(self) -> None:
        """Ask the run to end after its present step and keep what it has; return at once."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> DeblurResult:
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
            loop = QEventLoop()
            timer = QTimer()
            timer.setSingleShot(True)
            timer.timeout.connect(loop.quit)
            self.ended.connect(loop.quit)
            if timeout is not None:
                timer.start(int(timeout * 1000))
            loop.exec()
            timed_out = timeout is not None and not timer.isActive()
            if timed_out and self.state == "running":
                raise TimeoutError(
                    f"the run has not ended within {timeout:g} s; it goes on: "
                    "wait() again, or stop() it"
                )
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise _cancelled()
        return self.result

    def _on_report(self) -> None:
        progress = self._report()
        # napari handles pending events while it moves its own bar, among them this job's next
        # report and its end: nothing of this report may come after it, and none within it.
        if progress is not None and not self._in_activity:
            self._in_activity = True
            bar = self._worker.pbar
            if bar.total != progress.total:
                bar.total = progress.total
            if self.running:
                bar.update(progress.iteration - bar.n)
            self._in_activity = False

    def _report(self) -> Progress | None:
        progress, preview = self._mailbox.take()
        if self._window_closed:
            return None
        if preview is not None and preview.sharp is not None and preview.kernel is not None:
            self._layers.show(preview.sharp, preview.kernel)
            self._layers.annotate({"status": "running", "config": self.config.to_dict()})
            self.previewed.emit(preview.kernel)
        if progress is not None:
            self.progressed.emit(progress)
        return progress

    @property
    def _window_closed(self) -> bool:
        """Whether napari has quit the worker, as it does when it closes a window."""
        return bool(self._worker.abort_requested)

    def _on_returned(self, outcome: Outcome) -> None:
        if self._window_closed:
            return
        self._report()
        if outcome.result is not None:
            self._keep(outcome.result)
        elif outcome.error is not None:
            self._fail(outcome.error)

    def _on_finished(self) -> None:
        if self.running:
            self.state, self.error = "cancelled", _cancelled()
        # The worker holds the generator, and with it the networks and the device's memory.
        self._worker = None
        self._stop.set()
        _running.discard(self)
        if self._notify and self.state == "failed":
            show_error(f"SelfDeblur: {self.error}")
        elif self._notify and self.state == "finished":
            show_info(f"Deblurred '{self.source.name}'")
        self.ended.emit()

    def _keep(self, result: DeblurResult) -> None:
        self.result, self.state = result, result.record.status
        self._layers.finish(result.sharp, result.kernel, result.record.to_dict())
        self.previewed.emit(result.kernel)

    def _fail(self, error: DeblurError) -> None:
        """Keep the last good estimate in the layers, marked as that of a failed run."""
        self.error, self.state = error, "failed"
        facts = {"status": "failed", "reason": str(error), "config": self.config.to_dict()}
        estimate = error.estimate if isinstance(error, DivergedError) else None
        if estimate is not None:
            self._layers.finish(estimate.sharp, estimate.kernel, facts)
            self.previewed.emit(estimate.kernel)
        else:
            self._layers.annotate(facts)


def _cancelled() -> DeblurError:
    return DeblurError("the viewer was closed before the run had ended; its result is lost")
