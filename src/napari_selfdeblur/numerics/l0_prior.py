"""A plain sharp image for a given kernel: few edges, and few pixels that are not background.

Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring",
CVPR 2013; with intensities, Pan et al., "Deblurring text images via L0-regularized intensity
and gradient prior", CVPR 2014. The image is too plain to be a result, but its few strong edges
are what a kernel can be estimated from.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["L0Prior", "gradients"]

_BETA_FIRST, _BETA_LAST = 2.0**-7, 8.0


class L0Prior:
    """min_x |k * x - y|^2 + lambda (|grad x|_0 + mu |x|_0) for one y and any kernel.

    y is continued smoothly into its opposite side, over as many pixels as the kernel spans,
    so that every convolution may be circular. `y` (H, W) is float32, `kernel_size` the odd sides
    of the kernels to come. `intensities` is mu; with it x and y are differences from the
    background, the one of y's 2 % and 98 % quantiles that is nearer to its median.
    """

    def __init__(
        self, y: Tensor, kernel_size: tuple[int, int], *, intensities: float = 0.0
    ) -> None:
        self.shape, self.intensities = y.shape, intensities
        if intensities:
            y = y - _background(y)
        rows, columns = (
            next_fast_len(n + s - 1, real=True) for n, s in zip(y.shape, kernel_size, strict=True)
        )
        self.padded = (rows, columns)
        self.y = _continued(_continued(y, rows).T, columns).T.contiguous()
        self.Y = torch.fft.rfft2(self.y)
        # |D_x|^2 + |D_y|^2 of circular forward differences.
        laplacian = _difference_power(rows, rows)[:, None]
        laplacian = laplacian + _difference_power(columns, columns // 2 + 1)
        # What multiplies beta |X|^2: the gradients', and the intensities' own.
        self.P = (laplacian + bool(intensities)).float().to(y.device)

    def sharp(self, k: Tensor, weight: float) -> Tensor:
        """Return x (H, W) for the kernel `k`, summing to 1, and lambda = `weight`.

        Half-quadratic splitting: g takes the place of grad x at the price
        beta |g - grad x|^2, beta doubling from 2^-7 to 8. For a fixed x, g is grad x where
        its square reaches lambda / beta and zero elsewhere; for a fixed g, x is closed-form
        in the Fourier domain. So do intensities, with mu lambda.
        """
        K = _transfer(k, self.padded)
        KY, KK = K.conj() * self.Y, K.real.square() + K.imag.square()
        x = self.y
        beta = _BETA_FIRST
        while beta <= _BETA_LAST:
            gy, gx = torch.roll(x, -1, 0) - x, torch.roll(x, -1, 1) - x
            kept = (gy * gy + gx * gx >= weight / beta).to(x)
            gy, gx = gy * kept, gx * kept
            target = torch.roll(gy, 1, 0) - gy + torch.roll(gx, 1, 1) - gx
            if self.intensities:
                target += x * (x * x >= self.intensities * weight / beta).to(x)
            X = torch.add(KY, torch.fft.rfft2(target), alpha=beta)
            # A reciprocal: to divide a complex tensor by a real one takes five times as long.
            x = torch.fft.irfft2(X * (1 / torch.add(KK, self.P, alpha=beta)), s=self.padded)
            beta *= 2
        return x[: self.shape[0], : self.shape[1]]


def gradients(x: Tensor) -> Tensor:
    """Return the forward differences of x (H, W) down rows and along columns, (2, H, W).

    The last row or column, which has no neighbour, is zero.
    """
    return torch.stack(
        (torch.diff(x, dim=0, append=x[-1:]), torch.diff(x, dim=1, append=x[:, -1:]))
    )


def _background(y: Tensor) -> float:
    """Return the 2 % or the 98 % quantile of y, that which is nearer to the median."""
    # torch.quantile is limited to 16 million numbers.
    low, middle, high = (float(q) for q in np.quantile(y.cpu().numpy(), (0.02, 0.5, 0.98)))
    return low if middle - low <= high - middle else high


def _difference_power(period: int, count: int) -> Tensor:
    """Return |D|^2 of the circular forward difference at the first `count` frequencies."""
    return 2 - 2 * torch.cos(2 * math.pi / period * torch.arange(count, dtype=torch.float64))


def _continued(y: Tensor, rows: int) -> Tensor:
    """Return y followed by rows that lead smoothly from its last row back to its first."""
    missing = rows - len(y)
    t = torch.arange(1, missing + 1, device=y.device).to(y)[:, None] / (missing + 1)
    t = t * t * (3 - 2 * t)
    return torch.cat([y, (1 - t) * y[-1] + t * y[0]])


def _transfer(k: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the transfer function of `k` with its central pixel as the origin."""
    kh, kw = k.shape
    padded = k.new_zeros(shape)
    padded[:kh, :kw] = k
    K: Tensor = torch.fft.rfft2(torch.roll(padded, (-(kh // 2), -(kw // 2)), dims=(0, 1)))
    return K
