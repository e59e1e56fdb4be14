"""G_k as a second deep image prior: the Double-DIP row of the paper's Table 2."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.networks.skip import SkipNet

__all__ = ["SkipKernel"]


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
