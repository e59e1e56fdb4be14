"""What is said of a run: in the panel, and in the same words as a notification."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_selfdeblur._napari.job import Job


def report_of(job: Job) -> tuple[str, list[str]]:
    """Return info, warning or error, and lines on a run's end: headline, reasons, advice."""
    if job.error is not None:
        kept = " The last estimate is kept." if job.layers[0] is not None else ""
        return "error", [f"Failed: {job.error}.{kept}"]
    assert job.result is not None
    record = job.result.record
    done = "Finished" if record.status == "finished" else "Stopped and kept"
    found = getattr(record, "size_found", "")  # a restoration has none, nor a verdict
    headline = " ".join([f"{done} after {clock(job.seconds)}.", *([found] if found else [])])
    verdict = getattr(record, "verdict", None)
    if not verdict or verdict["credible"]:
        return "info", [headline]
    lines = [f"• {line}" for line in (*verdict["reasons"], *verdict.get("advice", ()))]
    return "warning", [f"{headline} The result is doubtful.", *lines]


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
