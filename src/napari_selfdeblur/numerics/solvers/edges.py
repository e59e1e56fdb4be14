"""Image and kernel without networks: kernels of edges and of the spectrum, and the best."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from napari_selfdeblur.numerics.edge_kernel import (
    edge_kernel,
    first_smoothing,
    refined_kernel,
    smoothed,
)
from napari_selfdeblur.numerics.fusion import Candidate, best_of, compared
from napari_selfdeblur.numerics.measures import NORMAL_GEARY
from napari_selfdeblur.numerics.solvers.base import Problem, Step
from napari_selfdeblur.numerics.spectral_kernel import spectral_kernels
from napari_selfdeblur.numerics.support import next_size, sides_of, sizes_to_try

__all__ = ["EdgeSolver", "Trial", "trials", "trials_of_objects"]

_MU = 10.0  # L0 of the intensities over that of the gradients


class Trial(NamedTuple):
    """How one kernel is estimated.

    Attributes
    ----------
    size : (int, int)
        Its sides.
    strength : float
        How few edges are taken.
    smoothing : float
        Width of the Gaussian that the image is blurred by before, in pixels.
    start : str
        ``coarse``: from the coarsest scale up; ``spectrum`` and ``mirrored``: from the kernel of
        the power spectrum, or the same rotated by 180 degrees.
    intensities : float
        How few pixels differ from the background, over how few edges there are.
    """

    size: tuple[int, int]
    strength: float = 1.0
    smoothing: float = 0.0
    start: str = "coarse"
    intensities: float = 0.0


def trials(size: tuple[int, int], noise: float) -> list[Trial]:
    """Return how kernels of `size` are estimated in an image of so much noise.

    Without noise: four strengths, for a texture can mislead one of them. With noise, an image
    smoothed a little: the edges are then not the noise's. Then what does not begin with edges.
    """
    if not first_smoothing(noise):
        coarse = [Trial(size, strength) for strength in (1.0, 0.5, 0.7, 2.0)]
    else:
        coarse = [Trial(size, strength, width) for width in (1.2, 0.7) for strength in (1.0, 2.0)]
    width = first_smoothing(noise)
    others = [Trial(size, 1.0, width, start) for start in ("spectrum", "mirrored")]
    return coarse + others


def trials_of_objects(size: tuple[int, int], noise: float) -> list[Trial]:
    """Return further trials for an image of objects that stand apart on a plain background."""
    width = first_smoothing(noise)
    settings = [(1.0, width, _MU), (2.0, width, 0.3 * _MU), (0.5, width, _MU)]
    settings += [(1.0, 0.7, _MU), (2.0, 0.7, _MU)] if width else []
    return [
        Trial(size, strength, smoothing, intensities=mu) for strength, smoothing, mu in settings
    ]


class EdgeSolver:
    """Estimate one edge-based kernel a step; keep the one that `fusion` judges the best.

    Where the kernel's size is "auto", the first steps estimate kernels of growing sizes; the
    size is that of the best one. The remaining steps vary strength and smoothing. Where objects
    stand apart in an image restored so far (its Geary ratio is below a normal distribution's),
    kernels are also estimated with few intensities beside few edges.

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
        self._spectral: list[Tensor] | None = None  # once for the two trials that begin with it
        size = problem.config.kernel_size
        self.size = None if isinstance(size, str) else size
        if self.size is None:
            width = first_smoothing(problem.noise)
            self.trials = [Trial(side, 1.0, width) for side in sizes_to_try(problem.shape)]
        else:
            self.trials = trials(self.size, problem.noise)

    @property
    def total(self) -> int:
        """Steps as far as is known: sizes may follow sizes."""
        return len(self.trials) + (0 if self.size else len(trials((3, 3), self.problem.noise)))

    @property
    def found_size(self) -> tuple[int, int]:
        """The size; before it is settled, that of the best kernel so far."""
        if self.size is not None:
            return self.size
        assert self.last is not None
        return sides_of(self.last.k.cpu().numpy(), self.problem.shape)

    @property
    def largest_size(self) -> tuple[int, int]:
        """The largest size of which a kernel has been estimated."""
        return max(trial.size for trial in self.trials[: self.t])

    def step(self) -> Step:
        """Estimate kernel t and return the best so far."""
        y, sigma, trial = self.problem.tensor(), self.problem.sigma, self.trials[self.t]
        kernel, clipped = self._kernel(y, trial).cpu().numpy(), self.problem.clipped
        candidate, x = compared(y, kernel, "edges", sigma, clipped=clipped)
        candidate = candidate._replace(intensities=trial.intensities)
        before = best_of(self.candidates) if self.candidates else -1
        candidates = [*self.candidates, candidate]
        best = best_of(candidates)
        if best != before:
            if best != self.t:  # agreement with the new one made an older one the best
                _, x = compared(y, candidates[best].kernel, "edges", sigma, clipped=clipped)
            k = torch.from_numpy(candidates[best].kernel).to(y.device)
            loss = candidates[best].measures["residual"]
            self.last = Step(loss, _extended(x, k), k)
        assert self.last is not None
        self.candidates = candidates  # from here on nothing interrupts
        self.t += 1
        self.losses.append(self.last.loss)
        if self.t == len(self.trials):
            self._tried(self.candidates[best].kernel)
        return self.last

    def _kernel(self, y: Tensor, trial: Trial) -> Tensor:
        """Return the kernel of one trial."""
        smooth = smoothed(y, trial.smoothing)
        if trial.start == "coarse":
            return edge_kernel(
                smooth, trial.size, strength=trial.strength, intensities=trial.intensities
            )
        # The spectrum is judged with its noise; the edges without.
        self._spectral = self._spectral or spectral_kernels(y, trial.size)
        return refined_kernel(smooth, self._spectral[trial.start == "mirrored"])

    def _tried(self, kernel: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Add what is to be tried after the trials so far, of which `kernel` is the best."""
        last, noise, shape = self.trials[-1], self.problem.noise, self.problem.shape
        objects = any(each.intensities for each in self.trials)
        more = not objects and min(c.measures["geary"] for c in self.candidates) < NORMAL_GEARY
        if self.size is None:
            larger = next_size(kernel, last.size, shape)
            if larger is not None:
                self.trials.append(last._replace(size=larger))
            elif more:
                some = reversed(sizes_to_try(shape)[::-2][:2])
                self.trials += [last._replace(size=size, intensities=_MU) for size in some]
            else:
                self.size = sides_of(kernel, shape)
                self.trials += trials(self.size, noise)
                self.trials += trials_of_objects(self.size, noise) if objects else []
        elif more:
            self.trials += trials_of_objects(self.size, noise)

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to continue from here."""
        return {
            "t": self.t,
            "losses": list(self.losses),
            "size": None if self.size is None else list(self.size),
            "trials": [[*each.size, *each[1:]] for each in self.trials],
            "kernels": [torch.from_numpy(each.kernel) for each in self.candidates],
            "measures": [dict(each.measures) for each in self.candidates],
            "last": None if self.last is None else list(self.last),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`, made by `state` of a solver of the same problem."""
        device = self.problem.runtime.device
        self.t, self.losses = state["t"], list(state["losses"])
        self.size = None if state["size"] is None else (state["size"][0], state["size"][1])
        self.trials = [Trial((kh, kw), *rest) for kh, kw, *rest in state["trials"]]
        self.candidates = [
            Candidate(k.cpu().numpy(), "edges", measures, intensities=trial.intensities)
            for k, measures, trial in zip(
                state["kernels"], state["measures"], self.trials[: self.t], strict=True
            )
        ]
        last = state["last"]
        self.last = None if last is None else Step(last[0], last[1].to(device), last[2].to(device))


def _extended(x: Tensor, k: Tensor) -> Tensor:
    """Return x (H, W) as (H + kh - 1, W + kw - 1), its outermost pixels repeated."""
    rows, columns = (s // 2 for s in k.shape)
    return pad(x[None], (columns, columns, rows, rows), mode="replicate")[0]
