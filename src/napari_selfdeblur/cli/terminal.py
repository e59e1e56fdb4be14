"""Output of the commands: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as ProgressBar

from napari_selfdeblur.run.values import json_ready

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress

__all__ = ["Terminal", "complain", "stopped_by_interrupt"]

_LINES = 5  # of each stage, where standard error is not a terminal


@dataclass(frozen=True, slots=True)
class Terminal:
    """What is printed: if `quiet` errors and JSON alone; with `as_json` results as an object."""

    quiet: bool = False
    as_json: bool = False

    def note(self, text: str) -> None:
        """Write a line about the run to standard error."""
        if not self.quiet:
            complain(text)

    def result(self, lines: Sequence[str], values: Mapping[str, Any]) -> None:
        """Write the results to standard output: `values` as JSON, or `lines`."""
        if self.as_json:
            sys.stdout.write(json.dumps(json_ready(values), allow_nan=False, indent=2) + "\n")
        elif not self.quiet:
            sys.stdout.write("".join(f"{line}\n" for line in lines))

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Give a function that shows each event: a bar, or a few lines without a terminal."""
        console = Console(file=cast(IO[str], _Lenient()))
        if self.quiet:
            yield lambda progress: None
        elif not console.is_terminal:
            yield self._line
        else:
            facts = TextColumn("{task.fields[facts]}")
            columns = ("{task.description}", MofNCompleteColumn(), BarColumn(), facts)
            with ProgressBar(*columns, console=console) as bar:
                task = bar.add_task("starting", total=None, facts="")

                def show(progress: Progress) -> None:
                    bar.update(
                        task,
                        description=_stage(progress),
                        completed=progress.iteration,
                        total=progress.total,
                        facts=_facts(progress),
                    )

                yield show

    def _line(self, progress: Progress) -> None:
        done, total = progress.iteration, progress.total
        if done * _LINES // total > (done - 1) * _LINES // total:
            self.note(f"{_stage(progress)} {done}/{total}  {_facts(progress)}")


def complain(text: str) -> None:
    """Write a line to standard error, where there is one."""
    _Lenient().write(text + "\n")


class _Lenient:
    """Standard error; a closed one takes everything and shows nothing."""

    def __init__(self) -> None:
        # The stream itself: a bar on a terminal puts its own in place of sys.stderr meanwhile.
        self._stream = sys.stderr
        self.encoding = getattr(sys.stderr, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._do("write", text)
        return len(text)

    def flush(self) -> None:
        self._do("flush")

    def isatty(self) -> bool:
        return bool(self._do("isatty"))

    def _do(self, name: str, *arguments: str) -> Any:
        with suppress(AttributeError, OSError, ValueError):
            return getattr(self._stream, name)(*arguments)


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


def _stage(progress: Progress) -> str:
    part, parts = progress.part
    return f"part {part}/{parts}, {progress.stage}" if parts > 1 else progress.stage


def _facts(progress: Progress) -> str:
    loss = "" if math.isnan(progress.loss) else f"loss {progress.loss:.3e}  "
    left = progress.seconds_left
    rest = "" if left is None else f", {_clock(left)} left"
    return f"{loss}{_clock(progress.seconds)} elapsed{rest}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
