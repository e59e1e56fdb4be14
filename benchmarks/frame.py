"""Rows of results files as a data frame: what each row is, figures of those that belong together.

`PUBLISHED` are means over a whole data set, as published by ``source``; ``spectral`` is the error
ratio of spectral norms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.presets import PRESETS

PUBLISHED = pd.read_csv(Path(__file__).with_name("published.csv"))
AUTHORS_LEVIN_PSNR: dict[str, tuple[float, ...]] = {
    "im1": (32.83, 33.65, 32.78, 31.35, 32.59, 33.78, 32.56, 32.62),
    "im2": (33.05, 33.29, 31.27, 32.00, 32.51, 32.40, 32.42, 32.61),
}
"""PSNR of SelfDeblur's images that its authors published, kernels 1 to 8, 5000 steps."""
METHODS = {
    ("joint", "fcn"): "SelfDeblur (joint)",
    ("joint", "fcn_deep"): "SelfDeblur_k+",
    ("alternating", "fcn"): "SelfDeblur-A",
    ("joint", "fcn_shallow"): "SelfDeblur_k-",
    ("joint", "skip"): "Double-DIP",
}
"""The paper's name of each pair of solver and kernel network."""
FAILURES = (2.0, 3.0)
"""Error ratios (sums of squares) above which a result counts as failed (Levin et al. 2009)."""
RESULT = "the result"
CONFIGURATION = ["dataset", "method", "settings", "seed", "device", "file"]
"""Columns that are equal for rows of one configuration, measured by one version into one file."""

_OWN_PRESETS = ("official", "official_colour", "paper")
_SHORTENED = OUTSIDE_PRESETS | {"iterations", "solvers", "kernel_generator"}
_AUTHORS_LAI = {"loss_switch": 0.1}  # the authors' code for the data of Lai et al.
_MEASURES = {
    "psnr": "psnr",
    "ssim": "ssim",
    "squares": "error_ratio_sum_of_squares",
    "spectral": "error_ratio_spectral",
}


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a line for each image that rows of blind runs and known kernels hold.

    Rows of other kinds are left out. Columns: those of `CONFIGURATION`; ``own``, whether the
    configuration is the paper's; ``test``, the test image; ``output``, the result or a
    restoration with its kernel; ``psnr``, ``blurred``, ``authors`` (dB), ``ssim``, ``squares``
    and ``spectral`` (error ratios), ``seconds``: NaN where there are none; ``row``, the row
    itself; and more of it.
    """
    measured = (row for row in rows if row["kind"] in ("deblur", "known"))
    lines = [line for row in measured for line in _lines(row)]
    floats = dict.fromkeys([*_MEASURES, "blurred", "authors", "seconds"], float)
    empty = [*CONFIGURATION, "image", "kernel", "output", *floats]
    table = pd.DataFrame(lines, columns=None if lines else empty).astype(floats)
    return table.sort_values(["image", "kernel"], kind="stable")


def _lines(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    config, preset = config_of(row), row.get("preset")
    if row["kind"] == "known":
        weight = "its own weight" if row["weight"] is None else f"weight {row['weight']:g}"
        what = {"method": f"known kernel, {row['method']}", "settings": weight, "own": False}
    elif config is None:
        settings = str(preset or row["config"].get("name"))
        what = {"method": "settings of another version", "settings": settings, "own": False}
    else:
        method, own = method_of(config)
        settings = settings_of(config, preset or row["config"].get("name"))
        what = {"method": method, "settings": settings, "own": own}
    what |= {n: row[n] for n in ("dataset", "kind", "image", "kernel")}
    what |= {"seed": row.get("seed", 0), "category": row.get("category"), "row": row}
    what |= {"device": str(row.get("device") or ""), "file": row.get("file", "")}
    what |= {"test": f"{row['image']}_{row['kernel']}", "authors": authors_psnr(row)}
    what |= {"blurred": (row.get("blurred") or {}).get("psnr")}
    outputs = {RESULT: (row.get("sharp") or {}) | {"seconds": row.get("seconds")}}
    outputs |= {f"restored, {n}": found for n, found in (row.get("restorations") or {}).items()}
    for output, found in outputs.items():
        measures = {name: found.get(key) for name, key in _MEASURES.items()}
        yield what | measures | {"output": output, "seconds": found.get("seconds")}


def config_of(row: Mapping[str, Any]) -> SelfDeblurConfig | None:
    """Return the settings of a row, None where it has none or this version does not know them."""
    try:
        return SelfDeblurConfig.from_dict(row["config"]) if row.get("config") else None
    except ConfigError:
        return None


def method_of(config: SelfDeblurConfig) -> tuple[str, bool]:
    """Return what a configuration is, and whether it is the paper's or its public code's own.

    Own are the presets of the paper and of the public code, with any number of steps, and their
    variants of Tables 1 and 2. Everything else is this package's and has no name of the paper's.
    """
    if config.solvers == ("edges",):
        return "edge-based estimate", False
    if "edges" in config.solvers:
        return "edge-based estimate and networks combined", False
    bases = [SelfDeblurConfig.preset(name) for name in _OWN_PRESETS]
    bases += [base.replace(**_AUTHORS_LAI) for base in bases]
    name = METHODS.get((config.solvers[0], config.kernel_generator))
    if len(config.solvers) == 1 and name and any(_changed(config, b) <= _SHORTENED for b in bases):
        return name, True
    return f"networks ({', '.join(config.solvers)}), own settings", False


def _changed(config: SelfDeblurConfig, base: SelfDeblurConfig) -> set[str]:
    usual = base.to_dict()
    return {field for field, value in config.to_dict().items() if usual[field] != value}


def settings_of(config: SelfDeblurConfig, preset: str | None = None) -> str:
    """Return the preset that `config` started from, its steps and what else was changed.

    Without `preset` it is the one that `config` equals but for its steps, or ``custom``. What
    the method's name says already is left out.
    """
    steps = OUTSIDE_PRESETS | {"iterations"}
    alike = (n for n in PRESETS if _changed(config, SelfDeblurConfig.preset(n)) <= steps)
    start = preset or next(alike, "custom")
    words = [start] if config.solvers == ("edges",) else [start, f"{config.iterations} steps"]
    words += ["kernel size auto"] if config.kernel_size == "auto" else []
    base = SelfDeblurConfig.preset(start) if start in PRESETS else SelfDeblurConfig()
    told = OUTSIDE_PRESETS - {"precision", "runtime"} | {"iterations"}
    told |= {"solvers", "kernel_generator"} if method_of(config)[1] else set()
    changed = _changed(config, base) - told
    return ", ".join(words + [f"{f}={v}" for f, v in config.to_dict().items() if f in changed])


def authors_psnr(row: Mapping[str, Any]) -> float | None:
    """Return the PSNR that the authors' own image of a row's test image has, where published."""
    values = AUTHORS_LEVIN_PSNR.get(row["image"]) if row["dataset"] == "levin" else None
    number = int(row["kernel"].removeprefix("kernel")) if values else 0
    return values[number - 1] if values and number <= len(values) else None


def figures(table: pd.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    """Return the figures of each group of lines, in the order in which groups first appear.

    Values of `by`; how many ``images`` there are and how many were ``made``; mean ``psnr``,
    ``median`` and ``worst`` (dB) with its ``worst_test``; means of the other measures;
    ``failed_2`` and ``failed_3``, error ratios above each of `FAILURES` or images missing, NaN
    where no ratio was taken.
    """
    failed = {f"failed_{n:g}": (table.squares > n) | table.psnr.isna() for n in FAILURES}
    table = table.assign(**failed)
    groups = table.groupby(by, sort=False, dropna=False)
    ordered = table.sort_values("psnr", kind="stable").groupby(by, sort=False, dropna=False)
    found = (
        groups[[*_MEASURES, "seconds", "blurred"]]
        .mean()
        .assign(
            images=groups.size(),
            made=groups.psnr.count(),
            median=groups.psnr.median(),
            worst=groups.psnr.min(),
            worst_test=ordered.test.first(),
            authors=groups.authors.mean(skipna=False),
        )
    )
    rated = (found.made > 0) & (groups.squares.count() == found.made)
    for name in failed:
        found[name] = groups[name].sum().where(rated)
    lines: list[dict[str, Any]] = found.reset_index().to_dict("records")
    return lines


def number(value: Any, digits: int) -> str | None:
    """Return `value` with so many decimals, None where there is no number."""
    return None if pd.isna(value) else f"{value:.{digits}f}"


def markdown(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table of lines of text, in order of their keys; None is a dash."""
    table = pd.DataFrame(lines, dtype=object).fillna("-")
    text: str = table.to_markdown(index=False, disable_numparse=True)
    return text


def joined(words: Sequence[str]) -> str:
    """Return words as an enumeration: a, b and c."""
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]
