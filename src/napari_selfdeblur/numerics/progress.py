"""What the optimisation reports: facts, never live tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Estimate", "Progress", "Step"]


class Step(NamedTuple):
    """Objective, image x (1, 1, H', W') and kernel k (kh, kw) of one step, detached.

    For within the numerics; `Progress` is what leaves them.
    """

    loss: float
    x: Tensor
    k: Tensor


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run after one step.

    Attributes
    ----------
    iteration, total : int
        Steps done, and steps of the whole run; 1 <= iteration <= total, but for the draft
        that a run may begin with: it is step 0.
    loss : float
        Value of the objective at this step.
    seconds : float
        Time since the run began.
    sharp : ndarray of float32 or None
        Current sharp image, (H, W); None where no preview is due. Always present in the last
        progress of a run.
    kernel : ndarray of float32 or None
        Current kernel (kh, kw), summing to 1; present whenever `sharp` is.
    last : bool
        Whether the run ends with this step; `sharp` and `kernel` then are its result.
    """

    iteration: int
    total: int
    loss: float
    seconds: float
    sharp: NDArray[np.float32] | None = None
    kernel: NDArray[np.float32] | None = None
    last: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Time left if the remaining steps take as long as those done; None before the first."""
        if self.iteration == 0:
            return None
        return self.seconds / self.iteration * (self.total - self.iteration)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Outcome of an optimisation.

    Attributes
    ----------
    sharp : ndarray of float32, (H, W)
        The latent image x where y was seen, in [0, 1].
    kernel : ndarray of float32, (kh, kw)
        The PSF k, summing to 1, centroid at the central pixel.
    iterations : int
        Steps done.
    stopped : bool
        Whether the run was ended before its last step.
    losses : tuple of float
        The loss of every step.
    """

    sharp: NDArray[np.float32]
    kernel: NDArray[np.float32]
    iterations: int
    stopped: bool
    losses: tuple[float, ...]
