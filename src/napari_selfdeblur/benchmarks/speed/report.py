"""Rows of the speed benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari_selfdeblur.benchmarks.results import row_key
from napari_selfdeblur.benchmarks.tables import number, table

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
with the first preview that has it, a dash says never; a preview is made every 25 steps, of a draft
at every kernel tried, and measuring it takes none of the time shown. `official` is shortened to
the steps in the table, its schedule with them."""
_LEVELS = ("26", "28", "30", "32")
_GB = 1e9


def sections(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paragraphs of the report on speed, none where there are no rows of it.

    Parameters
    ----------
    rows : iterable of dict
        Of any kind; doubles, from the same device, are taken once.
    """
    kept: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["kind"] == "speed":
            kept.setdefault((row_key(row), row.get("device", "")), row)
    if not kept:
        return []
    parts = ["## Speed", _NOTES]
    for method, (heading, write) in _TABLES.items():
        found = [row for row in kept.values() if row["method"] == method]
        for device in dict.fromkeys(_device(row) for row in found):
            own = [row for row in found if _device(row) == device]
            parts += [f"### {heading}{', ' if device else ''}{device}", write(own)]
    return parts


def _device(row: Mapping[str, Any]) -> str:
    config = row.get("config")
    return str(row.get("device") or (config["device"] if config else ""))


def _step_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["image", "kernel", "network", "path", "ms a step", "of its plain step"]
    head += ["of the full network's plain step", "steps timed"]
    lines = []
    for row in rows:
        line = [row["image"], row["kernel"], row["network"], row["path"]]
        if row["status"] == "finished":
            line += [number(1000 * row["median"], 1), _ratio(row), _ratio(row, "_full")]
            line += [str(len(row["seconds"]))]
        else:
            line += ["-", _missing(row), "", ""]
        lines.append(line)
    return table(head, lines)


def _memory_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["image", "kernel", "network", "path", "peak, GB", "predicted, GB"]
    head += ["predicted / measured"]
    lines = []
    for row in rows:
        line = [row["image"], row["kernel"], row["network"], row["path"]]
        if row["status"] == "finished":
            line += [number(row[name] / _GB, 2) for name in ("peak", "predicted")]
            line += [number(row["ratio"], 2)]
        else:
            line += ["-", "-", _missing(row)]
        lines.append(line)
    return table(head, lines) + "\n\nOn top of what the process held before the run."


def _preview_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["image", "kernel", "network", "path", "with / without", "steps", "previews"]
    lines = []
    for row in rows:
        line = [row["image"], row["kernel"], row["network"], row["path"]]
        if row["status"] == "finished":
            previews = sorted(row["previews"])
            line += [_ratio(row), str(row["steps"]), f"{previews[0]} to {previews[-1]}"]
        else:
            line += [_missing(row), "", ""]
        lines.append(line)
    return table(head, lines) + "\n\nA preview every third of a second against none."


def _run_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["preset and path", "image", "kernel", "steps", "seconds", "of R", "PSNR at the end, dB"]
    head += [f"seconds to {level} dB" for level in _LEVELS]
    lines = []
    for row in rows:
        steps = str(row["config"]["iterations"])
        line = [f"{row['network']}, {row['path']}", row["image"], row["kernel"], steps]
        if row["status"] == "finished":
            line += [number(row["seconds"], 1), _of_full_run(row), number(row["psnr"], 2)]
            line += [number(row["seconds_to"][level], 1) for level in _LEVELS]
        else:
            line += ["-", _missing(row), *[""] * (1 + len(_LEVELS))]
        lines.append(line)
    return table(head, lines) + "\n\n" + _RUN_NOTES


def _of_full_run(row: Mapping[str, Any]) -> str:
    if row["ratio"] is None:
        return "-"
    return f"1/{1 / row['ratio']:.1f} (plain step {1000 * row['reference_step']:.1f} ms)"


def _import_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["over a bare interpreter, ms", "pairs of processes"]
    lines = [[number(row["over_bare_ms"], 1), str(len(row["bare_ms"]))] for row in rows]
    return table(head, lines)


def _profile_tables(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for row in rows:
        what = f"{row['network']}, {row['path']}, {row['image']}, kernel {row['kernel']}"
        if row["status"] != "finished":
            parts.append(f"{what}: {_missing(row)}.")
            continue
        unit = "GPU" if row["unit"] == "cuda" else "CPU"
        lines = [
            [f"`{operator['name']}`", str(operator["calls"]), f"{100 * operator['share']:.1f} %"]
            for operator in row["operators"]
        ]
        parts += [f"{what}:", table(["operator", "calls", f"share of {unit} time"], lines)]
    return "\n\n".join(parts)


_TABLES = {
    "step": ("Time of one step", _step_table),
    "memory": ("Peak memory", _memory_table),
    "preview": ("Live preview", _preview_table),
    "run": ("Whole runs", _run_table),
    "import": ("Time of `import napari_selfdeblur`", _import_table),
    "profile": ("What one step spends its time on", _profile_tables),
}


def _ratio(row: Mapping[str, Any], suffix: str = "") -> str:
    ratios = row["ratios" + suffix]
    if not ratios:
        return "-"
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return f"{row['ratio' + suffix]:.3f} ({spread})"


def _missing(row: Mapping[str, Any]) -> str:
    return f"{row['status']}: {row['reason']}"
