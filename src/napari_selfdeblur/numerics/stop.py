"""How a run or a restoration is ended early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from napari_selfdeblur.errors import ConfigError

__all__ = ["Interrupted", "Stop", "checked_stop", "interruptible", "stop_point", "stopped"]

_PATIENCE = 0.5  # seconds that a step may take to its end: one that ends is not lost


class Stop(Protocol):
    """What ends a run early: a `threading.Event`, or anything with its `is_set`."""

    def is_set(self) -> bool:
        """Whether to end after the present step."""
        ...


class Interrupted(Exception):
    """A long step was ended in its middle. It never leaves this package."""


def stopped(stop: Stop | None) -> bool:
    """Return whether there is a `stop` and it is set."""
    return stop is not None and stop.is_set()


def checked_stop(stop: Stop | None) -> Stop | None:
    """Return `stop`, or raise `ConfigError` where it is nothing that can be set."""
    if stop is not None and (isinstance(stop, type) or not callable(getattr(stop, "is_set", 0))):
        raise ConfigError(
            f"stop must be a threading.Event, got {stop!r:.100}; set it to end the run",
            field="stop",
        )
    return stop


@dataclass(slots=True)
class _Watch:
    stop: Stop
    noticed: float | None = None


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def interruptible(stop: Stop | None) -> Iterator[None]:
    """Let every `stop_point` inside raise, from half a second after `stop` is set.

    No generator may yield inside.
    """
    token = _watch.set(None if stop is None else _Watch(stop))
    try:
        yield
    finally:
        _watch.reset(token)


def stop_point() -> None:
    """Raise `Interrupted` where the work around this was to end; called within long steps."""
    watch = _watch.get()
    if watch is None or not watch.stop.is_set():
        return
    now = time.monotonic()
    if watch.noticed is None:
        watch.noticed = now
    elif now - watch.noticed > _PATIENCE:
        raise Interrupted
