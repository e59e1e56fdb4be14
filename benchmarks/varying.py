"""Photographs whose blur varies slowly over the frame: one kernel against a grid of kernels.

Each is blurred by 49 kernels on a lattice of 7 x 7 places; between them the blurred images fade
into each other. The lattice is finer than any grid that is compared, and not one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import color, data
from skimage.transform import downscale_local_mean

from benchmarks.cells import blurred_path, path
from benchmarks.images import TestImage
from benchmarks.results import rounded
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur, restore
from napari_selfdeblur.compare.metrics import kernel_similarity, psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.numerics.grid import KernelGrid, centres_of, regions_of
from napari_selfdeblur.numerics.runtime import device_label, resolve_device
from napari_selfdeblur.run.restoration import restore_frame
from napari_selfdeblur.run.survey import Survey

SIDE = 17
"""Of the kernels, in pixels."""
SCENES = {
    "tuning": ("camera", "coffee", "brick", "immunohistochemistry"),
    "checking": ("astronaut", "stereo_motorcycle", "gravel", "retina"),
}
"""The photographs of each half of `benchmarks.cells` that are large enough, whole."""
_REDUCED = {"retina": 2}
_LATTICE = 7  # places of kernels a side
_TURN = 25.0  # degrees by which the motion is turned at the left and the right end
_RADII = 2.0, 6.0  # pixels, of the disks at the upper left and the lower right corner
_SEED = 3  # of the motion
_NOISE = 0.005  # standard deviation, of the range

Row = dict[str, Any]
At = Callable[[float, float], NDArray[np.float64]]
Plane = NDArray[np.float64]


def motion(row: float, column: float) -> Plane:
    """Return the kernel at a place in [0, 1]: a path that turns from left to right."""
    points = path(np.random.default_rng(_SEED))
    points *= (SIDE // 2 - 1.5) / np.hypot(*points).max()
    angle = np.deg2rad(_TURN * (2 * column - 1))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ points
    k = blurred_path(turned * (0.8 + 0.2 * row), SIDE)
    return np.asarray(k / k.sum())


def defocus(row: float, column: float) -> Plane:
    """Return the kernel at a place in [0, 1]: a disk that grows from one corner to the other."""
    low, high = _RADII
    radius = low + (high - low) * (row + column) / 2
    fine = (np.arange(8 * SIDE) + 0.5) / 8 - SIDE / 2
    inside = np.clip(radius + 0.5 - np.hypot(fine[:, None], fine), 0, 1)
    k = inside.reshape(SIDE, 8, SIDE, 8).mean(axis=(1, 3))
    return np.asarray(k / k.sum())


def same(row: float, column: float) -> Plane:
    """Return the motion's kernel in the middle, wherever the place."""
    return motion(0.5, 0.5)


BLURS: dict[str, At] = {"motion": motion, "defocus": defocus, "same": same}
"""Kernels by their place in the frame; the last is the one that needs no grid."""


def plan(half: str, grid: tuple[int, int], preset: str, device: str) -> list[Task]:
    """Return a task for each photograph of a half and each blur."""
    config = SelfDeblurConfig.preset(preset).replace(
        kernel_size=SIDE, kernel_grid=grid, device=str(resolve_device(device))
    )
    return [
        Task(
            kind="varying",
            image=TestImage(dataset="varying", image=name, kernel=blur, category=half),
            setups=(Setup(preset, config),),
        )
        for blur in BLURS
        for name in SCENES[half]
    ]


def measure(task: Task) -> list[Row]:
    """Return the row of one photograph: PSNR of one kernel, of the grid, of the true kernels."""
    config, at = task.setups[0].config, BLURS[task.image.kernel]
    x, reach = scene(task.image.image), SIDE // 2
    seed = crc32(f"{task.image.image} {task.image.kernel}".encode())
    y = blurred(x, at)
    y += np.random.default_rng(seed).normal(0, _NOISE, y.shape)
    image = np.rint(255 * y.clip(0, 1)).astype(np.uint8)
    sharp = x[reach:-reach, reach:-reach]

    def psnr(found: NDArray[Any]) -> float:
        return psnr_up_to_shift(np.clip(found / 255, 0, 1), sharp)

    begun = time.perf_counter()
    result = deblur(image, config=config)
    seconds = time.perf_counter() - begun
    method, device = str(config.restoration), resolve_device(config.device)
    row: Row = {"status": "finished", "device": device_label(device), "seconds": seconds}
    row |= {"shape": list(image.shape), "psnr_blurred": psnr(image), "psnr": psnr(result.sharp)}
    row["psnr_one"] = psnr(restore(image, result.kernel, method, device=config.device))
    true = _true(image.shape, config.kernel_grid, at)
    row["psnr_true"] = psnr(_restored(image, true, method, config))
    flat = true.kernels.reshape(-1, SIDE, SIDE)
    found = result.kernels if result.kernels is not None else np.empty((0, SIDE, SIDE))
    pairs = zip(found.reshape(-1, *found.shape[-2:]), flat, strict=True)
    row["similarity"] = float(np.mean([kernel_similarity(*pair) for pair in pairs]))
    row["similarity_one"] = float(np.mean([kernel_similarity(result.kernel, k) for k in flat]))
    row["cells"] = list(result.record.cells)
    row |= {name: (result.record.verdict or {}).get(name) for name in ("credible", "score")}
    return [rounded(row)]


def _true(shape: tuple[int, ...], grid: tuple[int, int], at: At) -> KernelGrid:
    """Return the true kernels at the places that a grid's are for."""
    sides = shape[0], shape[1]
    centres = centres_of(grid, regions_of(grid, sides, (SIDE, SIDE)))
    rows, columns = (each / n for each, n in zip(centres, sides, strict=True))
    kernels = np.array([[at(row, column) for column in columns] for row in rows], np.float32)
    return KernelGrid(kernels, centres)


def _restored(
    image: NDArray[np.uint8], grid: KernelGrid, method: str, config: SelfDeblurConfig
) -> NDArray[np.float32]:
    frame = Frame.of(image, grid.kernel_size)
    x, device = frame.y, resolve_device(config.device)
    for _ in restore_frame(Survey.of(frame), x, grid.kernels[0, 0], method, device, grid=grid):
        pass
    return frame.restore_range(x)


def scene(name: str) -> Plane:
    """Return a photograph in [0, 1], as large as it comes."""
    found = getattr(data, name)()
    image = np.asarray(found[0] if isinstance(found, tuple) else found)
    plane = color.rgb2gray(image) if image.ndim == 3 else image / 255
    return np.asarray(downscale_local_mean(plane, (_REDUCED.get(name, 1),) * 2), dtype=np.float64)


def blurred(x: Plane, at: Callable[[float, float], Plane]) -> Plane:
    """Return a scene without its border of half a kernel, blurred by the kernels of `at`."""
    shape = tuple(n - SIDE + 1 for n in x.shape)
    places = np.linspace(0, 1, _LATTICE)
    rows, columns = (_hats(n, places) for n in shape)
    y = np.zeros(shape)
    for i, row in enumerate(places):
        for j, column in enumerate(places):
            y += np.outer(rows[i], columns[j]) * fftconvolve(x, at(row, column), mode="valid")
    return y


def _hats(n: int, places: Plane) -> Plane:
    """Return (places, n): the share of each place in each of n pixels, linear between them."""
    at = (np.arange(n) + 0.5) / n
    step = places[1] - places[0]
    return np.asarray(np.clip(1 - np.abs(at - places[:, None]) / step, 0, 1))
