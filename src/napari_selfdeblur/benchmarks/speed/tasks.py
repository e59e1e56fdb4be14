"""What is timed: each measurement a task of its own, as plain JSON between processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

__all__ = [
    "MEASUREMENTS",
    "NETWORKS",
    "WARM_UP",
    "WHOLE_PRESETS",
    "SpeedTask",
    "path_of",
    "plain",
    "plan",
]

MEASUREMENTS = ("import", "step", "memory", "preview", "run")
NETWORKS = ("official", "fast")
"""Presets whose networks are timed; the first is the full one."""
WHOLE_PRESETS = ("draft", "fast", "quality")
"""Presets that are run to their end and compared with 5000 plain steps of the full network."""
WARM_UP = 2
"""Steps of each path before any is timed: buffers, choice of algorithms, Adam's state."""
_MEMORY_STEPS = 2  # the second has Adam's state beside everything else
_PROFILED_SIZE = 255
_RUN_SIZE = 255
# What `motion_blurred_photograph` offers; it is not imported, for the command line's quick start.
_PHOTOGRAPH_SIZES = range(64, 497)
_PHOTOGRAPH_KERNEL = 17
_SWEPT = ("iterations", "kernel_size", "device", "precision", "runtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedTask:
    """One measurement, made in a process of its own.

    Attributes
    ----------
    method : str
        One of `MEASUREMENTS`, or ``profile``.
    size : int
        Side of the square blurred image in pixels; 0 where there is none.
    configs : tuple of SelfDeblurConfig
        Paths that are timed in turn, each network's plain one before its others; of ``run``
        those that are run one after the other.
    """

    method: str
    size: int = 0
    configs: tuple[SelfDeblurConfig, ...] = ()

    def identities(self) -> list[dict[str, Any]]:
        """Return the part of each row that is known before anything is measured."""
        return [self._identity(config) for config in self.configs or (None,)]

    def _identity(self, config: SelfDeblurConfig | None) -> dict[str, Any]:
        image = f"{self.size} x {self.size}" if self.size else "-"
        row = {"kind": "speed", "dataset": "synthetic", "image": image, "method": self.method}
        if config is None:
            return row | {"kernel": "-", "config": None}
        kernel = " x ".join(map(str, config.kernel_size))
        path = {"kernel": kernel, "network": config.name, "path": path_of(config)}
        return row | path | {"config": config.to_dict()}

    @property
    def label(self) -> str:
        """What is measured, for messages."""
        kernels = {" x ".join(map(str, config.kernel_size)) for config in self.configs}
        paths = {f"{config.name} {path_of(config)}" for config in self.configs}
        words = [self.method, f"{self.size} x {self.size}" if self.size else ""]
        words += [f"kernel {kernel}" for kernel in kernels]
        words += paths if len(paths) == 1 else []
        return ", ".join(word for word in words if word)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        configs = [config.to_dict() for config in self.configs]
        return {"kind": "speed", "method": self.method, "size": self.size, "configs": configs}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpeedTask:
        """Return the task that `to_dict` described."""
        configs = tuple(SelfDeblurConfig.from_dict(config) for config in values["configs"])
        return cls(method=values["method"], size=values["size"], configs=configs)


def path_of(config: SelfDeblurConfig) -> str:
    """Return how `config` computes a step, in words."""
    if config.runtime == "reference":
        return "plain float32"
    return f"optimised, {config.precision}"


def plain(config: SelfDeblurConfig) -> SelfDeblurConfig:
    """Return `config` on the plain eager float32 path that the others are compared with."""
    return config.replace(runtime="reference", precision="float32")


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
    profile: bool = False,
) -> list[SpeedTask]:
    """Return the tasks of a benchmark, small sizes first.

    Parameters
    ----------
    sizes, kernels : sequence of int
        Sides of the square images and kernels, in pixels.
    steps : int
        Timed steps of each path.
    device : str
        Resolved, such as ``cuda:0``: the name a row is known by.
    precisions : sequence of str
        What the optimised path is timed in.
    changes : mapping, optional
        Settings changed in every network.
    measurements : sequence of str
        Some of `MEASUREMENTS`. There is one ``run`` in all: of a photograph with its kernel of
        17 x 17, at 255 x 255 where that is among the sizes, else at the smallest from 64 to 496.
    run_steps : int
        Steps of the full network in ``run``; its schedule is shortened with them.
    profile : bool
        Whether to profile one optimised step of each network, at 255 x 255 where that is
        among the sizes.

    Raises
    ------
    ConfigError
        If a value is outside its range or a setting is swept by the benchmark itself.
    """
    counts = {"sizes": sizes, "kernels": kernels, "steps": [steps], "run_steps": [run_steps]}
    for name, values in counts.items():
        if not values or min(values) < 1:
            raise ConfigError(f"{name} must be whole numbers of at least 1, got {values}")
    for name in measurements:
        if name not in MEASUREMENTS:
            raise ConfigError(f"measure must be some of {', '.join(MEASUREMENTS)}, got {name!r}")
    for name in changes or ():
        if name in _SWEPT:
            raise ConfigError(f"the benchmark sets {name} itself; leave --set {name} out")
    # Four fifths of the published schedule are 1 - SSIM: the loss of every timed step.
    settings = {"device": device, "loss_switch": 0.0} | dict(changes or {})
    networks = [SelfDeblurConfig.preset(name).replace(**settings) for name in NETWORKS]
    tasks = [SpeedTask(method="import")] if "import" in measurements else []
    for size in sizes:
        for kernel in kernels:
            sized = [network.replace(kernel_size=kernel) for network in networks]
            paths = [path for network in sized for path in _paths(network, precisions)]
            tasks += _of_one_size(size, paths, steps, measurements)
        if "preview" in measurements:
            # The quickest steps: what a preview costs weighs most there.
            shown = networks[-1].replace(kernel_size=kernels[0])
            tasks.append(SpeedTask(method="preview", size=size, configs=(shown,)))
    fitting = [size for size in sizes if size in _PHOTOGRAPH_SIZES]
    if "run" in measurements and fitting:
        size = _RUN_SIZE if _RUN_SIZE in fitting else min(fitting)
        configs = _whole_runs(device, precisions[-1], changes or {}, run_steps)
        tasks.append(SpeedTask(method="run", size=size, configs=tuple(configs)))
    if profile:
        size = _PROFILED_SIZE if _PROFILED_SIZE in sizes else sizes[0]
        for network in networks:
            seen = network.replace(kernel_size=kernels[0], iterations=WARM_UP + 1)
            tasks.append(SpeedTask(method="profile", size=size, configs=(seen,)))
    return tasks


def _paths(network: SelfDeblurConfig, precisions: Sequence[str]) -> Iterator[SelfDeblurConfig]:
    yield plain(network)
    for precision in precisions:
        yield network.replace(precision=precision)


def _whole_runs(
    device: str, precision: str, changes: Mapping[str, Any], steps: int
) -> Iterator[SelfDeblurConfig]:
    subject = {"device": device, "kernel_size": _PHOTOGRAPH_KERNEL}
    for name in WHOLE_PRESETS:
        preset = SelfDeblurConfig.preset(name).replace(**subject)
        # A setting of the networks may be wrong for a draft, which has none.
        yield preset if preset.optimiser == "classical" else preset.replace(**changes)
    full = SelfDeblurConfig.preset(NETWORKS[0]).replace(**subject, iterations=steps, **changes)
    yield from _paths(full, [precision])


def _of_one_size(
    size: int, paths: Sequence[SelfDeblurConfig], steps: int, measurements: Sequence[str]
) -> Iterator[SpeedTask]:
    if "step" in measurements:
        timed = tuple(path.replace(iterations=WARM_UP + steps) for path in paths)
        yield SpeedTask(method="step", size=size, configs=timed)
    if "memory" in measurements:
        for path in paths:
            short = path.replace(iterations=_MEMORY_STEPS)
            yield SpeedTask(method="memory", size=size, configs=(short,))
