"""Photographs whose blur varies slowly over the frame: one kernel against a grid of kernels.

Each is blurred by 49 kernels on a lattice of 7 x 7 places; between them the blurred images fade
into each other. The lattice is finer than any grid that is compared, and not one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import color, data
from skimage.transform import downscale_local_mean

from benchmarks.cells import blurred_path, kernel, path

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


BLURS: dict[str, Callable[[float, float], Plane]] = {"motion": motion, "defocus": defocus}


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
