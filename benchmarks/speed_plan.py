"""What is timed. Light to load: the command line reads it before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.images import TestImage
from benchmarks.task import Setup, Task
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

MEASUREMENTS = ("step", "memory", "run")
NETWORKS = ("official", "fast")
"""Presets whose networks are timed; the first is the full one."""
WHOLE_PRESETS = ("draft", "fast", "quality")
"""Presets that are run to their end and compared with 5000 plain steps of the full network."""
WARM_UP = 2
"""Steps of each path before any is timed: buffers, choice of algorithms, Adam's state."""
_MEMORY_STEPS = 2  # the second has Adam's state beside everything else
_WHOLE_SIZE = 255
# What `motion_blurred_photograph` offers; not imported, for the command line's quick start.
_PHOTOGRAPH_SIZES = range(64, 497)
_PHOTOGRAPH_KERNEL = 17
_SWEPT = ("iterations", "kernel_size", "device", "precision", "runtime")


def path_of(config: SelfDeblurConfig) -> str:
    """Return how `config` computes a step, in words."""
    return "plain float32" if config.runtime == "reference" else f"optimised, {config.precision}"


def plain(setup: Setup) -> Setup:
    """Return `setup` on the plain eager float32 path that the others are compared with."""
    return setup.changed(runtime="reference", precision="float32")


def plan(
    sizes: Sequence[int],
    kernels: Sequence[int],
    *,
    steps: int,
    device: str,
    precisions: Sequence[str],
    changes: Mapping[str, Any] | None = None,
    measurements: Sequence[str] = MEASUREMENTS,
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
    changes = changes or {}
    if not sizes or not kernels or min(*sizes, *kernels, steps, run_steps) < 1:
        raise ConfigError("sizes, sides, steps and run-steps must be at least 1; try --sizes 255")
    if unknown := set(measurements) - set(MEASUREMENTS):
        raise ConfigError(f"measure must be some of {', '.join(MEASUREMENTS)}, got {unknown}")
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
            timed = [path.changed(iterations=WARM_UP + steps) for path in paths]
            tasks.append(_task("step", size, timed))
            short = [path.changed(iterations=_MEMORY_STEPS) for path in paths]
            tasks += [_task("memory", size, [path]) for path in short]
    if fitting := [size for size in sizes if size in _PHOTOGRAPH_SIZES]:
        size = _WHOLE_SIZE if _WHOLE_SIZE in fitting else min(fitting)
        tasks.append(_task("run", size, [*_whole_runs(device, precisions[-1], changes, run_steps)]))
    return [task for task in tasks if task.method in measurements]


def _task(method: str, size: int, setups: Sequence[Setup]) -> Task:
    kernel = " x ".join(map(str, setups[0].config.kernel_size))
    test = TestImage(dataset="synthetic", image=f"{size} x {size}", kernel=kernel)
    return Task(kind="speed", image=test, setups=tuple(setups), method=method, size=size)


def _paths(network: Setup, precisions: Sequence[str]) -> Iterator[Setup]:
    yield plain(network)
    for precision in precisions:
        yield network.changed(precision=precision)


def _whole_runs(
    device: str, precision: str, changes: Mapping[str, Any], steps: int
) -> Iterator[Setup]:
    given = {"device": device, "kernel_size": _PHOTOGRAPH_KERNEL}
    for name in WHOLE_PRESETS:
        preset = SelfDeblurConfig.preset(name).replace(**given)
        networks = preset.solvers != ("edges",)
        yield Setup(name, preset.replace(**changes) if networks else preset)
    full = SelfDeblurConfig.preset(NETWORKS[0]).replace(**given, iterations=steps, **changes)
    yield from _paths(Setup(NETWORKS[0], full), [precision])
