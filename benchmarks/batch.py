"""A batch in one process against one on several workers: time, and whether the results are equal.

Each is the command itself in a process of its own with one thread; its time is that of the whole
process, from its start to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import tifffile

from benchmarks.results import rounded
from benchmarks.worker import THREADS
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.samples import motion_blurred_photograph

_PHOTOGRAPH = 496  # pixels a side, of which frames are parts
_NOISE = 0.01  # of the range


def measure(
    frames: int, side: int, workers: int, preset: str, kernel_size: int, seed: int = 0
) -> dict[str, Any]:
    """Return the row of one comparison.

    Parameters
    ----------
    frames, side : int
        How many images, and their rows and columns: parts of the package's motion-blurred
        photograph with noise of their own, 8 bits.
    workers : int
        Processes of the second batch.
    preset, kernel_size : str, int
        What is run.
    seed : int
        Of places and noise.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_frames(folder / "in", frames, side, seed)
        words = ["--preset", preset, "--kernel-size", str(kernel_size), "--device", "cpu"]
        alone = _timed(folder, "alone", words)
        shared = _timed(folder, "shared", [*words, "--workers", str(workers)])
        same = _hashes(folder / "alone") == _hashes(folder / "shared")
    row: dict[str, Any] = rounded(
        {
            "kind": "batch",
            "dataset": "synthetic",
            "image": f"{frames} frames of {side} x {side}",
            "kernel": f"{kernel_size} x {kernel_size}",
            "preset": preset,
            "seed": seed,
            "workers": workers,
            "in_process": alone,
            "on_workers": shared,
            "speed_up": alone["seconds"] / shared["seconds"],
            "identical": same,
            "status": "finished",
        }
    )
    return row


def _write_frames(folder: Path, frames: int, side: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    blurred = motion_blurred_photograph(size=_PHOTOGRAPH).blurred.astype(np.float64)
    folder.mkdir()
    for number in range(frames):
        top, left = rng.integers(0, _PHOTOGRAPH - side + 1, 2)
        part = blurred[top : top + side, left : left + side]
        noisy = part + rng.normal(0, _NOISE * 255, part.shape)
        pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        tifffile.imwrite(folder / f"{number:03}.tif", pixels)


def _timed(folder: Path, name: str, words: list[str]) -> dict[str, Any]:
    """Return seconds, and how busy the machine was with other work before."""
    busy = psutil.cpu_percent(interval=2)
    command = [sys.executable, "-m", "napari_selfdeblur.cli", "batch", str(folder / "in")]
    environment = os.environ | dict.fromkeys(THREADS, "1")
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "-o", str(folder / name), *words, "--json"],
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise DeblurError(f"the batch ended with status {done.returncode}: {done.stderr[-500:]}")
    frames = json.loads(done.stdout)["frames"]
    return {
        "seconds": seconds,
        "median_of_a_frame": float(np.median([frame["seconds"] for frame in frames])),
        "busy_before_percent": busy,
    }


def _hashes(out: Path) -> dict[str, tuple[str, str]]:
    """Return the hashes of each frame's image and kernel."""
    markers = {path.parent.name: json.loads(path.read_text()) for path in out.rglob("frame.json")}
    return {name: (marker["sharp"], marker["kernel"]) for name, marker in markers.items()}
