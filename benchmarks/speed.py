"""Speed and memory, each measured in a process that does nothing else."""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from benchmarks.results import rounded
from benchmarks.speed_plan import NETWORKS, WARM_UP, WHOLE_PRESETS, path_of, plain
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur, iter_deblur, registry
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError, DivergedError
from napari_selfdeblur.io.samples import Sample, motion_blurred_photograph
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.solvers.base import Problem, Solver

PREVIEW_SECONDS = 1 / 3
"""Time between two previews, as the panel asks for them."""
_PREVIEW_SPAN, _PREVIEW_PAIRS = 2.0, 5  # seconds that each run compared lasts; runs of each kind
_FULL_RUN = 5000  # steps of the published schedule
_FULL_RUN_TIMED = 5  # of them, before the first whole run and again after the last one
_ANY_WEIGHT = 1e-3  # the total variation costs the same whatever its weight
_LEVELS = (24, 26, 28, 30, 32)  # dB
_WHOLE_PREVIEW_STEPS = 25
_STATUS = Path("/proc/self/status")

Row = dict[str, Any]


def measure(task: Task) -> list[Row]:
    """Return a row for each setup of `task`; one that does not fit into memory is ``skipped``."""
    if task.method == "import":
        return [rounded({"status": "finished"} | import_time())]
    label = runtime.device_label(runtime.resolve_device(task.setups[0].config.device))
    names = [{"network": s.preset, "path": path_of(s.config), "device": label} for s in task.setups]
    reasons = [_too_large(setup.config, task.size) for setup in task.setups]
    fitting = [setup for setup, reason in zip(task.setups, reasons, strict=True) if reason is None]
    found = iter(_MEASURES[task.method or ""](fitting, task.size) if fitting else [])
    rows = [
        {"status": "skipped", "reason": reason} if reason else next(found) for reason in reasons
    ]
    return [rounded(name | row) for name, row in zip(names, rows, strict=True)]


def precisions_of(device: str) -> tuple[str, ...]:
    """Return the precisions that `device` computes in natively."""
    try:
        runtime.Runtime.of(SelfDeblurConfig(device=device, precision="bfloat16"))
    except DeviceError:
        return ("float32",)
    return ("float32", "bfloat16")


def _step(setups: Sequence[Setup], size: int) -> list[Row]:
    """Time one step of every setup in turn, over and over, each after one that is not timed.

    In a run a step follows its like, and finds the memory that it needs.
    """
    solvers = [_solver(setup.config, size) for setup in setups]
    seconds: list[list[float]] = [[] for _ in setups]
    for turn in range(setups[0].config.iterations):
        for solver, times in zip(solvers, seconds, strict=True):
            solver.step()
            spent = _step_seconds(solver, setups[0].config.device)
            times += [spent] if turn >= WARM_UP else []
    plains = {s.preset: t for s, t in zip(setups, seconds, strict=True) if s == plain(s)}
    rows = []
    for setup, times in zip(setups, seconds, strict=True):
        row: Row = {"status": "finished", "seconds": times, "median": statistics.median(times)}
        for suffix, network in (("", setup.preset), ("_full", NETWORKS[0])):
            ratios = [a / b for a, b in zip(times, plains.get(network, ()), strict=False)]
            row["ratios" + suffix] = ratios
            row["ratio" + suffix] = statistics.median(ratios) if ratios else None
        rows.append(row)
    return rows


def _memory(setups: Sequence[Setup], size: int) -> list[Row]:
    """Measure what a short run adds to this process at its peak."""
    config, y = setups[0].config, _image(size)
    device = runtime.resolve_device(config.device)
    before = held_memory(device)
    deblur(y, config=config)
    peak, predicted = peak_memory(device) - before, runtime.estimate_memory(config, (size, size))
    row = {"status": "finished", "before": before, "peak": peak, "predicted": predicted}
    return [row | {"ratio": predicted / peak if peak > 0 else None}]


def held_memory(device: torch.device) -> int:
    """Return the bytes held now: on the GPU by tensors, else by the process."""
    if device.type == "cuda":
        torch.cuda.init()  # without it there are no statistics to reset
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held since `held_memory` (GPU) or the process's start."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # Linux counts into ru_maxrss what the parent held when it started this process: the
    # high-water mark of /proc is this program's alone.
    if _STATUS.is_file():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text("ascii"), re.MULTILINE)
        if found is not None:
            return int(found.group(1)) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _preview(setups: Sequence[Setup], size: int) -> list[Row]:
    """Time runs with a preview every third of a second and without, in turn."""
    config, y = setups[0].config, _image(size)
    probe = _run_seconds(y, config.replace(iterations=WARM_UP + 2), None)[0] / 2
    steps = max(math.ceil(_PREVIEW_SPAN / probe), 3)
    config = config.replace(iterations=WARM_UP + steps)
    without, shown = [], []
    for _ in range(_PREVIEW_PAIRS):
        without.append(_run_seconds(y, config, None)[0])
        shown.append(_run_seconds(y, config, PREVIEW_SECONDS))
    row: Row = {"status": "finished", "steps": steps, "previews": [number for _, number in shown]}
    row |= {"seconds_with": [spent for spent, _ in shown], "seconds_without": without}
    ratios = [spent / bare for (spent, _), bare in zip(shown, without, strict=True)]
    return [row | {"ratios": ratios, "ratio": statistics.median(ratios)}]


def _run_seconds(
    y: NDArray[np.float32], config: SelfDeblurConfig, preview_seconds: float | None
) -> tuple[float, int]:
    """Return the seconds from the networks' warm-up to their last step, and the previews there."""
    start, previews, last = 0.0, 0, 0.0
    for progress in iter_deblur(y, config=config, preview_seconds=preview_seconds):
        if progress.stage == config.solvers[-1]:
            last = time.perf_counter()
            start = last if progress.iteration == WARM_UP else start
            previews += progress.iteration > WARM_UP and progress.sharp is not None
    return last - start, previews


def _run(setups: Sequence[Setup], size: int) -> list[Row]:
    """Run every setup to its end, between steps of the plain full network."""
    sample = motion_blurred_photograph(size)
    full = [setup.config for setup in setups if setup == plain(setup)]
    steps = [second for config in full for second in _plain_seconds(config, size)]
    rows = [watched_run(sample, setup.config) for setup in setups]
    # Again, so that a machine that slows down meanwhile slows both sides of the ratio.
    steps += [second for config in full for second in _plain_seconds(config, size)]
    step = statistics.median(steps) if steps else None
    for setup, row in zip(setups, rows, strict=True):
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
    """Run `config` on `sample` (uint8) with a preview every 25 steps, without networks every step.

    ``seconds`` are those of the run, without those spent on measuring it; ``psnr`` is that of
    the result in dB, up to shift; ``trace`` has seconds and PSNR of each preview; ``seconds_to``
    the seconds until the first preview of at least so many dB, None where there is none.
    """

    def psnr(image: NDArray[Any]) -> float:
        return psnr_up_to_shift(image / 255, sample.sharp / 255)

    every = 1 if config.solvers == ("edges",) else _WHOLE_PREVIEW_STEPS
    trace: list[tuple[float, float]] = []
    start, measuring = time.perf_counter(), 0.0
    run = iter_deblur(sample.blurred, config=config, preview_steps=every)
    try:
        while True:
            progress = next(run)
            if progress.sharp is not None:
                shown = time.perf_counter()
                trace.append((shown - start - measuring, psnr(progress.sharp)))
                measuring += time.perf_counter() - shown
    except StopIteration as end:
        seconds, result = time.perf_counter() - start - measuring, end.value
    except DivergedError as error:
        return {"status": "diverged", "reason": str(error)}
    row = {"status": "finished", "seconds": seconds, "psnr": psnr(result.sharp), "trace": trace}
    first = {str(n): next((at for at, value in trace if value >= n), None) for n in _LEVELS}
    return row | {"seconds_to": first}


def import_time(pairs: int = 15) -> Row:
    """Return wall times of interpreters that import the package and of bare ones, in turn.

    One pair before fills the file caches; ``over_bare_ms`` is the median of the differences.
    """
    codes = ("pass", "import napari_selfdeblur")
    times = [[_process_ms(code) for code in codes] for _ in range(pairs + 1)][1:]
    bare, loaded = zip(*times, strict=True)
    over = statistics.median(b - a for a, b in times)
    return {"bare_ms": list(bare), "import_ms": list(loaded), "over_bare_ms": over}


def _process_ms(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
    return 1000 * (time.perf_counter() - start)


_MEASURES: dict[str, Callable[[Sequence[Setup], int], list[Row]]] = {
    "step": _step,
    "memory": _memory,
    "preview": _preview,
    "run": _run,
}


def _image(size: int) -> NDArray[np.float32]:
    """Return an image of noise: what it shows changes no step's time."""
    return np.random.default_rng(0).random((size, size), dtype=np.float32)


def _solver(config: SelfDeblurConfig, size: int) -> Solver:
    """Return the last solver of `config`, with twice its steps: not every one is timed."""
    weight = _ANY_WEIGHT if config.tv_weight == "auto" else config.tv_weight
    longer = config.replace(iterations=2 * config.iterations, tv_weight=weight)
    make = registry.load(config.solvers[-1], registry.SOLVERS)
    solver: Solver = make(Problem(_image(size), 0.0, longer, runtime.Runtime.of(longer)))
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
    needed, device = runtime.estimate_memory(config, (size, size)), config.device
    cuda = device.startswith("cuda")
    free = torch.cuda.mem_get_info(device)[0] if cuda else psutil.virtual_memory().available
    if needed <= free:
        return None
    return f"needs about {needed / 1e9:.1f} GB, of which {free / 1e9:.1f} GB are free"
