"""Image and kernel without networks: edge-based kernels, and the best of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import pad

from napari_selfdeblur.numerics.edge_kernel import edge_kernel
from napari_selfdeblur.numerics.fusion import Candidate, best_of, compared
from napari_selfdeblur.numerics.solvers.base import Problem, Step
from napari_selfdeblur.numerics.support import next_size, sides_of, sizes_to_try

__all__ = ["EdgeSolver", "Trial", "trials"]

_NOISY = 0.006  # sigma above which an image is smoothed before its kernel is estimated


class Trial(NamedTuple):
    """How one kernel is estimated: its sides, strength, and smoothing of the image in pixels."""

    size: tuple[int, int]
    strength: float
    smoothing: float


def trials(size: tuple[int, int], sigma: float) -> list[Trial]:
    """Return how kernels of `size` are estimated in an image of noise `sigma`.

    Without noise: four strengths, for a texture can mislead one of them. With noise, an image
    smoothed a little: its kernel is estimated in place of the noise's.
    """
    if sigma < _NOISY:
        return [Trial(size, strength, 0.0) for strength in (1.0, 0.5, 0.7, 2.0)]
    return [Trial(size, strength, width) for width in (1.2, 0.7) for strength in (1.0, 2.0)]


class EdgeSolver:
    """Estimate one edge-based kernel a step; keep the one that `fusion` judges the best.

    Where the kernel's size is "auto", the first steps estimate kernels of growing sizes; the
    size is that of the best one. The remaining steps vary strength and smoothing.

    Parameters
    ----------
    problem : Problem
        Of its settings only the kernel size is used, and of its runtime only the device.

    Attributes
    ----------
    total, t, losses, last
        As `Solver` has them; `last` is the best so far, and its loss the standard deviation of
        the residual over that of the noise.
    size : (int, int) or None
        Sides of the kernel: those of the settings, or those found; None before that.
    candidates : list of Candidate
        Every estimate, in the order of `trials`.
    trials : list of Trial
        How each was made.

    Raises
    ------
    ConfigError, ImageError
        By `step`, if kernel size or image is unusable; see `edge_kernel`.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.t = 0
        self.losses: list[float] = []
        self.candidates: list[Candidate] = []
        self.last: Step | None = None
        size = problem.config.kernel_size
        self.size = None if isinstance(size, str) else size
        if self.size is None:
            width = 0.0 if problem.sigma < _NOISY else 1.0
            self.trials = [Trial(side, 1.0, width) for side in sizes_to_try(problem.shape)]
        else:
            self.trials = trials(self.size, problem.sigma)

    @property
    def total(self) -> int:
        """Steps as far as is known: sizes may follow sizes."""
        return len(self.trials) + (0 if self.size else len(trials((3, 3), self.problem.sigma)))

    @property
    def found_size(self) -> tuple[int, int]:
        """The size; before it is settled, that of the best kernel so far."""
        if self.size is not None:
            return self.size
        assert self.last is not None
        return sides_of(self.last.k.cpu().numpy(), self.problem.shape)

    def step(self) -> Step:
        """Estimate kernel t and return the best so far."""
        y, sigma, trial = self.problem.tensor(), self.problem.sigma, self.trials[self.t]
        k = edge_kernel(_smoothed(y, trial.smoothing), trial.size, strength=trial.strength)
        candidate, x = compared(y, k.cpu().numpy(), "edges", sigma)
        before = best_of(self.candidates) if self.candidates else -1
        self.candidates.append(candidate)
        best = best_of(self.candidates)
        if best != before:
            if best != self.t:  # agreement with the new one made an older one the best
                _, x = compared(y, self.candidates[best].kernel, "edges", sigma)
            kernel = torch.from_numpy(self.candidates[best].kernel).to(y.device)
            loss = self.candidates[best].measures["residual"]
            self.last = Step(loss, _extended(x, kernel), kernel)
        assert self.last is not None
        self.t += 1
        self.losses.append(self.last.loss)
        if self.size is None and self.t == len(self.trials):
            self._size_tried(self.candidates[best].kernel)
        return self.last

    def _size_tried(self, kernel: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Try a larger size, or take the best kernel's."""
        sigma, tried = self.problem.sigma, self.trials[-1]
        larger = next_size(kernel, tried.size, self.problem.shape)
        if larger is not None:
            self.trials.append(Trial(larger, 1.0, tried.smoothing))
        else:
            self.size = sides_of(kernel, self.problem.shape)
            self.trials += trials(self.size, sigma)

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to continue from here."""
        return {
            "t": self.t,
            "losses": list(self.losses),
            "size": None if self.size is None else list(self.size),
            "trials": [
                [list(trial.size), trial.strength, trial.smoothing] for trial in self.trials
            ],
            "kernels": [torch.from_numpy(each.kernel) for each in self.candidates],
            "measures": [dict(each.measures) for each in self.candidates],
            "last": None if self.last is None else list(self.last),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`, made by `state` of a solver of the same problem."""
        device = self.problem.runtime.device
        self.t, self.losses = state["t"], list(state["losses"])
        self.size = None if state["size"] is None else (state["size"][0], state["size"][1])
        self.trials = [
            Trial((h, w), strength, width) for (h, w), strength, width in state["trials"]
        ]
        self.candidates = [
            Candidate(k.cpu().numpy(), "edges", measures)
            for k, measures in zip(state["kernels"], state["measures"], strict=True)
        ]
        last = state["last"]
        self.last = None if last is None else Step(last[0], last[1].to(device), last[2].to(device))


def _smoothed(y: Tensor, width: float) -> Tensor:
    """Return y blurred by a Gaussian of `width` pixels."""
    if not width:
        return y
    return torch.from_numpy(gaussian_filter(y.cpu().numpy(), width)).to(y.device)


def _extended(x: Tensor, k: Tensor) -> Tensor:
    """Return x (H, W) as (H + kh - 1, W + kw - 1), its outermost pixels repeated."""
    rows, columns = (s // 2 for s in k.shape)
    return pad(x[None], (columns, columns, rows, rows), mode="replicate")[0]
