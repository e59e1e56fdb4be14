"""Blind deconvolution of a test image, compared with its sharp image and kernel."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import GroundTruth, Made, kernel_mse
from benchmarks.results import rounded
from benchmarks.store import store
from benchmarks.task import Task
from napari_selfdeblur import Progress, iter_deblur
from napari_selfdeblur.errors import DivergedError

__all__ = ["Trace", "measure"]

_KEPT = (1 / 64, 1 / 16, 1 / 4, 1.0)  # parts of the run: most happens early


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the row of `task`.

    Raises
    ------
    DeblurError
        If an image cannot be read or the run fails. A run whose loss diverges is a result: its
        row has the status ``diverged``.
    """
    (setup,) = task.setups
    truth = GroundTruth(task.image)
    trace = Trace(task.trace, truth, setup.config.iterations)
    row, result = _run(task, truth, trace)
    if result is None:
        return [rounded(row)]
    made = Made(result.sharp, result.kernel)
    times = _restore(task, truth, made)
    measures = truth.measures(made)
    for name, seconds in times.items():
        measures["restorations"][name]["seconds"] = seconds
    if task.reference is not None and "reference" in measures:
        measures["reference"]["method"] = task.reference
    row |= measures
    if task.trace:
        row["trace"] = trace.points
    if task.store is not None:
        (identity,) = task.identities()
        row["stored"] = store(task.store, identity, made, trace.kept())
    return [rounded(row)]


def _run(task: Task, truth: GroundTruth, trace: Trace) -> tuple[dict[str, Any], Any]:
    """Return the part of the row that tells how the run went, and its result if it has one."""
    (setup,) = task.setups
    run = iter_deblur(
        truth.blurred, config=setup.config, rgb=truth.rgb, preview_steps=task.trace or None
    )
    start, row = time.perf_counter(), dict[str, Any]()
    while True:
        try:
            trace.take(next(run))
        except StopIteration as end:
            result = end.value
            break
        except DivergedError as error:
            result, row = error.result, {"status": "diverged", "reason": str(error)}
            break
    row["seconds"] = time.perf_counter() - start - trace.seconds
    if result is not None:
        record = result.record
        row = {"status": record.status} | row
        row |= {"device": record.device, "verdict": record.verdict, "estimates": record.estimates}
        row |= {"iterations": record.iterations, "noise_sigma": record.image.get("noise_sigma")}
        row["loss"] = record.losses[-1] if record.losses else None
    return row, result


def _restore(task: Task, truth: GroundTruth, made: Made) -> dict[str, float]:
    """Restore with the true and with the estimated kernel; return the seconds of the latter."""
    if task.reference is not None and truth.kernel is not None:
        made.known, _ = truth.restore(truth.kernel.psf, task.reference, task.device)
    times = {}
    for name in task.restorations:
        made.restored[name], times[name] = truth.restore(made.kernel, name, task.device)
    return times


class Trace:
    """Error of the last solver's own estimate while it forms (Figure 3 of the paper).

    Parameters
    ----------
    every : int
        Steps from one point to the next; 0 for no points.
    truth : GroundTruth
        What to compare with.
    iterations : int
        Steps of the run.

    Attributes
    ----------
    points : list of dict
        Iteration, seconds, loss, PSNR of the image (dB), MSE of the kernel.
    seconds : float
        Time spent here, which is not the run's.
    """

    def __init__(self, every: int, truth: GroundTruth, iterations: int) -> None:
        self.every, self.truth = every, truth
        self.points: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._stage = ""
        step = max(every, 1)
        self._wanted = {max(round(part * iterations / step), 1) * step for part in _KEPT}
        self._images: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}

    def take(self, progress: Progress) -> None:
        """Measure the estimate of this step, where there is one and it was asked for."""
        if not self.every or progress.iterate is None:
            return
        start, truth = time.perf_counter(), self.truth
        if progress.stage != self._stage:  # the trace is that of the last solver
            self._stage, self.points, self._images = progress.stage, [], {}
        sharp, kernel = progress.iterate.sharp, progress.iterate.kernel
        self.points.append(
            {
                "iteration": progress.iteration,
                "seconds": progress.seconds - self.seconds,
                "loss": progress.loss,
                "psnr": truth.score(sharp).psnr,
                "kernel_mse": truth.kernel and kernel_mse(kernel, truth.kernel.psf),
            }
        )
        if progress.iteration in self._wanted or progress.iteration == progress.total:
            plane = np.rint(np.clip(truth.plane(sharp), 0, 1) * 255).astype(np.uint8)
            self._images[progress.iteration] = plane, kernel
        self.seconds += time.perf_counter() - start

    def kept(self) -> dict[str, NDArray[Any]]:
        """Return a few images and kernels along the run, empty where there was no trace."""
        if not self._images:
            return {}
        images, kernels = zip(*self._images.values(), strict=True)
        iterations = np.array(list(self._images))
        return {
            "iterations": iterations,
            "iterates": np.stack(images),
            "kernels": np.stack(kernels),
        }
