"""Images of a row, kept beside the results so that a new metric needs no new run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import Made
from benchmarks.results import row_key
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import replacing

__all__ = ["load", "store"]

_RESTORED = "restored_"


def store(
    folder: str | Path,
    row: Mapping[str, Any],
    made: Made,
    steps: Mapping[str, NDArray[Any]] | None = None,
) -> str:
    """Write what was made for `row` into `folder` and return the name of its file (npz).

    Parameters
    ----------
    folder : path-like
        Created where it is missing.
    row : dict
        At least what identifies it; see `row_key`.
    made : Made
        The images.
    steps : dict of ndarray, optional
        Images along the run: ``iterations`` (N,), ``iterates`` (N, H, W) uint8, ``kernels``.
    """
    digest = hashlib.sha256(row_key(row).encode()).hexdigest()[:8]
    path = Path(folder) / f"{row['image']}_{row['kernel']}_{digest}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"sharp": made.sharp, **(steps or {})}
    arrays |= {name: a for name in ("kernel", "known") if (a := getattr(made, name)) is not None}
    arrays |= {_RESTORED + name: image for name, image in made.restored.items()}
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path.name


def load(folder: str | Path, row: Mapping[str, Any]) -> Made:
    """Return what was stored for `row`.

    Raises
    ------
    DeblurError
        If the row has no stored images, or `folder` lacks them.
    """
    path = Path(folder) / str(row.get("stored"))
    if not path.is_file():
        raise DeblurError(
            f"{path}: no stored images of {row['image']} {row['kernel']}; name the folder given "
            "to --store"
        )
    with np.load(path) as arrays:
        restored = {n.removeprefix(_RESTORED): arrays[n] for n in arrays if n.startswith(_RESTORED)}
        kernel, known = (arrays[n] if n in arrays else None for n in ("kernel", "known"))
        return Made(arrays["sharp"], kernel, known, restored)
