"""Rows of the speed benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.frame import config_of, markdown, number

_NOTES = """\
Each measurement has a process of its own. Steps of all paths on one image size are timed in
turn, over and over, each after one of its own kind that is not timed; a ratio is the median of the
ratios turn by turn, with the least and the greatest in brackets, and less than 1 is faster. *Plain*
is the eager float32 step without any optimisation; the full network is that of the preset
`official`. A peak is on top of what the process held before the run; previews are made every third
of a second. R is the time of 5000 plain steps of the full network: 5000 times the median of steps
timed in the same process, before the first of these runs and after the last, with the loss of four
fifths of the schedule, 1 - SSIM. The image of whole runs is the package's motion-blurred
photograph. A PSNR is reached with the first preview that has it, a dash says never; a preview is
made every 25 steps, without networks at every kernel tried, and measuring it takes none of the time
shown. `official` is shortened to the steps in the table, its schedule with them."""
_HEADINGS = {
    "step": "Time of one step",
    "memory": "Peak memory",
    "preview": "Live preview",
    "run": "Whole runs",
    "import": "Time of `import napari_selfdeblur`",
    "profile": "What one step spends its time on",
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
            parts += _profiles(own) if method == "profile" else [markdown(map(_cells, own))]
    return parts


def _cells(row: Row) -> dict[str, Any]:
    method, config = row["method"], config_of(row)
    cells: dict[str, Any]
    named: dict[str, Any] = {"image": row["image"], "kernel": row["kernel"]}
    named |= {"network": row.get("network") or row.get("preset"), "path": row.get("path")}
    if method == "import":
        named = {}
    if row["status"] != "finished":
        return named | {"not measured": f"{row['status']}: {row['reason']}"}
    if method == "step":
        own, full = _ratio(row), _ratio(row, "_full")
        cells = {"ms a step": number(1000 * row["median"], 1), "of its plain step": own}
        cells |= {"of the full network's plain step": full, "steps timed": len(row["seconds"])}
    elif method == "memory":
        cells = {f"{n}, GB": number(row[n] / 1e9, 2) for n in ("peak", "predicted")}
        cells |= {"predicted / measured": number(row["ratio"], 2)}
    elif method == "preview":
        shown = f"{min(row['previews'])} to {max(row['previews'])}"
        cells = {"with / without": _ratio(row), "steps": row["steps"], "previews": shown}
    elif method == "run":
        networks = config is None or config.solvers != ("edges",)
        share = row["ratio"] and f"1/{1 / row['ratio']:.1f}"
        cells = {"steps": row["config"]["iterations"] if networks else None}
        cells |= {"seconds": number(row["seconds"], 1), "of R": share}
        cells |= {"plain step, ms": number(1000 * (row["reference_step"] or float("nan")), 1)}
        cells |= {"PSNR at the end, dB": number(row["psnr"], 2)}
        cells |= {f"s to {level} dB": number(s, 1) for level, s in row["seconds_to"].items()}
    else:
        cells = {"over a bare interpreter, ms": number(row["over_bare_ms"], 1)}
        cells |= {"pairs of processes": len(row["bare_ms"])}
    return named | cells


def _profiles(rows: Sequence[Row]) -> list[str]:
    """Return the profiles that version 0.1 stored."""
    parts = []
    for row in rows:
        share = f"share of {'GPU' if row['unit'] == 'cuda' else 'CPU'} time"
        cells = (
            {"operator": f"`{o['name']}`", "calls": o["calls"], share: f"{100 * o['share']:.1f} %"}
            for o in row["operators"]
        )
        what = f"{row['network']}, {row['path']}, {row['image']}, kernel {row['kernel']}:"
        parts += [what, markdown(cells)]
    return parts


def _ratio(row: Row, suffix: str = "") -> str | None:
    ratios = row["ratios" + suffix]
    if not ratios:
        return None
    return f"{row['ratio' + suffix]:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
