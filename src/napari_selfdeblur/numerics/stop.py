"""How a run or a restoration is ended early."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Stop", "stopped"]


class Stop(Protocol):
    """What ends a run early: a `threading.Event`, or anything with its `is_set`."""

    def is_set(self) -> bool:
        """Whether to end after the present step."""
        ...


def stopped(stop: Stop | None) -> bool:
    """Return whether there is a `stop` and it is set."""
    return stop is not None and stop.is_set()
