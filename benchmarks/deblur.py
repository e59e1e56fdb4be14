"""Blind deconvolution of a test image, compared with its sharp image and kernel."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import RESTORED, GroundTruth, kernel_mse
from benchmarks.results import rounded
from benchmarks.store import store
from benchmarks.task import Task
from napari_selfdeblur import DeblurResult, Progress, iter_deblur
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError

_KEPT = (1 / 64, 1 / 16, 1 / 4, 1.0)  # parts of the run: most happens early


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the row of `task`; a run whose loss diverges has the status ``diverged``."""
    truth = GroundTruth(task.image)
    trace = Trace(task.trace, truth)
    row, result = run(truth.blurred, task.setups[0].config, rgb=truth.rgb, trace=trace)
    if result is None:
        return [rounded(row)]
    record, times = result.record, dict[str, float]()
    row |= {"iterations": record.iterations, "verdict": record.verdict}
    row |= {"estimates": list(record.estimates), "noise_sigma": record.image["noise_sigma"]}
    row["loss"] = (record.losses or [None])[-1]
    made = {"sharp": result.sharp, "kernel": result.kernel}
    if task.reference is not None and truth.kernel is not None:
        made["known"], _ = truth.restore(truth.kernel.psf, task.reference, task.device)
    for name in task.restorations:
        restored, times[name] = truth.restore(result.kernel, name, task.device)
        made[RESTORED + name] = restored
    row |= truth.measures(made)
    for name, seconds in times.items():
        row["restorations"][name]["seconds"] = seconds
    if "reference" in row:
        row["reference"]["method"] = task.reference
    if task.trace:
        row["trace"] = trace.points
    if task.store is not None:
        row["stored"] = store(task.store, task.identities()[0], made | trace.kept())
    return [rounded(row)]


def run(
    blurred: NDArray[Any],
    config: SelfDeblurConfig,
    *,
    rgb: bool = False,
    trace: Trace | None = None,
) -> tuple[dict[str, Any], DeblurResult | None]:
    """Return the part of a row that says how a run went, and its result if it has one."""
    row, every = dict[str, Any](), (trace and trace.every) or None
    start = time.perf_counter()
    steps = iter_deblur(blurred, config=config, rgb=rgb, preview_steps=every)
    try:
        while True:
            progress = next(steps)
            if trace is not None:
                trace.take(progress)
    except StopIteration as end:
        result = end.value
        row = {"status": result.record.status}
    except DivergedError as error:
        result = error.result
        row = {"status": "diverged", "reason": str(error)}
    row["seconds"] = time.perf_counter() - start - (trace.seconds if trace else 0)
    return row | ({"device": result.record.device} if result else {}), result


class Trace:
    """Error of the last solver's own estimate while it forms (Figure 3 of the paper).

    `points` hold, every so many steps, iteration, seconds, loss, PSNR of the image (dB) and MSE
    of the kernel; `seconds` is the time spent here, which is not the run's.
    """

    def __init__(self, every: int, truth: GroundTruth) -> None:
        self.every, self.truth = every, truth
        self.points: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._stage = ""
        self._images: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}

    def take(self, progress: Progress) -> None:
        """Measure the estimate of this step, where there is one and it was asked for."""
        if not self.every or progress.iterate is None:
            return
        start, truth = time.perf_counter(), self.truth
        if progress.stage != self._stage:
            self._stage, self.points, self._images = progress.stage, [], {}
        sharp, kernel, step = progress.iterate.sharp, progress.iterate.kernel, progress.iteration
        point: dict[str, Any] = {"iteration": step, "seconds": progress.seconds - self.seconds}
        point |= {"loss": progress.loss, "psnr": truth.score(sharp).psnr}
        true = truth.kernel
        point["kernel_mse"] = None if true is None else kernel_mse(kernel, true.psf)
        self.points.append(point)
        total = progress.total
        kept = {max(round(part * total / self.every), 1) * self.every for part in _KEPT}
        if step in kept | {total}:
            plane = np.rint(np.clip(truth.plane(sharp), 0, 1) * 255).astype(np.uint8)
            self._images[step] = plane, kernel
        self.seconds += time.perf_counter() - start

    def kept(self) -> dict[str, NDArray[Any]]:
        """Return a few images and kernels along the run, none where there was no trace."""
        if not self._images:
            return {}
        images, kernels = map(np.stack, zip(*self._images.values(), strict=True))
        return {"iterations": np.array([*self._images]), "iterates": images, "kernels": kernels}
