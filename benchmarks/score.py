"""Stored images measured again, so that a new metric needs no new runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.images import TestImage
from benchmarks.protocol import GroundTruth
from benchmarks.results import Results, rounded
from benchmarks.store import load
from napari_selfdeblur.errors import DeblurError

__all__ = ["rescored"]


def rescored(results: Results, images: Iterable[TestImage], stored: Path, output: Path) -> Results:
    """Return `results` with every measure taken anew from the stored images.

    Parameters
    ----------
    results : Results
        Rows without stored images are kept as they are.
    images : iterable of TestImage
        The data set the rows were measured on.
    stored : Path
        Folder given to --store.
    output : Path
        Where the new results are to be written.

    Raises
    ------
    DeblurError
        If a stored file or a row's test image is missing.
    """
    known = {(test.dataset, test.image, test.kernel): test for test in images}
    rows = []
    for row in results.rows:
        if "stored" in row:
            test = known.get((row["dataset"], row["image"], row["kernel"]))
            if test is None:
                raise DeblurError(
                    f"the data have no {row['image']} {row['kernel']}; name the folder that "
                    f"{results.path.name} was measured on"
                )
            measures = GroundTruth(test).measures(load(stored, row))
            row = _merged(row, rounded(measures))
        rows.append(row)
    return Results(output, results.runs, rows)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the values of `new`, dictionaries inside merged alike."""
    return {**old} | {
        name: _merged(old[name], value)
        if isinstance(value, Mapping) and isinstance(old.get(name), Mapping)
        else value
        for name, value in new.items()
    }
