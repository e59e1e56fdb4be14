"""The kernel estimated again from parts of the image: whether it is the same everywhere.

A kernel that is right is found in every part that has edges. One that only some texture or noise
explains is not; nor is the one kernel of an image whose blur varies over the frame.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from napari_selfdeblur.numerics.edge_kernel import edge_kernel, first_smoothing, smoothed
from napari_selfdeblur.numerics.registration import correlations
from napari_selfdeblur.numerics.support import sides_of

__all__ = ["parts_agreement"]

_SIDE = 0.6  # of a part, over the image's


def parts_agreement(y: torch.Tensor, k: NDArray[np.float32], sigma: float) -> float | None:
    """Return the least correlation of `k` with edge-based kernels of the four corners of `y`.

    Parameters
    ----------
    y : Tensor of float32, (H, W)
        Blurred image in [0, 1].
    k : ndarray of float32, (kh, kw)
        Its estimated kernel.
    sigma : float
        Noise standard deviation of y.

    Returns
    -------
    float or None
        In [0, 1], at the best shift; each corner has 60 % of the image's sides, so that they
        overlap. None if no corner has an edge, or corners are no larger than the kernel.
    """
    size = sides_of(k, (y.shape[0], y.shape[1]))
    rows, columns = (round(_SIDE * n) for n in y.shape)
    if rows <= size[0] or columns <= size[1]:
        return None
    smooth = smoothed(y, first_smoothing(sigma))
    ends = (slice(rows), slice(-rows, None)), (slice(columns), slice(-columns, None))
    corners = [smooth[corner] for corner in product(*ends)]
    kernels = [edge_kernel(part, size).cpu().numpy() for part in corners if part.std() > 0]
    return float(correlations([k, *kernels])[0, 1:].min()) if kernels else None
