"""Restoration of a test image with its true kernel: what a perfect kernel estimate would give."""

from __future__ import annotations

from typing import Any

from benchmarks.protocol import GroundTruth
from benchmarks.results import rounded
from benchmarks.store import store
from benchmarks.task import Task
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.runtime import device_label, resolve_device


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the row of `task`, or raise `ConfigError` if its image has no true kernel."""
    truth = GroundTruth(task.image)
    kernel = truth.kernel
    if kernel is None or task.method is None:
        raise ConfigError(f"{task.image.label}: a restoration needs its true kernel and a method")
    image, seconds = truth.restore(kernel.psf, task.method, task.device, task.weight)
    row = truth.measures({"sharp": image}) | {"status": "finished", "seconds": seconds}
    row["device"] = device_label(resolve_device(task.device))
    row |= {"kernel_rotated": kernel.rotated, "reblur_residual": kernel.residuals}
    if task.store is not None:
        row["stored"] = store(task.store, task.identities()[0], {"sharp": image})
    return [rounded(row)]
