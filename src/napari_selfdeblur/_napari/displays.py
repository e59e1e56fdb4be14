"""How the layers of a run that are no image of the source's kind are displayed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DIAGNOSTICS = ("residual", "spread")
"""What a run keeps beside image and kernel where it is asked for."""

_KERNEL_COLORMAP = "inferno"
_COLORMAPS = {"residual": "PiYG", "spread": "magma"}
_SHOWN = 99.9  # percent of the pixels that the contrast limits hold


def kernel_display(kernel: NDArray[np.float32]) -> dict[str, Any]:
    """Return keywords of `Image` by which a kernel is displayed, from 0 to its largest value."""
    return {
        "colormap": _KERNEL_COLORMAP,
        "contrast_limits": kernel_limits(kernel),
        "interpolation2d": "nearest",
    }


def diagnostic_display(part: str, image: NDArray[np.float32]) -> dict[str, Any]:
    """Return keywords of `Image` by which a residual or a spread is displayed.

    A residual from -a to a, a spread from 0 to a, where a exceeds 99.9 % of the magnitudes.
    """
    largest = max(float(np.percentile(np.abs(image), _SHOWN)), float(np.finfo(np.float32).tiny))
    return {
        "colormap": _COLORMAPS[part],
        "contrast_limits": (-largest if part == "residual" else 0.0, largest),
        "interpolation2d": "nearest",
    }


def kernel_limits(kernel: NDArray[np.float32]) -> tuple[float, float]:
    """Return the contrast limits of a kernel's layer."""
    return 0.0, max(float(kernel.max()), float(np.finfo(np.float32).tiny))
