"""Weights and codes of a fresh network, from the run's own random generator.

Building a torch module draws from the global generator; these networks are therefore made
on the meta device, where nothing is drawn, and filled in here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from napari_selfdeblur.numerics.generators.skip import BatchNorm

__all__ = ["begin_with", "build", "uniform_code"]

M = TypeVar("M", bound=nn.Module)

_FIT_STEPS, _FIT_RATE, _FIT_EXCESS = 2000, 1e-3, 0.005
_FLOOR = 0.02  # mass spread over all pixels: a softmax hardly moves again from zero


def build(make: Callable[[], M], generator: Generator) -> M:
    """Return the network that `make` builds, on the CPU, with torch's default initial weights.

    Convolutions and linear layers: U(-b, b) with b = 1 / sqrt(fan in); batch norm: its
    initial scale, and 0.
    """
    with torch.device("meta"):
        network = make()
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, BatchNorm):
            nn.init.constant_(module.weight, module.initial_scale)
            nn.init.zeros_(module.bias)
    return network


def uniform_code(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Return a random code z of `shape`, U(0, 0.1), on the CPU."""
    return torch.rand(shape, generator=generator) * 0.1


def begin_with(kernel: Tensor, network: nn.Module, code: Tensor) -> None:
    """Fit a kernel generator to `kernel`, by cross-entropy, so that it begins there.

    Parameters
    ----------
    kernel : Tensor, (kh, kw)
        A first kernel, >= 0, summing to 1.
    network : Module
        Kernel generator of this size; its weights are changed.
    code : Tensor
        Its code z_k.
    """
    target = (1 - _FLOOR) * kernel + _FLOOR / kernel.numel()
    least = -(target * target.log()).sum()  # a perfect fit has the cross-entropy's minimum
    adam = torch.optim.Adam(network.parameters(), lr=_FIT_RATE)
    for _ in range(_FIT_STEPS):
        adam.zero_grad()
        loss = -(target * network(code).clamp_min(1e-12).log()).sum()
        if loss - least < _FIT_EXCESS:
            break
        loss.backward()
        adam.step()
    network.zero_grad(set_to_none=True)
