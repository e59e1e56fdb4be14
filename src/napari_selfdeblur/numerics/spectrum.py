"""How well a kernel explains the power spectrum of a blurred image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2
from scipy.optimize import minimize

__all__ = ["MODEL_ERROR", "SpectralFit", "spectral_fit"]

MODEL_ERROR = 0.003
"""Standard deviation of what else the model gets wrong, as in `noise_scale`."""

_FREQUENCIES = 6000  # at most, of those the spectrum is judged by
_EXPONENTS = (1.2, 3.2)  # of the power spectrum; photographs have about 2
_HARMONICS = 4  # of the spectrum's amplitude over direction: bricks and horizons have one


class SpectralFit(NamedTuple):
    """How a kernel explains a power spectrum.

    Attributes
    ----------
    misfit : float
        Minus twice the log-likelihood, in nats a frequency.
    informative : float
        Share of the frequencies that say something of the kernel, in (0, 1]: the mean of
        (signal / (signal + noise))^2 of the power, which is the Fisher information of the
        signal's logarithm. Where there is noise alone all kernels explain it alike.
    """

    misfit: float
    informative: float


def spectral_fit(y: NDArray[np.floating], k: NDArray[np.floating], sigma: float) -> SpectralFit:
    """Return how well `k` explains y's power spectrum.

    Whittle's likelihood, mean(log v + |Y|^2 / v) with v = a(t) |f|^-e |K|^2 + sigma^2, at the e
    and the a of the largest likelihood; log a is a Fourier series of the direction t with
    periods of pi to pi / 4, for sharp images too have more contrast in some directions. Y is
    windowed (Hann); the lowest frequencies, which the window mixes, are left out.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    k : ndarray, (kh, kw)
        Kernel, summing to 1.
    sigma : float
        Noise standard deviation; 0.003 is added in quadrature.
    """
    height, width = y.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(rfft2((y - y.mean()) * window)) ** 2 / (window**2).sum()
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    f2 = rows**2 + columns**2
    used = np.flatnonzero(f2 > (4 / min(height, width)) ** 2)
    used = used[:: used.size // _FREQUENCIES + 1]
    if used.size < 2 * (2 + 2 * _HARMONICS):  # too few, for so many parameters, to judge by
        return SpectralFit(0.0, 1.0)
    P, logf = power.flat[used], 0.5 * np.log(f2.flat[used])
    K2 = np.abs(rfft2(k, s=(height, width)).flat[used]) ** 2
    noise = sigma**2 + MODEL_ERROR**2
    turns = 2 * np.arange(1, _HARMONICS + 1)[:, None] * np.arctan2(rows, columns).flat[used]
    basis = np.concatenate([-logf[None], np.ones((1, used.size)), np.cos(turns), np.sin(turns)])
    low = logf <= np.quantile(logf, 0.02)  # at least one
    start = math.log(float(np.mean(P[low] * np.exp(2 * logf[low]))) + 1e-12)

    def misfit(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        signal = K2 * np.exp(at @ basis)
        v = signal + noise
        ratio = P / v
        return float(np.mean(np.log(v) + ratio)), basis @ (signal / v * (1 - ratio)) / used.size

    bounds = [_EXPONENTS, (start - 8, start + 8), *[(-3, 3)] * (2 * _HARMONICS)]
    first = [2.0, start, *[0.0] * (2 * _HARMONICS)]
    found = minimize(misfit, first, jac=True, method="L-BFGS-B", bounds=bounds)
    signal = K2 * np.exp(found.x @ basis)
    informative = max(float(np.mean((signal / (signal + noise)) ** 2)), 1 / used.size)
    return SpectralFit(float(found.fun), informative)
