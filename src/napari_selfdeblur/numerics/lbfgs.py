"""L-BFGS, without the compiler that torch's own loads (see docs/decisions/0022).

Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
Programming 1989, with all pairs kept: it is for few steps.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["LBFGS"]

_DECREASE = 1e-4  # of the value, over what the slope promises: Armijo's condition
_SHORTER = (0.1, 0.5)  # least and largest part of a step that was too long
_CURVED = 1e-10  # least product of a step and its change of the gradient


class LBFGS:
    """Lower a function's value, a step at a time.

    Parameters
    ----------
    x : Tensor
        Where it begins; not changed.
    function : callable
        Returns value (float) and gradient (like x) at a place; a value that is infinite is never
        gone to.
    searched : int
        Places tried on a line at most.
    """

    def __init__(
        self, x: Tensor, function: Callable[[Tensor], tuple[float, Tensor]], searched: int = 5
    ) -> None:
        self._x, self._function, self._searched = x, function, searched
        self._at: tuple[float, Tensor] | None = None  # value and gradient at x
        self._pairs: list[tuple[Tensor, Tensor]] = []  # steps, and the gradient's changes

    def step(self) -> bool:
        """Go along one line to a lower value; return whether there is one."""
        if self._at is None:
            self._at = self._function(self._x)
        value, gradient = self._at
        along = self._direction(gradient)
        slope, length = float((gradient * along).sum()), 1.0
        if not slope < 0:
            return False
        for _ in range(self._searched):
            step = length * along
            there = self._function(self._x + step)
            excess = there[0] - value - length * slope  # over the tangent
            if there[0] <= value + _DECREASE * length * slope:
                break
            length *= min(max(-length * slope / (2 * excess), _SHORTER[0]), _SHORTER[1])
        else:
            return False
        change = there[1] - gradient
        if float((step * change).sum()) > _CURVED:
            self._pairs.append((step, change))
        self._x, self._at = self._x + step, there
        return True

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return the gradient times minus the inverse Hessian that the pairs tell."""
        q, shares = gradient.clone(), []
        for step, change in reversed(self._pairs):
            shares.append((step * q).sum() / (step * change).sum())
            q -= shares[-1] * change
        if self._pairs:
            step, change = self._pairs[-1]
            q *= (step * change).sum() / change.square().sum()
        else:  # nothing is known of the scale
            q *= 1 / gradient.abs().sum().clamp_min(1)
        for (step, change), share in zip(self._pairs, reversed(shares), strict=True):
            q += (share - (change * q).sum() / (step * change).sum()) * step
        return -q
