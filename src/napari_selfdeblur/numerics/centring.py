"""The ambiguity of blind deconvolution, where x lies against k, removed: k is centred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["centre", "centring_shift"]

_MAX_LOST_MASS = 0.01


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
    """Return x where y was observed, (H, W), and k (kh, kw) with its centroid at its centre.

    Where x (H + kh - 1, W + kw - 1) lies against k is ambiguous in blind deconvolution: (k
    shifted by s, x shifted by -s) explains y as well. The shift that centres k is taken out of
    both.
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
