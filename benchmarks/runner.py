"""Tasks to rows: what the results file has is skipped, each new row is written at once."""

from __future__ import annotations

import os
import platform
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

from benchmarks.results import Results, row_key
from benchmarks.task import Task
from benchmarks.worker import FAILED, limit_threads, measured, without
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.run.record import package_version, software_versions

__all__ = ["Finished", "pending", "run"]

_KILLED = "the process ended abruptly; the machine may be out of memory, run fewer side by side"


@dataclass(frozen=True, slots=True)
class Finished:
    """A measurement whose rows were just written.

    Attributes
    ----------
    task : Task
        What was measured.
    rows : list of dict
        Its rows.
    done, total : int
        Measurements of this run so far, and in all.
    """

    task: Task
    rows: list[dict[str, Any]]
    done: int
    total: int


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
) -> Iterator[Finished]:
    """Measure what is missing, and write the results file after each measurement.

    Parameters
    ----------
    tasks : sequence of Task
        Those that `results` has are skipped.
    results : Results
        Grows by the rows it lacks.
    jobs : int
        Processes side by side. Tasks of speed have a fresh process each.
    threads : int, optional
        Threads of each process; default: the cores shared out among the jobs.
    command : str
        What was called, kept in the file.

    Yields
    ------
    Finished
        After its rows were written. Closing the iterator waits for measurements under way and
        throws them away. One that ends in an error, or whose process ends, has rows with the
        status ``failed`` (or ``out of memory``) and the reason.

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
    results.runs.append(_header(command, jobs, threads))
    found = _side_by_side(todo, min(jobs, len(todo)), threads)
    try:
        for done, (task, rows) in enumerate(found, start=1):
            new = results.add(rows)
            results.write()
            yield Finished(task, new, done, len(todo))
    finally:
        found.close()


def _side_by_side(
    tasks: Sequence[Task], jobs: int, threads: int | None
) -> Generator[tuple[Task, list[dict[str, Any]]], None, None]:
    """Yield each task with its rows, in the order in which they are finished."""
    waiting = deque(tasks)
    # One process a pool: when one ends abruptly, it is known which task it had.
    idle = [_pool(threads) for _ in range(jobs)]
    busy: dict[Future[list[dict[str, Any]]], tuple[ProcessPoolExecutor, Task]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                pool, task = idle.pop(), waiting.popleft()
                busy[pool.submit(measured, task)] = pool, task
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                pool, task = busy.pop(future)
                try:
                    rows = future.result()
                except BrokenProcessPool:
                    rows = without(task, FAILED, _KILLED)
                broken = bool(rows) and rows[0].get("reason") == _KILLED
                if broken or task.kind == "speed":
                    pool.shutdown()
                    pool = _pool(threads)
                idle.append(pool)
                yield task, rows
    finally:
        for pool in [*idle, *(pool for pool, _ in busy.values())]:
            pool.shutdown(cancel_futures=True)


def _pool(threads: int | None) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=limit_threads, initargs=(threads,)
    )


def _header(command: str, jobs: int, threads: int | None) -> dict[str, Any]:
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
