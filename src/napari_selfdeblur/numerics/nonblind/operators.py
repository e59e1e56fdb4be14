"""The blur y = A x of an image whose border is unknown, and its adjoint, by FFT.

x lives on a canvas of at least (H + kh - 1, W + kw - 1) pixels, rounded up to sides
that transform fast. The circular convolution of the canvas by k equals the true one
wherever y was seen, and the mask M keeps only that: nothing is assumed about the border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.noise import noise_sigma

__all__ = ["Blur", "checked_weight", "differences", "differences_adjoint", "noise_scale"]


@dataclass(frozen=True, slots=True)
class Blur:
    """A = M K: circular convolution K on the canvas, then the part M where y was seen.

    Attributes
    ----------
    K : Tensor of complex, (Hc, Wc // 2 + 1)
        Transfer function: `rfft2` of the kernel on the canvas.
    canvas : (int, int)
        Shape (Hc, Wc) of x.
    needed : (int, int)
        Shape (H + kh - 1, W + kw - 1) of the corner of the canvas that y depends on.
    shape : (int, int)
        Shape (H, W) of y.
    """

    K: Tensor
    canvas: tuple[int, int]
    needed: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def of(cls, y: Tensor, k: Tensor) -> Blur:
        """Return the blur of images seen as `y` (H, W) by `k` (kh, kw), scaled to sum 1.

        Raises
        ------
        ImageError
            If `y` or `k` is not 2-D and finite, or `k` does not have a positive sum.
        """
        for name, value in (("image", y), ("kernel", k)):
            if value.ndim != 2 or not value.is_floating_point():
                raise ImageError(
                    f"the {name} must be a 2-D floating-point tensor, got "
                    f"shape {tuple(value.shape)}, {value.dtype}; convert it first"
                )
            if not torch.isfinite(value).all():
                raise ImageError(f"the {name} has NaN or infinite pixels; crop or fill them first")
        k = k.to(y)
        if not k.sum() > 0:
            raise ImageError(
                f"the kernel must have a positive sum, got {float(k.sum()):g}; "
                "check that it is not empty or inverted"
            )
        (h, w), (kh, kw) = y.shape, k.shape
        needed = (h + kh - 1, w + kw - 1)
        canvas = (next_fast_len(needed[0], real=True), next_fast_len(needed[1], real=True))
        return cls(torch.fft.rfft2(k / k.sum(), s=canvas), canvas, needed, (h, w))

    @property
    def seen(self) -> tuple[slice, slice]:
        """Where y lies on the blurred canvas."""
        return (
            slice(self.needed[0] - self.shape[0], self.needed[0]),
            slice(self.needed[1] - self.shape[1], self.needed[1]),
        )

    def blur(self, x: Tensor) -> Tensor:
        """Return K x, (Hc, Wc); a smaller x lies in the canvas's first rows and columns."""
        z: Tensor = torch.fft.irfft2(self.K * torch.fft.rfft2(x, s=self.canvas), s=self.canvas)
        return z

    def blur_adjoint(self, z: Tensor) -> Tensor:
        """Return K^T z, (Hc, Wc)."""
        Z = torch.fft.rfft2(z, s=self.canvas)
        x: Tensor = torch.fft.irfft2(self.K.conj() * Z, s=self.canvas)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return A x: (Hc, Wc) to (H, W)."""
        return self.blur(x)[self.seen]

    def adjoint(self, y: Tensor) -> Tensor:
        """Return A^T y: (H, W) to (Hc, Wc)."""
        return self.blur_adjoint(self.embed(y))

    def embed(self, y: Tensor) -> Tensor:
        """Return M^T y: `y` in its place on an otherwise zero canvas."""
        z = y.new_zeros(self.canvas)
        z[self.seen] = y
        return z

    def start(self, y: Tensor) -> Tensor:
        """Return a canvas whose centre is `y` and whose border repeats y's outermost pixels."""
        top, left = ((n - s) // 2 for n, s in zip(self.needed, self.shape, strict=True))
        rows = torch.arange(self.canvas[0], device=y.device) - top
        columns = torch.arange(self.canvas[1], device=y.device) - left
        h, w = self.shape
        return y[rows.clamp(0, h - 1)[:, None], columns.clamp(0, w - 1)]

    def centre(self, x: Tensor) -> Tensor:
        """Return the central (H, W) of the canvas: x where y was seen."""
        top, left = ((n - s) // 2 for n, s in zip(self.needed, self.shape, strict=True))
        return x[top : top + self.shape[0], left : left + self.shape[1]].contiguous()

    def inside(self, device: torch.device) -> Tensor:
        """Return where `differences` stay on the part that y depends on, bool (2, Hc, Wc).

        A prior looks at these alone: the others cross an edge that is not there.
        """
        rows, columns = self.needed
        inside = torch.zeros((2, *self.canvas), dtype=torch.bool, device=device)
        inside[0, :rows, : columns - 1] = True
        inside[1, : rows - 1, :columns] = True
        return inside


def differences(x: Tensor) -> Tensor:
    """Return D x, (2, Hc, Wc): circular forward differences along a row, then down a column."""
    return torch.stack((torch.roll(x, -1, 1) - x, torch.roll(x, -1, 0) - x))


def differences_adjoint(v: Tensor) -> Tensor:
    """Return D^T v, (Hc, Wc)."""
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
    the best restoration grows as sigma^(3/2). The 0.003 stands for what else the model gets
    wrong (rounding to 8 bits, the kernel), which is all there is when the noise is low.

    Parameters
    ----------
    y : Tensor of float, (H, W)
        Image in [0, 1], measured by `noise_sigma` where `sigma` is None.
    sigma : float or None
        Noise standard deviation of `y`, >= 0.

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
    return math.sqrt(math.hypot(sigma, 0.003)) ** 3
