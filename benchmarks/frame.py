"""Rows of results files as a data frame, and the figures of those that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from benchmarks.published import authors_psnr, method_of
from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.presets import PRESETS

FAILURES = (2.0, 3.0)
"""Error ratios (sums of squares) above which a result counts as failed (Levin et al. 2009)."""
RESULT = "the result"
CONFIGURATION = ["dataset", "method", "settings", "seed", "device", "file"]
"""Columns that are equal for rows of one configuration, measured by one version into one file."""


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a line for each image that rows of blind runs and known kernels hold.

    Rows of other kinds are left out. Columns: those of `CONFIGURATION`; ``own``, whether the
    configuration is the paper's; ``test``, the test image; ``output``, the result or a
    restoration with its kernel; ``psnr``, ``blurred``, ``authors`` (dB), ``ssim``, ``squares``
    and ``spectral`` (error ratios), ``seconds``: None where there are none; ``row``, the row
    itself; and more of it.
    """
    measured = (row for row in rows if row["kind"] in ("deblur", "known"))
    lines = [line for row in measured for line in _lines(row)]
    table = pd.DataFrame(lines)
    return table.sort_values(["image", "kernel"], kind="stable") if lines else table


def config_of(row: Mapping[str, Any]) -> SelfDeblurConfig | None:
    """Return the settings of a row, None where it has none or this version does not know them."""
    try:
        return SelfDeblurConfig.from_dict(row["config"]) if row.get("config") else None
    except ConfigError:
        return None


def _lines(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    config = config_of(row)
    line: dict[str, Any] = {n: row[n] for n in ("dataset", "kind", "image", "kernel")}
    line |= {"seed": row.get("seed", 0), "category": row.get("category"), "row": row}
    line |= {"device": str(row.get("device") or ""), "file": row.get("file", "")}
    line |= {"test": f"{row['image']}_{row['kernel']}", "authors": authors_psnr(row)}
    line |= {"blurred": (row.get("blurred") or {}).get("psnr")}
    line |= _of_known(row) if row["kind"] == "known" else _of_run(row, config)
    yield line | _measures(row.get("sharp"), RESULT) | {"seconds": row.get("seconds")}
    for name, found in (row.get("restorations") or {}).items():
        yield line | _measures(found, f"restored, {name}") | {"seconds": found.get("seconds")}


def _of_known(row: Mapping[str, Any]) -> dict[str, Any]:
    weight = "its own weight" if row["weight"] is None else f"weight {row['weight']:g}"
    return {"method": f"known kernel, {row['method']}", "settings": weight, "own": False}


def _of_run(row: Mapping[str, Any], config: SelfDeblurConfig | None) -> dict[str, Any]:
    preset = row.get("preset") or row["config"].get("name")
    if config is None:
        return {"method": "settings of another version", "settings": str(preset), "own": False}
    method, own = method_of(config)
    return {"method": method, "settings": settings_of(config, preset), "own": own}


def settings_of(config: SelfDeblurConfig, preset: str | None = None) -> str:
    """Return the preset that `config` started from, its steps and what else was changed."""
    start, own = preset or preset_of(config), method_of(config)[1]
    steps = [] if config.solvers == ("edges",) else [f"{config.iterations} steps"]
    return ", ".join([start, *steps, *_changes(config, start, own)])


def preset_of(config: SelfDeblurConfig) -> str:
    """Return the preset that `config` is, whatever its steps; ``custom`` where it is none."""
    steps = {name: SelfDeblurConfig.preset(name).iterations for name in PRESETS}
    alike = (name for name, n in steps.items() if config.replace(iterations=n).name == name)
    return next(alike, "custom")


def _changes(config: SelfDeblurConfig, preset: str, own: bool) -> list[str]:
    """Return what differs from the preset, as ``field=value``, but for what the method tells."""
    base = SelfDeblurConfig.preset(preset) if preset in PRESETS else SelfDeblurConfig()
    told = OUTSIDE_PRESETS - {"precision", "runtime"} | {"iterations"}
    told |= {"solvers", "kernel_generator"} if own else set()
    usual = base.to_dict()
    found = ["kernel size auto"] if config.kernel_size == "auto" else []
    return found + [
        f"{field}={value}"
        for field, value in config.to_dict().items()
        if field not in told and usual[field] != value
    ]


def _measures(found: Mapping[str, Any] | None, output: str) -> dict[str, Any]:
    image = found or {}
    return {
        "output": output,
        "psnr": image.get("psnr"),
        "ssim": image.get("ssim"),
        "squares": image.get("error_ratio_sum_of_squares"),
        "spectral": image.get("error_ratio_spectral"),
    }


def figures(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the figures of each group of lines, in the order in which groups first appear.

    Columns `by`; how many ``images`` there are and how many were ``made``; mean ``psnr``,
    ``median`` and ``worst`` (dB) with its ``worst_test``; means of the other measures;
    ``failed_2`` and ``failed_3``, error ratios above each of `FAILURES` or images missing, None
    where no ratio was taken.
    """
    lines = []
    for key, group in table.groupby(by, sort=False, dropna=False):
        psnr = group["psnr"].astype(float)
        rated = group["squares"].notna().sum() == psnr.notna().sum() > 0
        line = dict(zip(by, key, strict=True)) | {"images": len(group), "made": psnr.count()}
        line |= {"psnr": psnr.mean(), "median": psnr.median(), "worst": psnr.min()}
        line["worst_test"] = group["test"][psnr.idxmin()] if psnr.count() else ""
        for name in ("ssim", "spectral", "squares", "seconds", "blurred", "authors"):
            column = group[name].astype(float)
            line[name] = column.mean() if name != "authors" or column.notna().all() else None
        for limit in FAILURES:
            above = (group["squares"].astype(float) > limit).sum() + psnr.isna().sum()
            line[f"failed_{limit:g}"] = int(above) if rated else None
        lines.append(line)
    return pd.DataFrame(lines)


def number(value: Any, digits: int) -> str | None:
    """Return `value` with so many decimals, None where there is no number."""
    return None if pd.isna(value) else f"{value:.{digits}f}"


def markdown(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table of lines of text, in order of their keys; None is a dash."""
    table = pd.DataFrame(lines, dtype=object).fillna("-")
    text: str = table.to_markdown(index=False, disable_numparse=True)
    return text
