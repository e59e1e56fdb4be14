"""The 3 x 3 convolution of a bilinearly doubled image, done before the doubling.

Doubling is zero stuffing and then the filter (1, 3, 3, 1) / 4 along each axis. Filters commute,
so the learned one can go first: on the zeros it is a transposed convolution, with a quarter of
the multiplications, and the doubled image is never made. The batch norm between the two is a
factor and a constant for each channel, and joins the weights. What is left is the border, where
reflecting the doubled image is not what filtering a longer small image gives: the difference
lives on one ring of pixels, and its share of the result is added there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

__all__ = ["conv_of_doubled"]


def conv_of_doubled(small: Tensor, skip: Tensor, norm: nn.BatchNorm2d, conv: nn.Conv2d) -> Tensor:
    """Return ``conv(reflected(norm(cat[skip, doubled(small)])))``, to rounding.

    Parameters
    ----------
    small : Tensor, (1, C, ceil(H / 2), ceil(W / 2))
        What is to be doubled, and cropped to the size of `skip`.
    skip : Tensor, (1, S, H, W)
        Channels of the full size, H and W at least 2.
    norm : BatchNorm2d
        Of S + C channels, over the image's own statistics.
    conv : Conv2d
        3 x 3, S + C channels in, without padding of its own.

    Returns
    -------
    Tensor, (1, out, H, W)
    """
    s = skip.shape[1]
    rows = _axis(small.shape[-2], skip.shape[-2], small.dtype, small.device)
    columns = _axis(small.shape[-1], skip.shape[-1], small.dtype, small.device)
    mean, square = _Moments.apply(small, rows, columns)  # type: ignore[no-untyped-call]
    scale = norm.weight[s:] * torch.rsqrt(square - mean.square() + norm.eps)
    shift = norm.bias[s:] - mean * scale
    weight = conv.weight[:, s:] * scale[:, None, None]
    bias = conv.bias + conv.weight[:, s:].sum((2, 3)) @ shift
    y = _upwards(small, weight, rows.odd, columns.odd)
    skip = F.batch_norm(
        skip, None, None, norm.weight[:s], norm.bias[:s], training=True, eps=norm.eps
    )
    # In place: at this size a tensor more is time lost.
    y.add_(F.conv2d(F.pad(skip, [1] * 4, mode="reflect"), conv.weight[:, :s], bias))
    whole: Tensor = _AddBorder.apply(y, *_border(small, weight, rows, columns))  # type: ignore[no-untyped-call]
    return whole


class _Axis(NamedTuple):
    """Doubling along one axis of n pixels, to N = 2n or 2n - 1.

    The matrices (N + 2, n) have the pixel before and the one after as first and last row.
    """

    reflected: Tensor
    virtual: Tensor  # what `_upwards` takes for it
    spread: Tensor  # (n, n), D^T D of the doubling D: three diagonals
    counts: Tensor  # (n,), the sum of each column of D
    odd: bool

    @property
    def doubled(self) -> Tensor:
        """The matrix (N, n) without what is before and after."""
        return self.reflected[1:-1]


@lru_cache(maxsize=64)
def _axis(small: int, size: int, dtype: torch.dtype, device: torch.device) -> _Axis:
    full = F.interpolate(torch.eye(small)[None], scale_factor=2.0, mode="linear")[0].T
    doubled, odd = full[:size], size < 2 * small
    reflected = torch.cat([doubled[1:2], doubled, doubled[-2:-1]])
    virtual = torch.cat([full[:1], doubled, full[-1:] * (0.75 if odd else 1.0)])

    def placed(matrix: Tensor) -> Tensor:  # few binary digits: exact in bfloat16, too
        return matrix.to(device, dtype)

    spread, counts = placed(doubled.T @ doubled), placed(doubled.sum(0))
    return _Axis(placed(reflected), placed(virtual), spread, counts, odd)


def _upwards(small: Tensor, weight: Tensor, odd_rows: bool, odd_columns: bool) -> Tensor:
    """Return the filtered, doubled image, its border as if `small` went on with its last pixel.

    An odd size ends half a pixel earlier, where `small` needs no going on.
    """
    longer = F.pad(small, [1, 1 - odd_columns, 1, 1 - odd_rows], mode="replicate")
    # A transposed convolution is the mirrored filter's.
    filtered = F.conv_transpose2d(
        longer,
        weight.transpose(0, 1).flip(2, 3),
        stride=2,
        padding=1,
        output_padding=(int(odd_rows), int(odd_columns)),
    )
    taps = torch.tensor([0.25, 0.75, 0.75, 0.25])
    filters = torch.outer(taps, taps).to(filtered).expand(filtered.shape[1], 1, 4, 4)
    return F.conv2d(filtered, filters, groups=filtered.shape[1])


def _border(small: Tensor, weight: Tensor, rows: _Axis, columns: _Axis) -> list[Tensor]:
    """Return what is missing in the first and last row and column of `_upwards`, (out, length)."""
    pixels = small.squeeze(0).permute(1, 2, 0)  # (m, n, C): as channels-last memory has it

    def side(
        strip: Tensor, end: int, along: _Axis, across: tuple[Tensor, Tensor], taps: Tensor, pad: int
    ) -> Tensor:
        near = slice(2) if end == 0 else slice(-2, None)
        reflected = across[0] @ torch.tensordot(along.reflected[end, near], strip, 1)
        virtual = across[1] @ torch.tensordot(along.virtual[end, near], strip, 1)
        return F.conv1d((reflected - virtual).T, taps, padding=pad)

    # The corners belong to the rows.
    width, height = (columns.reflected, columns.virtual), (rows.doubled, rows.doubled)
    left, right = pixels[:, :2].transpose(0, 1), pixels[:, -2:].transpose(0, 1)
    return [
        side(pixels[:2], 0, rows, width, weight[:, :, 0], 0),
        side(pixels[-2:], -1, rows, width, weight[:, :, 2], 0),
        side(left, 0, columns, height, weight[..., 0], 1),
        side(right, -1, columns, height, weight[..., 2], 1),
    ]


class _Moments(Function):
    """Mean and mean square, (C,), of the doubled image, without making it."""

    @staticmethod
    def forward(ctx: Any, small: Tensor, rows: _Axis, columns: _Axis) -> tuple[Tensor, Tensor]:
        pixels = small[0].permute(1, 2, 0)
        n = len(rows.doubled) * len(columns.doubled)
        # sum (D x)^2 = sum x (D^T D x).
        spread = (rows.spread @ pixels.flatten(1)).unflatten(1, pixels.shape[1:])
        spread = columns.spread @ spread
        counts = rows.counts[:, None] * columns.counts
        ctx.save_for_backward(spread, counts)
        ctx.n = n  # bfloat16 could not count so far
        exact = torch.promote_types(small.dtype, torch.float32)
        mean = (counts[..., None] * pixels).sum((0, 1), dtype=exact) / n
        return mean, (pixels * spread).sum((0, 1), dtype=exact) / n

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_square: Tensor) -> tuple[Tensor, None, None]:
        spread, counts = ctx.saved_tensors
        by_square, by_mean = (2 * of_square / ctx.n).to(spread), (of_mean / ctx.n).to(spread)
        grad = spread * by_square + counts[..., None] * by_mean
        return grad.permute(2, 0, 1)[None], None, None


class _AddBorder(Function):
    """Add to the first and last row and column in place: slices would copy the whole gradient."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor
    ) -> Tensor:
        y[0, :, 0] += top
        y[0, :, -1] += bottom
        y[0, ..., 0] += left
        y[0, ..., -1] += right
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return grad, grad[0, :, 0], grad[0, :, -1], grad[0, ..., 0], grad[0, ..., -1]
