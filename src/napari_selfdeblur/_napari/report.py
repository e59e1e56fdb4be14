"""What is said of a run: in the panel, and in the same words as a notification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_selfdeblur.run.stack_record import failed_of, summary

if TYPE_CHECKING:
    from napari_selfdeblur._napari.job import Job
    from napari_selfdeblur.run.events import Progress


def report_of(job: Job) -> tuple[str, list[str]]:
    """Return info, warning or error, and lines on a run's end: headline, reasons, advice."""
    if job.error is not None:
        kept = " The last estimate is kept." if job.layers[0] is not None else ""
        return "error", [f"Failed: {job.error}.{kept}"]
    assert job.result is not None
    record = job.result.record
    done = "Finished" if record.status == "finished" else "Stopped and kept"
    # a restoration has none of these, nor a verdict
    found = [getattr(record, name, "") for name in ("size_found", "cells_found", "left_out")]
    verdict = getattr(record, "verdict", None) or {"credible": True}
    planes = getattr(record, "planes", ())  # of a stack
    left = summary(planes)
    credible = verdict["credible"]
    said = () if credible else (*verdict["reasons"], *verdict.get("advice", ()))
    found += [failed_of(planes), "" if credible else "The result is doubtful."]
    headline = " ".join([f"{done} after {clock(job.seconds)}.", *filter(None, found)])
    lines = [headline, *(f"• {line}" for line in (*left, *said))]
    return "info" if credible and not left else "warning", lines


def part_of(progress: Progress) -> str:
    """Return the part of a stack that an event is of, in words: ``plane 3 of 8``."""
    return "plane {} of {}".format(*progress.part)


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
