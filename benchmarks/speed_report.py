"""Rows of the speed benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.findings import number
from benchmarks.frame import config_of, markdown
from benchmarks.results import row_key

__all__ = ["sections"]

_NOTES = """\
Each measurement has a process of its own. Steps of all paths on one image size are timed in
turn, over and over, each after one of its own kind that is not timed; a ratio is the median of the
ratios turn by turn, with the least and the greatest in brackets, and less than 1 is faster. *Plain*
is the eager float32 step without any optimisation; the full network is that of the preset
`official`."""
_RUN_NOTES = """\
R is the time of 5000 plain steps of the full network: 5000 times the median of steps timed in the
same process, before the first of these runs and after the last, with the loss of four fifths of
the schedule, 1 - SSIM. The image is the package's motion-blurred photograph. A PSNR is reached
with the first preview that has it, a dash says never; a preview is made every 25 steps, without
networks at every kernel tried, and measuring it takes none of the time shown. `official` is
shortened to the steps in the table, its schedule with them."""
_LEVELS = ("26", "28", "30", "32")

Row = Mapping[str, Any]


def sections(rows: Iterable[Row]) -> list[str]:
    """Return the paragraphs of the report on speed, none where there are no rows of it.

    Parameters
    ----------
    rows : iterable of dict
        Of any kind; a row that is there twice, from the same device, is taken once.
    """
    kept: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["kind"] == "speed":
            kept.setdefault((row_key(row), row.get("device", "")), row)
    parts = ["## Speed", _NOTES] if kept else []
    for method, (heading, cells, note) in _TABLES.items():
        found = [row for row in kept.values() if row["method"] == method]
        for device in dict.fromkeys(_device(row) for row in found):
            own = [row for row in found if _device(row) == device]
            parts.append(f"### {heading}{', ' if device else ''}{device}")
            parts += _profiles(own) if cells is None else [markdown(map(cells, own))]
            parts += [note] if note else []
    return parts


def _device(row: Row) -> str:
    config = row.get("config")
    return str(row.get("device") or (config["device"] if config else ""))


def _named(row: Row) -> dict[str, Any]:
    named = {"image": row["image"], "kernel": row["kernel"], "network": _network(row)}
    return named | {"path": row.get("path")}


def _network(row: Row) -> Any:
    return row.get("network") or row.get("preset")


def _missing(row: Row) -> str | None:
    """Return why a row has no numbers, None where it has."""
    return None if row["status"] == "finished" else f"{row['status']}: {row['reason']}"


def _step(row: Row) -> dict[str, Any]:
    missing = _missing(row)
    return _named(row) | {
        "ms a step": number(1000 * row["median"], 1) if not missing else None,
        "of its plain step": missing or _ratio(row),
        "of the full network's plain step": None if missing else _ratio(row, "_full"),
        "steps timed": None if missing else len(row["seconds"]),
    }


def _memory(row: Row) -> dict[str, Any]:
    missing = _missing(row)
    return _named(row) | {
        "peak, GB": None if missing else number(row["peak"] / 1e9, 2),
        "predicted, GB": None if missing else number(row["predicted"] / 1e9, 2),
        "predicted / measured": missing or number(row["ratio"], 2),
    }


def _preview(row: Row) -> dict[str, Any]:
    missing, previews = _missing(row), row.get("previews") or (None,)
    return _named(row) | {
        "with / without": missing or _ratio(row),
        "steps": row.get("steps"),
        "previews": None if missing else f"{min(previews)} to {max(previews)}",
    }


def _run(row: Row) -> dict[str, Any]:
    missing, config = _missing(row), config_of(row)
    networks = config is None or config.solvers != ("edges",)
    cells = {
        "preset and path": f"{_network(row)}, {row.get('path')}",
        "image": row["image"],
        "kernel": row["kernel"],
        "steps": row["config"]["iterations"] if networks else None,
        "seconds": None if missing else number(row["seconds"], 1),
        "of R": missing or _of_full_run(row),
        "PSNR at the end, dB": None if missing else number(row["psnr"], 2),
    }
    reached = row.get("seconds_to") or {}
    return cells | {f"seconds to {level} dB": number(reached.get(level), 1) for level in _LEVELS}


def _of_full_run(row: Row) -> str | None:
    if row["ratio"] is None:
        return None
    return f"1/{1 / row['ratio']:.1f} (plain step {1000 * row['reference_step']:.1f} ms)"


def _import(row: Row) -> dict[str, Any]:
    over, pairs = number(row.get("over_bare_ms"), 1), len(row.get("bare_ms", ()))
    return {"over a bare interpreter, ms": _missing(row) or over, "pairs of processes": pairs}


def _profiles(rows: Sequence[Row]) -> list[str]:
    parts = []
    for row in rows:
        what = f"{_network(row)}, {row.get('path')}, {row['image']}, kernel {row['kernel']}"
        if missing := _missing(row):
            parts.append(f"{what}: {missing}.")
            continue
        share = f"share of {'GPU' if row['unit'] == 'cuda' else 'CPU'} time"
        cells = (
            {"operator": f"`{o['name']}`", "calls": o["calls"], share: f"{100 * o['share']:.1f} %"}
            for o in row["operators"]
        )
        parts += [f"{what}:", markdown(cells)]
    return parts


_TABLES = {
    "step": ("Time of one step", _step, ""),
    "memory": ("Peak memory", _memory, "On top of what the process held before the run."),
    "preview": ("Live preview", _preview, "A preview every third of a second against none."),
    "run": ("Whole runs", _run, _RUN_NOTES),
    "import": ("Time of `import napari_selfdeblur`", _import, ""),
    "profile": ("What one step spends its time on", None, ""),
}


def _ratio(row: Row, suffix: str = "") -> str | None:
    ratios = row["ratios" + suffix]
    if not ratios:
        return None
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return f"{row['ratio' + suffix]:.3f} ({spread})"
