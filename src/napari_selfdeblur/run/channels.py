"""The channels of a colour image beside the plane that the kernel is estimated from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.io.frames import Frame

__all__ = ["blurred_channels", "plane_of", "recoloured"]


def blurred_channels(frame: Frame) -> NDArray[np.float32]:
    """Return R, G and B of a colour frame, (H, W, 3), in the units of its ``y``."""
    return np.stack([channel.y for channel in frame.channels], axis=-1)


def recoloured(
    planes: NDArray[np.float32], frame: Frame, sharp: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return restored channels (H, W, 3) whose plane, by the frame's weights, is `sharp` (H, W).

    What the plane has gained, such as the networks' own share, is added to each channel.
    """
    return planes + (sharp - plane_of(planes, frame))[..., None]


def plane_of(planes: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Return the plane (H, W) of channels (H, W, 3) by the frame's weights."""
    return planes @ np.array(frame.weights, dtype=np.float32)
