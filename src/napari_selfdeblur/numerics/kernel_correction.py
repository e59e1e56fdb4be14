"""A kernel corrected by a fit to the image restored with it, less what such a fit errs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_selfdeblur.numerics.blur import Blur, drawn_noise
from napari_selfdeblur.numerics.edge_kernel import cleaned_kernel, smoothed
from napari_selfdeblur.numerics.kernel_fit import fit_kernel
from napari_selfdeblur.numerics.nonblind.sparse import sparse

__all__ = ["corrected_kernel"]

Plane = NDArray[np.float32]

_SMOOTHING = 0.7  # pixels; noise and ringing weigh less in a fit to smoothed images


def corrected_kernel(
    y: Tensor, kernel: Plane, sigma: float, clipped: NDArray[np.bool_] | None = None
) -> Plane:
    """Return k + fit(x, y) - fit(x', y'), cleaned: see docs/decisions/0033.

    x is y restored with k, and fit(x, y) the kernel >= 0 of sum 1 that best blurs x into y
    (`fit_kernel`). Restored images err, so fit(x, y) would not be k if k were the true kernel. A
    simulation tells how far it would lie from it: y' is k * x with new noise, clipped as y is, and
    x' is y' restored with k.

    Parameters
    ----------
    y : Tensor of float32, (H, W)
        Blurred image in [0, 1], larger than the kernel; computed on its device.
    kernel : ndarray of float32, (kh, kw)
        k: odd sides, >= 0, positive sum.
    sigma : float
        Noise standard deviation of y.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above.

    Returns
    -------
    ndarray of float32, (kh, kw)
        Without weak entries and islands, centred, of sum 1; `kernel`, scaled to that sum, where
        the image is too flat for a fit.
    """
    k = torch.from_numpy(kernel / kernel.sum()).to(y.device)
    mask = None if clipped is None else torch.from_numpy(clipped).to(y.device)
    x = sparse(y, k, sigma=sigma, clipped=mask)
    again, where = _blurred_again(x, y, k, sigma, mask)
    found = _fitted(x, y, k)
    expected = _fitted(sparse(again, k, sigma=sigma, clipped=where), again, k)
    if found is None or expected is None:
        return k.cpu().numpy()
    return cleaned_kernel((k.cpu() + found - expected).clamp_min(0).numpy(), k.cpu().numpy())


def _blurred_again(
    x: Tensor, y: Tensor, k: Tensor, sigma: float, clipped: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return k * x with noise, (H, W), its border repeated around x, and where it is clipped."""
    A = Blur.of(y, k)
    again = A.forward(A.start(x)) + drawn_noise(y, sigma)
    if clipped is None or not bool(clipped.any()):
        return again, clipped
    level = y[clipped].min()
    return again.clamp_max(level), again >= level


def _fitted(x: Tensor, y: Tensor, k: Tensor) -> Tensor | None:
    """Return the kernel of float64, with k's sides and sum 1, that blurs x into y, if any does."""
    found = fit_kernel(smoothed(x, _SMOOTHING), smoothed(y, _SMOOTHING), (k.shape[0], k.shape[1]))
    return found / found.sum() if found.sum() > 0 else None
