"""Where the time of one step goes, operator by operator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

__all__ = ["profile_step"]

_TOP = 15


def profile_step(step: Callable[[], None], device: torch.device) -> dict[str, Any]:
    """Profile one call of `step`.

    Parameters
    ----------
    step : callable
        Returns when the device has done everything.
    device : torch.device
        Where it runs; shares are of the GPU's time on CUDA, else of the CPU's.

    Returns
    -------
    dict
        ``seconds`` of the call while it was profiled, and ``operators``: name, calls and share
        of the time spent in each itself (not in what it called), the largest first.
    """
    on_cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_cuda
    start = time.perf_counter()
    with profile(activities=activities) as seen:
        step()
        seconds = time.perf_counter() - start
    field = "self_device_time_total" if on_cuda else "self_cpu_time_total"
    times = {event.key: (getattr(event, field), event.count) for event in seen.key_averages()}
    total = sum(spent for spent, _ in times.values())
    order = sorted(times, key=lambda name: -times[name][0])[:_TOP]
    operators = [
        {"name": name, "calls": times[name][1], "share": times[name][0] / total}
        for name in order
        if times[name][0] > 0
    ]
    return {"seconds": seconds, "unit": "cuda" if on_cuda else "cpu", "operators": operators}
