"""What a worker process runs. Light to load: thread counts are set before NumPy and torch are."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from benchmarks.task import Task
from napari_selfdeblur.errors import DeblurError, OutOfMemoryError

FAILED = "failed"
"""Status of a row whose measurement ended in an error; the next run measures it again."""
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def begin(threads: int | None) -> None:
    """Set this process's thread counts, for libraries not loaded yet; end when its parent ends."""
    if threads is not None:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    if (parent := parent_process()) is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # whatever it computes: nobody is left to take it


def measured(task: Task) -> list[dict[str, Any]]:
    """Return the rows of `task`, JSON-ready; an error is a row that holds its reason."""
    try:
        rows: list[dict[str, Any]] = import_module(f"benchmarks.{task.kind}").measure(task)
    except OutOfMemoryError as error:
        return without(task, "out of memory", str(error))
    except Exception as error:  # one failure does not end a night of measurements
        if not isinstance(error, DeblurError | OSError):
            traceback.print_exc(file=sys.stderr)
        return without(task, FAILED, f"{type(error).__name__}: {error}")
    return [known | row for known, row in zip(task.identities(), rows, strict=True)]


def without(task: Task, status: str, reason: str) -> list[dict[str, Any]]:
    """Return the rows of a task that was not measured."""
    return [row | {"status": status, "reason": reason} for row in task.identities()]
