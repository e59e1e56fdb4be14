"""Speed and memory, each measured in a process that does nothing else.

``step``: one step of each network on each path, timed in turn. ``memory``: what a short run adds
to the process at its peak. ``run``: whole runs of a photograph, between plain steps of the full
network.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from benchmarks.images import TestImage
from benchmarks.results import rounded
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur, registry
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeviceError, DivergedError
from napari_selfdeblur.io.samples import Sample, motion_blurred_photograph
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.solvers.base import Problem, Solver

NETWORKS = ("official", "fast")
"""Presets whose networks are timed; the first is the full one."""
WHOLE_PRESETS = ("draft", "fast", "quality")
"""Presets that are run to their end and compared with 5000 plain steps of the full network."""
_WARM_UP = 2  # untimed steps of each path: buffers, choice of algorithms, Adam's state
_MEMORY_STEPS = 2  # the second has Adam's state beside everything else
_FULL_RUN = 5000  # steps of the published schedule
_FULL_RUN_TIMED = 5  # of them, before the first whole run and again after the last one
_WHOLE_SIZE = 255
_PHOTOGRAPH_SIZES, _PHOTOGRAPH_KERNEL = range(64, 497), 17
_ANY_WEIGHT = 1e-3  # the total variation costs the same whatever its weight
_SWEPT = ("iterations", "kernel_size", "device", "precision", "runtime")

Row = dict[str, Any]


def plan(
    sizes: Sequence[int],
    kernels: Sequence[int],
    *,
    steps: int,
    device: str,
    precisions: Sequence[str],
    changes: Mapping[str, Any],
    measurements: Sequence[str],
    run_steps: int = 1000,
) -> list[Task]:
    """Return the tasks of a benchmark, small sizes first.

    `sizes` and `kernels` are sides in pixels, `steps` the timed steps of each path, `run_steps`
    those of the full network among the whole runs, `device` a resolved one (``cuda:0``),
    `precisions` those of the optimised path and `changes` settings of every network. There is
    one whole run in all: of a photograph with its kernel of 17 x 17, at 255 x 255 where that is
    among the sizes, else at the smallest from 64 to 496.

    Raises
    ------
    ConfigError
        If a value is outside its range or a setting is swept by the benchmark itself.
    """
    if not sizes or not kernels or min(*sizes, *kernels, steps, run_steps) < 1:
        raise ConfigError("sizes, sides, steps and run-steps must be at least 1; try --sizes 255")
    if unknown := set(measurements) - set(_MEASURES):
        raise ConfigError(f"measure must be some of {', '.join(_MEASURES)}, got {unknown}")
    if swept := set(changes) & set(_SWEPT):
        raise ConfigError(f"the benchmark sets {', '.join(swept)} itself; leave it out of --set")
    # Four fifths of the published schedule are 1 - SSIM: the loss of every timed step.
    settings = {"device": device, "loss_switch": 0.0} | dict(changes)
    networks = [Setup(n, SelfDeblurConfig.preset(n).replace(**settings)) for n in NETWORKS]
    tasks = []
    for size in sizes:
        for kernel in kernels:
            sized = [network.changed(kernel_size=kernel) for network in networks]
            paths = [path for network in sized for path in _paths(network, precisions)]
            timed = [path.changed(iterations=_WARM_UP + steps) for path in paths]
            tasks.append(_task("step", size, timed))
            short = [path.changed(iterations=_MEMORY_STEPS) for path in paths]
            tasks += [_task("memory", size, [path]) for path in short]
    if fitting := [size for size in sizes if size in _PHOTOGRAPH_SIZES]:
        size = _WHOLE_SIZE if _WHOLE_SIZE in fitting else min(fitting)
        tasks.append(_task("run", size, _whole_runs(device, precisions[-1], changes, run_steps)))
    return [task for task in tasks if task.method in measurements]


def _task(method: str, size: int, setups: Sequence[Setup]) -> Task:
    kernel = " x ".join(map(str, setups[0].config.kernel_size))
    test = TestImage(dataset="synthetic", image=f"{size} x {size}", kernel=kernel)
    return Task(kind="speed", image=test, setups=tuple(setups), method=method, size=size)


def _plain(setup: Setup) -> Setup:
    """Return `setup` on the plain eager float32 path that the others are compared with."""
    return setup.changed(runtime="reference", precision="float32")


def _paths(network: Setup, precisions: Sequence[str]) -> list[Setup]:
    return [_plain(network), *(network.changed(precision=each) for each in precisions)]


def _whole_runs(device: str, precision: str, changes: Mapping[str, Any], steps: int) -> list[Setup]:
    """Return the presets as they are, then the full network for `steps` steps on two paths."""
    given = {"device": device, "kernel_size": _PHOTOGRAPH_KERNEL}
    runs = [Setup(n, SelfDeblurConfig.preset(n).replace(**given)) for n in WHOLE_PRESETS]
    runs = [run if run.config.solvers == ("edges",) else run.changed(**changes) for run in runs]
    full = SelfDeblurConfig.preset(NETWORKS[0]).replace(**given, iterations=steps, **changes)
    return runs + _paths(Setup(NETWORKS[0], full), [precision])


def precisions_of(device: str) -> tuple[str, ...]:
    """Return the precisions that `device` computes in natively."""
    try:
        runtime.Runtime.of(SelfDeblurConfig(device=device, precision="bfloat16"))
    except DeviceError:
        return ("float32",)
    return ("float32", "bfloat16")


def measure(task: Task) -> list[Row]:
    """Return a row for each setup of `task`; one that does not fit into memory is ``skipped``."""
    label = runtime.device_label(runtime.resolve_device(task.setups[0].config.device))
    reasons = {setup: _too_large(setup.config, task.size) for setup in task.setups}
    fitting = [setup for setup, reason in reasons.items() if reason is None]
    found = iter(_MEASURES[task.method or ""](fitting, task.size) if fitting else [])
    rows = []
    for setup, reason in reasons.items():
        reference = setup.config.runtime == "reference"
        path = "plain float32" if reference else f"optimised, {setup.config.precision}"
        row = {"status": "skipped", "reason": reason} if reason else next(found)
        rows.append(rounded({"network": setup.preset, "path": path, "device": label} | row))
    return rows


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
            times += [spent] if turn >= _WARM_UP else []
    plains = {s.preset: t for s, t in zip(setups, seconds, strict=True) if s == _plain(s)}
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
    if (status := Path("/proc/self/status")).is_file():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text("ascii"), re.MULTILINE)
        if found is not None:
            return int(found.group(1)) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _run(setups: Sequence[Setup], size: int) -> list[Row]:
    """Run every setup to its end, between steps of the plain full network."""
    sample = motion_blurred_photograph(size)
    full = [setup.config for setup in setups if setup == _plain(setup)]
    steps = [second for config in full for second in _plain_seconds(config, size)]
    rows = [whole_run(sample, setup.config) for setup in setups]
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
    timed = config.replace(iterations=_WARM_UP + _FULL_RUN_TIMED, loss_switch=0.0)
    solver = _solver(timed, size)
    return [_step_seconds(solver, config.device) for _ in range(timed.iterations)][_WARM_UP:]


def whole_run(sample: Sample, config: SelfDeblurConfig) -> Row:
    """Return the seconds of one run of `config` on `sample` (uint8), and the result's PSNR (dB)."""
    start = time.perf_counter()
    try:
        result = deblur(sample.blurred, config=config)
    except DivergedError as error:
        return {"status": "diverged", "reason": str(error)}
    seconds = time.perf_counter() - start
    psnr = psnr_up_to_shift(result.sharp / 255, sample.sharp / 255)
    return {"status": "finished", "seconds": seconds, "psnr": psnr}


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


_MEASURES = {"step": _step, "memory": _memory, "run": _run}
