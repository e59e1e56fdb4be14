"""Restoration with Levin's sparse prior on first and second derivatives, border unknown.

Levin, Fergus, Durand and Freeman, "Image and depth from a conventional camera with a
coded aperture", SIGGRAPH 2007, with the numbers used in Levin, Weiss, Durand and Freeman,
"Efficient marginal likelihood optimization in blind deconvolution", CVPR 2011.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_selfdeblur.numerics.blur import Blur
from napari_selfdeblur.numerics.nonblind.operators import checked_weight, noise_scale
from napari_selfdeblur.numerics.stop import Stop, stopped

__all__ = ["derivatives", "derivatives_adjoint", "sparse"]

_ORDER_WEIGHTS = (1.0, 1.0, 0.25, 0.25, 0.25)
_EXPONENT = 0.8
_SMALL = 0.01
_ROUNDS, _ROUNDS_CLIPPED = 2, 5  # strong lights above the limit take longer to appear


def sparse(
    y: Tensor,
    k: Tensor,
    *,
    weight: float | None = None,
    sigma: float | None = None,
    rounds: int | None = None,
    cg_iterations: int = 70,
    clipped: Tensor | None = None,
    stop: Stop | None = None,
) -> Tensor:
    """Minimise |M(k * x) - y|^2 + we sum_d w_d (D_d x)^2 by iteratively reweighted least squares.

    The first solution has all reweightings 1; each of the `rounds` after it has
    0.1 max(|D_d x|, 0.01)^(0.8 - 2) of the solution before. D_d are the first derivatives
    (weight 1) and the second ones, mixed included (weight 1/4). `weight` is we > 0 (Levin's:
    0.0068), by default 3.75 `noise_scale`; `cg_iterations` those of each solution.
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

    def solve(x: Tensor, w: list[Tensor], M: Tensor | float) -> Tensor:
        def normal(p: Tensor) -> Tensor:
            penalty = [wd * g for wd, g in zip(w, derivatives(p), strict=True)]
            data = A.adjoint(M * A.forward(p))[:rows, :columns]
            return data + derivatives_adjoint(penalty)

        right = A.adjoint(M * y)[:rows, :columns]
        return _conjugate_gradient(normal, right, x, cg_iterations, stop)

    x = A.start(y)[:rows, :columns]
    M = 1.0 if clipped is None else (~clipped).to(y)
    x = solve(x, [we * order * torch.ones_like(g) for order, g in _by_order(x)], M)
    for _ in range(rounds):
        w = [
            we * order * 0.1 * g.abs().clamp_min(_SMALL) ** (_EXPONENT - 2)
            for order, g in _by_order(x)
        ]
        if clipped is not None:
            M = (~clipped | (A.forward(x) < y)).to(y)
        x = solve(x, w, M)
    return A.centre(x)


def derivatives(x: Tensor) -> list[Tensor]:
    """Return D_d x for dx, dy, dxx, dyy, dxy: differences inside x only, none across its edge."""
    gx, gy = torch.diff(x, dim=1), torch.diff(x, dim=0)
    return [gx, gy, torch.diff(gx, dim=1), torch.diff(gy, dim=0), torch.diff(gx, dim=0)]


def derivatives_adjoint(g: list[Tensor]) -> Tensor:
    """Return sum_d D_d^T g_d."""
    gx, gy, gxx, gyy, gxy = g
    # In place: in the largest images this step would otherwise cost more than the transforms.
    gx = _add_adjoint(_add_adjoint(gx.clone(), gxx, 1), gxy, 0)
    gy = _add_adjoint(gy.clone(), gyy, 0)
    x = gx.new_zeros((gx.shape[0], gy.shape[1]))
    return _add_adjoint(_add_adjoint(x, gx, 1), gy, 0)


def _by_order(x: Tensor) -> list[tuple[float, Tensor]]:
    return list(zip(_ORDER_WEIGHTS, derivatives(x), strict=True))


def _add_adjoint(x: Tensor, g: Tensor, dim: int) -> Tensor:
    """Add D^T g of the differences D along `dim` to x, in place, and return it."""
    length = g.shape[dim]
    x.narrow(dim, 1, length).add_(g)
    x.narrow(dim, 0, length).sub_(g)
    return x


def _conjugate_gradient(
    normal: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, iterations: int, stop: Stop | None
) -> Tensor:
    """Solve normal(x) = b for a symmetric positive semidefinite `normal`, from `x`."""
    r = b - normal(x)
    p, rr = r, (r * r).sum()
    for _ in range(iterations):
        if stopped(stop) or rr <= torch.finfo(b.dtype).eps ** 2 * (b * b).sum():
            break
        Ap = normal(p)
        step = rr / (p * Ap).sum()
        x = x + step * p
        r = r - step * Ap
        rr, previous = (r * r).sum(), rr
        p = r + (rr / previous) * p
    return x
