"""The planes of a stack at work: read, restored with a known kernel, put into the result."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import (
    ConfigError,
    DeblurError,
    DeviceError,
    ImageError,
    OutOfMemoryError,
)
from napari_selfdeblur.io.images import Scale, cast_like
from napari_selfdeblur.io.stacks import Position, Stack
from napari_selfdeblur.numerics.stop import Stop, stopped
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.restoration import run_restoration
from napari_selfdeblur.run.stack_survey import StackSurvey

__all__ = ["FATAL", "Events", "Pace", "Planes"]

Events = Generator[Progress, None, None]
FATAL = (ConfigError, DeviceError, OutOfMemoryError)
"""Errors that every other plane would raise too."""


@dataclass(slots=True)
class Pace:
    """Time gone, and time left by how long each kind of work takes and how often it comes."""

    expected: dict[str, float] = field(default_factory=dict)  # seconds of one
    remaining: dict[str, int] = field(default_factory=dict)
    _begun: float = field(default_factory=time.perf_counter)
    _taken: dict[str, list[float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time since this was made."""
        return time.perf_counter() - self._begun

    def done(self, kind: str, seconds: float) -> None:
        """Count one piece of work as done."""
        self._taken.setdefault(kind, []).append(seconds)
        self.remaining[kind] = max(self.remaining.get(kind, 0) - 1, 0)

    def left(self, present: str | None = None, own: float | None = None) -> float | None:
        """Return the seconds left; `own` of them for the one of the kind `present` in progress."""
        total = 0.0 if own is None else own
        for kind, count in self.remaining.items():
            count -= kind == present and own is not None
            if count > 0:
                taken = self._taken.get(kind) or [self.expected.get(kind, math.nan)]
                total += count * float(np.mean(taken))
        return total if math.isfinite(total) else None


@dataclass(slots=True, eq=False)
class Planes:
    """The planes of one stack and what has become of each.

    Attributes
    ----------
    stack : Stack
        The blurred planes.
    out : array
        Of the stack's shape: first the blurred values, then plane after plane the results, in
        its own data type.
    stop : Stop or None
        Ends the work after the present plane.
    survey : StackSurvey
        What the blurred planes say.
    states : dict of Position to dict
        The planes' entries in the record.
    """

    stack: Stack
    out: Any
    stop: Stop | None = None
    pace: Pace = field(default_factory=Pace)
    survey: StackSurvey = field(init=False)
    states: dict[Position, dict[str, Any]] = field(init=False)
    scales: dict[int, Scale] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.survey = StackSurvey(self.stack)
        self.states = {
            position: {
                "index": self.stack.index(position),
                "state": "blurred",
                "estimate": None,
                "reason": "",
            }
            for position in self.stack
        }

    def read_all(self) -> Events:
        """Read every plane once; those that cannot be deblurred stay as they are.

        Raises
        ------
        ImageError
            If none can be.
        """
        for position in self.stack:
            try:
                plane = self.stack.read(position)
            except ImageError as unreadable:
                self.survey.problems[position] = unreadable
            else:
                self.survey.add(position, plane)
                self.put(position, plane)
            if position in self.survey.problems:
                self.fail([position], self.survey.problems[position])
            yield self.event(Progress("read", 1, 1, math.nan, 0.0), position)
        if not self.survey.facts:
            position, error = next(iter(self.survey.problems.items()))
            raise ImageError(f"{self.stack.name(position)}: {error}") from error
        self.scales = self.survey.scales()

    def usable(self, positions: Iterable[Position]) -> list[Position]:
        """Return those of `positions` that can be deblurred."""
        return [each for each in positions if each in self.survey.facts]

    def restore(
        self,
        positions: Iterable[Position],
        kernel: NDArray[np.float32] | None,
        config: RestoreConfig,
        estimate: int | None = None,
    ) -> Events:
        """Restore planes with a kernel; with None they stay as they are, for they are not blurred.

        A plane that fails stays blurred; so do all after a stop.
        """
        for position in positions:
            if stopped(self.stop):
                return
            begun = time.perf_counter()
            try:
                plane = self.stack.read(position)
                if kernel is None:
                    sharp = plane.astype(np.float32)
                else:
                    sharp = self._restored(position, plane, kernel, config)
            except FATAL:
                raise
            except DeblurError as error:
                self.fail([position], error)
                continue
            if stopped(self.stop) and kernel is not None:
                return  # it may have ended before its last step
            self.put(position, sharp)
            self.mark(position, "unchanged" if kernel is None else "restored", estimate)
            self.pace.done("restore", time.perf_counter() - begun)
            done = Progress("restore", 1, 1, math.nan, 0.0, sharp=sharp, kernel=kernel)
            yield self.event(done, position)

    def put(self, position: Position, plane: ArrayLike) -> None:
        """Put a plane into the result, in its data type."""
        values = np.asarray(plane)
        if np.dtype(self.out.dtype).kind != "f":
            values = np.nan_to_num(values)
        cast = cast_like(values, self.out.dtype)
        if position:
            self.out[position] = cast
        else:
            self.out[:] = cast

    def mark(self, position: Position, state: str, estimate: int | None) -> None:
        """Record what has become of a plane."""
        self.states[position] |= {"state": state, "estimate": estimate}

    def fail(self, positions: Iterable[Position], error: Exception) -> None:
        """Record why planes stay blurred."""
        for position in positions:
            self.states[position]["reason"] = str(error)

    def event(self, event: Progress, position: Position, kind: str | None = None) -> Progress:
        """Return an event of one plane as one of the whole stack; `kind` is its piece of work."""
        return replace(
            event,
            part=(self.stack.number(position), len(self.stack)),
            seconds=self.pace.seconds,
            seconds_left=self.pace.left(kind, event.seconds_left),
        )

    def entries(self) -> tuple[dict[str, Any], ...]:
        """Return the planes' entries in the record, in their order."""
        return tuple(self.states.values())

    def _restored(
        self,
        position: Position,
        plane: NDArray[Any],
        kernel: NDArray[np.float32],
        config: RestoreConfig,
    ) -> NDArray[np.float32]:
        return run_restoration(
            plane,
            kernel,
            config,
            rgb=self.stack.rgb,
            stop=self.stop,
            scale=self.scales[self.stack.channel(position)],
        ).sharp
