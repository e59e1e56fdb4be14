"""Rectangles of many greys, moved along a line, and the kernel of that motion."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

__all__ = ["KERNEL", "blurred"]

KERNEL = np.zeros((9, 9), np.float32)
KERNEL[4, 1:8] = 1 / 7


def blurred(seed: int = 0, sigma: float = 0.001) -> np.ndarray:
    """Return rectangles of many greys, moved along a line of 7 pixels."""
    rng = np.random.default_rng(seed)
    x = np.full((104, 104), 0.5)
    for _ in range(60):
        top, left = rng.integers(0, 90, 2)
        height, width = rng.integers(6, 40, 2)
        x[top : top + height, left : left + width] = rng.uniform(0.1, 0.9)
    y = fftconvolve(x, KERNEL, mode="valid")
    return (y + rng.normal(0, sigma, y.shape)).astype(np.float32)
