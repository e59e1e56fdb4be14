"""What a stack's run returns and records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError, DeblurWarning
from napari_selfdeblur.run.batch_record import BatchRecord
from napari_selfdeblur.run.record import RestoreRecord, RunRecord, _Record
from napari_selfdeblur.run.values import json_ready

__all__ = [
    "Record",
    "SavedRecord",
    "StackRecord",
    "StackResult",
    "failed_of",
    "read_record",
    "read_record_file",
    "read_run_file",
    "stacked_kernels",
    "summary",
    "warn_of",
]

_LONGEST = 3  # planes that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord(_Record):
    """Provenance of a stack's blind run; further attributes are those of every record.

    Attributes
    ----------
    config : SelfDeblurConfig
        The settings as asked.
    axes : str
        A letter for each axis of the stack.
    kernels : str
        What each kernel is for: ``one``, ``channel`` or ``plane``.
    kernel_from : dict of int or None
        Index by axis of the plane that the one kernel was to come from, where it was named.
    planes : tuple of dict
        For each plane, in the order of the array: ``index`` by axis; ``state``: ``estimated``
        (its own estimate's image), ``restored``, ``unchanged`` (no blur was found) or
        ``blurred`` (as it was); ``estimate``, the number of the entry of `estimates` that its
        kernel comes from, or None; ``reason``, why it stays blurred.
    estimates : tuple of dict
        The record of each estimate as `RunRecord.to_dict` gives it; its ``image`` holds the
        plane's ``index``.
    verdict : dict or None
        That of the least credible estimate, with the reasons and advice of all.
    """

    config: SelfDeblurConfig
    axes: str
    kernels: str
    kernel_from: dict[str, int] | None = None
    planes: tuple[dict[str, Any], ...]
    estimates: tuple[dict[str, Any], ...] = ()
    verdict: dict[str, Any] | None = None

    _what: ClassVar[str] = "stack record"

    def __post_init__(self) -> None:
        for name in ("planes", "estimates"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                object.__setattr__(self, name, tuple(json_ready(list(value))))
        _Record.__post_init__(self)
        for estimate in self.estimates:
            RunRecord.from_dict(estimate)  # raises what stands against it

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values | {"config": SelfDeblurConfig.from_dict(values["config"])}

    @property
    def records(self) -> list[RunRecord]:
        """The record of each estimate."""
        return [RunRecord.from_dict(each) for each in self.estimates]

    @property
    def size_found(self) -> str:
        """What the kernels' sizes were found to be, as a sentence; empty where they were given."""
        found = [record.size_found for record in self.records if record.size_found]
        sizes = list(dict.fromkeys(each.removesuffix(" px.").split()[-1] for each in found))
        return f"Kernel size found: {', '.join(sizes)} px." if sizes else ""

    def to_json(self) -> str:
        """Return the record as strict JSON, one line for each plane and for each estimate."""
        values = self.to_dict()
        lines = {name: values.pop(name) for name in ("planes", "estimates")}
        text = json.dumps(values, allow_nan=False, ensure_ascii=False, indent=2)
        for name, each in lines.items():
            entries = (json.dumps(one, allow_nan=False, ensure_ascii=False) for one in each)
            listed = ",\n    ".join(entries)
            text = text.removesuffix("\n}") + f',\n  "{name}": [\n    {listed}\n  ]\n}}'
        return text + "\n"


@dataclass(frozen=True, slots=True, eq=False)
class StackResult:
    """What the run of a stack returns.

    Attributes
    ----------
    sharp : array of float32
        The planes in the shape of the stack, or of its chosen planes, and its value range.
        Where the caller gave ``out`` it is that array. Planes that were not done are as they
        were.
    kernels : ndarray of float32
        (kh, kw) for kernels ``one``, (C, kh, kw) for ``channel``, one for each plane
        (..., kh, kw) for ``plane``: each >= 0, sums to 1. Smaller ones have a border of zeros;
        one that was not estimated is all zero.
    record : StackRecord or RestoreRecord
        How they were made: the latter with kernels that were given.
    axes : str
        A letter for each axis of `sharp`.
    """

    sharp: Any
    kernels: NDArray[np.float32]
    record: StackRecord | RestoreRecord
    axes: str

    @property
    def records(self) -> list[RunRecord]:
        """The record of each estimate, none where the kernels were given."""
        return self.record.records if isinstance(self.record, StackRecord) else []


def stacked_kernels(
    kernels: Mapping[tuple[int, ...], NDArray[np.float32]], lead: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return kernels in one array, by their positions, with borders of zeros.

    Parameters
    ----------
    kernels : mapping of tuple of int to ndarray of float32, (kh, kw)
        Of odd sides.
    lead : tuple of int
        Shape of the array before the kernels' rows.

    Returns
    -------
    ndarray of float32, (*lead, rows, columns)
        As large as the largest; all zero where there is no kernel.
    """
    sides = [max((each.shape[axis] for each in kernels.values()), default=3) for axis in (0, 1)]
    stacked = np.zeros((*lead, *sides), np.float32)
    for position, kernel in kernels.items():
        top, left = ((side - own) // 2 for side, own in zip(sides, kernel.shape, strict=True))
        rows, columns = kernel.shape
        stacked[position][top : top + rows, left : left + columns] = kernel
    return stacked


def summary(planes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which planes of a record are not done, and why, in a few lines; none if all are."""
    failed = _failed(planes)
    waiting = sum(each["state"] == "blurred" and not each["reason"] for each in planes)
    lines = [f"plane {_place(each)} stays blurred: {each['reason']}" for each in failed[:_LONGEST]]
    if len(failed) > _LONGEST:
        lines.append(f"{len(failed) - _LONGEST} more planes stay blurred; the record says why")
    if waiting:
        lines.append(f"{waiting} of {len(planes)} planes were not reached and stay blurred")
    return lines


def failed_of(planes: Sequence[Mapping[str, Any]]) -> str:
    """Return how many planes of a record could not be deblurred, as a sentence; empty if none."""
    failed = len(_failed(planes))
    return f"{failed} of {len(planes)} planes could not be deblurred." if failed else ""


def warn_of(planes: Sequence[Mapping[str, Any]]) -> None:
    """Warn of the planes of a record that stay blurred because something is wrong with them."""
    if count := failed_of(planes):
        said = "; ".join(summary(_failed(planes)))
        warn(f"{count.removesuffix('.')}: {said}", DeblurWarning, stacklevel=3)


def _failed(planes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in planes if each["state"] == "blurred" and each["reason"]]


def _place(plane: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis}={at}" for axis, at in plane["index"].items())


Record: TypeAlias = RunRecord | RestoreRecord | StackRecord
"""Of whatever kind of run."""
SavedRecord: TypeAlias = Record | BatchRecord
"""What a record's file may hold."""


def read_record(values: Mapping[str, Any]) -> SavedRecord:
    """Return the record of whatever kind that `to_dict` described.

    Raises
    ------
    DeblurError
        If it is none.
    """
    known = values if isinstance(values, Mapping) else {}
    if "kernels" in known:
        return StackRecord.from_dict(values)
    if "planes" in known and "config" not in known:
        return BatchRecord.from_dict(values)
    kind: type[RunRecord] | type[RestoreRecord] = RestoreRecord if "kernel" in known else RunRecord
    return kind.from_dict(values)


def read_record_file(path: Path) -> SavedRecord:
    """Return the record of whatever kind that a file holds.

    Raises
    ------
    DeblurError
        If it holds none, or cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeblurError(f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DeblurError(f"not a record: {error}") from error
    return read_record(values)


def read_run_file(path: Path) -> RunRecord | StackRecord:
    """Return the record of a blind run that a file holds; errors as of `read_record_file`."""
    record = read_record_file(path)
    if isinstance(record, RestoreRecord | BatchRecord):
        what = "restoration" if isinstance(record, RestoreRecord) else "batch"
        raise DeblurError(f"it is the record of a {what}; give that of a run")
    return record
