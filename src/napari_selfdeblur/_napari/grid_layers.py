"""The kernels of a grid over the image that they restored, and a map of how much they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_selfdeblur._napari.displays import kernel_display
from napari_selfdeblur._napari.layers import METADATA_KEY, PART_KEY, Source
from napari_selfdeblur._napari.placing import SHARED, last_axes, refined
from napari_selfdeblur.numerics.grid import mosaic

__all__ = ["grid_layers"]

_OVER = {"blending": "translucent_no_depth", "opacity": 0.85}  # additive is white over bright parts
_MAP = {"colormap": "magma", "opacity": 0.6, "interpolation2d": "linear"}


def grid_layers(
    source: Source,
    kernels: NDArray[np.float32],
    cells: list[dict[str, Any]],
    metadata: dict[str, Any],
) -> list[Image]:
    """Return two layers as large as the image, both hidden: ``NAME kernels`` and ``NAME blur map``.

    Parameters
    ----------
    source : Source
        The image.
    kernels : ndarray of float32, (rows, columns, kh, kw)
        Each is drawn, enlarged, in the middle of its cell.
    cells : list of dict
        As the record has them. The map is 1 - correlation of each cell's kernel with the image's.
    metadata : dict
        The record.
    """
    rows, columns = kernels.shape[:2]
    differences = np.array([1 - cell["correlation"] for cell in cells], np.float32)
    differences = differences.clip(0, 1).reshape(rows, columns)
    laid = mosaic(kernels, _cell(kernels, source.sides))
    layers = []
    for name, data, look in (
        ("kernels", laid, {**kernel_display(laid), **_OVER}),
        ("blur map", differences, {**_MAP, "contrast_limits": _limits(differences)}),
    ):
        place = refined(source.look, source.sides, (data.shape[0], data.shape[1]))
        shared = last_axes({key: place[key] for key in SHARED}, 2)
        facts = {METADATA_KEY: metadata, PART_KEY: name.replace(" ", "_")}
        layers.append(
            Image(
                data,
                name=f"{source.name} {name}",
                rgb=False,
                visible=False,
                metadata=facts,
                **{**shared, **look},
            )
        )
    return layers


def _cell(kernels: NDArray[np.float32], sides: tuple[int, int]) -> tuple[int, int]:
    """Return the cell's size in pixels of the mosaic: the kernel fits, its shape is the cell's."""
    rows, columns, kh, kw = kernels.shape
    height, width = sides[0] / rows, sides[1] / columns
    larger = max((kh + 2) / height, (kw + 2) / width)
    return max(round(larger * height), kh + 2), max(round(larger * width), kw + 2)


def _limits(differences: NDArray[np.float32]) -> tuple[float, float]:
    """Return the values drawn in the darkest and the brightest colour."""
    return 0.0, max(float(differences.max()), 0.1)
