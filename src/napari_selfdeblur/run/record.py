"""What produced a result: enough to repeat the run and to judge it, as plain JSON."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, ClassVar, Literal, Self

from napari_selfdeblur._version import __version__
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.run.values import Checked, Described, json_ready

__all__ = [
    "Evaluation",
    "RestoreRecord",
    "RunRecord",
    "Status",
    "TracePoint",
    "now",
    "software_versions",
]

Status = Literal["finished", "stopped", "diverged", "failed"]


def now() -> str:
    """Return the present time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries, importing none of them."""
    versions = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "torch", "napari"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint(Checked):
    """Quality of the iterate after one step.

    Attributes
    ----------
    iteration : int
        Steps done.
    seconds : float
        Time since the run began.
    loss : float
        Value of the objective at this step.
    psnr : float
        PSNR of x against the truth, up to shift, in dB.
    """

    iteration: int
    seconds: float
    loss: float
    psnr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Checked):
    """Comparison with a known sharp image.

    Attributes
    ----------
    truth : str
        Name of the sharp image.
    psnr_blurred, psnr_sharp : float
        PSNR of the input and of the result against it, up to shift, in dB.
    trace : tuple of TracePoint
        The same along the run; empty when it was not asked for.
    """

    truth: str
    psnr_blurred: float
    psnr_sharp: float
    trace: tuple[TracePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record(Described):
    """Provenance of one result. Every value is JSON-ready.

    Attributes
    ----------
    device : str
        What it ran on, as a person would name it.
    seconds : float
        Duration in seconds.
    status : {"finished", "stopped", "diverged", "failed"}
        Whether all was done, the user ended it early, the loss left the finite numbers, or
        another error ended it; in the last two cases the result is the best estimate before.
    image : dict
        The blurred image: shape, dtype, range, checksum, and where it came from.
    version : str
        Version of this package.
    versions : dict of str
        Versions of Python and of the libraries; see `software_versions`.
    command : str or None
        The command line, without folders, of a run that had one.
    created : str
        When it began, ISO 8601 in UTC.
    """

    device: str
    seconds: float
    status: Status
    image: dict[str, Any]
    version: str = __version__
    versions: dict[str, str] = field(default_factory=software_versions)
    command: str | None = None
    created: str = field(default_factory=now)

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, dict):
                object.__setattr__(self, each.name, json_ready(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(_Record):
    """Provenance of a blind run; further attributes are those of every record.

    Attributes
    ----------
    config : SelfDeblurConfig
        The settings as asked.
    used : SelfDeblurConfig
        The settings that ran: nothing is "auto" in them, unless a run failed before the
        kernel's size was found; of the solvers those that were not left out.
    iterations : int
        Steps done by the last solver.
    losses : tuple of float
        The loss of each of them, to 7 significant digits.
    estimates : tuple of dict
        Each solver's estimate: source, iterations, seconds, loss, score, credible, and its
        weight in the result.
    verdict : dict or None
        Whether the result is credible: credible, score in [0, 1], reasons, advice, measures;
        None where there is no estimate.
    evaluation : Evaluation or None
        Comparison with the truth, where one was given.
    cells : tuple of dict
        Of a run with a `kernel_grid` each cell, row by row: row, column; window, ((y0, y1),
        (x0, x1)); kernel, whether that is its ``own``, the ``frame``'s or the ``neighbours``';
        its correlation with the frame's, in [0, 1]; neighbours, the correlation of its own kernel
        with what the other cells say in its place, or None; score, that of its assessment, or None.
        Empty where no cell shows edges: the image has then one kernel.
    """

    config: SelfDeblurConfig
    used: SelfDeblurConfig
    iterations: int
    losses: tuple[float, ...]
    estimates: tuple[dict[str, Any], ...] = ()
    verdict: dict[str, Any] | None = None
    evaluation: Evaluation | None = None
    cells: tuple[dict[str, Any], ...] = ()

    _what: ClassVar[str] = "run record"

    def __post_init__(self) -> None:
        for name in ("losses", "estimates", "cells"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        _Record.__post_init__(self)
        rounded = tuple(float(f"{loss:.7g}") for loss in self.losses)  # float32 has no more
        object.__setattr__(self, "losses", rounded)
        for name in ("estimates", "cells"):
            object.__setattr__(self, name, tuple(json_ready(e) for e in getattr(self, name)))

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("config", "used"):
            values[name] = SelfDeblurConfig.from_dict(values[name])
        values["losses"] = tuple(math.nan if loss is None else loss for loss in values["losses"])
        for name in ("estimates", "cells"):
            values[name] = tuple(values.get(name, ()))
        if values.get("evaluation") is not None:
            evaluation = _measured(values["evaluation"])
            trace = tuple(TracePoint(**_measured(p)) for p in evaluation.pop("trace", ()))
            values["evaluation"] = Evaluation(**evaluation, trace=trace)
        return values

    @property
    def size_found(self) -> str:
        """What the kernel's size was found to be, as a sentence; empty where it was given."""
        if self.config.kernel_size != "auto" or self.used.kernel_size == "auto":
            return ""
        size = self.used.kind("kernel_size").text(self.used.kernel_size)
        return f"Kernel size found: {size} px."

    @property
    def left_out(self) -> str:
        """That networks were left out, as a sentence; empty where none was."""
        some = len(self.used.networks) < len(self.config.networks)
        return "Networks left out: they had nothing to add." if some else ""

    @property
    def cells_found(self) -> str:
        """How many cells have a kernel of their own, as a sentence; empty without a grid."""
        each = (cell.get("correlation") for cell in self.cells)
        alike = [float(value) for value in each if isinstance(value, int | float)]
        if not alike:
            return ""
        own, least = sum(cell.get("kernel") == "own" for cell in self.cells), min(alike)
        return (
            f"{own} of {len(self.cells)} cells have a kernel of their own; correlation with that "
            f"of the image: {least:.2f} and more."
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that `to_dict` of this version or of 0.1 described; errors as there."""
        if isinstance(values, Mapping) and "config" in values and "used" not in values:
            values = {**values, "used": values["config"]}  # as 0.1 wrote them
        return super(RunRecord, cls).from_dict(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRecord(_Record):
    """Provenance of a restoration; further attributes are those of every record.

    Attributes
    ----------
    config : RestoreConfig
        The settings.
    kernel : dict
        The kernel: shape, dtype, range, checksum, and where it came from.
    planes : tuple of dict
        Of a stack, each plane's ``index``, ``state`` and ``reason``, as in a `StackRecord`.
    """

    config: RestoreConfig
    kernel: dict[str, Any]
    planes: tuple[dict[str, Any], ...] = ()

    _what: ClassVar[str] = "restoration record"

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any]:
        planes = tuple(values.get("planes", ()))
        return values | {"config": RestoreConfig.from_dict(values["config"]), "planes": planes}


def _measured(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with the PSNR of equal images, infinite, which JSON cannot hold."""
    return {
        name: math.inf if value is None and name.startswith("psnr") else value
        for name, value in values.items()
    }
