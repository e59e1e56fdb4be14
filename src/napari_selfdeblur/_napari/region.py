"""The region of an image layer that the viewer shows, or that a shape encloses."""

from __future__ import annotations

from typing import Any

import numpy as np
from magicgui.widgets import Container, PushButton
from napari.components import ViewerModel
from napari.layers import Image, Shapes
from numpy.typing import ArrayLike

from napari_selfdeblur._napari.stack_rows import sides_of
from napari_selfdeblur._napari.view import view_of
from napari_selfdeblur.errors import ConfigError

__all__ = ["Region", "RegionButtons", "drawn_region", "viewed_region"]

Region = tuple[tuple[int, int], tuple[int, int]]


class RegionButtons(Container[PushButton]):
    """Two buttons in a row: the region that the viewer shows, and the one that a shape encloses."""

    def __init__(self) -> None:
        self.view = PushButton(text="View", tooltip="Take the part that the viewer displays.")
        self.shape = PushButton(
            text="Shape",
            tooltip="Take what the selected shape encloses, or the last one of the topmost Shapes "
            "layer.",
        )
        super().__init__(
            widgets=[self.view, self.shape], layout="horizontal", labels=False, label="Region from"
        )
        self.margins = (0, 0, 0, 0)


def viewed_region(viewer: ViewerModel, layer: Image) -> Region:
    """Return the rows and columns of a layer that a viewer displays.

    Raises
    ------
    ConfigError
        If it displays none of them, other axes, or 3-D.
    """
    if viewer.dims.ndisplay != 2:
        raise ConfigError("the viewer displays 3-D; switch to 2-D first", field="region")
    seen = view_of(viewer)
    if set(seen) != {-2, -1}:
        raise ConfigError(
            "the viewer does not display rows and columns; roll the dimensions back", field="region"
        )
    corners = [(row, column) for row in seen[-2] for column in seen[-1]]
    return _within(layer, corners, "the viewer shows no part of layer")


def drawn_region(viewer: ViewerModel, layer: Image) -> Region:
    """Return the rows and columns of a layer that a shape encloses.

    The first of the selected shapes, or the last shape, of the active Shapes layer or of the
    topmost one that has any.

    Raises
    ------
    ConfigError
        If there is no shape, or it lies outside the layer.
    """
    active = viewer.layers.selection.active
    every = [active, *reversed(viewer.layers)]
    drawn = next((each for each in every if isinstance(each, Shapes) and len(each.data)), None)
    if drawn is None:
        raise ConfigError(
            "there is no shape; add a Shapes layer and draw a rectangle on the image",
            field="region",
        )
    number = min(drawn.selected_data, default=len(drawn.data) - 1)
    corners = [drawn.data_to_world(each)[-2:] for each in drawn.data[number]]
    return _within(layer, corners, f"the shape in '{drawn.name}' lies outside layer")


def _within(layer: Image, corners: ArrayLike, problem: str) -> Region:
    """Return the pixels of a layer between world positions (row, column) of its last two axes."""
    before = np.asarray(layer.extent.world)[0][:-2]
    data: Any = [layer.world_to_data([*before, *corner])[-2:] for corner in np.asarray(corners)]
    # A pixel reaches half a pixel to each side of its position.
    low, high = (np.rint(f(data, axis=0) + 0.5) for f in (np.min, np.max))
    low, high = (np.clip(each, 0, sides_of(layer)).astype(int) for each in (low, high))
    if not (low < high).all():
        raise ConfigError(f"{problem} '{layer.name}'; move it over the image", field="region")
    (top, left), (bottom, right) = low.tolist(), high.tolist()
    return (top, bottom), (left, right)
