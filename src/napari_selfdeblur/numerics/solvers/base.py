"""The one interface behind which every way to estimate image and kernel stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.centring import centre
from napari_selfdeblur.numerics.runtime import Runtime
from napari_selfdeblur.numerics.stop import Stop

__all__ = ["Estimate", "Problem", "Solver", "Step", "Stop", "estimate_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a solver is given: the blurred image, and settings but for the size "auto" resolved."""

    y: NDArray[np.float32]  # blurred image (H, W) in [0, 1]
    sigma: float  # standard deviation of its noise, compression included, in units of `y`
    config: SelfDeblurConfig  # `tv_weight` is a number here
    runtime: Runtime
    kernel: Tensor | None = None  # a known one (kh, kw); only the image is then estimated
    clipped: NDArray[np.bool_] | None = None  # where `y` (H, W) is clipped above, if anywhere
    compression: float = 0.0  # the part of `sigma` that JPEG has left

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of `y`."""
        return self.y.shape[0], self.y.shape[1]

    @property
    def noise(self) -> float:
        """Standard deviation of the noise without what JPEG has left: it hides no fine edges."""
        return math.sqrt(max(self.sigma**2 - self.compression**2, 0.0))

    def tensor(self) -> Tensor:
        """Return `y` as a tensor (H, W) on the device."""
        return torch.from_numpy(self.y).to(self.runtime.device)


class Step(NamedTuple):
    """Objective, image x (H + kh - 1, W + kw - 1) and kernel k (kh, kw) of one step, detached."""

    loss: float
    x: Tensor
    k: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Sharp image and kernel, as arrays of their own."""

    sharp: NDArray[np.float32]  # x where y was observed, (H, W), in [0, 1]
    kernel: NDArray[np.float32]  # the PSF k (kh, kw), >= 0, sum 1, centroid at the central pixel
    source: str  # name of the solver, as registered, or of what combined several


class Solver(Protocol):
    """A method that proceeds in steps."""

    t: int  # steps done
    losses: list[float]  # objective of every step done
    last: Step | None  # what the last step returned

    @property
    def total(self) -> int:
        """Steps it takes, as far as is known."""
        ...

    def step(self) -> Step:
        """Do step t and return the estimate after it: the best one, or the present iterate."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs: tensors, numbers, strings; lists and dicts."""
        ...

    def restore_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`, made by `state` of a solver of the same problem."""
        ...


def estimate_of(step: Step, source: str) -> Estimate:
    """Return image and kernel of `step`, centred, copied to the CPU."""
    sharp, kernel = centre(step.x.cpu().numpy().copy(), step.k.cpu().numpy().copy())
    return Estimate(sharp, kernel, source)
