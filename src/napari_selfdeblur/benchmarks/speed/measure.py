"""The measurements themselves, each made in a process that does nothing else."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.benchmarks.results import rounded
from napari_selfdeblur.benchmarks.speed.memory import held_memory, peak_memory
from napari_selfdeblur.benchmarks.speed.profile import profile_step
from napari_selfdeblur.benchmarks.speed.startup import measure_import
from napari_selfdeblur.benchmarks.speed.tasks import (
    NETWORKS,
    WARM_UP,
    WHOLE_PRESETS,
    SpeedTask,
    plain,
)
from napari_selfdeblur.benchmarks.speed.whole import watched_run
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.progress import Estimate, Progress
from napari_selfdeblur.numerics.runtime import (
    Runtime,
    device_label,
    estimate_memory,
    resolve_device,
)
from napari_selfdeblur.numerics.solvers.networks import Optimiser, iterate
from napari_selfdeblur.run.run import deblur, iter_deblur

__all__ = ["measure_speed", "precisions_of"]

PREVIEW_SECONDS = 1 / 3
"""Time between two previews, as the widget asks for them."""
_PREVIEW_SPAN = 2.0  # seconds that each run compared lasts
_PREVIEW_PAIRS = 5
_FULL_RUN = 5000  # steps of the published schedule
_FULL_RUN_TIMED = 5  # of them, before the first whole run and again after the last one
_ANY_WEIGHT = 1e-3  # the total variation costs the same whatever its weight


def measure_speed(task: SpeedTask) -> list[dict[str, Any]]:
    """Return a row for each of the task's paths, JSON-ready.

    A path that does not fit into the memory that is free has the status ``skipped``, and says
    so in its `reason`.

    Raises
    ------
    DeblurError
        If a path cannot be run for another reason.
    """
    if task.method == "import":
        found: list[dict[str, Any]] = [{"status": "finished"} | measure_import()]
    else:
        label = device_label(resolve_device(task.configs[0].device))
        found = [{"device": label} | row for row in _MEASURES[task.method](task)]
    rows = zip(task.identities(), found, strict=True)
    return [identity | rounded(row) for identity, row in rows]


def precisions_of(device: str) -> tuple[str, ...]:
    """Return the precisions that `device` computes in natively."""
    config = SelfDeblurConfig(device=device)
    try:
        Runtime.of(config.replace(precision="bfloat16"))
    except DeviceError:
        return ("float32",)
    return ("float32", "bfloat16")


def _step(task: SpeedTask) -> list[dict[str, Any]]:
    """Time one step of every path in turn, over and over, each after one that is not timed.

    In a run a step follows its like, and finds the memory that it needs.
    """
    y = _image(task.size)
    reasons = [_too_large(plain(config), task.size) for config in task.configs]
    runs = {i: _steps(y, config) for i, config in enumerate(task.configs) if reasons[i] is None}
    count = task.configs[0].iterations - WARM_UP
    seconds: dict[int, list[float]] = {i: [] for i in runs}
    for turn in range(WARM_UP + count):
        for i, run in runs.items():
            next(run)
            spent = _step_seconds(run, task.configs[i].device)
            if turn >= WARM_UP:
                seconds[i].append(spent)
    return [
        {"status": "skipped", "reason": reason} if reason else _compared(i, task.configs, seconds)
        for i, reason in enumerate(reasons)
    ]


def _compared(
    i: int, configs: Sequence[SelfDeblurConfig], seconds: dict[int, list[float]]
) -> dict[str, Any]:
    """Return the times of path `i` and their ratios, turn by turn, to the plain paths'."""
    row: dict[str, Any] = {"status": "finished", "seconds": seconds[i]}
    row["median"] = statistics.median(seconds[i])
    for suffix, network in (("", configs[i].name), ("_full", NETWORKS[0])):
        base = next(
            (j for j in seconds if configs[j].name == network and configs[j] == plain(configs[j])),
            None,
        )
        pairs = [] if base is None else zip(seconds[i], seconds[base], strict=True)
        ratios = [own / other for own, other in pairs]
        row["ratios" + suffix] = ratios
        row["ratio" + suffix] = statistics.median(ratios) if ratios else None
    return row


def _memory(task: SpeedTask) -> list[dict[str, Any]]:
    """Measure what a short run adds to this process at its peak."""
    (config,) = task.configs
    if reason := _too_large(config, task.size):
        return [{"status": "skipped", "reason": reason}]
    y, device = _image(task.size), resolve_device(config.device)
    before = held_memory(device)
    deblur(y, config=config)
    measured = peak_memory(device) - before
    predicted = estimate_memory(config, y.shape)
    row = {"status": "finished", "before": before, "peak": measured, "predicted": predicted}
    return [row | {"ratio": predicted / measured if measured > 0 else None}]


def _preview(task: SpeedTask) -> list[dict[str, Any]]:
    """Time runs with a preview every third of a second and without, in turn."""
    (config,) = task.configs
    if reason := _too_large(config, task.size):
        return [{"status": "skipped", "reason": reason}]
    y = _image(task.size)
    probe = _run_seconds(y, config.replace(iterations=WARM_UP + 2), None)[0] / 2
    steps = max(math.ceil(_PREVIEW_SPAN / probe), 3)
    config = config.replace(iterations=WARM_UP + steps)
    times: dict[str, list[float]] = {"without": [], "with": []}
    shown = []
    for _ in range(_PREVIEW_PAIRS):
        times["without"].append(_run_seconds(y, config, None)[0])
        spent, previews = _run_seconds(y, config, PREVIEW_SECONDS)
        times["with"].append(spent)
        shown.append(previews)
    ratios = [a / b for a, b in zip(times["with"], times["without"], strict=True)]
    row = {"status": "finished", "steps": steps, "previews": shown, "seconds_with": times["with"]}
    row |= {"seconds_without": times["without"], "ratios": ratios}
    return [row | {"ratio": statistics.median(ratios)}]


def _run_seconds(
    y: NDArray[np.float32], config: SelfDeblurConfig, preview_seconds: float | None
) -> tuple[float, int]:
    """Return the seconds from the warm-up's end to the last step, and the previews until then."""
    start, previews, last = 0.0, 0, 0.0
    for progress in iter_deblur(y, config=config, preview_seconds=preview_seconds):
        last = time.perf_counter()
        if progress.iteration == WARM_UP:
            start = last
        elif progress.iteration > WARM_UP:
            previews += progress.sharp is not None
    return last - start, previews


def _run(task: SpeedTask) -> list[dict[str, Any]]:
    """Run every path to its end, between steps of the plain full network."""
    sample = motion_blurred_photograph(task.size)
    reasons = [_too_large(config, task.size) for config in task.configs]
    full = next(i for i, config in enumerate(task.configs) if config == plain(config))
    fits = reasons[full] is None
    steps = _plain_seconds(task.configs[full], task.size) if fits else []
    rows: list[dict[str, Any]] = [
        {"status": "skipped", "reason": reason} if reason else watched_run(sample, config)
        for config, reason in zip(task.configs, reasons, strict=True)
    ]
    # Again, so that a machine that slows down meanwhile slows both sides of the ratio.
    steps += _plain_seconds(task.configs[full], task.size) if fits else []
    step = statistics.median(steps) if steps else None
    for config, row in zip(task.configs, rows, strict=True):
        if row["status"] == "finished":
            row |= {"reference_step": step, "ratio": None}
            if step is not None and config.name in WHOLE_PRESETS:
                row["ratio"] = row["seconds"] / (_FULL_RUN * step)
    return rows


def _plain_seconds(config: SelfDeblurConfig, size: int) -> list[float]:
    """Return the seconds of some steps of `config`, with the loss of most of its schedule."""
    timed = config.replace(iterations=WARM_UP + _FULL_RUN_TIMED, loss_switch=0.0)
    run = _steps(_image(size), timed)
    return [_step_seconds(run, config.device) for _ in range(timed.iterations)][WARM_UP:]


def _profile(task: SpeedTask) -> list[dict[str, Any]]:
    """Profile the step after the warm-up."""
    (config,) = task.configs
    if reason := _too_large(config, task.size):
        return [{"status": "skipped", "reason": reason}]
    run = _steps(_image(task.size), config)
    for _ in range(WARM_UP):
        next(run)

    def step() -> None:
        next(run)
        _wait(config.device)

    return [{"status": "finished"} | profile_step(step, resolve_device(config.device))]


_MEASURES: dict[str, Callable[[SpeedTask], list[dict[str, Any]]]] = {
    "step": _step,
    "memory": _memory,
    "preview": _preview,
    "run": _run,
    "profile": _profile,
}


def _image(size: int) -> NDArray[np.float32]:
    """Return an image of noise: what it shows changes no step's time."""
    return np.random.default_rng(0).random((size, size), dtype=np.float32)


def _steps(y: NDArray[np.float32], config: SelfDeblurConfig) -> Generator[Progress, None, Estimate]:
    """Return a run that does one step each time it is asked, none of them its last."""
    # Twice: not every step is timed. One more: the last step also makes the final images.
    longer = config.replace(iterations=2 * config.iterations + 1)
    make = registry.load("optimiser", config.optimiser, registry.OPTIMISERS)
    weight = _ANY_WEIGHT if config.tv_weight == "auto" else config.tv_weight
    optimiser: Optimiser = make(y, longer, weight)
    return iterate(optimiser)


def _step_seconds(run: Generator[Progress, None, Estimate], device: str) -> float:
    """Return the seconds of the next step of `run`."""
    start = time.perf_counter()
    next(run)
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    """Wait until `device` has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def _too_large(config: SelfDeblurConfig, size: int) -> str | None:
    """Return why a run cannot be measured here: it is predicted to take more than is free."""
    device, needed = resolve_device(config.device), estimate_memory(config, (size, size))
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    else:
        free = int(psutil.virtual_memory().available)
    if needed <= free:
        return None
    path = "the plain step" if config == plain(config) else "a run"
    return f"{path} needs about {needed / 1e9:.1f} GB, of which {free / 1e9:.1f} GB are free"
