"""Images of rows, kept beside the results and measured again: a new metric needs no new run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.images import TestImage
from benchmarks.protocol import Arrays, GroundTruth
from benchmarks.results import Results, rounded, row_key
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.writing import replacing


def store(folder: str, row: Mapping[str, Any], arrays: Arrays) -> str:
    """Write what was made for `row` into `folder` and return the name of its file (npz).

    `arrays` are those of `GroundTruth.measures`, and images along the run: ``iterations`` (N,),
    ``iterates`` (N, H, W) uint8 and ``kernels`` (N, kh, kw).
    """
    digest = hashlib.sha256(row_key(row).encode()).hexdigest()[:8]
    path = Path(folder) / f"{row['image']}_{row['kernel']}_{digest}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **dict[str, Any](arrays))
    return path.name


def load(folder: str | Path, row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays stored for `row`, or raise `DeblurError` where `folder` lacks them.

    Rows of version 0.1 name a file of `snapshots` along the run instead.
    """
    path = Path(folder) / Path(str(row.get("stored") or row.get("snapshots"))).name
    if not path.is_file():
        what = f"{row['image']} {row['kernel']}"
        raise DeblurError(f"{path}: no stored images of {what}; name the folder given to --store")
    with np.load(path) as arrays:
        return dict(arrays)


def rescored(
    results: Results, images: Iterable[TestImage], folder: str | Path, output: Path
) -> Results:
    """Return `results`, to be written to `output`, with the measures of stored images anew.

    A stored file in `folder` or a row's test image that is missing is a `DeblurError`.
    """
    known = {(test.dataset, test.image, test.kernel): test for test in images}
    rows = []
    for row in results.rows:
        test = known.get((row["dataset"], row["image"], row["kernel"]))
        if "stored" in row and test is None:
            what = f"{row['image']} {row['kernel']} of {results.path.name}"
            raise DeblurError(f"the data have no {what}; name the folder that it was measured on")
        if "stored" in row and test is not None:
            row = _merged(row, rounded(GroundTruth(test).measures(load(folder, row))))
        rows.append(row)
    return Results(output, results.runs, rows)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the values of `new`, dictionaries inside merged alike."""
    return {**old} | {
        name: _merged(old[name], value) if isinstance(value, Mapping) and name in old else value
        for name, value in new.items()
    }
