"""Two images beside a result: what it leaves unexplained, and how far plausible ones differ."""

from __future__ import annotations

import math
from collections.abc import Generator
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurWarning
from napari_selfdeblur.io.frames import blocks
from napari_selfdeblur.numerics.diagnostics import COMPARED_BY, MOST_COMPARED, Spread, residual
from napari_selfdeblur.numerics.fusion import plausible
from napari_selfdeblur.numerics.solvers.base import Estimate
from napari_selfdeblur.numerics.tiles import whole
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.restoration import restore_frame
from napari_selfdeblur.run.state import State

__all__ = ["refuse_diagnostics", "residual_of", "spread_stage"]


def residual_of(plan: Plan, estimate: Estimate) -> NDArray[np.float32]:
    """Return y - k * x of an estimate, (H, W), in the image's own units.

    It is computed by blocks of rows. It is 0 where it is not defined: within half a kernel of the
    border, and outside of the region if the estimate is of the region alone.
    """
    frame, x, k = plan.frame, estimate.sharp, estimate.kernel
    rows, columns = whole(frame.shape) if x.shape == frame.shape else plan.window
    low, high = frame.value_range
    r, margin = np.zeros(frame.shape, np.float32), k.shape[0] // 2
    inside = r[rows, columns]
    for part, _ in blocks(x.shape):
        start, stop = max(part.start - margin, 0), min(part.stop + margin, x.shape[0])
        y = frame.plane((slice(rows.start + start, rows.start + stop), columns))
        wider = residual(y, k, x[start:stop])
        inside[part] = (high - low) * wider[part.start - start : part.stop - start]
    return r


def spread_stage(state: State) -> Generator[Progress, None, None]:
    """Restore the frame with each plausible kernel; `state.spread` is how far these lie apart.

    The standard deviation over them by their weights, in the image's units. It is left out, with
    a warning, where there is one plausible kernel alone.
    """
    plan, fused = state.plan, state.fused
    assert fused is not None
    state.clock.begin("spread", 0)
    fixed = fused.kernel if state.blurred else state.candidates[fused.best].kernel
    chosen = plausible(state.candidates, fixed, MOST_COMPARED)
    if len(chosen) < 2:
        text = "one estimate alone is plausible, so there is no spread; the result is not affected"
        warn(text, DeblurWarning, stacklevel=2)
        return
    spread, (low, high) = Spread(plan.frame.shape), plan.frame.value_range
    for number, (kernel, weight) in enumerate(chosen):
        x = plan.frame.y
        device = plan.runtime.device
        for step, total, _ in restore_frame(
            plan.survey, x, kernel, COMPARED_BY, device, stop=state.stop
        ):
            done, steps = number * total + step, len(chosen) * total
            yield state.event("spread", done, steps, math.nan, None)
        if state.stopping:
            state.stopped = True
            return
        spread.add(x, weight)
    state.spread = np.float32(high - low) * spread.deviation


def refuse_diagnostics(config: SelfDeblurConfig, what: str) -> None:
    """Raise `ConfigError` if diagnostics are asked for of `what`, which does not keep them."""
    if config.diagnostics:
        raise ConfigError(
            f"diagnostics are kept of single images, not of {what}; set diagnostics to false, or "
            "deblur the image of interest by itself",
            field="diagnostics",
        )
