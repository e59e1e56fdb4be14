"""One series deblurred from a script, in napari's panel and on the command line: equal or not.

The series has axes TCYX; each channel is a photograph blurred by a motion kernel of its own, and
gets a kernel of its own. napari opens a window, which needs a display.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.cells import kernel
from benchmarks.frames import SIDE, blurred_frame
from benchmarks.results import rounded
from napari_selfdeblur import deblur_stack
from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

_FRAMES, _CHANNELS = 4, 2
_AXES, _LABELS = "TCYX", ("t", "c", "y", "x")

Made = tuple[NDArray[Any], NDArray[Any]]
"""The series (T, C, H, W) and the kernels (C, kh, kw)."""


def measure(side: int, preset: str) -> dict[str, Any]:
    """Return the row of a series of frames (`side`, `side`), run in all three ways by `preset`."""
    kernels = [kernel("motion", SIDE, channel) for channel in range(_CHANNELS)]
    frames = [
        blurred_frame(side, k, _CHANNELS * t + c)
        for t in range(_FRAMES)
        for c, k in enumerate(kernels)
    ]
    series = np.reshape(frames, (_FRAMES, _CHANNELS, side, side))
    ways: dict[str, Callable[[NDArray[np.uint16], str], Made]] = {
        "script": from_script,
        "napari": in_napari,
        "command_line": on_command_line,
    }
    row: dict[str, Any] = {
        "kind": "series",
        "dataset": "synthetic",
        "image": f"{_FRAMES} frames, {_CHANNELS} channels of {side} x {side}",
        "kernel": f"{SIDE} x {SIDE}",
        "preset": preset,
        "ways": {},
    }
    for name, way in ways.items():
        begun = time.perf_counter()
        sharp, found = way(series, preset)
        row["ways"][name] = {
            "seconds": time.perf_counter() - begun,
            "sharp": _hash(sharp),
            "kernels": _hash(found),
            "kernel_similarity": [
                kernel_similarity(one, k) for one, k in zip(found, kernels, strict=True)
            ],
        }
    made = {(way["sharp"], way["kernels"]) for way in row["ways"].values()}
    result: dict[str, Any] = rounded(row | {"identical": len(made) == 1, "status": "finished"})
    return result


def from_script(series: NDArray[np.uint16], preset: str) -> Made:
    """Deblur the series by `deblur_stack`."""
    config = SelfDeblurConfig.preset(preset).replace(kernel_size=SIDE, device="cpu")
    result = deblur_stack(series, _AXES, kernels="channel", config=config)
    return result.sharp, result.kernels


def in_napari(series: NDArray[np.uint16], preset: str) -> Made:
    """Deblur the series by the panel's button, in a window that is not shown."""
    import napari
    from qtpy.QtCore import QEventLoop, QTimer

    def wait(until: Callable[[], bool]) -> None:
        while not until():
            loop = QEventLoop()
            QTimer.singleShot(20, loop.quit)
            loop.exec()

    viewer = napari.Viewer(show=False)
    try:
        _, panel = viewer.window.add_plugin_dock_widget("napari-selfdeblur", "SelfDeblur")
        viewer.add_image(series, name="series", axis_labels=_LABELS)
        panel.preset.value = preset
        panel.form.show({"kernel_size": (SIDE, SIDE), "device": "cpu"})
        panel.form.fields["planes"].widget.value = "all planes"
        panel.form.fields["kernels"].widget.value = "each channel"
        wait(lambda: panel.run_button.enabled)
        panel.run_button.native.click()
        wait(lambda: not panel.job.running)
        if "series deblurred" not in viewer.layers:
            raise DeblurError(f"the panel made no layer and says: {panel.status.message.text()}")
        sharp, kernels = (
            np.array(viewer.layers[f"series {part}"].data) for part in ("deblurred", "kernel")
        )
    finally:
        viewer.close()
    return sharp, kernels.reshape(_CHANNELS, SIDE, SIDE)  # it follows the slider of the channels


def on_command_line(series: NDArray[np.uint16], preset: str) -> Made:
    """Deblur the series by ``napari-selfdeblur run``, from an OME-TIFF into TIFFs."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        tifffile.imwrite(folder / "series.ome.tif", series, metadata={"axes": _AXES})
        command = [sys.executable, "-m", "napari_selfdeblur.cli", "run"]
        words = ["--preset", preset, "--kernel-size", str(SIDE), "--kernels", "channel"]
        words += ["--device", "cpu", "--quiet", "-o", str(folder / "out")]
        done = subprocess.run(
            [*command, str(folder / "series.ome.tif"), *words], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise DeblurError(f"the run ended with status {done.returncode}: {done.stderr[-500:]}")
        sharp, kernels = (
            tifffile.imread(next((folder / "out").glob(f"*_{part}.tif")))
            for part in ("deblurred", "kernel*")
        )
    return sharp, kernels


def _hash(values: NDArray[Any]) -> str:
    """Return the fingerprint of float32 values and their shape."""
    exact = np.ascontiguousarray(values, dtype=np.float32)
    return hashlib.sha256(str(exact.shape).encode() + exact.tobytes()).hexdigest()
