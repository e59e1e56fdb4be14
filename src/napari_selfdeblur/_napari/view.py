"""What a 2-D view shows of the world."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

__all__ = ["in_view", "view_of"]


def view_of(viewer: ViewerModel) -> dict[int, tuple[float, float]]:
    """Return from where to where a 2-D view shows the world, by axis: -1 is the last.

    The axes are those displayed, in the order of the viewer, vertical and horizontal.
    """
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    centre = np.array(camera.center[-2:])
    axes = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]
    ends = zip((centre - half).tolist(), (centre + half).tolist(), strict=True)
    return dict(zip(axes, ends, strict=True))


def in_view(viewer: ViewerModel, layer: Image) -> bool:
    """Whether the whole of a layer is displayed; in 3-D and in a grid that is napari's."""
    if viewer.dims.ndisplay != 2 or viewer.canvas.grid.enabled:
        return True
    low, high = np.asarray(layer.extent.world)
    seen = {axis: ends for axis, ends in view_of(viewer).items() if -axis <= layer.ndim}
    return all(first <= low[a] and high[a] <= last for a, (first, last) in seen.items())
