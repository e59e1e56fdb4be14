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

from napari_selfdeblur.numerics.networks.skip import BatchNorm

__all__ = ["build", "uniform_code"]

M = TypeVar("M", bound=nn.Module)


def build(make: Callable[[], M], generator: Generator) -> M:
    """Return the network that `make` builds, on the CPU, with torch's default initial weights.

    Convolutions and linear layers: U(-b, b) with b = 1 / sqrt(fan in); batch norm: its
    initial scale, and 0.
    """
    with torch.device("meta"):
        network = make()
    network = network.float().to_empty(device="cpu")
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
    return torch.rand(shape, generator=generator, dtype=torch.float32) * 0.1
