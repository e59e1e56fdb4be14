"""What happens in a run's thread, and what the main thread takes from it."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from superqt.utils import WorkerBase

from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.run.record import RestoreRecord

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult
    from napari_selfdeblur.run.stack_record import StackResult

    Result: TypeAlias = DeblurResult | RestoreResult | StackResult
    Outcome: TypeAlias = tuple[Result | None, DeblurError | None]


T = TypeVar("T")


class Worker(WorkerBase[T]):
    """Does work in a thread as superqt's worker does, but leaves Python's warnings alone.

    superqt's replaces `warnings.showwarning` for the time of the work. That belongs to the whole
    process: warnings of every thread would be lost, and two workers that overlap would leave it
    replaced. Here a warning goes where the process shows warnings, in napari as a notification.
    """

    def run(self) -> None:
        """Do the work and emit the signals; called by Qt."""
        self.started.emit()
        self._running = True
        try:
            result: Any = self.work()
            if not self.abort_requested:
                self.returned.emit(result)
        except Exception as error:
            self.errored.emit(error)
        self._running = False
        self.finished.emit()
        self._finished.emit(self)


class CallWorker(Worker[T]):
    """Calls a function in a thread; `returned` has what it returns."""

    def __init__(self, function: Callable[[], T]) -> None:
        super().__init__()
        self._function = function

    def work(self) -> T:
        """Call the function."""
        return self._function()


class RunWorker(Worker["Outcome"]):
    """Does one run in a thread, and is the run's stop flag.

    Errors are returned as values, with what a failed run had reached.

    Parameters
    ----------
    work : callable
        Does the run and returns its result, None for a batch; it receives this worker, to look
        at `is_set` after each step and to give each event to `receive`.

    Attributes
    ----------
    events, previews : deque of Progress
        The newest event and the newest preview, so that a busy viewer piles up none.
    """

    def __init__(self, work: Callable[[RunWorker], Result | None]) -> None:
        super().__init__()
        self._work = work
        self._stopped = False
        self.events: deque[Progress] = deque(maxlen=1)
        self.previews: deque[Progress] = deque(maxlen=1)

    def stop(self) -> None:
        """Ask the run to end after its present step, with what it has."""
        self._stopped = True

    def is_set(self) -> bool:
        """Whether the run is to end: also when napari quits its workers."""
        return self._stopped or self.abort_requested

    def receive(self, progress: Progress) -> None:
        """Keep an event of the run until the main thread takes it."""
        self.events.append(progress)
        if progress.sharp is not None:
            self.previews.append(progress)

    def work(self) -> Outcome:
        """Do the run; return its result, and the error of a failed one."""
        try:
            return self._work(self), None
        except Exception as error:
            reported = _as_deblur_error(error)
            return reported.result, reported


def kernels_of(result: Result) -> NDArray[np.float32] | None:
    """Return the kernel, or a stack's, that a run has estimated; None of a restoration."""
    if isinstance(result.record, RestoreRecord):
        return None
    kernels = getattr(result, "kernels", None)  # of a stack
    found: NDArray[np.float32] | None = getattr(result, "kernel", kernels)
    return found


def _as_deblur_error(error: Exception) -> DeblurError:
    """Return `error` as one to hand over, without what its frames hold: the networks' memory."""
    each: BaseException | None = error
    while each is not None:
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
    if isinstance(error, DeblurError):
        return error
    wrapped = DeblurError(
        f"unexpected {type(error).__name__}: {error}; please report it with the steps that "
        "led to it, see the plugin's Issues page"
    )
    wrapped.__cause__ = error
    return wrapped
