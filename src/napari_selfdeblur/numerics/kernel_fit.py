"""The kernel that blurs the edges of a known sharp image into those of the blurred one."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from napari_selfdeblur.numerics.l0_prior import gradients

__all__ = ["fit_kernel"]

_DAMPING = 0.03  # Tikhonov weight over the energy of the edges
_STEPS = 30  # projected gradient steps of one kernel


def fit_kernel(x: Tensor, y: Tensor, kernel_size: tuple[int, int]) -> Tensor:
    """Return argmin over k >= 0 of sum_d |k * D_d x - D_d y|^2 + g |k|^2.

    g is a small part of the energy of the edges, sum_d |D_d x|^2.

    Only edges at least half a kernel away from the border of x are taken, since the others
    are blurred by what lies outside. The normal equations are then a small Toeplitz system:
    the autocorrelation of the edges, and their correlation with those of y.

    Parameters
    ----------
    x, y : Tensor of float32, (H, W)
        Sharp image and blurred image, pixel on pixel, larger than the kernel; on one device.
    kernel_size : (int, int)
        Sides (kh, kw) of the kernel, odd.

    Returns
    -------
    Tensor of float64, (kh, kw)
        Not normalised; all zero where x has no edge. On the CPU.
    """
    (kh, kw), (height, width) = kernel_size, x.shape
    size = (next_fast_len(height + kh, real=True), next_fast_len(width + kw, real=True))
    blurred = gradients(y)
    edges = torch.zeros_like(blurred)
    inside = slice(kh // 2, height - kh // 2), slice(kw // 2, width - kw // 2)
    edges[:, *inside] = gradients(x)[:, *inside]
    X, Y = torch.fft.rfft2(edges, s=size), torch.fft.rfft2(blurred, s=size)
    r = _lags((X.conj() * X).sum(0), size, (kh - 1, kw - 1))
    b = _lags((X.conj() * Y).sum(0), size, (kh // 2, kw // 2))
    return _nonnegative_solution(r, b, _DAMPING * float(r[kh - 1, kw - 1]))


def _nonnegative_solution(r: Tensor, b: Tensor, g: float) -> Tensor:
    """Return argmin over k >= 0 of k^T (R + g) k / 2 - b^T k, R the Toeplitz matrix of `r`.

    Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems", SIAM J. Imaging Sciences 2009 (FISTA).
    """
    kh, kw = b.shape
    size = (next_fast_len(3 * kh - 2, real=True), next_fast_len(3 * kw - 2, real=True))
    R = torch.fft.rfft2(r, s=size)
    lipschitz = float(R.abs().max()) + g
    if lipschitz <= torch.finfo(torch.float32).tiny:
        return torch.zeros_like(b)
    k = momentum = torch.full_like(b, 1 / (kh * kw))
    t, padded = 1.0, r.new_zeros(size)
    for _ in range(_STEPS):
        padded[:kh, :kw] = momentum
        Rk = torch.fft.irfft2(R * torch.fft.rfft2(padded), s=size)
        gradient = Rk[kh - 1 : 2 * kh - 1, kw - 1 : 2 * kw - 1] + g * momentum - b
        previous, k = k, (momentum - gradient / lipschitz).clamp_min(0)
        t, last = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        momentum = k + (last - 1) / t * (k - previous)
    return k


def _lags(spectrum: Tensor, size: tuple[int, int], reach: tuple[int, int]) -> Tensor:
    """Return a correlation at the lags of -reach to reach, (2 rh + 1, 2 rw + 1) of float64."""
    rh, rw = reach
    correlation = torch.roll(torch.fft.irfft2(spectrum, s=size), reach, dims=(0, 1))
    return correlation[: 2 * rh + 1, : 2 * rw + 1].cpu().double()
