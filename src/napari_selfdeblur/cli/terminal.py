"""What the commands say: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar

from napari_selfdeblur.run.record import json_ready

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Progress

__all__ = ["Terminal", "stopped_by_interrupt"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """How much to say, and in which form.

    Attributes
    ----------
    quiet : bool
        Nothing but errors and, where asked for, JSON.
    as_json : bool
        Results as one JSON object instead of lines.
    """

    quiet: bool = False
    as_json: bool = False

    def note(self, text: str) -> None:
        """Write a line about the run to standard error."""
        if not self.quiet:
            sys.stderr.write(text + "\n")

    def result(self, lines: Sequence[str], values: Mapping[str, Any]) -> None:
        """Write the results to standard output: `values` as JSON, or `lines`."""
        if self.as_json:
            sys.stdout.write(json.dumps(json_ready(values), allow_nan=False, indent=2) + "\n")
        elif not self.quiet:
            sys.stdout.write("".join(f"{line}\n" for line in lines))

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Give a function that shows each progress: a bar, or ten lines where nobody watches."""
        console = Console(stderr=True)
        if self.quiet:
            yield lambda progress: None
        elif not console.is_terminal:
            yield self._line
        else:
            columns = (
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("loss {task.fields[loss]}"),
                TimeElapsedColumn(),
                TextColumn("elapsed,"),
                TimeRemainingColumn(),
                TextColumn("left"),
            )
            with ProgressBar(*columns, console=console) as bar:
                task = bar.add_task("steps", total=None, loss="-")

                def show(progress: Progress) -> None:
                    done, total = progress.iteration, progress.total
                    bar.update(task, completed=done, total=total, loss=f"{progress.loss:.3e}")

                yield show

    def _line(self, progress: Progress) -> None:
        done, total, left = progress.iteration, progress.total, progress.seconds_left
        if left is None:
            self.note(f"draft  {_clock(progress.seconds)} elapsed")
        elif done * 10 // total > (done - 1) * 10 // total:
            self.note(
                f"step {done}/{total}  loss {progress.loss:.3e}  "
                f"{_clock(progress.seconds)} elapsed, {_clock(left)} left"
            )


@contextmanager
def stopped_by_interrupt() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; the second one interrupts as ever.

    The previous handler is back in place afterwards. Python lets only the main thread handle
    signals: in any other, Ctrl-C keeps its meaning.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
