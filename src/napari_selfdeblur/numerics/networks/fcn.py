"""G_k, the kernel generator: a fully connected network that ends in a softmax."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_selfdeblur.config import SelfDeblurConfig

__all__ = ["FCN", "fcn", "fcn_deep", "fcn_shallow"]

_CODE = 200
_HIDDEN = 1000


def fcn(config: SelfDeblurConfig) -> FCN:
    """Return the paper's kernel generator, uninitialised: 200 - 1000 - kernel."""
    return FCN(config.sides, hidden_layers=1)


def fcn_shallow(config: SelfDeblurConfig) -> FCN:
    """Return SelfDeblur_k- of Table 2, uninitialised: no hidden layer."""
    return FCN(config.sides, hidden_layers=0)


def fcn_deep(config: SelfDeblurConfig) -> FCN:
    """Return SelfDeblur_k+ of Table 2, uninitialised: one more hidden layer."""
    return FCN(config.sides, hidden_layers=2)


class FCN(nn.Module):
    """Map a code z_k (200,) to a kernel (kh, kw) that is >= 0 and sums to 1.

    Hidden layers have 1000 units, each followed by ReLU6; the paper's network has one.
    """

    code_shape = (_CODE,)

    def __init__(self, kernel_size: tuple[int, int], hidden_layers: int) -> None:
        super().__init__()
        widths = [_CODE, *[_HIDDEN] * hidden_layers]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU6()]
        layers.append(nn.Linear(widths[-1], kernel_size[0] * kernel_size[1]))
        self.layers = nn.Sequential(*layers)
        self.kernel_size = kernel_size

    def forward(self, z: Tensor) -> Tensor:
        """Return the softmax over all kernel pixels, in float32."""
        logits: Tensor = self.layers(z)
        return torch.softmax(logits.float(), dim=0).view(self.kernel_size)
