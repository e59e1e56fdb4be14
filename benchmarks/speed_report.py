"""Rows of the speed benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.frame import config_of, joined, markdown, number

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
_HEADINGS = {"step": "Time of one step", "memory": "Peak memory", "run": "Whole runs"}

Row = Mapping[str, Any]


def sections(rows: Iterable[Row]) -> list[str]:
    """Return the paragraphs of the report on speed, none where there are no rows of it."""
    tables: dict[str, list[Row]] = {}
    timed = [row for row in rows if row["kind"] == "speed"]
    for method, heading in _HEADINGS.items():
        for row in timed:
            if row["method"] == method:
                title = ", ".join(filter(None, [heading, row.get("device"), row.get("file")]))
                tables.setdefault(title, []).append(row)
    parts = ["## Speed", _NOTES] if tables else []
    for title, own in tables.items():
        parts += [f"### {title}", markdown(map(_cells, own))]
    return parts


def sentences(rows: Iterable[Row]) -> list[str]:
    """Return what whole runs take, in a sentence, none where none was timed."""
    timed = (row for row in rows if row["kind"] == "speed" and row["method"] == "run")
    rated = [row for row in timed if row.get("ratio")]
    if not rated:
        return []
    found = [f"{r['seconds']:.1f} s for `{r['network']}` (1/{1 / r['ratio']:.0f})" for r in rated]
    return [
        f"A whole run on {rated[0]['image']} pixels, {rated[0]['device']}, takes {joined(found)}; "
        "in brackets its share of 5000 plain steps of the full network."
    ]


def _cells(row: Row) -> dict[str, Any]:
    named = {"image": row["image"], "kernel": row["kernel"]}
    named |= {"network": row.get("network") or row.get("preset"), "path": row.get("path")}
    if row["status"] != "finished":
        return named | {"not measured": f"{row['status']}: {row['reason']}"}
    if row["method"] == "step":
        return named | {
            "ms a step": number(1000 * row["median"], 1),
            "of its plain step": _ratio(row),
            "of the full network's plain step": _ratio(row, "_full"),
            "steps timed": len(row["seconds"]),
        }
    if row["method"] == "memory":
        return named | {
            "peak, GB": number(row["peak"] / 1e9, 2),
            "predicted, GB": number(row["predicted"] / 1e9, 2),
            "predicted / measured": number(row["ratio"], 2),
        }
    config, reference = config_of(row), row["reference_step"]
    networks = config is None or config.solvers != ("edges",)
    return named | {
        "steps": row["config"]["iterations"] if networks else None,
        "seconds": number(row["seconds"], 1),
        "of R": row["ratio"] and f"1/{1 / row['ratio']:.1f}",
        "plain step, ms": number(reference and 1000 * reference, 1),
        "PSNR at the end, dB": number(row["psnr"], 2),
    }


def _ratio(row: Row, suffix: str = "") -> str | None:
    if not (ratios := row["ratios" + suffix]):
        return None
    return f"{row['ratio' + suffix]:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
