"""What the stages of a run share, and what each adds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import DeblurWarning, FileError
from napari_selfdeblur.numerics.assess import Assessment, assess, is_blurred
from napari_selfdeblur.numerics.fusion import Candidate, Fused, fuse
from napari_selfdeblur.numerics.solvers.base import Estimate, Solver, Stop
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver
from napari_selfdeblur.run.cells import Cells
from napari_selfdeblur.run.channels import recoloured
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.events import Clock, Previews, Progress
from napari_selfdeblur.run.plan import Plan

__all__ = ["Made", "State"]


@dataclass(slots=True)
class Made:
    """What one solver found, and how."""

    estimate: Estimate
    assessment: Assessment
    losses: list[float]
    total: int
    seconds: float
    weight: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return this estimate's entry in the record."""
        return {
            "source": self.estimate.source,
            "iterations": len(self.losses),
            "seconds": round(self.seconds, 3),
            "loss": self.losses[-1] if self.losses else None,
            "score": self.assessment.score,
            "credible": self.assessment.credible,
            "weight": self.weight,
        }


@dataclass(slots=True)
class State:
    """A run in progress.

    Attributes
    ----------
    made : list of Made
        What the solvers have found, in their order.
    best : Estimate or None
        The best estimate so far by its assessment: what previews show.
    solver_states : dict of int to dict
        What the checkpoint has of each solver begun, by its index in the settings.
    left_out : set of int
        Indices of the solvers that have nothing to add; see `has_work`.
    tried : set of (int, int)
        Sizes that all trials were made at: see `restart_stage`.
    candidates : list of Candidate
        Every kernel found, where they are to be fused.
    fused : Fused or None
        What they gave together.
    blurred : bool
        Whether the image is blurred by that kernel; otherwise it comes back as it is.
    parts : float or None
        How well kernels of parts of the image agree with that of several estimates; see
        `parts_agreement`.
    planes : ndarray of float32, (H, W, 3), or None
        The channels of a colour image as far as they are restored, where that is asked for.
    spread : ndarray of float32, (H, W), or None
        How far the restorations with plausible kernels lie apart, where it is asked for.
    cells : Cells or None
        The grid of kernels that the image is restored with, where there is one.
    result : Estimate or None
        What the run returns, once there is one.
    stopped : bool
        Whether the user ended the run before its last step: the result is then the best estimate.
    at : (str, int, int, float)
        Stage, step, steps and loss reached.
    """

    plan: Plan
    clock: Clock
    previews: Previews
    stop: Stop | None = None
    checkpoint: Checkpoint | None = None
    solver_states: dict[int, dict[str, Any]] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    best: Estimate | None = None
    best_assessment: Assessment | None = None
    left_out: set[int] = field(default_factory=set)
    tried: set[tuple[int, int]] = field(default_factory=set)
    candidates: list[Candidate] = field(default_factory=list)
    fused: Fused | None = None
    blurred: bool = True
    parts: float | None = None
    planes: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None
    cells: Cells | None = None
    result: Estimate | None = None
    verdict: Assessment | None = None
    losses: list[float] = field(default_factory=list)
    stopped: bool = False
    at: tuple[str, int, int, float] = ("", 0, 1, math.nan)
    shown: tuple[Estimate, Estimate] | None = None  # the result, and the same in its values
    blurred_frame: NDArray[np.float32] | None = None  # in its values, once a preview needs it
    unsaved: bool = False  # whether the checkpoint could not be written

    @property
    def stopping(self) -> bool:
        """Whether the user has asked for the end."""
        return self.stop is not None and self.stop.is_set()

    def assess(self, estimate: Estimate) -> Assessment:
        """Return the assessment of an estimate, by the region that the kernel is taken from."""
        plan = self.plan
        sharp = plan.inside(estimate.sharp)
        return assess(sharp, estimate.kernel, plan.y, plan.sigma, clipped=plan.clipped)

    def judged(self, x: NDArray[np.float32]) -> Assessment:
        """Return the assessment of the fused kernel; x is its region restored with it."""
        plan, fused = self.plan, self.fused
        assert fused is not None
        return assess(
            x,
            fused.kernel,
            plan.y,
            plan.sigma,
            agreement=fused.agreement,
            parts=self.parts,
            loss=fused.loss,
            clipped=plan.clipped,
        )

    def offer(self, estimate: Estimate) -> Assessment:
        """Assess an estimate; it becomes the best one if none has a higher score."""
        assessment = self.assess(estimate)
        if self.best_assessment is None or assessment.score >= self.best_assessment.score:
            self.best, self.best_assessment = estimate, assessment
        return assessment

    def choose(self) -> tuple[Fused, bool]:
        """Return one kernel of the candidates so far, and whether the image is blurred by it."""
        fused = fuse(self.candidates, self.plan.config.sides)
        # One estimate that fails says nothing about the image.
        return fused, fused.agreement is None or is_blurred(fused.kernel)

    def save(self, index: int, solver: Solver) -> None:
        """Write the checkpoint; where that fails the run goes on, with a warning."""
        if self.checkpoint is None:
            return
        self.solver_states[index] = solver.state()
        try:
            self.checkpoint.save(self.solver_states)
        except (FileError, MemoryError) as error:
            if not self.unsaved:  # once is enough
                reason = str(error) or type(error).__name__
                warn(f"the run goes on without a checkpoint: {reason}", DeblurWarning, stacklevel=2)
            self.unsaved = True

    def settle_size(self, solver: EdgeSolver) -> None:
        """Take the size that the solver found, if none was given."""
        if self.plan.config.kernel_size == "auto":
            self.plan = self.plan.sized(solver.found_size)

    def in_range(self, estimate: Estimate) -> Estimate:
        """Return an estimate in the image's own shape and value range.

        One of a region lies in its place in the blurred image.
        """
        if self.shown is not None and self.shown[0] is estimate:
            return self.shown[1]
        frame, window = self.plan.frame, self.plan.window
        if estimate.sharp.shape == frame.shape:
            restored = self.planes if estimate.source == "fused" else None
            sharp = frame.restore_range(
                estimate.sharp if restored is None else recoloured(restored, frame, estimate.sharp)
            )
        else:
            if self.blurred_frame is None:
                self.blurred_frame = frame.restore_range(frame.y)
            sharp = self.blurred_frame.copy()
            sharp[window] = frame.restore_range(estimate.sharp, window)
        shown = replace(estimate, sharp=sharp)
        if estimate is self.result:  # the last event and the run return it
            self.shown = estimate, shown
        return shown

    def event(
        self, stage: str, step: int, total: int, loss: float, shown: Estimate | None
    ) -> Progress:
        """Return an event of the present moment, with a preview where `shown` is given."""
        self.at = (stage, step, total, loss)
        left = self.clock.left(step, total)
        event = Progress(stage, step, total, loss, self.clock.seconds, left)
        if shown is None:
            return event
        preview = self.in_range(shown)
        return replace(event, sharp=preview.sharp, kernel=preview.kernel)
