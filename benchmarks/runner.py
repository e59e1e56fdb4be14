"""Tasks to rows: what the results file has is skipped, each new row is written at once."""

from __future__ import annotations

import os
import platform
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

from benchmarks.results import Results, row_key
from benchmarks.task import Task
from benchmarks.worker import FAILED, begin, measured, without
from napari_selfdeblur._version import __version__
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.run.record import software_versions

_KILLED = "the process ended abruptly; the machine may be out of memory, run fewer side by side"
Rows = list[dict[str, Any]]


def pending(tasks: Sequence[Task], results: Results) -> list[Task]:
    """Return the tasks of which `results` lacks a row with the same image and settings."""
    have = results.finished()
    return [task for task in tasks if any(row_key(row) not in have for row in task.identities())]


def run(
    tasks: Sequence[Task],
    results: Results,
    *,
    jobs: int = 1,
    threads: int | None = None,
    command: str = "",
) -> Iterator[tuple[Task, Rows]]:
    """Measure what `results` lacks; yield each task with its new rows once they are written.

    A task that ends in an error, or whose process ends, has rows with the status ``failed`` and
    the reason. `jobs` processes run side by side, each with `threads` threads: by default one
    with torch's own number, of several the cores shared out among them. Tasks of speed and of
    frames have a fresh process each. `command` is kept in the file. Closing the iterator waits for
    what is under way and discards it.

    Raises
    ------
    ConfigError
        If `jobs` or `threads` is less than 1.
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
    found = _side_by_side(todo, min(jobs, len(todo)), threads)
    try:
        for task, rows in found:
            new = results.add(rows)
            results.write()
            yield task, new
    finally:
        found.close()


def _side_by_side(
    tasks: Sequence[Task], jobs: int, threads: int | None
) -> Generator[tuple[Task, Rows], None, None]:
    """Yield each task with its rows, in the order in which they are finished."""

    def pool() -> ProcessPoolExecutor:
        # One process each: when it ends abruptly, it is known which task it had.
        context = get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=begin, initargs=(threads,))

    waiting, idle = deque(tasks), [pool() for _ in range(jobs)]
    busy: dict[Future[Rows], tuple[ProcessPoolExecutor, Task]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, task = idle.pop(), waiting.popleft()
                busy[worker.submit(measured, task)] = worker, task
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, task = busy.pop(future)
                broken = isinstance(future.exception(), BrokenProcessPool)
                if broken or task.kind in ("speed", "frames"):
                    worker.shutdown()
                    worker = pool()
                idle.append(worker)
                yield task, without(task, FAILED, _KILLED) if broken else future.result()
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.shutdown(cancel_futures=True)


def header(command: str, jobs: int, threads: int | None) -> dict[str, Any]:
    """Return what a results file keeps of a run: command, date, versions and machine."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "versions": software_versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "jobs": jobs,
        "threads": threads,
    }
