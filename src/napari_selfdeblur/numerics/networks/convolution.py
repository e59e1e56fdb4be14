"""Convolutions whose weights' gradient is computed with the rows, not the channels, kept together.

With the channels last, on processors with AVX2 and no AVX-512, oneDNN takes five times as long for
the gradient of the weights as for the convolution itself. With the rows last it takes as long.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

__all__ = ["conv2d", "conv_transpose2d"]

Pair = tuple[int, int]


def conv2d(z: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """Return ``F.conv2d(z, weight, bias, stride)``; gradients are the same to rounding."""
    if not _slow_with_channels_last(z):
        return F.conv2d(z, weight, bias, stride)
    value: Tensor = _Convolution.apply(z, weight, bias, stride, 0, None)  # type: ignore[no-untyped-call]
    return value


def conv_transpose2d(z: Tensor, weight: Tensor, stride: int, padding: int, longer: Pair) -> Tensor:
    """Return ``F.conv_transpose2d(z, weight, None, stride, padding, output_padding=longer)``."""
    if not _slow_with_channels_last(z):
        return F.conv_transpose2d(z, weight, None, stride, padding, longer)
    value: Tensor = _Convolution.apply(z, weight, None, stride, padding, longer)  # type: ignore[no-untyped-call]
    return value


def _slow_with_channels_last(z: Tensor) -> bool:
    last = z.is_contiguous(memory_format=torch.channels_last) and not z.is_contiguous()
    plain = z.device.type == "cpu" and z.dtype == torch.float32
    return last and plain and torch.backends.cpu.get_cpu_capability() == "AVX2"


class _Convolution(Function):
    """A convolution, or a transposed one where `longer` says by how much its output is longer."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        longer: Pair | None,
    ) -> Tensor:
        transposed = longer is not None
        ctx.geometry = [stride] * 2, [padding] * 2, [1, 1], transposed, list(longer or (0, 0)), 1
        ctx.save_for_backward(z, weight)
        return torch.convolution(z, weight, bias, *ctx.geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        of_z = of_weight = of_bias = None
        z, weight = ctx.saved_tensors
        backward = torch.ops.aten.convolution_backward
        if ctx.needs_input_grad[0]:
            of_z, _, _ = backward(grad, z, weight, None, *ctx.geometry, [True, False, False])
        if ctx.needs_input_grad[1]:
            rows_last = (tensor.contiguous() for tensor in (grad, z, weight))
            _, of_weight, _ = backward(*rows_last, None, *ctx.geometry, [False, True, False])
        if ctx.needs_input_grad[2]:
            of_bias = grad.sum((0, 2, 3))
        return of_z, of_weight, of_bias, None, None, None
