"""The kernel chosen, corrected and followed to where what speaks against it is least.

Kernels that few edges give all err alike, so a choice among them cannot be right in detail. A fit
to the restored image takes a part of their error away (`corrected_kernel`). Then what judges them
(`costs`) is lowered along its gradient, through the restoration of the image that is to be sparse.
How far the kernel may go is told by how much the estimates that are like it differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_selfdeblur.numerics.costs import costs, slopes
from napari_selfdeblur.numerics.fusion import (
    LEAST_WEIGHT,
    TEMPERATURE,
    Candidate,
    Fused,
    restored_with,
)
from napari_selfdeblur.numerics.kernel_correction import corrected_kernel
from napari_selfdeblur.numerics.lbfgs import LBFGS
from napari_selfdeblur.numerics.measures import NORMAL_GEARY, inner_part
from napari_selfdeblur.numerics.registration import (
    agreement_of,
    cropped,
    padded,
    registered,
)
from napari_selfdeblur.numerics.spectrum import PowerSpectrum, window_lags

__all__ = ["CORRECTIONS", "EVALUATIONS", "NOISY", "Refinement", "refined_kernels", "scatter"]

Plane = NDArray[np.float32]

NOISY = 0.015
"""Noise from which on a kernel is not refined: the sparsity has a tenth of its weight left."""
CORRECTIONS = 2
"""Fits, of two restorations each; with more of them noise gathers in the kernel."""
EVALUATIONS = 8
"""Of the cost and its gradient; each takes about as long as a restoration."""
_LEAST_SCATTER = 1e-6


class Refinement:
    """Lower the costs of a kernel step by step.

    The cost is the spectrum's misfit, the sharp image's deviating from a power law a little, and
    the logarithms of the restored image's normalised sparsity and, where objects stand apart, of
    its Geary ratio; each with the weight that it has in `costs` between kernels that are alike. A
    cost of 0.05 counts as one nat, as in the choice; so the prior of a kernel near the given one, a
    normal distribution as wide as the estimates scatter, costs 0.025 at their distance. The root of
    the kernel is the variable: the kernel stays >= 0, and what is 0 stays so. A step is one of
    L-BFGS; the kernel of the least cost is kept.

    Parameters
    ----------
    y : Tensor of float32, (H, W)
        Blurred image in [0, 1]; computed on its device.
    kernel : ndarray of float32, (kh, kw)
        Odd sides, positive sum.
    sigma : float
        Noise standard deviation of y.
    clipped : ndarray of bool, (H, W), optional
        Where y is clipped above.
    scatter : float
        Mean squared distance of the estimates from the kernel, over its energy: see `scatter`.

    Attributes
    ----------
    kernel : ndarray of float32, (kh, kw)
        The best so far, with sum 1.
    cost : float
        Its cost; infinite before the first step.
    t, total : int
        Evaluations of the cost done, and to do.
    """

    def __init__(
        self,
        y: Tensor,
        kernel: Plane,
        sigma: float,
        clipped: NDArray[np.bool_] | None = None,
        scatter: float = math.inf,
    ) -> None:
        self.kernel, self.cost = cropped(kernel), math.inf
        self.t, self.total = 0, EVALUATIONS
        self._y, self._sigma = y, sigma
        self._clipped = None if clipped is None else torch.from_numpy(clipped).to(y.device)
        self._spectrum = PowerSpectrum(y.cpu().numpy(), sigma, deviating=True)
        self._taper = window_lags(y)
        self._used = torch.from_numpy(self._spectrum.used).to(y.device)
        self._weights: dict[str, float] = {}
        self._before = torch.from_numpy(self.kernel).to(y.device)
        energy = float(self._before.square().sum())
        self._stiffness = TEMPERATURE / 2 / (max(scatter, _LEAST_SCATTER) * energy)
        self._steps = LBFGS(self._before.sqrt(), self._evaluated)

    def step(self) -> None:
        """Do one step of L-BFGS, mostly with one evaluation; the last one where it finds none."""
        if not self._steps.step():
            self.t = self.total

    def _evaluated(self, root: Tensor) -> tuple[float, Tensor]:
        """Return the cost at a root of the kernel, and its gradient."""
        self.t = min(self.t + 1, self.total)
        with torch.enable_grad():
            root = root.detach().requires_grad_()
            k = root.square()
            k = k / k.sum()
            cost = self._cost(k)
            (gradient,) = torch.autograd.grad(cost, root)
        value = float(cost.detach())
        if not (math.isfinite(value) and bool(torch.isfinite(gradient).all())):
            return math.inf, torch.zeros_like(root)  # a flat image: there is nowhere to go
        if value < self.cost:
            self.kernel, self.cost = k.detach().cpu().numpy(), value
        return value, gradient

    def _cost(self, k: Tensor) -> Tensor:
        """Return the cost of a kernel (kh, kw) of sum 1."""
        shape = (self._y.shape[0], self._y.shape[1])
        power = torch.fft.rfft2(k, s=shape).abs().square()
        # The window mixes neighbouring frequencies, and no zero of K is one of Y.
        mixed = torch.fft.rfft2(torch.fft.irfft2(power, s=shape) * self._taper).real
        K2 = mixed.clamp_min(0).flatten()[self._used]
        K2 = K2.cpu().double()  # not every device has float64
        fit = self._spectrum.fit(K2.detach().numpy())
        slope = torch.from_numpy(fit.slope)
        x = restored_with(self._y, k, self._sigma, self._clipped)
        geary = _geary_ratio(x).cpu()
        if not self._weights:
            self._weights = slopes(self._sigma, fit.informative)
            if geary >= NORMAL_GEARY:  # no objects stand apart
                self._weights["geary"] = 0.0
        quantities = {
            "spectrum": fit.misfit + (slope * (K2 - K2.detach())).sum(),
            "sparsity": _sparsity(x[inner_part(self._y.shape, k.shape)]).log().cpu(),
            "geary": geary.log(),
        }
        cost = torch.stack([self._weights[name] * q for name, q in quantities.items()]).sum()
        return cost + self._stiffness * (k - self._before).square().sum().cpu()


def refined_kernels(
    y: Tensor,
    kernel: Plane,
    sigma: float,
    clipped: NDArray[np.bool_] | None = None,
    scatter: float = math.inf,
) -> Iterator[tuple[int, Plane]]:
    """Yield better and better kernels, and how many of `CORRECTIONS` + `EVALUATIONS` are done.

    First `kernel` is corrected by fits (`corrected_kernel`), then followed (`Refinement`, whose
    parameters these are). Sides differ.
    """
    kernel = cropped(kernel)
    for done in range(1, CORRECTIONS + 1):
        kernel = corrected_kernel(y, kernel, sigma, clipped)
        yield done, kernel
    found = Refinement(y, kernel, sigma, clipped, scatter)
    while found.t < found.total:
        found.step()
        yield CORRECTIONS + found.t, found.kernel


def scatter(candidates: Sequence[Candidate], fused: Fused) -> float:
    """Return how far the estimates like a kernel lie from it: a squared distance over its energy.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one.
    fused : Fused
        What they gave; the best of them is left out.

    Returns
    -------
    float
        The mean over the others, registered to the kernel, by their weights in the choice times how
        alike they are (`fuse`); weights below 0.05 count as none. Infinite where there is no other.
    """
    cost = costs([c.measures for c in candidates])
    nats = np.minimum(cost[fused.best] - cost, 0) / TEMPERATURE
    weights = agreement_of(fused.alike) * np.exp(nats)
    weights[fused.best] = 0
    side = 2 * max(max(fused.kernel.shape), *(max(c.kernel.shape) for c in candidates)) + 1
    fixed, total, whole = padded(fused.kernel, side), 0.0, 0.0
    for each, weight in zip(candidates, weights, strict=True):
        if weight >= LEAST_WEIGHT:
            k = registered(each.kernel, fixed)
            total += weight * float(np.square(k - fixed).sum())
            whole += weight
    return total / whole / float(np.square(fixed).sum()) if whole else math.inf


def _sparsity(x: Tensor) -> Tensor:
    """Return L1 / L2 of the gradients, as `measures.normalised_sparsity` but for their number."""
    gradients = torch.cat([x.diff(dim=axis).flatten() for axis in (0, 1)])
    ratio: Tensor = gradients.abs().sum() / gradients.norm().clamp_min(1e-12)
    return ratio


def _geary_ratio(x: Tensor) -> Tensor:
    """Return `measures.geary_ratio`; the median is taken as it is."""
    ratio: Tensor = (x - x.detach().median()).abs().mean() / x.std().clamp_min(1e-12)
    return ratio
