"""How much a run does: from cheap solvers to dear ones, until the kernel found is credible."""

from __future__ import annotations

from napari_selfdeblur.numerics.fusion import restored_to_compare
from napari_selfdeblur.numerics.stop import interruptible
from napari_selfdeblur.run.state import State

__all__ = ["has_work", "is_doubtful", "may_be_enough"]

_FAINT = 0.5 / 255  # noise that 8 bits hide


def may_be_enough(state: State, index: int) -> bool:
    """Return whether the estimates so far are to be asked if the solver at `index` is needed.

    Of networks they are, where there is so little noise that networks can add something.
    """
    return bool(state.candidates) and _is_dear(state, index) and state.plan.sigma < _FAINT


def has_work(state: State, index: int) -> bool:
    """Return whether the solver at `index` can add to the estimates so far.

    The first one always can, and none where they show no blur. Networks can where there is little
    noise and the kernel that the estimates give is doubtful, or too few to be judged by each other.
    """
    if not state.candidates:
        return True
    if not _is_dear(state, index):
        return state.choose()[1]
    if not may_be_enough(state, index):
        return False
    assert state.fused is not None
    return state.blurred and (state.fused.agreement is None or is_doubtful(state))


def is_doubtful(state: State) -> bool:
    """Return whether the verdict would doubt the fused kernel, by the image restored to compare."""
    plan, fused = state.plan, state.fused
    assert fused is not None
    if not state.blurred or fused.agreement is None:
        return False
    with interruptible(state.stop):
        x = restored_to_compare(plan.problem.tensor(), fused.kernel, plan.sigma, plan.clipped)
    return not state.judged(x.cpu().numpy()).credible


def _is_dear(state: State, index: int) -> bool:
    return index in state.plan.config.spared
