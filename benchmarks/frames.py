"""Large frames, each deblurred in a process that does nothing else: time, memory, seams.

The frame is made on the spot, strip by strip: photographs of scikit-image side by side, mirrored
until they fill it, blurred by a motion kernel, with noise of 1 %, as 16-bit counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import color, data
from skimage.transform import resize

from benchmarks.cells import kernel
from benchmarks.images import TestImage
from benchmarks.results import rounded
from benchmarks.speed import held_memory, peak_memory
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur, restore
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics import runtime, tiles
from napari_selfdeblur.numerics.cost import expected_seconds

SIDE = 25
"""Of the kernel, in pixels."""
_SIGMA = 0.01
_BLACK, _WHITE = 2000, 60_000  # counts
_PHOTOGRAPHS = ("camera", "astronaut", "coffee", "chelsea")
_STRIP = 256  # rows made at a time
_COMPARED = 1024  # pixels: the side of the central square whose PSNR is taken
_LARGEST_WHOLE = 2048  # a larger frame is not restored without tiles too: it takes gigabytes
_BORDER = 4 * SIDE  # where a restoration depends on what is outside the frame

Row = dict[str, Any]


def plan(sizes: Sequence[int], preset: str, device: str, changes: dict[str, Any]) -> list[Task]:
    """Return a task for each side of a square frame in pixels, the smallest first.

    Raises
    ------
    ConfigError
        If a size is too small.
    """
    if min(sizes) < 1024:
        raise ConfigError(f"sizes of frames must be at least 1024, got {min(sizes)}; try 2048")
    config = SelfDeblurConfig.preset(preset).replace(
        kernel_size=SIDE, device=str(runtime.resolve_device(device)), **changes
    )
    return [
        Task(
            kind="frames",
            image=TestImage(dataset="frame", image=f"{n} x {n}", kernel=f"{SIDE} x {SIDE}"),
            setups=(Setup(preset, config),),
            size=n,
        )
        for n in sorted(sizes)
    ]


def measure(task: Task) -> list[Row]:
    """Return the row of one frame."""
    size, (setup,) = task.size, task.setups
    config, k = setup.config, kernel("motion", SIDE)
    image = blurred_frame(size, k, config.seed)
    device = runtime.resolve_device(config.device)
    clipped = bool((image == _WHITE).any())
    expected = expected_seconds(config, (size, size), clipped=clipped)  # also loads what runs need
    load, before = os.getloadavg()[0], held_memory(device)
    begun, computed = time.perf_counter(), time.process_time()
    stages: dict[str, float] = {}
    last = begun

    def on_progress(event: Any) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[event.stage] = stages.get(event.stage, 0.0) + now - last
        last = now

    result = deblur(image, config=config, on_progress=on_progress)
    seconds, computed = time.perf_counter() - begun, time.process_time() - computed
    row: Row = {"status": "finished", "device": runtime.device_label(device), "load": load}
    row |= {"seconds": seconds, "cpu_seconds": computed, "stages": stages, "expected": expected}
    row |= {"seconds_per_megapixel": seconds / image.size * 1e6}
    row |= {"before": before, "peak": peak_memory(device) - before}
    row |= {"predicted": runtime.estimate_memory(config, (size, size))}
    row |= {"region": result.record.image.get("region")}
    row |= {name: (result.record.verdict or {}).get(name) for name in ("credible", "score")}
    row |= {"parts": (result.record.verdict or {"measures": {}})["measures"].get("parts")}
    row |= {"psnr_blurred": _psnr(image, size), "psnr": _psnr(result.sharp, size)}
    if size <= _LARGEST_WHOLE and config.restoration is not None:
        row |= _untiled(image, result.kernel, result.sharp, config)
    return [rounded(row)]


def _untiled(
    image: NDArray[np.uint16],
    k: NDArray[np.float32],
    sharp: NDArray[np.float32],
    config: SelfDeblurConfig,
) -> Row:
    """Return how `sharp` differs from the restoration without tiles, with the same kernel."""
    core, tiles._CORE = tiles._CORE, max(image.shape)  # one tile
    begun, computed = time.perf_counter(), time.process_time()
    try:
        whole = restore(image, k, str(config.restoration), device=config.device)
    finally:
        tiles._CORE = core
    computed = time.process_time() - computed
    inner = slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER)
    off = np.abs((sharp[inner] - whole[inner]) / (_WHITE - _BLACK))
    return {
        "untiled_seconds": time.perf_counter() - begun,
        "untiled_cpu_seconds": computed,
        "untiled_psnr": _psnr(whole, image.shape[0]),
        "seam_rms": float(np.sqrt((off.astype(np.float64) ** 2).mean())),
        "seam_999": float(np.quantile(off, 0.999)),
        "seam_max": float(off.max()),
    }


def blurred_frame(size: int, k: NDArray[np.float64], seed: int) -> NDArray[np.uint16]:
    """Return a blurred frame (size, size), made without holding more than a strip in float64."""
    rng, base, reach = np.random.default_rng(seed), _scene(), k.shape[0] // 2
    frame = np.empty((size, size), np.uint16)
    for start in range(0, size, _STRIP):
        stop = min(start + _STRIP, size)
        x = _window(base, (start - reach, stop + reach), (-reach, size + reach))
        y = fftconvolve(x, k, mode="valid")
        y += rng.normal(0, _SIGMA, y.shape)
        frame[start:stop] = np.rint(_BLACK + (_WHITE - _BLACK) * y.clip(0, 1))
    return frame


def _psnr(image: NDArray[Any], size: int) -> float:
    """Return the PSNR of the central square in dB, up to shift."""
    start = (size - _COMPARED) // 2
    ends = start, start + _COMPARED
    part = image[slice(*ends), slice(*ends)].astype(np.float64)
    return psnr_up_to_shift((part - _BLACK) / (_WHITE - _BLACK), _window(_scene(), ends, ends))


def _scene() -> NDArray[np.float64]:
    """Return four photographs in [0, 1], two by two."""
    planes = []
    for name in _PHOTOGRAPHS:
        image = np.asarray(getattr(data, name)())
        plane = color.rgb2gray(image) if image.ndim == 3 else image / 255
        side = min(plane.shape)
        planes.append(resize(plane[:side, :side], (512, 512), order=1, anti_aliasing=True))
    return np.block([planes[:2], planes[2:]])


def _window(
    base: NDArray[np.float64], rows: tuple[int, int], columns: tuple[int, int]
) -> NDArray[np.float64]:
    """Return a window of the scene mirrored without end."""
    n = len(base)
    indices = [np.abs((np.arange(*ends) + n) % (2 * n) - n) for ends in (rows, columns)]
    return np.asarray(base[np.ix_(*(index.clip(0, n - 1) for index in indices))])
