"""SelfDeblur with the kernel held: the image generator alone fitted to y = k * x + n."""

from __future__ import annotations

import numpy as np
from torch import Tensor, from_numpy

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.solvers.networks import JointOptimiser, Stop, iterate

__all__ = ["KNOWN_KERNEL", "generator"]

KNOWN_KERNEL = SelfDeblurConfig(
    name="known_kernel", iterations=1000, loss="ssim", lr_milestones=(0.7, 0.8, 0.9)
)
"""The public code's schedule for a known kernel."""


def generator(
    y: Tensor,
    k: Tensor,
    *,
    weight: float | None = None,
    sigma: float | None = None,
    iterations: int | None = None,
    config: SelfDeblurConfig = KNOWN_KERNEL,
    stop: Stop | None = None,
) -> Tensor:
    """Restore y with the deep image prior and the known kernel.

    Parameters
    ----------
    y : Tensor, (H, W)
        Blurred image in [0, 1].
    k : Tensor, (kh, kw)
        Kernel of odd size, summing to 1.
    weight : None
        This restoration has no weight; anything else is an error.
    sigma : float, optional
        Not used: the network's structure is the prior.
    iterations : int, optional
        Steps, 1000 unless told.
    config : SelfDeblurConfig, optional
        Networks and schedule; size and device follow the tensors.
    stop : threading.Event, optional
        Ends the fit early, with the image it has.

    Returns
    -------
    Tensor, (H, W), like `y`

    Raises
    ------
    ConfigError
        If a weight is given.
    DivergedError, OutOfMemoryError
        As for `optimise.iterate`.
    """
    if weight is not None:
        raise ConfigError("restoration 'generator' has no weight; leave weight unset")
    config = config.replace(
        kernel_size=tuple(k.shape),
        iterations=iterations or config.iterations,
        device=str(y.device),
    )
    plane = np.ascontiguousarray(y.cpu().numpy(), dtype=np.float32)
    optimiser = JointOptimiser(plane, config, kernel=k.float())
    for progress in iterate(optimiser, stop=stop):
        sharp = progress.sharp
    assert sharp is not None  # the last progress always has it
    return from_numpy(sharp).to(y)
