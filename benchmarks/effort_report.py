"""What more effort gives: presets beside each other on the same images, as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from benchmarks.frame import config_of, markdown, number
from napari_selfdeblur.presets import PRESETS

_NOTES = """\
The same images by presets of growing effort, the kernel's size found by each: only images that
every preset of a table was measured on. *Better* and *worse* are images that differ by more than
0.1 dB from the preset above. Seconds are of one thread, beside other processes."""
_DIFFERENCE = 0.1  # dB
_SETS = {"tuning": "Made on the spot, tuning half", "checking": "Made on the spot, checking half"}


def sections(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paragraphs of the report on effort, none where no image has two presets."""
    lines = [line for row in rows if (line := _line(row)) is not None]
    parts: list[str] = []
    for title, table in pd.DataFrame(lines).groupby("set", sort=False) if lines else ():
        presets = [preset for preset in PRESETS if preset in set(table.preset)]
        counts = table.groupby("image").preset.nunique()
        shared = table[table.image.isin(counts[counts == len(presets)].index)]
        if len(presets) > 1 and len(shared):
            parts += [f"### {title}", markdown(_compared(shared, presets))]
    return ["## Time against effort", _NOTES, *parts] if parts else []


def _line(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the figures of a blurred image whose kernel's size was found, None of other rows."""
    config = config_of(row)
    asked = row.get("size_asked") or (config is not None and config.kernel_size)
    if asked != "auto" or row["kind"] not in ("synthetic", "deblur") or row.get("quality"):
        return None
    line = {"preset": row["preset"], "seconds": row["seconds"], "failure": row.get("failure")}
    line |= {"image": f"{row['image']}, {row['kernel']}, seed {row['seed']}"}
    if row["kind"] == "deblur":
        psnr = (row.get("sharp") or {}).get("psnr")
        return line | {"set": row["dataset"].capitalize(), "noise": "-", "psnr": psnr}
    if "failure" not in row:  # never blurred
        return None
    noise = f"{row['noise']:g} %"
    return line | {"set": _SETS[row["category"]], "noise": noise, "psnr": row.get("psnr")}


def _compared(table: pd.DataFrame, presets: list[str]) -> Iterable[dict[str, Any]]:
    """Yield the figures of each preset on all images, then by noise."""
    groups = [("all", table)]
    groups += list(table.groupby("noise")) if table.noise.nunique() > 1 else []
    for noise, group in groups:
        before: pd.Series[float] | None = None
        for preset in presets:
            own = group[group.preset == preset].set_index("image")
            more = own.psnr - before if before is not None else None
            failures = own.failure.dropna()
            yield {
                "noise": noise,
                "preset": preset,
                "images": len(own),
                "mean PSNR": number(own.psnr.mean(), 2),
                "worst": number(own.psnr.min(), 2),
                "failures": int(failures.sum()) if len(failures) else None,
                "better": None if more is None else int((more > _DIFFERENCE).sum()),
                "worse": None if more is None else int((more < -_DIFFERENCE).sum()),
                "s, median": number(own.seconds.median(), 0),
                "s, longest": number(own.seconds.max(), 0),
            }
            before = own.psnr
