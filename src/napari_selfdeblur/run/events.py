"""What a run reports while it is in progress, and when a preview is due."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.solvers.base import Estimate
from napari_selfdeblur.settings import Integer, Number

__all__ = ["Clock", "Previews", "Progress", "check_progress", "drained"]

R = TypeVar("R")

_RECENT = 20  # steps that the present rate is taken from


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """One event of a run: facts and copies, nothing that changes later.

    Attributes
    ----------
    stage : str
        Name of a solver, or ``size``, ``fuse``, ``restart``, ``refine``, ``spread``, ``grid`` or
        ``restore``; of a stack ``read`` too. Empty where the run was stopped in its first step.
    iteration, total : int
        Step of the stage, from 1, and its number of steps; 0 where no step was done.
    loss : float
        Objective of this step; NaN where the stage has none.
    seconds : float
        Time since the run began, or was resumed.
    seconds_left : float or None
        Time left for the whole run: by the rate of this stage's recent steps, and what the
        stages to come are expected to take. None where nothing is known yet.
    part : (int, int)
        Plane of a stack or frame of a batch, from 1, and how many there are.
    sharp : ndarray of float32 or None
        Where a preview is due: the best estimate so far, by its assessment, in the image's
        shape and value range. The last event of a run always has it: there it is the result.
    kernel : ndarray of float32, (kh, kw), or None
        The kernel of `sharp`, summing to 1.
    iterate : Estimate or None
        Where a preview is due: this step's own estimate, in the image's value range.
    """

    stage: str
    iteration: int
    total: int
    loss: float
    seconds: float
    seconds_left: float | None = None
    part: tuple[int, int] = (1, 1)
    sharp: NDArray[np.float32] | None = None
    kernel: NDArray[np.float32] | None = None
    iterate: Estimate | None = None


class Clock:
    """Time gone and time left of a run.

    Parameters
    ----------
    expected : mapping of str to float
        Seconds that each stage is expected to take, in the order of the stages.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self._expected = dict(expected)
        self._begun = time.perf_counter()
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT + 1)

    @property
    def seconds(self) -> float:
        """Time since the clock was made."""
        return time.perf_counter() - self._begun

    def begin(self, stage: str, done: int) -> None:
        """Begin a stage of which `done` steps were done before."""
        while stage in self._expected:
            del self._expected[next(iter(self._expected))]  # what comes before it, and itself
        self._recent.clear()
        self._recent.append((done, self.seconds))

    def left(self, step: int, total: int) -> float | None:
        """Return the time left after `step` of `total` in the present stage."""
        self._recent.append((step, self.seconds))
        (first, begun), (last, now) = self._recent[0], self._recent[-1]
        if last == first:
            return None
        later = sum(self._expected.values())
        return (now - begun) / (last - first) * (total - step) + later


class Previews:
    """When a preview is due.

    Parameters
    ----------
    seconds : float or None
        At most one in so many seconds, > 0.
    steps : int or None
        One every so many steps, >= 1.

    Raises
    ------
    ConfigError
        If one of them is out of range.
    """

    def __init__(self, seconds: float | None = None, steps: int | None = None) -> None:
        if seconds is not None:
            seconds = Number(label="", help="", above=True).check("preview_seconds", seconds)
        if steps is not None:
            steps = Integer(label="", help="", low=1).check("preview_steps", steps)
        self._seconds, self._steps = seconds, steps
        self._shown = time.perf_counter()

    def due(self, step: int, *, last: bool = False) -> bool:
        """Whether the event of `step` is to have a preview; of a solver the `last` one has it too.

        Where no previews were asked for, none is ever due.
        """
        now = time.perf_counter()
        by_time = self._seconds is not None and (last or now - self._shown >= self._seconds)
        due = by_time or (self._steps is not None and (last or step % self._steps == 0))
        if due:
            self._shown = now
        return due


def check_progress(on_progress: Any) -> None:
    """Raise `ConfigError` unless `on_progress` is a function or None."""
    if on_progress is not None and not callable(on_progress):
        raise ConfigError(f"on_progress must be a function, got {on_progress!r:.100}")


def drained(
    events: Generator[Progress, None, R], on_progress: Callable[[Progress], object] | None = None
) -> R:
    """Return what `events` return, giving each one to `on_progress`."""
    while True:
        try:
            progress = next(events)
        except StopIteration as end:
            result: R = end.value
            return result
        if on_progress is not None:
            on_progress(progress)
