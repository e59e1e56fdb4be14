"""The kernel estimated again from parts of the image: whether it is the same everywhere.

A kernel that is right is found in every part that has edges. One that only some texture or noise
explains is not; nor is the one kernel of an image whose blur varies over the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from napari_selfdeblur.numerics.edge_kernel import edge_kernel, first_smoothing, smoothed
from napari_selfdeblur.numerics.registration import correlations
from napari_selfdeblur.numerics.support import sides_of

__all__ = ["parts_agreement"]

_SIDE = 0.6  # of a part, over the image's
_FLAT = 1e-5  # range of a part that differs by rounding alone


def parts_agreement(
    y: torch.Tensor,
    k: NDArray[np.float32],
    noise: float,
    others: Sequence[torch.Tensor] = (),
    *,
    intensities: float = 0.0,
) -> float | None:
    """Return the least correlation of `k` with edge-based kernels of parts of the image.

    Parameters
    ----------
    y : Tensor of float32, (H, W)
        Blurred image in [0, 1].
    k : ndarray of float32, (kh, kw)
        Its estimated kernel.
    noise : float
        Its standard deviation, without what JPEG has left.
    others : sequence of Tensor, (h, w), optional
        The parts, where y is itself one of the image. By default the four corners of y, of 60 %
        of its sides, so that they overlap.
    intensities : float
        How `k` was found, and those of the parts are: as `edge_kernel` has it.

    Returns
    -------
    float or None
        In [0, 1], at the best shift. None if no part has an edge, or parts are no larger than the
        kernel.
    """
    size = sides_of(k, (y.shape[0], y.shape[1]))
    width = first_smoothing(noise)
    parts = [smoothed(other, width) for other in others] or _corners(smoothed(y, width))
    parts = [part for part in parts if part.shape[0] > size[0] and part.shape[1] > size[1]]
    kernels = [
        edge_kernel(part, size, intensities=intensities).cpu().numpy()
        for part in parts
        if part.max() - part.min() > _FLAT
    ]
    return float(correlations([k, *kernels])[0, 1:].min()) if kernels else None


def _corners(y: torch.Tensor) -> list[torch.Tensor]:
    rows, columns = (round(_SIDE * n) for n in y.shape)
    ends = (slice(rows), slice(-rows, None)), (slice(columns), slice(-columns, None))
    return [y[corner] for corner in product(*ends)]
