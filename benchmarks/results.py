"""The results file: one JSON object, a line a row, replaced as a whole after each measurement.

``{"format": ..., "runs": [...], "rows": [...]}``. A run says with what, when and where its
rows were made; each row names its run by number. Rows hold numbers, no images and no paths of
the data, so that the file can be published and compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.worker import FAILED
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.io.writing import write_text

FORMAT = "napari-selfdeblur benchmark results 1"
_DIGITS = 6
_KEYS = {"kind", "dataset", "image", "kernel"}  # what every row has


@dataclass(slots=True)
class Results:
    """The contents of a results file; `runs` and `rows` are in the order they were added."""

    path: Path
    runs: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, *, missing_ok: bool = False) -> Results:
        """Read a results file, or raise `DeblurError` where it is missing or something else."""
        if missing_ok and not path.exists():
            return cls(path)
        values = read_json(path)
        if values.get("format") != FORMAT:
            raise DeblurError(f"{path}: does not hold benchmark results; choose another file")
        runs: Any = values.get("runs")
        rows: Any = values.get("rows")
        for items in (runs, rows):
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise DeblurError(f"{path}: runs or rows are missing or no objects; see its end")
        if any(not row.keys() >= _KEYS for row in rows):
            names = ", ".join(sorted(_KEYS))
            raise DeblurError(f"{path}: a row lacks one of {names}; take an earlier copy")
        return cls(path, runs, rows)

    def write(self) -> None:
        """Replace the file; whoever reads it meanwhile sees the old or the new one."""
        parts = []
        for name, items in (("runs", self.runs), ("rows", self.rows)):
            lines = ",\n".join(json.dumps(item, allow_nan=False) for item in items)
            parts.append(f'"{name}": [\n{lines}\n]')
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, f'{{"format": "{FORMAT}",\n' + ",\n".join(parts) + "}\n")

    def add(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add the rows that are not there yet, in place of failed ones; return those added."""
        have = self.finished()
        new = [{**row, "run": len(self.runs) - 1} for row in rows if row_key(row) not in have]
        replaced = {row_key(row) for row in new}
        self.rows = [row for row in self.rows if row_key(row) not in replaced] + new
        return new

    def finished(self) -> set[str]:
        """Return the key of every row that did not fail; see `row_key`."""
        return {row_key(row) for row in self.rows if row.get("status") != FAILED}


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, or raise `DeblurError` saying why there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeblurError(f"{path}: no such file; name the results of a benchmark") from error
    except (ValueError, RecursionError) as error:
        raise DeblurError(f"{path}: is no JSON ({error}); choose another file") from error
    if not isinstance(values, dict):
        raise DeblurError(f"{path}: does not hold a JSON object; choose another file")
    return values


def row_key(row: Mapping[str, Any]) -> str:
    """Return what makes a row or a task the same as another one: image and every setting.

    Settings that came with a later version count as their defaults in older rows.
    """
    settings = dict(row.get("config") or {})
    try:
        settings = SelfDeblurConfig.from_dict(settings).to_dict()
    except ConfigError:
        # A setting this version no longer has: the row stays, and equals no new task.
        settings["outdated"] = True
    names = [row[name] for name in ("kind", "dataset", "image", "kernel")]
    return json.dumps([*names, row.get("method"), row.get("weight"), settings], sort_keys=True)


def rounded(value: Any) -> Any:
    """Return `value` with measured numbers to six digits, and None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
