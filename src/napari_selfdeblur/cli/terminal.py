"""Output of the commands: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from napari_selfdeblur.errors import DeblurWarning
from napari_selfdeblur.run.values import json_ready

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress

__all__ = [
    "Terminal",
    "complain",
    "others_quiet",
    "stopped_by_interrupt",
    "terminated_as_interrupted",
]

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
            _print(json.dumps(json_ready(values), allow_nan=False, indent=2) + "\n")
        elif not self.quiet:
            _print("".join(f"{line}\n" for line in lines))

    @contextmanager
    def optional(self, what: str) -> Iterator[None]:
        """Do something the results do not depend on: where it fails, say so and go on."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self.note(f"warning: {what}: {reason}")

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Write this package's warnings as notes."""

        def show(message: Warning | str, *where: object, **more: object) -> None:
            self.note(f"warning: {message}")

        with warnings.catch_warnings(action="always", category=DeblurWarning):
            warnings.showwarning = show
            yield

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
                    completed, total = _steps(progress)
                    bar.update(
                        task,
                        description=_stage(progress),
                        completed=completed,
                        total=total,
                        facts=_facts(progress),
                    )

                yield show

    @contextmanager
    def counted(self, total: int) -> Iterator[Callable[[int, str], None]]:
        """Give a function that shows how many of `total` are done, and the last one's line."""
        console = Console(file=cast(IO[str], _Lenient()))
        if self.quiet:
            yield lambda done, line: None
        elif not console.is_terminal:
            yield lambda done, line: self.note(f"{done}/{total}  {line}")
        else:
            facts = TextColumn("{task.fields[facts]}", markup=False)
            columns = (MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), facts)
            with ProgressBar(*columns, console=console) as bar:
                task = bar.add_task("batch", total=total, facts="")
                yield lambda done, line: bar.update(task, completed=done, facts=line)

    def _line(self, progress: Progress) -> None:
        done, total = _steps(progress)
        if done * _LINES // total > (done - 1) * _LINES // total:
            self.note(f"{_stage(progress)} {done}/{total}  {_facts(progress)}")


def complain(text: str) -> None:
    """Write a line to standard error, where there is one."""
    _Lenient().write(text + "\n")


def _print(text: str) -> None:
    """Write to standard output, where there is one, also what its encoding lacks."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()


@contextmanager
def others_quiet() -> Iterator[None]:
    """Keep the warnings of other packages, and what they log, off the screen."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        root.removeHandler(handler)


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
        # RuntimeError: a signal came while the stream was being written to.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            return getattr(self._stream, name)(*arguments)


@contextmanager
def stopped_by_interrupt(note: Callable[[str], None] | None = None) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second one interrupts as ever.

    `note` is then called with what to expect.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if note is not None:
            note("stopping: the estimate so far will be saved; Ctrl-C again quits at once")

    with _handling(handle, signal.SIGINT, signal.SIGTERM):
        yield stop


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, so that what is half done is cleaned up."""
    with _handling(signal.default_int_handler, signal.SIGTERM):
        yield


@contextmanager
def _handling(handle: Callable[..., object], *numbers: signal.Signals) -> Iterator[None]:
    """Handle signals with `handle`; the previous handlers are back in place afterwards.

    Python lets only the main thread handle signals: in any other they keep their meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _stage(progress: Progress) -> str:
    part, parts = progress.part
    if parts == 1 or progress.total == 1:
        return progress.stage
    return f"plane {part}/{parts}, {progress.stage}"


def _steps(progress: Progress) -> tuple[int, int]:
    """Return steps done and of how many: of a stack's stages of one step, its planes."""
    single = progress.total == 1 and progress.part[1] > 1
    return progress.part if single else (progress.iteration, progress.total)


def _facts(progress: Progress) -> str:
    loss = "" if math.isnan(progress.loss) else f"loss {progress.loss:.3e}  "
    left = progress.seconds_left
    rest = "" if left is None else f", {_clock(left)} left"
    return f"{loss}{_clock(progress.seconds)} elapsed{rest}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
