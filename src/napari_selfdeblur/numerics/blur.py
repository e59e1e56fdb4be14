"""The forward model y = k * x (equation 1) and its adjoint, the border of x unknown.

The kernel is the point spread function: a point source blurs into k, not into k rotated
by 180 degrees. No border is invented: only the valid part of the convolution is observed, and
x is larger than y by the kernel's support. `blur_valid` is differentiable in x and k, for the
networks; `Blur` holds a fixed kernel's transfer function, for the restorations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from napari_selfdeblur.errors import ImageError

__all__ = ["Blur", "blur_valid", "drawn_noise", "sharp_size"]

_DIRECT_AREA = {"cpu": 3 * 3}
"""Largest kernel (in pixels) that is convolved directly, by device; larger ones go by FFT.

On one CPU, forward and backward at 128, 255 and 512 pixels, the FFT took less than half the
time from 5 x 5 on. On other devices `_DIRECT_AREA_UNMEASURED` is a guess.
"""
_DIRECT_AREA_UNMEASURED = 31 * 31


def sharp_size(blurred: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
    """Return the size of x, (H + kh - 1, W + kw - 1), for y of size (H, W)."""
    return blurred[0] + kernel[0] - 1, blurred[1] + kernel[1] - 1


def blur_valid(x: Tensor, k: Tensor) -> Tensor:
    """Convolve x with the point spread function k, valid part only (equation 1).

    `x` (..., H + kh - 1, W + kw - 1) and `k` (kh, kw), of any size up to that of `x`, give the
    blurred image (..., H, W), where no pixel outside `x` is needed.
    """
    kh, kw = k.shape
    if kh * kw <= _DIRECT_AREA.get(x.device.type, _DIRECT_AREA_UNMEASURED):
        planes = x.reshape(-1, 1, *x.shape[-2:])
        # conv2d correlates: the flip makes it a convolution.
        y = F.conv2d(planes, k.flip(0, 1)[None, None])
        return y.reshape(*x.shape[:-2], *y.shape[-2:])
    size: list[int] = [next_fast_len(n, real=True) for n in x.shape[-2:]]
    spectrum = torch.fft.rfft2(x, s=size) * torch.fft.rfft2(k, s=size)
    # The circular wrap of size >= x reaches only the first kh - 1 rows, kw - 1 columns.
    full: Tensor = torch.fft.irfft2(spectrum, s=size)
    return full[..., kh - 1 : x.shape[-2], kw - 1 : x.shape[-1]]


def drawn_noise(y: Tensor, sigma: float) -> Tensor:
    """Return white noise like y (H, W), the same on every device; torch's state stays as it is."""
    generator = torch.Generator().manual_seed(0)  # on the CPU
    return sigma * torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)


@dataclass(frozen=True, slots=True)
class Blur:
    """A = M K: circular convolution K on a padded domain, then the part M where y was observed.

    The padded domain has at least the (H + kh - 1, W + kw - 1) pixels of x, rounded up to sides
    that transform fast. On it the circular convolution by k equals the true one wherever y was
    observed.
    """

    K: Tensor  # transfer function (Hp, Wp // 2 + 1): `rfft2` of the kernel on the padded domain
    padded: tuple[int, int]  # shape (Hp, Wp) of the padded domain
    needed: tuple[int, int]  # shape (H + kh - 1, W + kw - 1) of its corner that y depends on
    shape: tuple[int, int]  # shape (H, W) of y

    @classmethod
    def of(cls, y: Tensor, k: Tensor) -> Blur:
        """Return the blur of images observed as `y` (H, W) by `k` (kh, kw), scaled to sum 1.

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
        needed = sharp_size((h, w), (kh, kw))
        padded = (next_fast_len(needed[0], real=True), next_fast_len(needed[1], real=True))
        return cls(torch.fft.rfft2(k / k.sum(), s=padded), padded, needed, (h, w))

    @property
    def observed(self) -> tuple[slice, slice]:
        """Where y lies in the blurred padded domain."""
        (rows, columns), (h, w) = self.needed, self.shape
        return slice(rows - h, rows), slice(columns - w, columns)

    def blur(self, x: Tensor) -> Tensor:
        """Return K x, (Hp, Wp); a smaller x lies in the first rows and columns."""
        z: Tensor = torch.fft.irfft2(self.K * torch.fft.rfft2(x, s=self.padded), s=self.padded)
        return z

    def blur_adjoint(self, z: Tensor) -> Tensor:
        """Return K^T z, (Hp, Wp)."""
        Z = torch.fft.rfft2(z, s=self.padded)
        x: Tensor = torch.fft.irfft2(self.K.conj() * Z, s=self.padded)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return A x: (Hp, Wp) to (H, W)."""
        return self.blur(x)[self.observed]

    def embed(self, y: Tensor) -> Tensor:
        """Return M^T y: `y` in its place in an otherwise zero padded domain."""
        z = y.new_zeros(self.padded)
        z[self.observed] = y
        return z

    @property
    def _corner(self) -> tuple[int, int]:
        """Where the central (H, W) of the padded domain begins."""
        (rows, columns), (h, w) = self.needed, self.shape
        return (rows - h) // 2, (columns - w) // 2

    def start(self, y: Tensor) -> Tensor:
        """Return a padded domain with `y` in its centre, its outermost pixels repeated around."""
        top, left = self._corner
        rows = torch.arange(self.padded[0], device=y.device) - top
        columns = torch.arange(self.padded[1], device=y.device) - left
        h, w = self.shape
        return y[rows.clamp(0, h - 1)[:, None], columns.clamp(0, w - 1)]

    def centre(self, x: Tensor) -> Tensor:
        """Return the central (H, W) of the padded domain: x where y was observed."""
        top, left = self._corner
        return x[top : top + self.shape[0], left : left + self.shape[1]].contiguous()

    def inside(self, device: torch.device) -> Tensor:
        """Return where `differences` stay on the part that y depends on, bool (2, Hp, Wp).

        A prior looks at these alone: the others cross an edge that is not there.
        """
        rows, columns = self.needed
        inside = torch.zeros((2, *self.padded), dtype=torch.bool, device=device)
        inside[0, :rows, : columns - 1] = True
        inside[1, : rows - 1, :columns] = True
        return inside
