"""Speed and memory, each measured in a process that does nothing else."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from benchmarks.memory import free_memory, held_memory, peak_memory
from benchmarks.results import rounded
from benchmarks.speed_plan import NETWORKS, WARM_UP, WHOLE_PRESETS, path_of, plain
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur, iter_deblur, registry
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError, DivergedError
from napari_selfdeblur.io.samples import Sample, motion_blurred_photograph
from napari_selfdeblur.numerics.runtime import (
    Runtime,
    device_label,
    estimate_memory,
    resolve_device,
)
from napari_selfdeblur.numerics.solvers.base import Problem, Solver

__all__ = ["measure", "precisions_of", "watched_run"]

PREVIEW_SECONDS = 1 / 3
"""Time between two previews, as the panel asks for them."""
_PREVIEW_SPAN, _PREVIEW_PAIRS = 2.0, 5  # seconds that each run compared lasts; runs of each kind
_FULL_RUN = 5000  # steps of the published schedule
_FULL_RUN_TIMED = 5  # of them, before the first whole run and again after the last one
_ANY_WEIGHT = 1e-3  # the total variation costs the same whatever its weight
_LEVELS = (24, 26, 28, 30, 32)  # dB
_WHOLE_PREVIEW_STEPS = 25
_IMPORT_PAIRS = 15
_OPERATORS = 15

Row = dict[str, Any]


def measure(task: Task) -> list[Row]:
    """Return a row for each of the task's setups, JSON-ready.

    One that does not fit into the free memory has the status ``skipped`` and a `reason`.

    Raises
    ------
    DeblurError
        If a setup cannot be run for another reason.
    """
    if task.method == "import":
        return [rounded({"status": "finished"} | import_time())]
    label = device_label(resolve_device(task.setups[0].config.device))
    rows = _MEASURES[task.method or ""](task)
    names = [{"network": s.preset, "path": path_of(s.config), "device": label} for s in task.setups]
    return [rounded(name | row) for name, row in zip(names, rows, strict=True)]


def precisions_of(device: str) -> tuple[str, ...]:
    """Return the precisions that `device` computes in natively."""
    try:
        Runtime.of(SelfDeblurConfig(device=device, precision="bfloat16"))
    except DeviceError:
        return ("float32",)
    return ("float32", "bfloat16")


def _step(task: Task) -> list[Row]:
    """Time one step of every setup in turn, over and over, each after one that is not timed.

    In a run a step follows its like, and finds the memory that it needs.
    """
    reasons = [_too_large(setup.config, task.size) for setup in task.setups]
    solvers = {
        i: _solver(setup.config, task.size)
        for i, setup in enumerate(task.setups)
        if reasons[i] is None
    }
    seconds: dict[int, list[float]] = {i: [] for i in solvers}
    for turn in range(task.setups[0].config.iterations):
        for i, solver in solvers.items():
            solver.step()
            spent = _step_seconds(solver, task.setups[i].config.device)
            if turn >= WARM_UP:
                seconds[i].append(spent)
    return [
        _skipped(reason) if reason else _compared(i, task.setups, seconds)
        for i, reason in enumerate(reasons)
    ]


def _compared(i: int, setups: Sequence[Setup], seconds: dict[int, list[float]]) -> Row:
    """Return the times of setup `i` and their ratios, turn by turn, to the plain paths'."""
    row: Row = {"status": "finished", "seconds": seconds[i]}
    row["median"] = statistics.median(seconds[i])
    for suffix, network in (("", setups[i].preset), ("_full", NETWORKS[0])):
        bases = [
            j for j in seconds if setups[j].preset == network and setups[j] == plain(setups[j])
        ]
        pairs = zip(seconds[i], seconds[bases[0]], strict=True) if bases else ()
        ratios = [own / other for own, other in pairs]
        row["ratios" + suffix] = ratios
        row["ratio" + suffix] = statistics.median(ratios) if ratios else None
    return row


def _memory(task: Task) -> list[Row]:
    """Measure what a short run adds to this process at its peak."""
    config = task.setups[0].config
    if reason := _too_large(config, task.size):
        return [_skipped(reason)]
    y, device = _image(task.size), resolve_device(config.device)
    before = held_memory(device)
    deblur(y, config=config)
    peak, predicted = peak_memory(device) - before, estimate_memory(config, y.shape)
    row = {"status": "finished", "before": before, "peak": peak, "predicted": predicted}
    return [row | {"ratio": predicted / peak if peak > 0 else None}]


def _preview(task: Task) -> list[Row]:
    """Time runs with a preview every third of a second and without, in turn."""
    config = task.setups[0].config
    if reason := _too_large(config, task.size):
        return [_skipped(reason)]
    y = _image(task.size)
    probe = _run_seconds(y, config.replace(iterations=WARM_UP + 2), None)[0] / 2
    steps = max(math.ceil(_PREVIEW_SPAN / probe), 3)
    config = config.replace(iterations=WARM_UP + steps)
    row: Row = {"status": "finished", "steps": steps, "previews": []}
    row |= {"seconds_with": [], "seconds_without": []}
    for _ in range(_PREVIEW_PAIRS):
        row["seconds_without"].append(_run_seconds(y, config, None)[0])
        spent, previews = _run_seconds(y, config, PREVIEW_SECONDS)
        row["seconds_with"].append(spent)
        row["previews"].append(previews)
    pairs = zip(row["seconds_with"], row["seconds_without"], strict=True)
    row["ratios"] = [with_previews / without for with_previews, without in pairs]
    return [row | {"ratio": statistics.median(row["ratios"])}]


def _run_seconds(
    y: NDArray[np.float32], config: SelfDeblurConfig, preview_seconds: float | None
) -> tuple[float, int]:
    """Return the seconds from the networks' warm-up to their last step, and the previews there."""
    start, previews, last = 0.0, 0, 0.0
    for progress in iter_deblur(y, config=config, preview_seconds=preview_seconds):
        if progress.stage != config.solvers[-1]:
            continue
        last = time.perf_counter()
        if progress.iteration == WARM_UP:
            start = last
        elif progress.iteration > WARM_UP:
            previews += progress.sharp is not None
    return last - start, previews


def _run(task: Task) -> list[Row]:
    """Run every setup to its end, between steps of the plain full network."""
    sample = motion_blurred_photograph(task.size)
    reasons = [_too_large(setup.config, task.size) for setup in task.setups]
    full = next(i for i, setup in enumerate(task.setups) if setup == plain(setup))
    fits = reasons[full] is None
    steps = _plain_seconds(task.setups[full].config, task.size) if fits else []
    rows = [
        _skipped(reason) if reason else watched_run(sample, setup.config)
        for setup, reason in zip(task.setups, reasons, strict=True)
    ]
    # Again, so that a machine that slows down meanwhile slows both sides of the ratio.
    steps += _plain_seconds(task.setups[full].config, task.size) if fits else []
    step = statistics.median(steps) if steps else None
    for setup, row in zip(task.setups, rows, strict=True):
        if row["status"] == "finished":
            row |= {"reference_step": step, "ratio": None}
            if step is not None and setup.preset in WHOLE_PRESETS:
                row["ratio"] = row["seconds"] / (_FULL_RUN * step)
    return rows


def _plain_seconds(config: SelfDeblurConfig, size: int) -> list[float]:
    """Return the seconds of some steps of `config`, with the loss of most of its schedule."""
    timed = config.replace(iterations=WARM_UP + _FULL_RUN_TIMED, loss_switch=0.0)
    solver = _solver(timed, size)
    return [_step_seconds(solver, config.device) for _ in range(timed.iterations)][WARM_UP:]


def watched_run(sample: Sample, config: SelfDeblurConfig) -> Row:
    """Run `config` on `sample` to its end.

    Parameters
    ----------
    sample : Sample
        The blurred image, uint8, and its sharp one.
    config : SelfDeblurConfig
        What to run, with a preview every 25 steps; without networks at every step.

    Returns
    -------
    dict
        ``status``; ``seconds`` of the run, without those spent on measuring it; ``psnr`` of its
        result in dB, up to shift; ``trace``, seconds and PSNR of each preview; ``seconds_to``,
        the seconds until the first preview of at least so many dB, None where there is none.
        Of a run that diverges the ``reason`` only.
    """

    def psnr(image: NDArray[Any]) -> float:
        return psnr_up_to_shift(image / 255, sample.sharp / 255)

    every = 1 if config.solvers == ("edges",) else _WHOLE_PREVIEW_STEPS
    trace: list[tuple[float, float]] = []
    start, measuring = time.perf_counter(), 0.0
    run = iter_deblur(sample.blurred, config=config, preview_steps=every)
    while True:
        try:
            progress = next(run)
        except StopIteration as end:
            seconds = time.perf_counter() - start - measuring
            result = end.value
            break
        except DivergedError as error:
            return {"status": "diverged", "reason": str(error)}
        if progress.sharp is not None:
            shown = time.perf_counter()
            trace.append((shown - start - measuring, psnr(progress.sharp)))
            measuring += time.perf_counter() - shown
    row = {"status": "finished", "seconds": seconds, "psnr": psnr(result.sharp), "trace": trace}
    reached = {
        str(level): next((at for at, value in trace if value >= level), None) for level in _LEVELS
    }
    return row | {"seconds_to": reached}


def _profile(task: Task) -> list[Row]:
    """Profile the step after the warm-up: share of the time spent in each operator itself."""
    config = task.setups[0].config
    if reason := _too_large(config, task.size):
        return [_skipped(reason)]
    solver, on_cuda = _solver(config, task.size), resolve_device(config.device).type == "cuda"
    for _ in range(WARM_UP):
        solver.step()
    with profile(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_cuda]) as seen:
        seconds = _step_seconds(solver, config.device)
    field = "self_device_time_total" if on_cuda else "self_cpu_time_total"
    spent = {event.key: (getattr(event, field), event.count) for event in seen.key_averages()}
    total = sum(time for time, _ in spent.values())
    order = sorted(spent, key=lambda name: -spent[name][0])[:_OPERATORS]
    operators = [
        {"name": name, "calls": spent[name][1], "share": spent[name][0] / total}
        for name in order
        if spent[name][0] > 0
    ]
    unit = "cuda" if on_cuda else "cpu"
    return [{"status": "finished", "seconds": seconds, "unit": unit, "operators": operators}]


def import_time(pairs: int = _IMPORT_PAIRS) -> Row:
    """Time interpreters that import the package against bare ones, in turn.

    Returns
    -------
    dict
        ``bare_ms``, ``import_ms``: wall times of each process, after one unmeasured pair that
        fills the file caches; ``over_bare_ms``: median of their differences, pair by pair.
    """
    times: Row = {"bare_ms": [], "import_ms": []}
    for pair in range(pairs + 1):
        for name, code in (("bare_ms", "pass"), ("import_ms", "import napari_selfdeblur")):
            spent = _process_ms(code)
            if pair:
                times[name].append(spent)
    differences = [a - b for a, b in zip(times["import_ms"], times["bare_ms"], strict=True)]
    return times | {"over_bare_ms": statistics.median(differences)}


def _process_ms(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    return 1000 * (time.perf_counter() - start)


_MEASURES: dict[str, Callable[[Task], list[Row]]] = {
    "step": _step,
    "memory": _memory,
    "preview": _preview,
    "run": _run,
    "profile": _profile,
}


def _image(size: int) -> NDArray[np.float32]:
    """Return an image of noise: what it shows changes no step's time."""
    return np.random.default_rng(0).random((size, size), dtype=np.float32)


def _solver(config: SelfDeblurConfig, size: int) -> Solver:
    """Return the last solver of `config`, with twice its steps: not every one is timed."""
    weight = _ANY_WEIGHT if config.tv_weight == "auto" else config.tv_weight
    longer = config.replace(iterations=2 * config.iterations, tv_weight=weight)
    make = registry.load(config.solvers[-1], registry.SOLVERS)
    solver: Solver = make(Problem(_image(size), 0.0, longer, Runtime.of(longer)))
    return solver


def _step_seconds(solver: Solver, device: str) -> float:
    """Return the seconds of the next step, until the device has done all of it."""
    start = time.perf_counter()
    solver.step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start


def _too_large(config: SelfDeblurConfig, size: int) -> str | None:
    """Return why a run cannot be measured here: it is predicted to take more than is free."""
    needed = estimate_memory(config, (size, size))
    free = free_memory(resolve_device(config.device))
    if needed <= free:
        return None
    return f"needs about {needed / 1e9:.1f} GB, of which {free / 1e9:.1f} GB are free"


def _skipped(reason: str) -> Row:
    return {"status": "skipped", "reason": reason}
