"""G_x, the image generator: an hourglass with skips, the deep image prior of the paper.

As a kernel generator G_k it is the Double-DIP row of the paper's Table 2.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.networks.convolution import conv2d
from napari_selfdeblur.numerics.networks.upsample import conv_of_upsampled

__all__ = ["SkipKernel", "SkipNet"]

_FIRST_NON_LOCAL = 2  # scales 3, 4, 5 of the public code, counted from 0


class SkipNet(nn.Module):
    """Map a code z_x (1, C, H, W) to an image (1, 1, H, W) in (0, 1), uninitialised.

    Five scales of 128 channels down and up with 16-channel skips (section 3 and supplement
    of the paper); every convolution is reflection padded, with bias, batch norm and
    LeakyReLU 0.2. As many of ``config.scales`` are used as leave the deepest one 2 pixels for
    its reflection padding. With the optimised runtime the filter after each x2 upsampling is
    applied before it on the CPU, which is the same to rounding and faster.
    """

    def __init__(self, config: SelfDeblurConfig, size: tuple[int, int]) -> None:
        super().__init__()
        scale: nn.Module = nn.Identity()
        for i in reversed(range(min(config.scales, max(1, (min(size) - 1).bit_length() - 1)))):
            scale = Scale(
                config.channels if i else config.code_channels,
                config.channels,
                config.skip_channels,
                deeper=scale,
                non_local=config.non_local and i >= _FIRST_NON_LOCAL,
                filter_first=config.runtime == "optimised",
            )
        self.hourglass = scale
        self.last = nn.Conv2d(config.channels, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the image: the logistic of `logits`."""
        return torch.sigmoid(self.logits(z))

    def logits(self, z: Tensor) -> Tensor:
        """Return the last convolution's output, in float32."""
        return conv_1x1(self.hourglass(z), self.last).float()


class SkipKernel(nn.Module):
    """Map a code z_k (1, C, kh, kw) to a kernel (kh, kw) that is >= 0 and sums to 1.

    The network of G_x without non-local blocks, ending in a softmax over all pixels.
    """

    def __init__(self, config: SelfDeblurConfig) -> None:
        super().__init__()
        self.code_shape = (1, config.code_channels, *config.sides)
        self.network = SkipNet(replace(config, non_local=False), config.sides)

    def forward(self, z: Tensor) -> Tensor:
        """Return the softmax over all kernel pixels, in float32."""
        logits = self.network.logits(z)[0, 0]
        return torch.softmax(logits.flatten(), dim=0).view(logits.shape)


class Scale(nn.Module):
    """One scale of the hourglass: down by 2, everything deeper, up by 2, joined with the skip."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        skip_channels: int,
        *,
        deeper: nn.Module,
        non_local: bool,
        filter_first: bool,
    ) -> None:
        super().__init__()
        self.filter_first = filter_first
        self.skip = ConvNormAct(in_channels, skip_channels, 1)
        self.down = ConvNormAct(in_channels, channels, 3, stride=2)
        self.attend = NonLocal(channels) if non_local else nn.Identity()
        self.refine = ConvNormAct(channels, channels, 3)
        self.deeper = deeper
        self.norm = BatchNorm(skip_channels + channels)
        self.up = ConvNormAct(skip_channels + channels, channels, 3)
        self.mix = ConvNormAct(channels, channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        skip = self.skip(z)
        deep = self.deeper(self.refine(self.attend(self.down(z))))
        if self.filter_first and deep.device.type == "cpu":
            z = self.up.activate(conv_of_upsampled(deep, skip, self.norm, self.up.conv))
        else:
            deep = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
            # Odd sizes come back one pixel larger.
            deep = deep[..., : skip.shape[-2], : skip.shape[-1]]
            z = self.up(self.norm(torch.cat([skip, deep], dim=1)))
        mixed: Tensor = self.mix(z)
        return mixed


class ConvNormAct(nn.Module):
    """Reflection-padded convolution, batch norm, LeakyReLU 0.2."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.pad = size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, size, stride)
        self.norm = BatchNorm(out_channels)

    def forward(self, z: Tensor) -> Tensor:
        if self.pad:
            z = F.pad(z, [self.pad] * 4, mode="reflect")
            z = conv2d(z, self.conv.weight, self.conv.bias, self.conv.stride[0])
        else:
            z = conv_1x1(z, self.conv)
        return self.activate(z)

    def activate(self, z: Tensor) -> Tensor:
        """Return the convolution's output normalised, and through the LeakyReLU."""
        return F.leaky_relu_(self.norm(z), 0.2)


class NonLocal(nn.Module):
    """Dot-product non-local block: z + BN(W(theta (phi^T g) / N)) over all N pixels.

    Associating phi^T g first gives the same numbers as the N x N affinity at linear cost.
    The batch norm's scale starts at 0, so that the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)
        self.norm = BatchNorm(channels, initial_scale=0.0)

    def forward(self, z: Tensor) -> Tensor:
        n = z.shape[-2] * z.shape[-1]
        theta, phi, g = (f(z).flatten(2) for f in (self.theta, self.phi, self.g))
        summary = g @ phi.transpose(1, 2) / n
        mixed = (summary @ theta).unflatten(2, z.shape[-2:])
        residual: Tensor = self.norm(self.out(mixed))
        return z + residual


class BatchNorm(nn.BatchNorm2d):
    """Batch norm over the one image's own statistics, always: there is no test time here."""

    def __init__(self, channels: int, initial_scale: float = 1.0) -> None:
        super().__init__(channels, track_running_stats=False)
        self.initial_scale = initial_scale


def conv_1x1(z: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return ``conv(z)`` of a 1 x 1 convolution.

    With the channels last it is a matrix product, and torch is faster when given it as one.
    """
    if z.is_contiguous() or not z.is_contiguous(memory_format=torch.channels_last):
        value: Tensor = conv(z)
        return value
    return F.linear(z.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
