"""How well a kernel explains the power spectrum of a blurred image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import rfft2
from scipy.optimize import minimize
from torch import Tensor

__all__ = ["MODEL_ERROR", "PowerSpectrum", "SpectralFit", "spectral_fit", "window_lags"]

MODEL_ERROR = 0.003
"""Standard deviation of what else the model gets wrong, as in `noise_scale`."""

_FREQUENCIES = 6000  # at most, of those the spectrum is judged by
_EXPONENTS = (1.2, 3.2)  # of the power spectrum; photographs have about 2
_HARMONICS = 4  # of the spectrum's amplitude over direction: bricks and horizons have one
_DEGREE = 4  # of polynomials of log |f| that a sharp image may deviate from a power law by
_DEVIATION = 0.2  # standard deviation of each of their coefficients, in nats of the power


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
    slope : ndarray of float64, (n,)
        Derivative of the misfit by the kernel's power at each frequency that is used.
    wiener : float
        Mean squared error that Wiener's filter with this kernel makes of such a sharp image, in
        y's units: the mean of S N / (S |K|^2 + N), S the sharp image's power and N the noise's.
    """

    misfit: float
    informative: float
    slope: NDArray[np.float64]
    wiener: float


class PowerSpectrum:
    """The power spectrum of a blurred image, to be explained by one kernel after another.

    Y is windowed (Hann); the lowest frequencies, which the window mixes, are left out.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    sigma : float
        Noise standard deviation; 0.003 is added in quadrature.
    deviating : bool
        Whether the sharp image's spectrum may deviate a little from a power law: by polynomials of
        log |f|, and in its exponent over direction. What falls off smoothly then says less of the
        kernel, whether it is the image's or the kernel's; what is left are the kernel's details.

    Attributes
    ----------
    used : ndarray of int, (n,)
        Frequencies that a kernel is judged by: flat indices into `rfft2` of (H, W).
    """

    def __init__(self, y: NDArray[np.floating], sigma: float, *, deviating: bool = False) -> None:
        height, width = self.shape = y.shape
        window = np.hanning(height)[:, None] * np.hanning(width)
        power = np.abs(rfft2((y - y.mean()) * window)) ** 2 / (window**2).sum()
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
        f2 = rows**2 + columns**2
        used = np.flatnonzero(f2 > (4 / min(height, width)) ** 2)
        self.used = used[:: used.size // _FREQUENCIES + 1]
        self._power = power.flat[self.used]
        self._noise = sigma**2 + MODEL_ERROR**2
        if self._few:
            return
        logf = 0.5 * np.log(f2.flat[self.used])
        turns = np.arctan2(rows, columns).flat[self.used]
        turns = 2 * np.arange(1, _HARMONICS + 1)[:, None] * turns
        ones = np.ones((1, logf.size))
        self._basis = np.concatenate([-logf[None], ones, np.cos(turns), np.sin(turns)])
        self._law = len(self._basis)  # the further coefficients are deviations from it
        if deviating:
            u = (2 * (logf - logf.min()) / np.ptp(logf) - 1).clip(-1, 1)
            bends = np.cos(np.arange(2, _DEGREE + 1)[:, None] * np.arccos(u))  # Chebyshev's
            self._basis = np.concatenate([self._basis, bends, u * self._basis[2 : self._law]])
        low = logf <= np.quantile(logf, 0.02)  # at least one
        start = float(np.mean(self._power[low] * np.exp(2 * logf[low])))
        self._start = math.log(start + 1e-12)

    @property
    def _few(self) -> bool:
        """Whether there are too few frequencies, for so many parameters, to judge by."""
        return self.used.size < 2 * (2 + 2 * _HARMONICS)

    def fit(self, K2: NDArray[np.float64]) -> SpectralFit:
        """Return how well a kernel with the power K2 at the frequencies used explains it.

        Whittle's likelihood, mean(log v + |Y|^2 / v) with v = a(t) |f|^-e |K|^2 + sigma^2, at the
        e and the a of the largest likelihood; log a is a Fourier series of the direction t with
        periods of pi to pi / 4, for sharp images too have more contrast in some directions.
        Deviations from that law have a normal prior of 0.2.
        """
        if self._few:
            return SpectralFit(0.0, 1.0, np.zeros_like(K2), self._noise)
        P, noise, basis = self._power, self._noise, self._basis
        stiffness = np.zeros(len(basis))
        stiffness[self._law :] = 1 / (_DEVIATION**2 * P.size)

        def misfit(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            signal = K2 * np.exp(at @ basis)
            v = signal + noise
            ratio = P / v
            value = float(np.mean(np.log(v) + ratio) + stiffness @ at**2 / 2)
            return value, basis @ (signal / v * (1 - ratio)) / P.size + stiffness * at

        near = self._start - 8, self._start + 8
        bounds = [_EXPONENTS, near, *[(-3, 3)] * (len(basis) - 2)]
        first = [2.0, self._start, *[0.0] * (len(basis) - 2)]
        found = minimize(misfit, first, jac=True, method="L-BFGS-B", bounds=bounds)
        sharp = np.exp(found.x @ basis)
        v = K2 * sharp + noise
        informative = max(float(np.mean((K2 * sharp / v) ** 2)), 1 / P.size)
        # At the best e and a the misfit does not change with them to first order.
        slope = sharp / v * (1 - P / v) / P.size
        return SpectralFit(float(found.fun), informative, slope, float(np.mean(sharp * noise / v)))


def window_lags(y: Tensor) -> Tensor:
    """Return the factor of a correlation's lags (H, W) that the spectrum's window (Hann) leaves."""
    rows, columns = (
        (2 + torch.cos(2 * math.pi * torch.arange(n, device=y.device, dtype=y.dtype) / n)) / 3
        for n in y.shape
    )
    return rows[:, None] * columns


def spectral_fit(y: NDArray[np.floating], k: NDArray[np.floating], sigma: float) -> SpectralFit:
    """Return how well `k` explains y's power spectrum.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    k : ndarray, (kh, kw)
        Kernel, summing to 1.
    sigma : float
        Noise standard deviation; 0.003 is added in quadrature.
    """
    spectrum = PowerSpectrum(y, sigma)
    return spectrum.fit(np.abs(rfft2(k, s=y.shape).flat[spectrum.used]) ** 2)
