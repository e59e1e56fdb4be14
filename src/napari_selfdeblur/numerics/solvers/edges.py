"""A draft without networks: classical kernels of several strengths, and the most credible one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics import runtime as rt
from napari_selfdeblur.numerics.assess import normalised_sparsity
from napari_selfdeblur.numerics.edge_kernel import STRENGTHS, first_guess
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.progress import Step

__all__ = ["ClassicalOptimiser", "restored"]

_ITERATIONS = 40  # of a restoration that is only to be compared


class ClassicalOptimiser:
    """Try one classical kernel a step and keep the one whose image has the sparsest gradients.

    Neither the re-blur residual nor the loss of a fit tells a wrong kernel; the normalised
    sparsity L1 / L2 of Krishnan, Tay and Fergus 2011 does. It is this run's objective.

    Parameters
    ----------
    y : ndarray of float32, (H, W)
        Blurred image in [0, 1].
    config : SelfDeblurConfig
        `kernel_size`, `device` and `iterations`, the number of kernels to try, are used.
    tv_weight : float
        Not used: there is no total variation here.

    Raises
    ------
    DeviceError
        If the device is not available.
    """

    def __init__(
        self, y: NDArray[np.float32], config: SelfDeblurConfig, tv_weight: float = 0.0
    ) -> None:
        self.config, self.shape = config, (y.shape[0], y.shape[1])
        self.runtime = rt.Runtime.of(config)
        self.y = y
        self.t = 0
        self.losses: list[float] = []
        self.best: Step | None = None

    def step(self) -> Step:
        """Try kernel t and return the best so far."""
        k = torch.from_numpy(
            first_guess(self.y, self.config.kernel_size, strength=STRENGTHS[self.t])
        )
        place = self.runtime.device
        x, objective = restored(torch.from_numpy(self.y).to(place), k.to(place))
        candidate = Step(objective, _on_canvas(x, k), k)
        if self.best is None or candidate.loss < self.best.loss:
            self.best = candidate
        self.t += 1
        return self.best

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to go on from here."""
        best = None if self.best is None else tuple(self.best)
        return {"t": self.t, "losses": list(self.losses), "best": best}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, made by `state` of an optimiser of the same image and config."""
        self.t, self.losses = state["t"], list(state["losses"])
        self.best = None if state["best"] is None else Step(*state["best"])


def restored(y: Tensor, k: Tensor) -> tuple[Tensor, float]:
    """Return y restored with k, and the normalised sparsity of that image's gradients.

    The sparsity is taken without the border, where a restoration is least certain.
    """
    x = hyper_laplacian(y, k, iterations=_ITERATIONS).clamp(0, 1)
    rim, side = (min(s // 2, (n - 2) // 2) for s, n in zip(k.shape, x.shape, strict=True))
    inner = x[rim : x.shape[0] - rim, side : x.shape[1] - side]
    return x, normalised_sparsity(inner.cpu().numpy())


def _on_canvas(x: Tensor, k: Tensor) -> Tensor:
    """Return x (H, W) on the larger support that a step's image has, its edge repeated."""
    rows, columns = (s // 2 for s in k.shape)
    return torch.nn.functional.pad(x[None, None], (columns, columns, rows, rows), mode="replicate")
