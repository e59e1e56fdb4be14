"""The one interface behind which every way to estimate image and kernel stands."""

from __future__ import annotations

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
    """What a solver is given: the blurred image, and settings but for the size "auto" resolved.

    Attributes
    ----------
    y : ndarray of float32, (H, W)
        Blurred image in [0, 1].
    sigma : float
        Standard deviation of its noise, in units of `y`.
    config : SelfDeblurConfig
        Settings; `tv_weight` is a number here.
    runtime : Runtime
        Device and arithmetic.
    kernel : Tensor, (kh, kw), or None
        A known kernel; only the image is then estimated.
    clipped : ndarray of bool, (H, W), or None
        Where `y` is clipped above; None where nowhere.
    """

    y: NDArray[np.float32]
    sigma: float
    config: SelfDeblurConfig
    runtime: Runtime
    kernel: Tensor | None = None
    clipped: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of `y`."""
        return self.y.shape[0], self.y.shape[1]

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
    """Sharp image and kernel, as arrays of their own.

    Attributes
    ----------
    sharp : ndarray of float32, (H, W)
        The latent image x where y was observed, in [0, 1].
    kernel : ndarray of float32, (kh, kw)
        The PSF k, >= 0, summing to 1, centroid at the central pixel.
    source : str
        Name of the solver, as registered, or of what combined several.
    """

    sharp: NDArray[np.float32]
    kernel: NDArray[np.float32]
    source: str


class Solver(Protocol):
    """A method that proceeds in steps.

    Attributes
    ----------
    t : int
        Steps done.
    losses : list of float
        Objective of every step done.
    last : Step or None
        What the last step returned.
    """

    t: int
    losses: list[float]
    last: Step | None

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
