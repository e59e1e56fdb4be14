"""The forward model y = k * x (equation 1): a true convolution, its valid part only.

The kernel is the point spread function: a point source blurs into k, not into k rotated
by 180 degrees. No border is invented, so x is larger than y by the kernel's support.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["blur_valid", "centre", "centring_shift", "sharp_size"]

_DIRECT_AREA = {"cpu": 3 * 3}
"""Largest kernel (in pixels) that is convolved directly, by device; larger ones go by FFT.

On one CPU, forward and backward at 128, 255 and 512 pixels, the FFT took less than half the
time from 5 x 5 on. Elsewhere `_DIRECT_AREA_ELSEWHERE` is a guess, not measured.
"""
_DIRECT_AREA_ELSEWHERE = 31 * 31
_MAX_LOST_MASS = 0.01


def sharp_size(blurred: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
    """Return the size of x, (H + kh - 1, W + kw - 1), for y of size (H, W)."""
    return blurred[0] + kernel[0] - 1, blurred[1] + kernel[1] - 1


def blur_valid(x: Tensor, k: Tensor) -> Tensor:
    """Convolve `x` with the point spread function `k`, valid part only (equation 1).

    Parameters
    ----------
    x : Tensor, (..., H + kh - 1, W + kw - 1)
        Sharp image.
    k : Tensor, (kh, kw)
        Kernel, of any size up to that of `x`.

    Returns
    -------
    Tensor, (..., H, W)
        The blurred image where no pixel outside `x` is needed.
    """
    kh, kw = k.shape
    if kh * kw <= _DIRECT_AREA.get(x.device.type, _DIRECT_AREA_ELSEWHERE):
        planes = x.reshape(-1, 1, *x.shape[-2:])
        # conv2d correlates: the flip makes it a convolution.
        y = F.conv2d(planes, k.flip(0, 1)[None, None])
        return y.reshape(*x.shape[:-2], *y.shape[-2:])
    size: list[int] = [next_fast_len(n, real=True) for n in x.shape[-2:]]
    spectrum = torch.fft.rfft2(x, s=size) * torch.fft.rfft2(k, s=size)
    # The circular wrap of size >= x reaches only the first kh - 1 rows, kw - 1 columns.
    full: Tensor = torch.fft.irfft2(spectrum, s=size)
    return full[..., kh - 1 : x.shape[-2], kw - 1 : x.shape[-1]]


def centring_shift(k: NDArray[np.floating]) -> tuple[int, int]:
    """Return the whole-pixel shift (rows, columns) that moves k's centroid to its centre.

    The shift is shortened where it would push more than 1 % of the kernel's mass off its
    support.
    """
    shift = []
    for axis in (0, 1):
        profile = k.sum(axis=1 - axis)
        middle = len(profile) // 2
        wanted = middle - float(np.average(np.arange(len(profile)), weights=profile))
        s = round(wanted)
        while s and _lost(profile, s) > _MAX_LOST_MASS:
            s -= int(np.sign(s))
        shift.append(s)
    return shift[0], shift[1]


def centre(
    x: NDArray[np.float32], k: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x where y was seen, and k with its centroid at the central pixel.

    Blind deconvolution does not know where x lies against k: (k shifted by s, x shifted
    by -s) explains y as well. The shift that centres k is taken out of both.

    Parameters
    ----------
    x : ndarray, (H + kh - 1, W + kw - 1)
        Sharp image on its full support.
    k : ndarray, (kh, kw)
        Kernel, summing to 1.

    Returns
    -------
    sharp : ndarray, (H, W)
    kernel : ndarray, (kh, kw)
        Summing to 1.
    """
    kh, kw = k.shape
    height, width = x.shape[0] - kh + 1, x.shape[1] - kw + 1
    dy, dx = centring_shift(k)
    sharp = x[kh // 2 + dy :, kw // 2 + dx :][:height, :width]
    padded = np.pad(k, ((max(dy, 0), max(-dy, 0)), (max(dx, 0), max(-dx, 0))))
    kernel = padded[max(-dy, 0) :, max(-dx, 0) :][:kh, :kw]
    return np.ascontiguousarray(sharp), (kernel / kernel.sum()).astype(k.dtype)


def _lost(profile: NDArray[np.floating], shift: int) -> float:
    lost = profile[len(profile) - shift :] if shift > 0 else profile[:-shift]
    return float(lost.sum() / profile.sum())
