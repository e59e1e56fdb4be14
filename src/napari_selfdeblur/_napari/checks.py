"""Whether what the widget shows can be run, found out while the user types."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io import images

__all__ = ["ImageCheck", "memory_text"]

_LIVE_PIXELS = 2**23
"""Larger images are checked at Run only: looking at every pixel would hold the viewer up."""


class ImageCheck:
    """Checks a layer's image, and remembers the last answer."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._problem: str | None = None

    def problem(self, layer: Image, kernel_size: tuple[int, int]) -> str | None:
        """Return why the image of `layer` cannot be deblurred, None if nothing is known."""
        if layer.ndim != 2:
            return (
                f"this layer has {layer.ndim} dimensions, an image of 2 is needed; split it with "
                "'Split Stack' in the layer's context menu"
            )
        pixels = layer.data[0] if layer.multiscale else layer.data
        if not isinstance(pixels, np.ndarray) or pixels.size > _LIVE_PIXELS:
            return None
        key = (id(pixels), kernel_size)
        if key != self._key:
            self._key = key
            try:
                images.prepare(pixels, kernel_size, rgb=bool(layer.rgb))
            except ImageError as error:
                self._problem = str(error)
            else:
                self._problem = None
        return self._problem


def memory_text(layer: Image, config: SelfDeblurConfig) -> str:
    """Return the memory a run needs, in words. Loads torch.

    Raises
    ------
    DeviceError
        If the device or the precision is not available.
    """
    from napari_selfdeblur.numerics.runtime import estimate_memory

    if layer.ndim != 2:
        return ""
    pixels = layer.data[0] if layer.multiscale else layer.data
    height, width = pixels.shape[:2]
    need = estimate_memory(config, (height, width)) / 2**30
    return f"{height} x {width} pixels: about {need:.1f} GiB of memory"
