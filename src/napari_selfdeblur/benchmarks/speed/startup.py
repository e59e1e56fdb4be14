"""What `import napari_selfdeblur` adds to the start of an interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

__all__ = ["measure_import"]

_PAIRS = 15


def measure_import(pairs: int = _PAIRS) -> dict[str, Any]:
    """Time interpreters that import the package against bare ones, in turn.

    Parameters
    ----------
    pairs : int
        How many of each, after one unmeasured pair that fills the file caches.

    Returns
    -------
    dict
        ``bare_ms``, ``import_ms``: wall times of each process; ``over_bare_ms``: median of
        their differences, pair by pair.
    """
    bare, loaded = [], []
    for _ in range(pairs + 1):
        bare.append(_milliseconds("pass"))
        loaded.append(_milliseconds("import napari_selfdeblur"))
    bare, loaded = bare[1:], loaded[1:]
    differences = [a - b for a, b in zip(loaded, bare, strict=True)]
    return {"bare_ms": bare, "import_ms": loaded, "over_bare_ms": statistics.median(differences)}


def _milliseconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    return 1000 * (time.perf_counter() - start)
