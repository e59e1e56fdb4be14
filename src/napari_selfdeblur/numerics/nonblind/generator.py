"""SelfDeblur with a fixed kernel: the image generator alone fitted to y = k * x + n."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from torch import Tensor, from_numpy
from torch.nn.functional import pad

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.runtime import Runtime, memory_checked
from napari_selfdeblur.numerics.solvers.base import Problem, estimate_of
from napari_selfdeblur.numerics.solvers.networks import JointSolver
from napari_selfdeblur.numerics.stop import Interrupted, Stop, interruptible, stopped

__all__ = ["KNOWN_KERNEL", "generator"]

KNOWN_KERNEL = SelfDeblurConfig(iterations=1000, loss="ssim", lr_milestones=(0.7, 0.8, 0.9))
"""The public code's schedule for a known kernel."""


def generator(
    y: Tensor,
    k: Tensor,
    *,
    iterations: int | None = None,
    config: SelfDeblurConfig = KNOWN_KERNEL,
    clipped: Tensor | None = None,
    stop: Stop | None = None,
) -> Generator[tuple[int, int, float], None, Tensor]:
    """Restore y with the deep image prior and the known kernel, step by step.

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
    clipped : Tensor of bool, (H, W), optional
        Where y is clipped above: k * x may be larger there.
    stop : Stop, optional
        Ends the fit after the present step, or in the middle of a long one, with the image it
        has by then: before the first step, `y`.

    Yields
    ------
    (int, int, float)
        After each step: steps done, of how many, and the loss.

    Returns
    -------
    Tensor, (H, W), like `y`

    Raises
    ------
    ConfigError
        If `iterations` is out of range.
    OutOfMemoryError
        If the device is too small.
    """
    rows, columns = ((3 - side) // 2 if side < 3 else 0 for side in k.shape)  # sides of 1
    k = pad(k, (columns, columns, rows, rows))
    config = config.replace(
        kernel_size=tuple(k.shape),
        iterations=config.iterations if iterations is None else iterations,
        device=str(y.device),
    )
    plane = np.ascontiguousarray(y.cpu().numpy(), dtype=np.float32)
    problem = Problem(
        plane,
        sigma=0.0,
        config=config,
        runtime=Runtime.of(config),
        kernel=k.float(),
        clipped=None if clipped is None else clipped.cpu().numpy(),
    )
    with memory_checked(config, problem.shape, y.device):
        solver = JointSolver(problem)
    while solver.t < solver.total and not (solver.t and stopped(stop)):
        try:
            with memory_checked(config, problem.shape, y.device), interruptible(stop):
                step = solver.step()
        except Interrupted:
            break
        yield solver.t, solver.total, step.loss
    if solver.last is None:
        return y
    return from_numpy(estimate_of(solver.last, "joint").sharp).to(y)
