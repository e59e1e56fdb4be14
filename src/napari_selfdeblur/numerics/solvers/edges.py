"""Image and kernel without networks: edge-based kernels, and the one with the sparsest image."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from napari_selfdeblur.numerics.assess import normalised_sparsity
from napari_selfdeblur.numerics.edge_kernel import STRENGTHS, edge_kernel
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.solvers.base import Problem, Step

__all__ = ["EdgeSolver", "restored"]

_ITERATIONS = 40  # of a restoration that is only to be compared


class EdgeSolver:
    """Estimate one edge-based kernel a step; keep the one whose image has the sparsest gradients.

    Neither the re-blur residual nor the loss of a fit identifies a wrong kernel; the normalised
    sparsity L1 / L2 of Krishnan, Tay and Fergus 2011 does. It is this solver's objective.

    Parameters
    ----------
    problem : Problem
        Of its settings only the kernel size is used, and of its runtime only the device.

    Attributes
    ----------
    total, t, losses, last
        As `Solver` has them; `last` is the best so far, and the objective is its: it never
        rises.
    kernels : list of Tensor of float32, (kh, kw)
        Every kernel estimated, in the order of `STRENGTHS`.

    Raises
    ------
    ConfigError, ImageError
        By `step`, if kernel size or image is unusable; see `edge_kernel`.
    """

    total = len(STRENGTHS)

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.t = 0
        self.losses: list[float] = []
        self.kernels: list[Tensor] = []
        self.last: Step | None = None

    def step(self) -> Step:
        """Estimate kernel t and return the best so far."""
        y = self.problem.tensor()
        k = edge_kernel(y, self.problem.config.kernel_size, strength=STRENGTHS[self.t])
        x, objective = restored(y, k, self.problem.sigma)
        if self.last is None or objective < self.last.loss:
            self.last = Step(objective, _extended(x, k), k)
        self.t += 1
        self.kernels.append(k)
        self.losses.append(self.last.loss)
        return self.last

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to continue from here."""
        return {
            "t": self.t,
            "losses": list(self.losses),
            "kernels": list(self.kernels),
            "last": None if self.last is None else list(self.last),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`, made by `state` of a solver of the same problem."""
        device = self.problem.runtime.device
        self.t, self.losses = state["t"], list(state["losses"])
        self.kernels = [k.to(device) for k in state["kernels"]]
        last = state["last"]
        self.last = None if last is None else Step(last[0], last[1].to(device), last[2].to(device))


def restored(y: Tensor, k: Tensor, sigma: float) -> tuple[Tensor, float]:
    """Return y restored with k, and the normalised sparsity of that image's gradients.

    The sparsity is taken without the border, where a restoration is least certain.

    Parameters
    ----------
    y : Tensor of float, (H, W)
        Blurred image in [0, 1].
    k : Tensor of float, (kh, kw)
        Kernel.
    sigma : float
        Noise standard deviation of `y`.

    Returns
    -------
    x : Tensor, (H, W)
        In [0, 1].
    objective : float
        In [0, 1].
    """
    x = hyper_laplacian(y, k, sigma=sigma, iterations=_ITERATIONS).clamp(0, 1)
    top, left = (min(s // 2, (n - 2) // 2) for s, n in zip(k.shape, x.shape, strict=True))
    inner = x[top : x.shape[0] - top, left : x.shape[1] - left]
    return x, normalised_sparsity(inner.cpu().numpy())


def _extended(x: Tensor, k: Tensor) -> Tensor:
    """Return x (H, W) as (H + kh - 1, W + kw - 1), its outermost pixels repeated."""
    rows, columns = (s // 2 for s in k.shape)
    return pad(x[None], (columns, columns, rows, rows), mode="replicate")[0]
