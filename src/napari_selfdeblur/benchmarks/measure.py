"""One measurement: a case and its settings in, a row of numbers out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.benchmarks.results import rounded
from napari_selfdeblur.benchmarks.subject import Subject, quality
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.benchmarks.truth import kernel_mse
from napari_selfdeblur.benchmarks.watch import Watch
from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.errors import ConfigError, DivergedError

__all__ = ["measure"]


def measure(task: Task) -> dict[str, Any]:
    """Return the row of `task`, JSON-ready.

    Raises
    ------
    DeblurError
        If the case cannot be read or restored. A run whose loss diverges is a result, not an
        error: its row has the status ``diverged``.
    """
    subject = Subject(task.case)
    row = _known(task, subject) if task.kind == "known" else _deblur(task, subject)
    measured: dict[str, Any] = rounded(row)
    return task.identity() | measured


def _known(task: Task, subject: Subject) -> dict[str, Any]:
    from napari_selfdeblur.numerics.runtime import device_label, resolve_device

    kernel = subject.kernel
    if kernel is None or task.method is None:
        raise ConfigError(f"{task.case.label}: a restoration needs its true kernel and a method")
    image, seconds = subject.restore(kernel.psf, task.method, task.device, task.weight)
    return {
        "device": device_label(resolve_device(task.device)),
        "seconds": seconds,
        "blurred": quality(subject.score(subject.image)),
        "sharp": quality(subject.score(image)),
        "kernel_rotated": kernel.rotated,
        "reblur_residual": [kernel.residual, kernel.residual_other],
    }


def _deblur(task: Task, subject: Subject) -> dict[str, Any]:
    from napari_selfdeblur.run.run import iter_deblur

    config = task.settings
    watch = Watch(task, subject, config.iterations)
    run = iter_deblur(
        subject.image, config=config, rgb=subject.rgb, preview_steps=task.trace or None
    )
    start, loss, row = time.perf_counter(), None, dict[str, Any]()
    try:
        while True:
            try:
                progress = next(run)
            except StopIteration as end:
                sharp, kernel, record = end.value.sharp, end.value.kernel, end.value.record
                break
            loss = progress.loss
            watch.see(progress)
        row |= {"device": record.device, "status": record.status, "verdict": record.verdict}
        row |= {"iterations": record.iterations}
    except DivergedError as error:
        row |= {"status": "diverged", "error": str(error)}
        if error.estimate is None:
            return row
        sharp, kernel = error.estimate.sharp, error.estimate.kernel
        row |= {"iterations": error.estimate.iterations}
    seconds = time.perf_counter() - start - watch.seconds
    row |= {"seconds": seconds, "loss": loss, "blurred": quality(subject.score(subject.image))}
    row |= _compare(task, subject, sharp, kernel)
    return row | watch.findings()


def _compare(
    task: Task, subject: Subject, sharp: ArrayLike, kernel: NDArray[np.float32]
) -> dict[str, Any]:
    """Return the measures of the result, of restorations, and of the kernel."""
    from napari_selfdeblur.numerics.noise import noise_sigma

    true, reference = subject.kernel, None
    row: dict[str, Any] = {
        "restorations": {},
        "noise_sigma": noise_sigma(subject.grey(subject.image)),
    }
    if true is not None:
        row["kernel_similarity"] = kernel_similarity(kernel, true.psf)
        row["kernel_mse"] = kernel_mse(kernel, true.psf)
        if task.reference is not None:
            image, _ = subject.restore(true.psf, task.reference, task.device)
            reference = subject.score(image)
            row["reference"] = {"method": task.reference, **quality(reference)}
    row["sharp"] = quality(subject.score(sharp), reference)
    for method in task.restorations:
        image, seconds = subject.restore(kernel, method, task.device)
        found = quality(subject.score(image), reference)
        row["restorations"][method] = {**found, "seconds": seconds}
    return row
