"""A piecewise-constant sharp image for a given kernel: the L0 gradient prior.

Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring",
CVPR 2013. The image is too plain to be a result, but its few strong edges are what a
kernel can be estimated from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

__all__ = ["L0Gradient", "gradients"]

Plane = NDArray[np.float32]

_BETA_FIRST, _BETA_LAST = 2.0**-7, 8.0


class L0Gradient:
    """min_x |k * x - y|^2 + lambda |grad x|_0 for one y and any kernel.

    y is continued smoothly into its opposite side, over as many pixels as the kernel spans,
    so that every convolution may be circular.

    Parameters
    ----------
    y : ndarray of float32, (H, W)
        Blurred image.
    kernel_size : (int, int)
        Sides of the kernels to come, odd.
    """

    def __init__(self, y: Plane, kernel_size: tuple[int, int]) -> None:
        self.shape = y.shape
        rows, columns = (
            next_fast_len(n + s - 1, real=True) for n, s in zip(y.shape, kernel_size, strict=True)
        )
        self.canvas = (rows, columns)
        self.Y = rfft2(_continued(_continued(y, rows).T, columns).T)
        u, v = np.arange(rows) / rows, np.arange(columns // 2 + 1) / columns
        # |D_x|^2 + |D_y|^2 of circular forward differences.
        laplacian = 4 - 2 * np.cos(2 * np.pi * u)[:, None] - 2 * np.cos(2 * np.pi * v)
        self.DD = laplacian.astype(np.float32)

    def sharp(self, k: Plane, weight: float) -> Plane:
        """Return x for the kernel `k` and lambda = `weight`.

        Half-quadratic splitting: g takes the place of grad x at the price
        beta |g - grad x|^2, beta doubling from 2^-7 to 8. For a fixed x, g is grad x where
        its square reaches lambda / beta and zero elsewhere; for a fixed g, x is closed-form
        in the Fourier domain.

        Parameters
        ----------
        k : ndarray, (kh, kw)
            Kernel summing to 1, no larger than the canvas was made for.
        weight : float
            lambda > 0, in squared units of y.

        Returns
        -------
        ndarray of float32, (H, W)
        """
        K = _transfer(k, self.canvas)
        KY, KK = K.conj() * self.Y, (K * K.conj()).real
        x = irfft2(self.Y, s=self.canvas)
        beta = _BETA_FIRST
        while beta <= _BETA_LAST:
            gy, gx = (np.roll(x, -1, axis) - x for axis in (0, 1))
            kept = gy * gy + gx * gx >= np.float32(weight / beta)
            gy, gx = gy * kept, gx * kept
            divergence = np.roll(gy, 1, 0) - gy + np.roll(gx, 1, 1) - gx
            x = irfft2(
                (KY + np.float32(beta) * rfft2(divergence)) / (KK + np.float32(beta) * self.DD),
                s=self.canvas,
            )
            beta *= 2
        return np.asarray(x[: self.shape[0], : self.shape[1]])


def gradients(x: Plane) -> tuple[Plane, Plane]:
    """Return the forward differences of x (H, W) down rows and along columns, (H, W) each.

    The last row or column, which has no neighbour, is zero.
    """
    return np.diff(x, axis=0, append=x[-1:]), np.diff(x, axis=1, append=x[:, -1:])


def _continued(y: Plane, rows: int) -> Plane:
    """Return y followed by rows that lead smoothly from its last row back to its first."""
    missing = rows - len(y)
    t = np.arange(1, missing + 1, dtype=np.float32)[:, None] / (missing + 1)
    t = t * t * (3 - 2 * t)
    return np.concatenate([y, (1 - t) * y[-1] + t * y[0]])


def _transfer(k: Plane, canvas: tuple[int, int]) -> NDArray[np.complex64]:
    """Return the transfer function of `k` with its central pixel as the origin."""
    kh, kw = k.shape
    padded = np.zeros(canvas, np.float32)
    padded[:kh, :kw] = k
    return np.asarray(rfft2(np.roll(padded, (-(kh // 2), -(kw // 2)), axis=(0, 1))))
