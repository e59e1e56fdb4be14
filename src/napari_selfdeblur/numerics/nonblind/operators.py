"""What the non-blind restorations share: differences, and weights that follow the noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.spectrum import MODEL_ERROR

__all__ = ["checked_weight", "differences", "differences_adjoint", "noise_scale"]


def differences(x: Tensor) -> Tensor:
    """Return D x, (2, Hp, Wp): circular forward differences along a row, then down a column."""
    return torch.stack((torch.roll(x, -1, 1) - x, torch.roll(x, -1, 0) - x))


def differences_adjoint(v: Tensor) -> Tensor:
    """Return D^T v, (Hp, Wp)."""
    return torch.roll(v[0], 1, 1) - v[0] + torch.roll(v[1], 1, 0) - v[1]


def checked_weight(weight: float, *, positive: bool) -> float:
    """Return `weight`, or raise `ConfigError` when it is negative (or zero where not allowed)."""
    if not 0 <= weight < float("inf") or (positive and weight == 0):
        rule = "greater than 0" if positive else "at least 0"
        raise ConfigError(f"weight must be a finite number {rule}, got {weight!r}")
    return weight


def noise_scale(y: Tensor, sigma: float | None) -> float:
    """Return (sigma^2 + 0.003^2)^(3/4), what default weights are proportional to.

    Measured on photographs of known blur with white noise of 0 to 0.06 added: the weight of
    the best restoration grows as sigma^(3/2). The 0.003 (`MODEL_ERROR`) stands for what else the
    model gets wrong (rounding to 8 bits, the kernel), all there is when the noise is low.

    `y` (H, W), in [0, 1], is measured by `noise_sigma` where `sigma` is None.

    Raises
    ------
    ConfigError
        If `sigma` is negative or not finite.
    ImageError
        If `sigma` is None and the image is too small to measure it.
    """
    if sigma is None:
        sigma = noise_sigma(y.detach().cpu().numpy())
    if not 0 <= sigma < float("inf"):
        raise ConfigError(f"sigma must be a finite number at least 0, got {sigma!r}")
    return math.sqrt(math.hypot(sigma, MODEL_ERROR)) ** 3
