"""What produced a result: enough to repeat the run and to judge it, as plain JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

from napari_selfdeblur._version import __version__
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

__all__ = [
    "STATUSES",
    "Evaluation",
    "RunRecord",
    "TracePoint",
    "json_ready",
    "package_version",
    "software_versions",
]

STATUSES = ("finished", "stopped", "diverged")
_LOSS_DIGITS = 7  # float32 has no more than this
_PACKAGES = ("numpy", "scipy", "torch", "napari")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint:
    """Quality of the estimate after one step.

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
class Evaluation:
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Provenance of one result. Every value is JSON-ready from the start.

    Attributes
    ----------
    config : SelfDeblurConfig
        The settings that ran, seed included.
    version : str
        Version of this package.
    versions : dict of str
        Versions of Python and of the libraries; see `software_versions`.
    device : str
        What it ran on, as a person would name it.
    seconds : float
        Duration of the run, > 0.
    iterations : int
        Steps done.
    status : {"finished", "stopped", "diverged"}
        Whether all steps were done, the user ended it early, or the loss left the finite
        numbers (the result is then the last good estimate).
    losses : tuple of float
        The loss of every step, to 7 significant digits.
    image : dict
        The blurred image: shape, dtype, range, checksum, and where it came from.
    verdict : dict or None
        Whether the result is credible, and why not; None where it was not judged.
    evaluation : Evaluation or None
        Comparison with the truth, where one was given.
    command : str or None
        The command line, without folders, of a run that had one.
    created : str
        When, ISO 8601 in UTC.
    """

    config: SelfDeblurConfig
    version: str
    versions: dict[str, str]
    device: str
    seconds: float
    iterations: int
    status: Literal["finished", "stopped", "diverged"]
    losses: tuple[float, ...]
    image: dict[str, Any]
    verdict: dict[str, Any] | None = None
    evaluation: Evaluation | None = None
    command: str | None = None
    created: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise DeblurError(
                f"a record's status must be one of {', '.join(STATUSES)}, got {self.status!r}"
            )
        rounded = tuple(float(f"{loss:.{_LOSS_DIGITS}g}") for loss in self.losses)
        object.__setattr__(self, "losses", rounded)
        object.__setattr__(self, "image", json_ready(self.image))
        object.__setattr__(self, "verdict", json_ready(self.verdict))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values; a number that is not finite becomes None."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["config"] = self.config.to_dict()
        if self.evaluation is not None:
            values["evaluation"] = dataclasses.asdict(self.evaluation)
        plain: dict[str, Any] = json_ready(values)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """Return the record that `to_dict` described.

        Raises
        ------
        DeblurError
            If fields are missing, unknown, or of the wrong type.
        ConfigError
            If the settings inside are not valid.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        optional = {"verdict", "evaluation", "command", "created"}
        if missing := names - optional - set(values):
            raise DeblurError(f"not a run record: {', '.join(sorted(missing))} missing")
        if unknown := set(values) - names:
            raise DeblurError(
                f"not a run record of this version: unknown field {', '.join(sorted(unknown))}"
            )
        read = dict(values)
        try:
            read["config"] = SelfDeblurConfig.from_dict(read["config"])
            read["losses"] = tuple(math.nan if loss is None else loss for loss in read["losses"])
            if read.get("evaluation") is not None:
                evaluation = _measured(read["evaluation"])
                trace = tuple(TracePoint(**_measured(p)) for p in evaluation.pop("trace", ()))
                read["evaluation"] = Evaluation(**evaluation, trace=trace)
            return cls(**read)
        except (TypeError, AttributeError) as error:
            raise DeblurError(f"not a run record: a field has the wrong type ({error})") from error

    def to_json(self) -> str:
        """Return the record as strict JSON (no NaN, no infinity), UTF-8, ending in a newline."""
        values = self.to_dict()
        text = json.dumps(values | {"losses": 0}, allow_nan=False, ensure_ascii=False, indent=2)
        # One line for the thousands of losses keeps the rest readable.
        losses = json.dumps(values["losses"], allow_nan=False)
        return text.replace('\n  "losses": 0', f'\n  "losses": {losses}', 1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Return the record that `to_json` wrote.

        Raises
        ------
        DeblurError
            If `text` is not JSON, or not a record.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise DeblurError(f"not a run record: {error}") from error
        if not isinstance(values, dict):
            raise DeblurError("not a run record: a JSON object is expected")
        return cls.from_dict(values)


def package_version() -> str:
    """Return this package's version."""
    return __version__


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries, importing none of them."""
    found = {name: _installed(name) for name in _PACKAGES}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}


def json_ready(value: Any) -> Any:
    """Return `value` with lists for tuples, Python numbers for numpy's, None for NaN and inf."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _measured(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with the PSNR of equal images, infinite, which JSON cannot hold."""
    return {
        name: math.inf if value is None and name.startswith("psnr") else value
        for name, value in values.items()
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
