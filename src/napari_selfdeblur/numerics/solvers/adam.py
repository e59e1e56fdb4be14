"""Adam, by the step that `torch.optim.Adam` does.

That class imports torch's compiler where it is first made, and with it Triton where there is one.
In a process that draws with Mesa, as napari does without a driver of NVIDIA, that ends in a
segmentation fault: both bring an LLVM of their own. See docs/decisions/0022.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

__all__ = ["Adam"]

_BETA_1, _BETA_2, _EPS = 0.9, 0.999, 1e-8
_STEP, _MEAN, _SQUARE = "step", "exp_avg", "exp_avg_sq"  # as `torch.optim.Adam` names them


class Adam:
    """Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Parameters
    ----------
    groups : iterable of iterables of Tensor
        What is to be optimised, in groups that share a learning rate.
    fused : bool
        Whether one kernel of the device updates all of a group.

    Attributes
    ----------
    rates : list of float
        The learning rate of each group, 0 until it is set.
    moments : dict of Tensor to dict of str to Tensor
        Of each parameter: the steps it has done, and the running means of its gradient and of
        that squared.
    """

    def __init__(self, groups: Iterable[Iterable[Tensor]], *, fused: bool) -> None:
        self._groups, self._fused = [list(group) for group in groups], fused
        self.rates = [0.0] * len(self._groups)
        self.moments = {p: self._zero(p) for p in self._parameters}

    @property
    def _parameters(self) -> list[Tensor]:
        return [p for group in self._groups for p in group]

    def _zero(self, p: Tensor) -> dict[str, Tensor]:
        # Only a fused step counts on the device.
        count = torch.zeros((), dtype=torch.float32, device=p.device if self._fused else "cpu")
        mean = torch.zeros_like(p, memory_format=torch.preserve_format)
        return {_STEP: count, _MEAN: mean, _SQUARE: mean.clone()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self._parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Do a step with the parameters that have a gradient."""
        for group, rate in zip(self._groups, self.rates, strict=True):
            moving = [(p, p.grad) for p in group if p.grad is not None]
            moments = [self.moments[p] for p, _ in moving]
            if moving:
                adam(
                    [p for p, _ in moving],
                    [gradient for _, gradient in moving],
                    [each[_MEAN] for each in moments],
                    [each[_SQUARE] for each in moments],
                    [],
                    [each[_STEP] for each in moments],
                    fused=self._fused,
                    amsgrad=False,
                    beta1=_BETA_1,
                    beta2=_BETA_2,
                    lr=rate,
                    weight_decay=0.0,
                    eps=_EPS,
                    maximize=False,
                )

    def state_dict(self) -> dict[str, Any]:
        """Return the moments by the parameters' numbers, as `torch.optim.Adam` does."""
        return {"state": dict(enumerate(self.moments[p] for p in self._parameters))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` has returned, of parameters of the same shapes.

        Raises
        ------
        KeyError, RuntimeError
            If they are not.
        """
        for number, p in enumerate(self._parameters):
            # Of a parameter that has not moved yet `torch.optim.Adam` has none.
            for name, value in state["state"].get(number, {}).items():
                self.moments[p][name].copy_(value)
