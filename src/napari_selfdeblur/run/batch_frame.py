"""One frame of a batch: read, deblurred, written, then marked done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.sources import open_part
from napari_selfdeblur.io.stores import KERNELS, FrameRef, Store, digest, digests, stored_as
from napari_selfdeblur.numerics.stop import Stop
from napari_selfdeblur.run.events import Previews, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.record import RestoreRecord, RunRecord
from napari_selfdeblur.run.restoration import run_restoration
from napari_selfdeblur.run.run import run
from napari_selfdeblur.run.values import json_ready

__all__ = ["FrameReport", "Steps", "Work", "file_state", "frame_steps", "reason_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReport:
    """What became of one frame, or of an input that could not be opened.

    Attributes
    ----------
    input : str
        Name of the file or folder.
    output : str
        Name of its results; empty where it has none.
    plane : str
        Such as ``T0_C1``; empty where the input has one plane.
    status : {"done", "failed"}
        A doubtful result is done.
    credible : bool or None
        The verdict; None with a known kernel, and where it failed.
    score : float or None
        Of the verdict, in [0, 1].
    kernel_size : str
        Rows x columns of the kernel; empty where the frame's run failed.
    seconds : float or None
        Duration of the run.
    reason : str
        Why it failed, or why its result is doubtful.
    resumed : bool
        Whether it was done before this batch began.
    """

    input: str
    output: str = ""
    plane: str = ""
    status: Literal["done", "failed"]
    credible: bool | None = None
    score: float | None = None
    kernel_size: str = ""
    seconds: float | None = None
    reason: str = ""
    resumed: bool = False

    @property
    def outcome(self) -> str:
        """What became of it, in a word: failed, credible, doubtful or, with a kernel, restored."""
        if self.status == "failed":
            return "failed"
        return {True: "credible", False: "doubtful", None: "restored"}[self.credible]

    @classmethod
    def failed(cls, frame: FrameRef, error: BaseException) -> FrameReport:
        """Return the report of a frame that an error ended."""
        return cls(
            input=frame.path.name,
            output=frame.name,
            plane=frame.label,
            status="failed",
            reason=reason_of(error),
        )


Steps = Generator[Progress, None, FrameReport | None]
"""Events of one frame; its report is returned, None where it was stopped."""


@dataclass(frozen=True)
class Work:
    """What is done with every frame.

    Attributes
    ----------
    config : SelfDeblurConfig or RestoreConfig
        The settings of a blind run, or of a restoration with `kernel`.
    kernel : ndarray of float32, (kh, kw), or None
        The point spread function, where it is known.
    command : str or None
        The command line, for the records.
    """

    config: SelfDeblurConfig | RestoreConfig
    kernel: NDArray[np.float32] | None = None
    command: str | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What decides the results, JSON-ready."""
        values: dict[str, Any] = json_ready(self.config.to_dict())
        return values if self.kernel is None else values | {"kernel": digest(self.kernel)}

    @cached_property
    def settings_digest(self) -> str:
        """SHA-256 of `settings`."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


def frame_steps(frame: FrameRef, store: Store, work: Work, stop: Stop | None = None) -> Steps:
    """Do one frame: what is done and whole stays, anything else is made again.

    Whatever goes wrong with this frame is its report: the others have nothing to do with it.

    Parameters
    ----------
    frame : FrameRef
        What to deblur.
    store : Store
        Where its results are written: first the images, each whole, then the marker.
    work : Work
        What to do.
    stop : Stop, optional
        Ends it early; nothing is written then.

    Yields
    ------
    Progress
        After each step of a blind run.

    Returns
    -------
    FrameReport or None
        None where it was stopped.
    """
    try:
        done = _done(frame, store)
        return done if done is not None else (yield from _made(frame, store, work, stop))
    except Exception as error:
        return FrameReport.failed(frame, error)


def file_state(path: Path) -> list[int] | None:
    """Return size and time of change of a file, None of a folder."""
    found = os.stat(path)
    return None if path.is_dir() else [found.st_size, found.st_mtime_ns]


def reason_of(error: BaseException) -> str:
    """Return an error as one line; one that is not this package's own with its type."""
    text = " ".join(str(error).split())
    if isinstance(error, DeblurError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _done(frame: FrameRef, store: Store) -> FrameReport | None:
    """Return the report of a frame that is done and whole."""
    marker = store.marker(frame)
    if marker is None:
        return None
    try:
        kernels = [name for name in KERNELS if name in marker]
        written = {name: marker[name] for name in ("sharp", *kernels)}
        if digests(*store.read(frame, kernels)) != written:
            return None
        return FrameReport(**{**marker["report"], "resumed": True})
    except Exception:  # what was written is missing or damaged, and is made again
        return None


def _made(frame: FrameRef, store: Store, work: Work, stop: Stop | None) -> Steps:
    state = file_state(frame.path)
    source = open_part(frame.path, frame.part)
    image, layout = source.read(frame.plane), source.layout
    store.check_room(frame, image.size * max(4, image.itemsize))
    result = yield from _results(image, layout.rgb, work, stop)
    if result is None:
        return None
    sharp, kernels, record = result
    stored = stored_as(sharp, store.dtype, layout.dtype)
    report = _report(frame, record, kernels["kernel"])
    store.write(frame, layout, stored, kernels)
    origin = {"name": frame.path.name}
    origin |= {"plane": frame.label} if frame.axes else {}
    record = replace(record, image={**record.image, **origin}, command=work.command)
    marker = {
        "settings": work.settings_digest,
        "source": digest(image),
        "file": state,
        **digests(stored, kernels),
        "report": asdict(report),
        "record": record.to_dict(),
    }
    store.mark(frame, json_ready(marker))
    return report


_Results = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]], RunRecord | RestoreRecord]


def _results(
    image: NDArray[Any], rgb: bool, work: Work, stop: Stop | None
) -> Generator[Progress, None, _Results | None]:
    """Return sharp image, kernels by name and record; None where it was stopped."""
    record: RunRecord | RestoreRecord
    if isinstance(work.config, RestoreConfig):
        assert work.kernel is not None
        restored = run_restoration(image, work.kernel, work.config, rgb=rgb, stop=stop)
        sharp, kernels, record = restored.sharp, {"kernel": work.kernel}, restored.record
    else:
        plan = Plan.of(image, work.config, rgb=rgb)
        deblurred = yield from run(plan, Previews(), stop=stop)
        sharp, kernels, record = deblurred.sharp, {"kernel": deblurred.kernel}, deblurred.record
        if deblurred.kernels is not None:
            kernels["kernels"] = deblurred.kernels
    return None if record.status == "stopped" else (sharp, kernels, record)


def _report(
    frame: FrameRef, record: RunRecord | RestoreRecord, kernel: NDArray[np.float32]
) -> FrameReport:
    verdict: Mapping[str, Any] = getattr(record, "verdict", None) or {}
    credible = verdict.get("credible")
    reasons = "; ".join([*verdict["reasons"], *verdict.get("advice", ())]) if verdict else ""
    return FrameReport(
        input=frame.path.name,
        output=frame.name,
        plane=frame.label,
        status="done",
        credible=credible,
        score=verdict.get("score"),
        kernel_size=" x ".join(map(str, kernel.shape)),
        seconds=round(record.seconds, 3),
        reason="" if credible else reasons,
    )
