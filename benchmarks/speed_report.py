"""Rows of the speed benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.frame import config_of, markdown, number

_NOTES = """\
Each measurement has a process of its own. Steps of all paths on one image size are timed in turn,
over and over, each after one of its own kind that is not timed; a ratio is the median of the ratios
turn by turn, with the least and the greatest in brackets, and less than 1 is faster. *Plain* is the
eager float32 step without any optimisation; the full network is that of the preset `official`. A
peak is on top of what the process held before the run. R is the time of 5000 plain steps of the
full network: 5000 times the median of steps timed in the same process, before the first of these
runs and after the last, with the loss of four fifths of the schedule, 1 - SSIM. The image of whole
runs is the package's motion-blurred photograph. `official` is shortened to the steps in the table,
its schedule with them."""
_HEADINGS = {
    "step": "Time of one step",
    "memory": "Peak memory",
    "run": "Whole runs",
}

Row = Mapping[str, Any]


def sections(rows: Iterable[Row]) -> list[str]:
    """Return the paragraphs of the report on speed, none where there are no rows of it."""
    kept = [row for row in rows if row["kind"] == "speed"]
    parts = ["## Speed", _NOTES] if kept else []
    for method, heading in _HEADINGS.items():
        found: dict[str, list[Row]] = {}
        for row in kept:
            if row["method"] == method:
                made = [heading, row.get("device"), row.get("file")]
                found.setdefault(", ".join(filter(None, made)), []).append(row)
        for title, own in found.items():
            parts.append(f"### {title}")
            parts.append(markdown(map(_cells, own)))
    return parts


def _cells(row: Row) -> dict[str, Any]:
    method, config = row["method"], config_of(row)
    cells: dict[str, Any]
    named: dict[str, Any] = {"image": row["image"], "kernel": row["kernel"]}
    named |= {"network": row.get("network") or row.get("preset"), "path": row.get("path")}
    if row["status"] != "finished":
        return named | {"not measured": f"{row['status']}: {row['reason']}"}
    if method == "step":
        own, full = _ratio(row), _ratio(row, "_full")
        cells = {"ms a step": number(1000 * row["median"], 1), "of its plain step": own}
        cells |= {"of the full network's plain step": full, "steps timed": len(row["seconds"])}
    elif method == "memory":
        cells = {f"{n}, GB": number(row[n] / 1e9, 2) for n in ("peak", "predicted")}
        cells |= {"predicted / measured": number(row["ratio"], 2)}
    else:
        networks = config is None or config.solvers != ("edges",)
        share = row["ratio"] and f"1/{1 / row['ratio']:.1f}"
        cells = {"steps": row["config"]["iterations"] if networks else None}
        cells |= {"seconds": number(row["seconds"], 1), "of R": share}
        cells |= {"plain step, ms": number(1000 * (row["reference_step"] or float("nan")), 1)}
        cells |= {"PSNR at the end, dB": number(row["psnr"], 2)}
    return named | cells


def _ratio(row: Row, suffix: str = "") -> str | None:
    ratios = row["ratios" + suffix]
    if not ratios:
        return None
    return f"{row['ratio' + suffix]:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
