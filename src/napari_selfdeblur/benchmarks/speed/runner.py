"""Speed tasks to rows: each in a fresh process, each row written as soon as it is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from napari_selfdeblur import errors
from napari_selfdeblur.benchmarks.results import Results, row_key
from napari_selfdeblur.benchmarks.runner import header, thread_environment
from napari_selfdeblur.benchmarks.speed.tasks import SpeedTask
from napari_selfdeblur.errors import ConfigError, DeblurError

__all__ = ["pending", "run"]


def pending(tasks: Sequence[SpeedTask], results: Results) -> list[SpeedTask]:
    """Return the tasks of which `results` lacks a row."""
    have = results.keys()
    return [t for t in tasks if any(row_key(row) not in have for row in t.identities())]


def run(
    tasks: Sequence[SpeedTask],
    results: Results,
    *,
    threads: int | None = None,
    command: str = "",
    device: str = "",
) -> Iterator[tuple[SpeedTask, list[dict[str, Any]]]]:
    """Measure what is missing, and write the results file after each task.

    Parameters
    ----------
    tasks : sequence of SpeedTask
        Those that `results` has are skipped.
    results : Results
        Grows by the rows it lacks.
    threads : int, optional
        Threads of each process; as many as torch likes unless told.
    command, device : str
        What was asked for and where it runs, kept in the file.

    Yields
    ------
    (SpeedTask, list of dict)
        The task, and its new rows.

    Raises
    ------
    ConfigError
        If `threads` is less than 1.
    DeblurError
        What the process raised; also if it ends unexpectedly. One that the system ends for
        lack of memory is a result, with the status ``out of memory``.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}; try 1")
    todo = pending(tasks, results)
    if not todo:
        return
    results.runs.append(header(command, 1, threads) | {"device": device})
    for task in todo:
        have = results.keys()
        found = [row for row in _measured(task, threads) if row_key(row) not in have]
        rows = [row | {"run": len(results.runs) - 1} for row in found]
        results.rows += rows
        results.write()
        yield task, rows


def _measured(task: SpeedTask, threads: int | None) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "napari_selfdeblur.benchmarks.worker"],
        input=json.dumps(task.to_dict()) + "\n",
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | (thread_environment(threads) if threads else {}),
        check=False,
    )
    reply = json.loads(done.stdout) if done.stdout else {}
    if "rows" in reply:
        rows: list[dict[str, Any]] = reply["rows"]
        return rows
    if reply.get("error") == "OutOfMemoryError":
        return _without_memory(task, reply["message"])
    if reply:
        known = getattr(errors, reply["error"], DeblurError)
        raise known(f"{task.label}: {reply['message']}")
    if sys.platform != "win32" and done.returncode == -signal.SIGKILL:
        return _without_memory(task, "the system ended the process")
    raise DeblurError(
        f"the process measuring {task.label} ended with status {done.returncode}; "
        "see the message above"
    )


def _without_memory(task: SpeedTask, reason: str) -> list[dict[str, Any]]:
    return [row | {"status": "out of memory", "reason": reason} for row in task.identities()]
