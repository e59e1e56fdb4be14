"""The table of a batch: a line for each frame that is done in its store or failed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_selfdeblur.io.writing import write_text

if TYPE_CHECKING:
    from napari_selfdeblur.io.stores import Store
    from napari_selfdeblur.run.batch_frame import FrameReport

__all__ = ["COLUMNS", "as_row", "write_summary"]

COLUMNS = (
    "input", "output", "plane", "status", "credible", "score", "kernel_size", "seconds", "reason",
)  # fmt: skip
"""Fields of a frame's report."""


def as_row(report: FrameReport) -> dict[str, Any]:
    """Return a report by `COLUMNS`."""
    values = asdict(report)
    return {name: values[name] for name in COLUMNS}


def write_summary(store: Store, failed: Iterable[FrameReport]) -> None:
    """Write the lines of all frames done in a store, by any batch, and of those that failed now.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    rows = [as_row(each) for each in failed]
    now = {(row["output"], row["plane"]) for row in rows}
    done = (marker["report"] for marker in store.markers())
    rows += [each for each in done if (each["output"], each["plane"]) not in now]
    places = {name: place for place, name in enumerate((store.manifest() or {})["images"])}

    def order(row: Mapping[str, Any]) -> tuple[int, list[int]]:
        indices = [int(number) for number in re.findall(r"\d+", row["plane"])]
        return places.get(row["output"], len(places)), indices

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=order))
    write_text(store.summary_path(), text.getvalue())
