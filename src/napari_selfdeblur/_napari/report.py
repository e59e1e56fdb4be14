"""What is said of a run: in the panel, and in the same words as a notification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_selfdeblur._napari.job import Job

__all__ = ["Report", "clock", "report_of"]


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended, in words.

    Attributes
    ----------
    kind : {"info", "warning", "error"}
        How serious it is.
    headline : str
        One or two sentences.
    details : str
        Reasons and advice, a line each; may be empty.
    """

    kind: Literal["info", "warning", "error"]
    headline: str
    details: str = ""

    @property
    def text(self) -> str:
        """Headline and details."""
        return f"{self.headline}\n{self.details}" if self.details else self.headline


def report_of(job: Job) -> Report:
    """Return what is to be said of a job that has ended."""
    if job.error is not None:
        kept = " The last estimate is kept." if job.layers[0] is not None else ""
        return Report("error", f"Failed: {job.error}.{kept}")
    assert job.result is not None
    record = job.result.record
    done = "Finished" if record.status == "finished" else "Stopped and kept"
    headline = f"{done} after {clock(job.seconds)}."
    verdict = getattr(record, "verdict", None)
    if not verdict or verdict["credible"]:
        return Report("info", headline)
    lines = [f"• {line}" for line in (*verdict["reasons"], *verdict.get("advice", ()))]
    return Report("warning", f"{headline} The result is doubtful.", "\n".join(lines))


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
