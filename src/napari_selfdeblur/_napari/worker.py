"""What happens in a run's thread, and how its news reach the main thread."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Progress
    from napari_selfdeblur.run.run import DeblurResult

__all__ = ["Mailbox", "Outcome", "reportable", "run_steps"]

_REPORT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. Errors are handed over as values: a worker swallows some when raised.

    Attributes
    ----------
    result : DeblurResult or None
        What a run that was finished or stopped leaves behind.
    error : DeblurError or None
        Why it failed; an error of another kind is its cause.
    """

    result: DeblurResult | None = None
    error: DeblurError | None = None


class Mailbox:
    """Holds the newest progress and the newest preview, so that a busy viewer piles up none."""

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
        """Return newest progress and newest preview, and hold neither any more."""
        with self._lock:
            taken = self._progress, self._preview
            self._progress = self._preview = None
        return taken


def run_steps(
    image: NDArray[np.generic],
    config: SelfDeblurConfig,
    rgb: bool,
    preview_seconds: float,
    stop: threading.Event,
    mailbox: Mailbox,
) -> Generator[None, None, Outcome]:
    """Run in the thread; a bare yield says that there is news, and lets the worker be quit.

    Parameters
    ----------
    image : ndarray, (H, W), (H, W, 3) or (H, W, 4)
        Read, never written.
    config : SelfDeblurConfig
        What to run.
    rgb : bool
        Whether the last axis is colour.
    preview_seconds : float
        Seconds between two previews.
    stop : threading.Event
        Ends the run after its present step.
    mailbox : Mailbox
        Receives every progress.

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
        # Here and not above: this import loads torch.
        from napari_selfdeblur.run.run import iter_deblur

        steps = iter_deblur(
            image, config=config, rgb=rgb, preview_seconds=preview_seconds, stop=stop
        )
        reported = -_REPORT_SECONDS
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return Outcome(result=end.value)
            mailbox.put(progress)
            now = time.monotonic()
            if progress.sharp is not None or now - reported >= _REPORT_SECONDS:
                reported = now
                yield
    except Exception as error:
        return Outcome(error=reportable(error))


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
