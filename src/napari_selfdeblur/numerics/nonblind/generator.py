"""SelfDeblur with a fixed kernel: the image generator alone fitted to y = k * x + n."""

from __future__ import annotations

import numpy as np
from torch import Tensor, from_numpy

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.solvers.base import Problem, estimate_of
from napari_selfdeblur.numerics.solvers.networks import JointSolver
from napari_selfdeblur.numerics.stop import Stop, stopped

__all__ = ["KNOWN_KERNEL", "generator"]

KNOWN_KERNEL = SelfDeblurConfig(iterations=1000, loss="ssim", lr_milestones=(0.7, 0.8, 0.9))
"""The public code's schedule for a known kernel."""


def generator(
    y: Tensor,
    k: Tensor,
    *,
    iterations: int | None = None,
    config: SelfDeblurConfig = KNOWN_KERNEL,
    stop: Stop | None = None,
) -> Tensor:
    """Restore y with the deep image prior and the known kernel.

    The structure of the network is the prior: there is no weight, and no noise to give.

    Parameters
    ----------
    y : Tensor, (H, W)
        Blurred image in [0, 1].
    k : Tensor, (kh, kw)
        Kernel of odd size, summing to 1.
    iterations : int, optional
        Steps, at least 1; by default those of `config`.
    config : SelfDeblurConfig, optional
        Networks and schedule; kernel size and device are those of the tensors.
    stop : Stop, optional
        Ends the fit after the present step, with the image it has by then.

    Returns
    -------
    Tensor, (H, W), like `y`

    Raises
    ------
    ConfigError
        If `iterations` is out of range.
    DivergedError, OutOfMemoryError
        As for `JointSolver`.
    """
    config = config.replace(
        kernel_size=tuple(k.shape),
        iterations=config.iterations if iterations is None else iterations,
        device=str(y.device),
    )
    plane = np.ascontiguousarray(y.cpu().numpy(), dtype=np.float32)
    problem = Problem(plane, sigma=0.0, config=config, runtime=Runtime.of(config), kernel=k.float())
    solver = JointSolver(problem)
    while solver.t < solver.total:
        step = solver.step()
        if stopped(stop):
            break
    return from_numpy(estimate_of(step, "joint").sharp).to(y)
