"""Tasks to rows: what the results file has is skipped, each new row is written at once."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

from napari_selfdeblur import errors
from napari_selfdeblur.benchmarks.results import Results, row_key
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.run.record import package_version, software_versions

__all__ = ["Finished", "header", "pending", "run", "thread_environment"]

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A row that was just written.

    Attributes
    ----------
    row : dict
        What was measured.
    done, total : int
        Rows of this run so far, and in all.
    """

    row: dict[str, Any]
    done: int
    total: int


def pending(tasks: Sequence[Task], results: Results) -> list[Task]:
    """Return the tasks of which `results` has no row with the same case and settings."""
    have = results.keys()
    return [task for task in tasks if row_key(task.identity()) not in have]


def run(
    tasks: Sequence[Task],
    results: Results,
    *,
    jobs: int = 1,
    threads: int | None = None,
    command: str = "",
) -> Iterator[Finished]:
    """Measure what is missing, and write the results file after each row.

    Parameters
    ----------
    tasks : sequence of Task
        Those that `results` has are skipped.
    results : Results
        Grows by one row a task.
    jobs : int
        Processes side by side. One without `threads` is this very process.
    threads : int, optional
        Threads of each process; the cores shared out among the jobs unless told.
    command : str
        What was asked for, kept in the file.

    Yields
    ------
    Finished
        After the row was written. Closing the iterator ends the processes; what they were at
        is measured by the next run.

    Raises
    ------
    ConfigError
        If `jobs` or `threads` is less than 1.
    DeblurError
        As `measure`; also if a process ends unexpectedly.
    """
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}; try 1")
    todo = pending(tasks, results)
    if not todo:
        return
    if jobs > 1 and threads is None:
        threads = max(1, (os.cpu_count() or 1) // jobs)
    results.runs.append(header(command, jobs, threads))
    rows = _here(todo) if threads is None else _side_by_side(todo, min(jobs, len(todo)), threads)
    try:
        for done, row in enumerate(rows, start=1):
            results.rows.append(row | {"run": len(results.runs) - 1})
            results.write()
            yield Finished(results.rows[-1], done, len(todo))
    finally:
        rows.close()


def header(command: str, jobs: int, threads: int | None) -> dict[str, Any]:
    """Return what a results file keeps of a run: command, date, versions and machine."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": package_version(),
        "versions": software_versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "jobs": jobs,
        "threads": threads,
    }


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that give a process, started with them, so many threads."""
    return dict.fromkeys(_THREADS, str(threads))


def _here(tasks: Sequence[Task]) -> Generator[dict[str, Any], None, None]:
    from napari_selfdeblur.benchmarks.measure import measure

    for task in tasks:
        yield measure(task)


def _side_by_side(
    tasks: Sequence[Task], jobs: int, threads: int
) -> Generator[dict[str, Any], None, None]:
    waiting, answers = deque(tasks), SimpleQueue[dict[str, Any] | Exception]()
    workers: list[_Worker] = []
    servants: list[threading.Thread] = []

    def serve(worker: _Worker) -> None:
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            try:
                answers.put(worker.measure(task))
            except Exception as error:  # handed to the consumer, who raises it
                answers.put(error)
                return

    try:
        for _ in range(jobs):
            workers.append(_Worker(threads))
            servants.append(threading.Thread(target=serve, args=(workers[-1],), daemon=True))
            servants[-1].start()
        for _ in tasks:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        waiting.clear()
        for worker in workers:
            worker.end()
        for servant in servants:
            servant.join()
        for worker in workers:
            worker.close()


class _Worker:
    """A process of `worker.main`, its thread counts set in its environment alone."""

    def __init__(self, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "napari_selfdeblur.benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | thread_environment(threads),
        )

    def measure(self, task: Task) -> dict[str, Any]:
        """Return the row of `task`, or raise what the process reported."""
        line = self._ask(json.dumps(task.to_dict()))
        if not line:
            raise DeblurError(
                f"the process measuring {task.case.label} ended with status "
                f"{self._process.wait()}; run again with fewer jobs, or see the message above"
            )
        reply = json.loads(line)
        if "row" in reply:
            row: dict[str, Any] = reply["row"]
            return row
        known = getattr(errors, reply["error"], DeblurError)
        raise known(f"{task.case.label}: {reply['message']}")

    def _ask(self, line: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return ""
        try:
            stdin.write(line + "\n")
            stdin.flush()
        except BrokenPipeError:
            return ""
        return stdout.readline()

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes, when nobody waits at their other end any more."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
