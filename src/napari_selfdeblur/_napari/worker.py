"""What happens in a run's thread, and how its events reach the main thread."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_selfdeblur.errors import DeblurError

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult

__all__ = ["Mailbox", "Outcome", "StopFlag", "Work", "reportable", "run_steps"]

_REPORT_SECONDS = 0.1


class StopFlag:
    """Set by the user, by a closed window, or by napari when it quits its workers."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.worker: Any = None

    def set(self) -> None:
        """Ask the run to end after its present step."""
        self._asked.set()

    def is_set(self) -> bool:
        """Whether the run is to end after its present step."""
        worker = self.worker
        return self._asked.is_set() or bool(worker is not None and worker.abort_requested)


Work = Callable[[StopFlag], "Generator[Progress, None, DeblurResult] | RestoreResult"]
"""Begins a run: a generator of its events that returns the result, or the result at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. Errors are handed over as values: a worker swallows some when raised.

    Attributes
    ----------
    result : DeblurResult or RestoreResult or None
        Result of a run that was finished or stopped, or what a failed one had reached.
    error : DeblurError or None
        Why it failed; an error of another kind is its cause.
    """

    result: DeblurResult | RestoreResult | None = None
    error: DeblurError | None = None


class Mailbox:
    """Holds the newest event and the newest preview, so that a busy viewer piles up none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._preview: Progress | None = None

    def put(self, progress: Progress) -> None:
        """Replace what is held; called in the run's thread."""
        with self._lock:
            self._progress = progress
            if progress.sharp is not None:
                self._preview = progress

    def take(self) -> tuple[Progress | None, Progress | None]:
        """Return newest event and newest preview, and hold neither any more."""
        with self._lock:
            taken = self._progress, self._preview
            self._progress = self._preview = None
        return taken


def run_steps(work: Work, stop: StopFlag, mailbox: Mailbox) -> Generator[None, None, Outcome]:
    """Run in the thread; a bare yield says that the mailbox is full, and lets the worker be quit.

    Parameters
    ----------
    work : callable
        Begins the run.
    stop : StopFlag
        Ends the run after its present step.
    mailbox : Mailbox
        Receives every event.

    Yields
    ------
    None
        After a preview, and otherwise every tenth of a second.

    Returns
    -------
    Outcome
        It never raises an ordinary exception.
    """
    try:
        events = work(stop)
        if not isinstance(events, Generator):
            return Outcome(result=events)
        reported = -_REPORT_SECONDS
        while True:
            try:
                progress = next(events)
            except StopIteration as end:
                return Outcome(result=end.value)
            mailbox.put(progress)
            now = time.monotonic()
            if progress.sharp is not None or now - reported >= _REPORT_SECONDS:
                reported = now
                yield
    except Exception as error:
        wrapped = reportable(error)
        return Outcome(result=wrapped.result, error=wrapped)


def reportable(error: Exception) -> DeblurError:
    """Return `error` as one to hand over, its frames let go; one of another kind is its cause."""
    _release(error)
    if isinstance(error, DeblurError):
        return error
    wrapped = DeblurError(
        f"unexpected {type(error).__name__}: {error}; please report it with the steps that "
        "led to it, see the plugin's Issues page"
    )
    wrapped.__cause__ = error
    return wrapped


def _release(error: BaseException | None) -> None:
    """Let go of what the frames of `error` hold: the networks, and with them device memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
