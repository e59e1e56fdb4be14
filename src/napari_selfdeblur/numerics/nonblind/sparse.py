"""Restoration with Levin's sparse prior on first and second derivatives, border unknown.

Levin, Fergus, Durand and Freeman, "Image and depth from a conventional camera with a
coded aperture", SIGGRAPH 2007, with the numbers used in Levin, Weiss, Durand and Freeman,
"Efficient marginal likelihood optimization in blind deconvolution", CVPR 2011.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_selfdeblur.numerics.blur import Blur
from napari_selfdeblur.numerics.nonblind.operators import checked_weight, noise_scale
from napari_selfdeblur.numerics.stop import Stop, stopped

__all__ = ["add_derivatives_adjoint", "derivatives", "sparse"]

_ORDER_WEIGHTS = (1.0, 1.0, 0.25, 0.25, 0.25)
_EXPONENT = 0.8
_SMALL = 0.01
_FIRST, _FIRST_CLIPPED, _LATER = 10, 40, 70  # iterations of a solution
_CLEARED = 20  # iterations between removals of rounding errors
_ROUNDS, _ROUNDS_CLIPPED = 2, 5  # strong lights above the limit take longer to appear


def sparse(
    y: Tensor,
    k: Tensor,
    *,
    weight: float | None = None,
    sigma: float | None = None,
    rounds: int | None = None,
    cg_iterations: int | None = None,
    clipped: Tensor | None = None,
    stop: Stop | None = None,
) -> Tensor:
    """Minimise |M(k * x) - y|^2 + we sum_d w_d (D_d x)^2 by iteratively reweighted least squares.

    The first solution has all reweightings 1; each of the `rounds` after it has
    0.1 max(|D_d x|, 0.01)^(0.8 - 2) of the solution before. D_d are the first derivatives
    (weight 1) and the second ones, mixed included (weight 1/4). `weight` is we > 0 (Levin's:
    0.0068), by default 3.75 `noise_scale`; `cg_iterations` those of each solution. They are
    preconditioned by the same problem with M = 1 and each w_d its mean, which is diagonal in the
    Fourier domain: by default the first solution, whose w_d are constant, takes 10, or 40 if
    pixels are clipped, and the others 70.
    Where `clipped`, M is 0 in the first solution, and in each after it where k * x of the one
    before is larger than y; `rounds` is then 5 by default, not 2.
    """
    A = Blur.of(y, k)
    if weight is None:
        weight = 3.75 * noise_scale(y, sigma)
    we = checked_weight(weight, positive=True)
    if rounds is None:
        rounds = _ROUNDS if clipped is None else _ROUNDS_CLIPPED
    rows, columns = A.needed
    x = A.start(y)
    inner = x[:rows, :columns]  # nothing depends on the rest
    w = [torch.full_like(g, we * order) for order, g in _by_order(inner)]
    M = A.embed(torch.ones_like(y) if clipped is None else (~clipped).to(y))
    normal = _Normal(A, w, M)
    first = _FIRST if clipped is None or not bool(clipped.any()) else _FIRST_CLIPPED
    for done in range(rounds + 1):
        if done:
            for wd, (order, g) in zip(w, _by_order(inner), strict=True):
                g.abs_().clamp_min_(_SMALL).pow_(_EXPONENT - 2)
                torch.mul(g, we * order * 0.1, out=wd)
            if clipped is not None:
                M[A.observed] = (~clipped | (A.forward(x) < y)).to(y)
        iterations = cg_iterations if cg_iterations is not None else _LATER if done else first
        _conjugate_gradient(normal, y, x, iterations, stop)
    return A.centre(x)


class _Normal:
    """The operator A^T M A + sum_d D_d^T w_d D_d, and an inverse of one like it.

    Images p are padded domains, of which x is a corner; P are their Fourier transforms. The
    methods work in memory of their own: in large images fresh memory for each step would take as
    long as the arithmetic. So what `apply` returns holds until it is called again.
    """

    def __init__(self, A: Blur, w: list[Tensor], M: Tensor) -> None:
        self._A, self._w, self._M = A, w, M
        self._z, self._q = torch.empty_like(M), torch.zeros_like(M)
        self._Z, self._Q = torch.empty_like(A.K), torch.empty_like(A.K)
        self._K_conj = A.K.conj().resolve_conj()
        self._g = [torch.empty_like(wd) for wd in w]
        self._inverse = torch.empty_like(A.K.real)

    def apply(self, p: Tensor, P: Tensor) -> tuple[Tensor, Tensor]:
        """Return the transform of the operator times `p`, and the product of both, a number."""
        z, q = self._z, self._corner(self._q)
        torch.fft.irfft2(torch.mul(P, self._A.K, out=self._Z), s=z.shape, out=z)
        z.mul_(self._M)
        for g, wd in zip(derivatives(self._corner(p), self._g), self._w, strict=True):
            g.mul_(wd)
        add_derivatives_adjoint(q.zero_(), self._g)
        product = _dot(z, z) + _dot(self._corner(p), q)
        torch.fft.rfft2(z, out=self._Z)
        torch.fft.rfft2(self._q, out=self._Q)
        return self._Q.addcmul_(self._Z, self._K_conj), product

    def right(self, y: Tensor) -> Tensor:
        """Return the transform of A^T M y."""
        My: Tensor = torch.fft.rfft2(self._A.embed(y).mul_(self._M))
        return My.mul_(self._K_conj)

    def weigh(self) -> None:
        """Take the means of the present w_d for `precondition`."""
        # Of the image's type and device, whatever the caller's defaults are.
        kind = {"dtype": self._M.dtype, "device": self._M.device}
        rows, columns = self._A.padded
        frequencies = torch.fft.fftfreq(rows, **kind), torch.fft.rfftfreq(columns, **kind)
        ly, lx = (2 - 2 * torch.cos(2 * math.pi * each) for each in frequencies)
        ly = ly[:, None]
        energy = self._A.K.abs().square_()
        for wd, squared in zip(self._w, (lx, ly, lx * lx, ly * ly, lx * ly), strict=True):
            energy += wd.mean() * squared
        torch.reciprocal(energy, out=self._inverse)

    def precondition(self, R: Tensor, out: Tensor | None = None) -> Tensor:
        """Return `R` divided by the operator with M = 1 and each w_d its mean."""
        return torch.mul(R, self._inverse, out=out)

    def clear(self, R: Tensor) -> None:
        """Take from a residual what rounding has left where x is not.

        There the operator is 0, so nothing else would, and the steps would grow with it.
        """
        z, q = self._z, self._q.zero_()
        torch.fft.irfft2(R, s=z.shape, out=z)
        self._corner(q).copy_(self._corner(z))
        torch.fft.rfft2(q, out=R)

    def _corner(self, p: Tensor) -> Tensor:
        rows, columns = self._A.needed
        return p[:rows, :columns]


def derivatives(x: Tensor, out: list[Tensor] | None = None) -> list[Tensor]:
    """Return D_d x for dx, dy, dxx, dyy, dxy: differences inside x only, none across its edge.

    `out`, if it is given, is what they are written to.
    """
    if out is None:
        h, w = x.shape
        sizes = ((h, w - 1), (h - 1, w), (h, w - 2), (h - 2, w), (h - 1, w - 1))
        out = [x.new_empty((max(rows, 0), max(columns, 0))) for rows, columns in sizes]
    gx, gy, gxx, gyy, gxy = out
    for each, dim, g in ((x, 1, gx), (x, 0, gy), (gx, 1, gxx), (gy, 0, gyy), (gx, 0, gxy)):
        length = g.shape[dim]
        torch.sub(each.narrow(dim, 1, length), each.narrow(dim, 0, length), out=g)
    return out


def add_derivatives_adjoint(x: Tensor, g: list[Tensor]) -> Tensor:
    """Add sum_d D_d^T g_d to `x` in place, and return it; `g` is overwritten."""
    gx, gy, gxx, gyy, gxy = g
    for each, dim, to in ((gxx, 1, gx), (gxy, 0, gx), (gyy, 0, gy), (gx, 1, x), (gy, 0, x)):
        length = each.shape[dim]
        to.narrow(dim, 1, length).add_(each)
        to.narrow(dim, 0, length).sub_(each)
    return x


def _by_order(x: Tensor) -> list[tuple[float, Tensor]]:
    return list(zip(_ORDER_WEIGHTS, derivatives(x), strict=True))


def _conjugate_gradient(
    normal: _Normal, y: Tensor, x: Tensor, iterations: int, stop: Stop | None
) -> None:
    """Solve `normal` times x = A^T M y in place, from `x`.

    Residual and directions are kept as transforms: an iteration then takes four, for p itself, for
    A p and for the two terms of the operator, where images would take six.
    """
    normal.weigh()
    R = normal.right(y)
    Z = normal.precondition(R)
    least = torch.finfo(y.dtype).eps ** 2 * _dot_of(R, Z, x.shape[1])
    R -= normal.apply(x, torch.fft.rfft2(x))[0]
    P = normal.precondition(R, out=Z).clone()
    rz = _dot_of(R, P, x.shape[1])
    p = torch.empty_like(x)
    for done in range(iterations):
        if stopped(stop) or rz <= least:
            break
        if done and done % _CLEARED == 0:
            normal.clear(R)
        torch.fft.irfft2(P, s=x.shape, out=p)
        AP, product = normal.apply(p, P)
        step = rz / product
        x.addcmul_(p, step)
        R.addcmul_(AP, -step)
        normal.precondition(R, out=Z)
        rz, previous = _dot_of(R, Z, x.shape[1]), rz
        P.mul_(rz / previous).add_(Z)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    total: Tensor = torch.linalg.vecdot(a, b).sum()
    return total


def _dot_of(R: Tensor, Z: Tensor, columns: int) -> Tensor:
    """Return the dot product of two images of so many columns, by their `rfft2`.

    Their other half is not stored; the first column is its own mirror, of an even number the last
    one too.
    """
    r, z = torch.view_as_real(R), torch.view_as_real(Z)
    own = [0] if columns % 2 else [0, -1]
    total = 2 * _dot(r.flatten(1), z.flatten(1)) - sum(_dot(r[:, n], z[:, n]) for n in own)
    return total / (R.shape[0] * columns)
