"""One batch in a thread of its own, reported to the main thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_selfdeblur._napari.worker import RunWorker
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

if TYPE_CHECKING:
    from napari_selfdeblur._napari.worker import Outcome
    from napari_selfdeblur.run.batch import Event
    from napari_selfdeblur.run.batch_frame import FrameReport
    from napari_selfdeblur.run.events import Progress

Events: TypeAlias = "Callable[[RunWorker], Iterator[int | Event]]"
"""Does a batch, with the worker as its stop: the number of reports to come, then its events."""

_REPORT_MS = 100
_running: set[BatchJob] = set()
"""Holds the batches whose panel may be closed meanwhile."""


class BatchJob(QObject):
    """One batch; make it, `start` it, and once only. Its methods are for the main thread.

    Parameters
    ----------
    events : callable
        Called in the thread, such as `batch_events` returns.
    window : QObject or None
        Ends the batch when it is closed.

    Attributes
    ----------
    state : str
        ``ready``, ``running``, then ``finished``, ``stopped`` or ``failed``.
    error : DeblurError or None
        Why it failed.
    total : int
        Reports to come in all; 0 until it is known.
    opened : Signal(int)
        Emitted once, when `total` is known.
    progressed : Signal(Progress)
        The newest step, a few times a second.
    reported : Signal(FrameReport)
        Each frame's end.
    ended : Signal()
        Emitted once, whatever the end.
    """

    opened = Signal(int)
    progressed = Signal(object)
    reported = Signal(object)
    ended = Signal()

    def __init__(
        self,
        events: Events,
        window: QObject | None = None,
    ) -> None:
        super().__init__()
        self.state = "ready"
        self.error: DeblurError | None = None
        self.total = 0
        self._opened = False
        self._events = events
        self._reports: deque[FrameReport] = deque()
        self._worker = RunWorker(self._work)
        self._timer = QTimer(self, interval=_REPORT_MS)
        self._timer.timeout.connect(self._deliver)
        if window is not None:
            window.destroyed.connect(self.stop)

    @property
    def running(self) -> bool:
        """Whether the batch has begun and not ended."""
        return self in _running

    def start(self) -> None:
        """Begin the batch."""
        self.state = "running"
        _running.add(self)
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)  # type: ignore[arg-type]
        self._worker.start()
        self._timer.start()

    def stop(self) -> None:
        """Ask the batch to end; frames that are done stay, the one at work is left."""
        self._worker.stop()

    def _work(self, worker: RunWorker) -> None:
        """Go through the batch, in the thread."""
        from napari_selfdeblur.run.batch_frame import FrameReport

        events = self._events(worker)
        self.total = int(next(events))  # type: ignore[arg-type]
        for event in events:
            if isinstance(event, FrameReport):
                self._reports.append(event)
            elif not isinstance(event, int):
                worker.receive(event)

    def _deliver(self) -> None:
        if self.total and not self._opened:
            self._opened = True
            self.opened.emit(self.total)
        while self._reports:
            self.reported.emit(self._reports.popleft())
        if self._worker.events:
            newest: Progress = self._worker.events.pop()
            self.progressed.emit(newest)

    def _on_returned(self, outcome: Outcome) -> None:
        self.error = outcome[1]

    def _on_finished(self) -> None:
        self._timer.stop()
        self._deliver()
        stopped = "stopped" if self._worker.is_set() else "finished"
        self.state = stopped if self.error is None else "failed"
        _running.discard(self)
        self.ended.emit()


def batch_events(
    config: SelfDeblurConfig | RestoreConfig,
    names: list[str],
    output: Path,
    *,
    kernel: NDArray[np.float32] | None,
    dtype: str,
    recursive: bool,
    workers: int,
    restart: bool,
) -> Events:
    """Return what does a batch of these choices; what they need is loaded in its thread.

    `config` is a restoration's where the kernel is known.
    """

    def events(worker: RunWorker) -> Iterator[int | Event]:
        from napari_selfdeblur.io.inputs import expanded
        from napari_selfdeblur.run.batch import iter_batch, prepare_batch, store_at
        from napari_selfdeblur.run.batch_frame import Work

        execute = None
        if workers > 1:
            from napari_selfdeblur.run.cluster import distributed

            execute = distributed(workers=workers)
        store, work = store_at(output, dtype), Work(config, kernel)
        paths = expanded(names, output, recursive=recursive)
        batch = prepare_batch(paths, store, work, restart=restart)
        yield len(batch.frames) + len(batch.failed)
        yield from iter_batch(batch, execute=execute, stop=worker)

    return events
