"""How much a run does: solvers that can add nothing are left out."""

from __future__ import annotations

from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.state import State

__all__ = ["adds_in_noise", "has_work"]

_FAINT = 0.5 / 255  # noise that 8 bits hide


def has_work(state: State, name: str) -> bool:
    """Return whether the solver `name` can add to the estimates so far.

    The first one always can, none where they show no blur, and networks where there is little
    noise.
    """
    if not state.candidates:
        return True
    _, blurred = state.choose()
    return blurred and adds_in_noise(state.plan, name)


def adds_in_noise(plan: Plan, name: str) -> bool:
    """Return whether the solver `name` can add in the image's noise."""
    return plan.sigma < _FAINT or name not in plan.config.quiet_solvers
