"""Data terms and the total variation of equation (6), and which of them apply at a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_selfdeblur.config import SelfDeblurConfig

__all__ = ["SSIM", "DataTerm", "mse", "total_variation"]

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared difference of two tensors of one shape."""
    return (a - b).square().mean()


def total_variation(x: Tensor) -> Tensor:
    """Return the mean over pixels of |D_y x| + |D_x x|, anisotropic, of x (..., H, W).

    A mean, as `mse` is one: both are the sums of equation (6) over the number of pixels,
    which leaves lambda as the paper has it.
    """
    rows = (x[..., 1:, :] - x[..., :-1, :]).abs().sum()
    columns = (x[..., 1:] - x[..., :-1]).abs().sum()
    return (rows + columns) / x.numel()


class SSIM:
    """Structural similarity to a fixed image y, for images in [0, 1].

    Window of 11 x 11 pixels, Gaussian of sigma 1.5, zero-padded, C1 = 0.01^2, C2 = 0.03^2.
    The window is separable, so each mean is two passes of 11 taps; what depends on y
    (1, 1, H, W) alone is computed once.
    """

    def __init__(self, y: Tensor) -> None:
        offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
        window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
        self.window = (window / window.sum()).to(y)
        self.y = y
        self.mean_y, mean_yy = self._means(y, y.square())
        self.variance_y = mean_yy - self.mean_y.square()

    def __call__(self, a: Tensor) -> Tensor:
        """Return the mean SSIM of `a`, shaped like y, against y."""
        mean_a, mean_aa, mean_ay = self._means(a, a.square(), a * self.y)
        product = mean_a * self.mean_y
        squares = mean_a.square() + self.mean_y.square()
        variances = mean_aa - mean_a.square() + self.variance_y
        luminance = (2 * product + _C1) / (squares + _C1)
        structure = (2 * (mean_ay - product) + _C2) / (variances + _C2)
        return (luminance * structure).mean()

    def _means(self, *images: Tensor) -> tuple[Tensor, ...]:
        stack = torch.cat(images)
        down = F.conv2d(stack, self.window[None, None, :, None], padding=(_WINDOW // 2, 0))
        both = F.conv2d(down, self.window[None, None, None, :], padding=(0, _WINDOW // 2))
        means: tuple[Tensor, ...] = both.split(1)
        return means


class DataTerm:
    """The objective at step t: MSE + lambda TV, or 1 - SSIM, as `config` says.

    `y` (1, 1, H, W) is the blurred image in [0, 1], `tv_weight` the weight lambda of the total
    variation of x beside the squared error; where `clipped` (1, 1, H, W), y is clipped above, and
    a larger k * x is taken for y.
    """

    def __init__(
        self,
        y: Tensor,
        config: SelfDeblurConfig,
        tv_weight: float,
        clipped: Tensor | None = None,
    ) -> None:
        switch = {
            "mse": config.iterations,
            "ssim": 0,
            "mse_then_ssim": round(config.loss_switch * config.iterations),
        }
        self.y, self.tv_weight, self.clipped = y, tv_weight, clipped
        self.mse_steps = switch[config.loss]
        self.ssim = SSIM(y) if self.mse_steps < config.iterations else None

    def __call__(self, t: int, blurred: Tensor, x: Tensor) -> Tensor:
        """Return the objective of step `t` (from 0) for k * x = `blurred`."""
        y, ssim = self.y, self.ssim
        if self.clipped is not None:
            y = torch.where(self.clipped, torch.maximum(y, blurred.detach()), y)
        if ssim is not None and t >= self.mse_steps:
            return 1 - (ssim if self.clipped is None else SSIM(y))(blurred)
        loss = mse(blurred, y)
        return loss + self.tv_weight * total_variation(x) if self.tv_weight else loss
