"""The share in the result of images that networks made.

A network's image and the restoration with a right kernel err differently, but for the sharpness:
a network's unfinished image is only less sharp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_selfdeblur.numerics.fusion import LEAST_WEIGHT, Candidate, Fused
from napari_selfdeblur.numerics.registration import agreement_of, shift_between

__all__ = ["mixed"]

Plane = NDArray[np.float32]

_WIDTHS = 0.5, 1.0, 2.0, 4.0  # of the Gaussians that change the sharpness, in pixels


def mixed(
    restored: Plane, fused: Fused, candidates: Sequence[Candidate], own_share: float
) -> Plane:
    """Return `restored` with a share of the estimates' own images, registered to it.

    An own image has the less of `own_share` the less its kernel is like the fused one, and none if
    its source weighs less in it than a plausible estimate. Of several estimates it also has the
    less, the more of its difference from `restored` is sharpness alone: the part of the
    difference's energy that `restored` made sharper or smoother explains counts nothing.

    Parameters
    ----------
    restored : ndarray, (H, W)
        The blurred image restored with the fused kernel.
    fused : Fused
        What `candidates` gave.
    candidates : sequence of Candidate
        Those whose kernel disagrees have no share.
    own_share : float
        Largest share in [0, 1] of the estimates' own images.
    """
    share = own_share * agreement_of(fused.alike)
    least = LEAST_WEIGHT * max(fused.weights.values())
    own = [
        (c, s)
        for c, s in zip(candidates, share, strict=True)
        if c.sharp is not None and s > 0 and fused.weights[c.source] >= least
    ]
    if not own:
        return restored
    total = np.zeros(restored.shape)
    for c, s in own:
        difference = _moved(c, fused.kernel) - restored
        new = 1.0 if len(candidates) == 1 else _new_in(difference, restored, fused.kernel)
        total += s * new * difference
    # Several own images share what one alone would have.
    low, high = min(float(restored.min()), 0.0), max(float(restored.max()), 1.0)
    return np.clip(restored + total / len(own), low, high).astype(np.float32)


def _moved(estimate: Candidate, kernel: Plane) -> NDArray[np.float64]:
    """Return the estimate's own image where the image restored with `kernel` lies."""
    side = max(max(kernel.shape), max(estimate.kernel.shape))
    fixed, k = (
        np.pad(q, [((side - n) // 2,) * 2 for n in q.shape]) for q in (kernel, estimate.kernel)
    )
    # A kernel moved one way moves its image the other way.
    back = tuple(-d for d in shift_between(fixed, k))
    return np.asarray(ndimage.shift(estimate.sharp, back, order=3, mode="nearest"), np.float64)


def _new_in(difference: NDArray[np.float64], x: Plane, kernel: Plane) -> float:
    """Return the share of the difference from x, from 0 to 1, that x itself does not explain."""
    energy = float(_inner(difference, kernel).var())
    return min(_unexplained(x, x + difference, kernel) ** 2 / energy, 1.0) if energy else 0.0


def _unexplained(x: Plane, own: NDArray[np.float64], kernel: Plane) -> float:
    """Return the standard deviation of `own` less what `x` gives, sharper or smoother and moved.

    By least squares: x, smoothed by Gaussians of several widths, and its first derivatives.
    """
    smooth = [ndimage.gaussian_filter(x, width, mode="nearest") for width in _WIDTHS]
    columns = [_inner(each, kernel).ravel() for each in (x, *smooth, *np.gradient(x), own)]
    *parts, target = (each - each.mean() for each in np.asarray(columns, np.float64))
    A = np.stack(parts, axis=1)
    weights = np.linalg.lstsq(A.T @ A, A.T @ target, rcond=1e-9)[0]
    return float((target - A @ weights).std())


def _inner(image: NDArray[Any], kernel: Plane) -> NDArray[Any]:
    """Return the image without its border, where restorations err, of half the kernel."""
    rows, columns = (
        min(n // 2, side // 4) for n, side in zip(kernel.shape, image.shape, strict=True)
    )
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]
