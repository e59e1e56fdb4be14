"""Scenes to be blurred: photographs in scikit-image's wheel, and simulated microscopy."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from skimage import color, data
from skimage.transform import downscale_local_mean, resize

SIDE = 255
"""Side of every blurred image in pixels."""
FIELD = SIDE + 44
"""Side of the scenes in pixels: a kernel of 45 x 45 needs none outside."""
_REDUCED = {"retina": 3}  # a photograph of 1411 x 1411 pixels

Plane = NDArray[np.float64]


def is_simulated(name: str) -> bool:
    """Return whether the scene is simulated microscopy, not a photograph."""
    return name.rpartition("_")[0] in SIMULATED


def scene(name: str) -> Plane:
    """Return the scene `name` (299, 299): a photograph in [0, 1], or what a specimen emits.

    A photograph is its middle, or the part that `view_of` names.
    """
    if is_simulated(name):
        rng = np.random.default_rng(crc32(name.encode()))
        return SIMULATED[name.rpartition("_")[0]](rng)
    base, _, at = name.partition("@")
    image = _photograph(base)
    if not at:
        return central(image, FIELD)
    scale, *ends = map(float, at.split(","))
    scale = max(scale, FIELD / min(image.shape))
    scaled = resize(image, tuple(math.ceil(scale * n) for n in image.shape), anti_aliasing=True)
    top, left = (int(end * (n - FIELD)) for end, n in zip(ends, scaled.shape, strict=True))
    return np.asarray(scaled[top : top + FIELD, left : left + FIELD], dtype=np.float64)


def view_of(photograph: str, scale: float, down: float, across: float) -> str:
    """Return the name of a part of a scaled photograph, at these fractions of its sides.

    A scale that would leave less than a field is raised.
    """
    return f"{photograph}@{scale:.2f},{down:.2f},{across:.2f}"


def _photograph(name: str) -> Plane:
    found = getattr(data, name)()
    image = np.asarray(found[0] if isinstance(found, tuple) else found)  # stereo: left and right
    plane = color.rgb2gray(image) if image.ndim == 3 else image / 255
    return np.asarray(downscale_local_mean(plane, (_REDUCED.get(name, 1),) * 2))


def central(image: Plane, side: int) -> Plane:
    """Return the central (side, side) of `image`."""
    top, left = ((n - side) // 2 for n in image.shape)
    return np.asarray(image[top : top + side, left : left + side], dtype=np.float64)


def drawn(points: Plane, side: int) -> Plane:
    """Return how many of `points` (2, N), rows and columns, lie in each pixel of (side, side)."""
    rows, columns = points
    return np.asarray(np.histogram2d(rows, columns, bins=side, range=[(0, side)] * 2)[0])


def _filaments(rng: np.random.Generator) -> Plane:
    """Return thirty gently bending lines, about two pixels wide."""
    lines = np.full((FIELD, FIELD), 0.02)
    for _ in range(30):
        direction = rng.uniform(0, 2 * np.pi) + np.cumsum(
            gaussian_filter1d(rng.normal(0, 0.05, 1600), 40)
        )
        path = np.cumsum([np.sin(direction), np.cos(direction)], axis=1) / 4
        path += rng.uniform(0, FIELD, (2, 1)) - path[:, 800:801]
        lines += rng.uniform(0.1, 0.25) * drawn(path, FIELD)
    return np.asarray(gaussian_filter(lines, 0.8))


def _spots(rng: np.random.Generator) -> Plane:
    """Return two hundred spots, smaller than the resolution, over a weak uneven background."""
    spots = np.full((FIELD, FIELD), 0.0)
    for brightness in rng.uniform(1, 6, 200):
        spots += brightness * drawn(rng.uniform(0, FIELD, (2, 1)), FIELD)
    haze = gaussian_filter(rng.normal(size=spots.shape), 25)
    return np.asarray(gaussian_filter(spots, 0.9) + 0.03 * (1 + haze / np.ptp(haze)))


def _cells(rng: np.random.Generator) -> Plane:
    """Return thirty ellipses with a mottled inside, a bright rim and a dark nucleus."""
    field = np.full((FIELD, FIELD), 0.05)
    for _ in range(30):
        rows, columns = np.indices(field.shape) - rng.uniform(0, FIELD, (2, 1, 1))
        turn, long, short = rng.uniform((0, 28, 18), (np.pi, 42, 28))
        along = (rows * np.cos(turn) + columns * np.sin(turn)) / long
        across = (columns * np.cos(turn) - rows * np.sin(turn)) / short
        distance = np.hypot(along, across)
        mottled = gaussian_filter(rng.normal(size=field.shape), 1.5)
        inside = 0.5 + 0.15 * mottled / mottled.std() - 0.35 * (distance < 0.4)
        field += (distance < 1) * np.clip(inside, 0.05, None) + (np.abs(distance - 1) < 0.04)
    return np.asarray(gaussian_filter(field, 0.7))


SIMULATED = {"filaments": _filaments, "spots": _spots, "cells": _cells}
