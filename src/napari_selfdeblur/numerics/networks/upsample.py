"""The 3 x 3 convolution of a x2 bilinearly upsampled image, done before the upsampling.

x2 bilinear upsampling is zero stuffing and then the filter (1, 3, 3, 1) / 4 along each axis.
Filters commute, so the learned one can go first: on the zeros it is a transposed convolution, with
a quarter of the multiplications, and the upsampled image is never made. The batch norm between the
two is a factor and a constant for each channel, and joins the weights. What is left is the border,
where reflecting the upsampled image is not what filtering a longer small image gives: the
difference is one ring of pixels, and its share of the result is added there.

Along one axis the upsampling D maps n pixels to N = 2n or, cropped, 2n - 1. D has two taps for
each pixel and D^T D three diagonals, so nothing here is larger than an image.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from napari_selfdeblur.numerics.networks.convolution import conv2d, conv_transpose2d

__all__ = ["conv_of_upsampled"]

_UPSAMPLING = (0.25, 0.75, 0.75, 0.25)
_SQUARE = (0.375, 1.25, 0.375)  # a row of D^T D


def conv_of_upsampled(small: Tensor, skip: Tensor, norm: nn.BatchNorm2d, conv: nn.Conv2d) -> Tensor:
    """Return ``conv(reflection_pad(norm(cat[skip, upsampled(small)])))``, to rounding.

    `small` (1, C, ceil(H / 2), ceil(W / 2)) is upsampled and cropped to the size of `skip`
    (1, S, H, W), H and W at least 2. `norm`, of S + C channels, is over the image's own
    statistics; `conv` is 3 x 3 without padding of its own.
    """
    s = skip.shape[1]
    size = (skip.shape[-2], skip.shape[-1])
    # The norm takes every channel's mean away. Taken away first it costs no precision: a mean much
    # larger than the deviation would leave little of bfloat16's eight bits, and a variance below 0.
    # Nothing after it changes with it, so no gradient passes through it.
    centre = small.detach().mean((0, 2, 3), dtype=_exact(small)).to(small.dtype)
    small = small - centre[:, None, None]
    mean, square, rows, columns = _Statistics.apply(small, size)  # type: ignore[no-untyped-call]
    scale = norm.weight[s:] * torch.rsqrt(square - mean.square() + norm.eps)
    shift = norm.bias[s:] - mean * scale
    weight = conv.weight[:, s:] * scale[:, None, None]
    bias = conv.bias + conv.weight[:, s:].sum((2, 3)) @ shift
    y = _filter_and_upsample(small, weight, size)
    skip = F.batch_norm(
        skip, None, None, norm.weight[:s], norm.bias[:s], training=True, eps=norm.eps
    )
    # In place: at this size a tensor more is time lost.
    y.add_(conv2d(F.pad(skip, [1] * 4, mode="reflect"), conv.weight[:, :s], bias))
    whole: Tensor = _AddBorder.apply(y, *_border(rows, columns, weight, size))  # type: ignore[no-untyped-call]
    return whole


def _filter_and_upsample(small: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the filtered, upsampled image, its border as if `small` repeated its last pixel.

    An odd size ends half a pixel earlier, where `small` needs no repeating.
    """
    odd = size[0] % 2, size[1] % 2
    longer = F.pad(small, [1, 1 - odd[1], 1, 1 - odd[0]], mode="replicate")
    # A transposed convolution is the mirrored filter's.
    mirrored = weight.transpose(0, 1).flip(2, 3)
    filtered = conv_transpose2d(longer, mirrored, stride=2, padding=1, longer=odd)
    upsampled: Tensor = _Interpolate.apply(filtered)  # type: ignore[no-untyped-call]
    return upsampled


def _border(
    rows: Tensor, columns: Tensor, weight: Tensor, size: tuple[int, int]
) -> tuple[Tensor, ...]:
    """Return what the ends of `_filter_and_upsample` lack: two rows (out, W), two columns.

    `rows` and `columns` (4, C, n) are those of `_Statistics`.
    """
    height, width = size

    def row(end: Tensor, beside: Tensor, taps: Tensor, odd: int) -> Tensor:
        reflected, repeated = _outside(end, beside, odd)
        up = _upsampled(reflected, width)
        last = repeated[:, -1:] * (0.75 if width % 2 else 1.0)
        lacking = [
            up[:, 1:2] - repeated[:, :1],
            up - _upsampled(repeated, width),
            up[:, -2:-1] - last,
        ]
        return F.conv1d(torch.cat(lacking, 1), taps)

    def column(end: Tensor, beside: Tensor, taps: Tensor, odd: int) -> Tensor:
        reflected, repeated = _outside(end, beside, odd)
        # The corners belong to the rows.
        return F.conv1d(_upsampled(reflected - repeated, height), taps, padding=1)

    return (
        row(rows[0], rows[1], weight[:, :, 0], 0),
        row(rows[3], rows[2], weight[:, :, 2], height % 2),
        column(columns[0], columns[1], weight[..., 0], 0),
        column(columns[3], columns[2], weight[..., 2], width % 2),
    )


def _outside(end: Tensor, beside: Tensor, odd: int) -> tuple[Tensor, Tensor]:
    """Return the line outside the upsampled image: reflected, and as `small` repeated gives it.

    `end` and `beside` (C, n) are the last line of the small image and the one before;
    `odd` says whether the upsampled image is cropped at this end.
    """
    if odd:
        return 0.25 * end + 0.75 * beside, 0.75 * end
    return 0.75 * end + 0.25 * beside, end


def _upsampled(line: Tensor, size: int) -> Tensor:
    """Return D `line`: (C, n) to (C, `size`)."""
    return F.interpolate(line[None], scale_factor=2.0, mode="linear")[0, :, :size]


def _separable(z: Tensor, taps: tuple[float, ...], padding: int = 0) -> Tensor:
    """Return `z` (1, C, H, W), each channel filtered with the symmetric `taps` along each axis."""
    along = torch.tensor(taps, dtype=torch.float32)
    filters = torch.outer(along, along).to(z).expand(z.shape[1], 1, -1, -1)
    return F.conv2d(z, filters, padding=padding, groups=z.shape[1])


def _square_of_upsampling(z: Tensor, size: tuple[int, int]) -> Tensor:
    """Return D^T D `z` along both axes, `z` (1, C, h, w) being upsampled to `size`.

    Repeating the last pixel gives both ends of D^T D where N = 2n; cropping to 2n - 1 takes
    the last pixel of D z away, which is the last pixel of z.
    """
    result = _separable(F.pad(z, [1] * 4, mode="replicate"), _SQUARE)
    if size[0] % 2:
        row = z[:, :, -1]
        result[:, :, -1] -= _square_of_line(row)
    if size[1] % 2:
        column = z[..., -1]
        along = _square_of_line(column)
        if size[0] % 2:
            along[..., -1] -= column[..., -1]
        result[..., -1] -= along
    return result


def _square_of_line(line: Tensor) -> Tensor:
    """Return D^T D `line` (1, C, n) for N = 2n."""
    longer = F.pad(line, [1, 1], mode="replicate")
    end, middle = _SQUARE[:2]
    return end * (longer[..., :-2] + longer[..., 2:]) + middle * line


class _Statistics(Function):
    """Mean and mean square, (C,), of the upsampled image, and the border of the small one.

    Returns also the rows and the columns (4, C, n) of `small`: the first two, the last two.
    Together, as their gradients are then one tensor of the size of `small`.
    """

    @staticmethod
    def forward(ctx: Any, small: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        # sum (D x)^2 = sum x (D^T D x).
        squared = _square_of_upsampling(small, size)
        ctx.save_for_backward(squared)
        ctx.size = size
        n = size[0] * size[1]
        exact = _exact(small)
        mean = _sum_of_upsampled(small[0], size, exact) / n
        square = (small * squared).sum((0, 2, 3), dtype=exact) / n
        rows = small[0, :, _border_lines(small.shape[2])].permute(1, 0, 2)
        columns = small[0, :, :, _border_lines(small.shape[3])].permute(2, 0, 1)
        return mean, square, rows, columns

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (squared,) = ctx.saved_tensors
        n = ctx.size[0] * ctx.size[1]
        of_mean, of_square = (
            g[:, None, None].to(squared.dtype) for g in (grads[0] / n, grads[1] * 2 / n)
        )
        grad = squared * of_square
        counts = [_counts(*pair, squared) for pair in zip(squared.shape[2:], ctx.size, strict=True)]
        grad.addcmul_(counts[0][:, None] * counts[1], of_mean)
        for i, line in enumerate(_border_lines(grad.shape[2])):
            grad[0, :, line] += grads[2][i]
        for i, line in enumerate(_border_lines(grad.shape[3])):
            grad[0, :, :, line] += grads[3][i]
        return grad, None


def _exact(z: Tensor) -> torch.dtype:
    """Return the type that sums of `z` are taken in: bfloat16 cannot count so far."""
    return torch.promote_types(z.dtype, torch.float32)


def _border_lines(n: int) -> list[int]:
    """Return the first two and the last two of `n` indices; one index is also its neighbour."""
    return [0, min(1, n - 1), max(n - 2, 0), n - 1]


def _counts(n: int, size: int, like: Tensor) -> Tensor:
    """Return the sum of each column of D, (n,)."""
    counts = like.new_full((n,), 2.0)
    counts[-1] -= size % 2
    return counts


def _sum_of_upsampled(small: Tensor, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Return the sum (C,) of the upsampled image."""
    total = 4 * small.sum((1, 2), dtype=dtype)
    if size[0] % 2:
        total -= 2 * small[:, -1].sum(1, dtype=dtype)
    if size[1] % 2:
        total -= 2 * small[:, :, -1].sum(1, dtype=dtype)
    return total + (size[0] % 2) * (size[1] % 2) * small[:, -1, -1]


class _Interpolate(Function):
    """The upsampling's fixed filter, 4 x 4, 'valid'; its own adjoint but for the padding.

    As a plain convolution it would keep its input until the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return _separable(z, _UPSAMPLING)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _separable(grad, _UPSAMPLING, padding=3)


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
