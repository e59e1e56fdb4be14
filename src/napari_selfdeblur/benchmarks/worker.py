"""A process that measures: one task a line on standard input, one answer a line on its output.

Run as ``python -m napari_selfdeblur.benchmarks.worker``. Plain JSON both ways; how many threads
it may use is said by the environment it was started in.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Any

from napari_selfdeblur.benchmarks.speed.tasks import SpeedTask
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.errors import DeblurError

__all__ = ["answer", "main"]


def answer(line: str) -> dict[str, Any]:
    """Return ``{"row": ...}`` for a task, or ``{"error": class, "message": text}``.

    A task of the speed benchmark has several: ``{"rows": [...]}``.
    """
    values = json.loads(line)
    try:
        if values["kind"] == "speed":
            from napari_selfdeblur.benchmarks.speed.measure import measure_speed

            return {"rows": measure_speed(SpeedTask.from_dict(values))}
        from napari_selfdeblur.benchmarks.measure import measure

        return {"row": measure(Task.from_dict(values))}
    except (DeblurError, OSError) as error:
        return {"error": type(error).__name__, "message": str(error)}


def main() -> int:
    """Answer until the input ends; return the exit status."""
    answers = sys.stdout
    # What a library prints must not end up between the answers.
    with redirect_stdout(sys.stderr):
        try:
            for line in sys.stdin:
                answers.write(json.dumps(answer(line), allow_nan=False) + "\n")
                answers.flush()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
