"""The trace of a run: quality of the estimate while it forms (Figure 3 of the paper)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.benchmarks.subject import Subject
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.benchmarks.truth import kernel_mse
from napari_selfdeblur.io.files import replacing
from napari_selfdeblur.numerics.progress import Progress

__all__ = ["Watch"]

_SNAPSHOTS = (1 / 64, 1 / 16, 1 / 4, 1.0)  # parts of the run: most happens early


class Watch:
    """Measures a run while it goes on, and its own time with it.

    Parameters
    ----------
    task : Task
        How often to look, and where the intermediate images go.
    subject : Subject
        The capture and its truth.
    iterations : int
        Steps of the run.
    """

    def __init__(self, task: Task, subject: Subject, iterations: int) -> None:
        self.task, self.subject = task, subject
        self.trace: list[dict[str, Any]] = []
        self.images: list[NDArray[Any]] = []
        self.kernels: list[NDArray[np.float32]] = []
        self.iterations: list[int] = []
        self.seconds = 0.0
        every = max(task.trace, 1)
        self.wanted = {max(round(part * iterations / every), 1) * every for part in _SNAPSHOTS}
        self.wanted.add(iterations)

    def see(self, progress: Progress) -> None:
        """Measure the estimate, when there is one and it was asked for."""
        if not self.task.trace or progress.sharp is None or progress.kernel is None:
            return
        if progress.iteration == 0:  # a draft is no step of the run
            return
        start = time.perf_counter()
        true = self.subject.kernel
        self.trace.append(
            {
                "iteration": progress.iteration,
                "seconds": progress.seconds - self.seconds,
                "loss": progress.loss,
                "psnr": self.subject.score(progress.sharp).psnr,
                "kernel_mse": None if true is None else kernel_mse(progress.kernel, true.psf),
            }
        )
        if self.task.snapshots is not None and progress.iteration in self.wanted:
            self.images.append(_eight_bit(self.subject.grey(progress.sharp)))
            self.kernels.append(progress.kernel)
            self.iterations.append(progress.iteration)
        self.seconds += time.perf_counter() - start

    def findings(self) -> dict[str, Any]:
        """Return the trace, and the name of the file with the intermediate images."""
        if not self.task.trace:
            return {}
        found: dict[str, Any] = {"trace": self.trace}
        if self.task.snapshots is not None and self.images:
            path = Path(self.task.snapshots)
            path.parent.mkdir(parents=True, exist_ok=True)
            true = self.subject.kernel
            with replacing(path) as unfinished, unfinished.open("wb") as file:
                np.savez_compressed(
                    file,
                    iterations=np.array(self.iterations),
                    sharp=np.stack(self.images),
                    kernels=np.stack(self.kernels),
                    truth=_eight_bit(self.subject.truth),
                    true_kernel=np.zeros((0, 0)) if true is None else true.psf,
                )
            found["snapshots"] = f"{path.parent.name}/{path.name}"
        return found


def _eight_bit(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)
