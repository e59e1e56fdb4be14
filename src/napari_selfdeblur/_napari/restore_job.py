"""One restoration with a known kernel in the background: its thread, its stop, its layer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from napari.qt.threading import create_worker
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_selfdeblur._napari.kernel_choice import GivenKernel
from napari_selfdeblur._napari.layers import METADATA_KEY, Source, read_source
from napari_selfdeblur._napari.methods import method
from napari_selfdeblur._napari.worker import reportable
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io import images
from napari_selfdeblur.run.record import json_ready, package_version, software_versions

__all__ = ["Restoration", "RestoreJob"]

_running: set[RestoreJob] = set()
"""Keeps a job alive whose widget has gone."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What to run.

    Attributes
    ----------
    name : str
        Restoration, as registered.
    weight : float or None
        Weight of its prior; None follows the measured noise.
    iterations : int or None
        Steps of a restoration that has them; None is its own number.
    device : str
        As in a configuration.
    """

    name: str
    weight: float | None = None
    iterations: int | None = None
    device: str = "auto"

    def options(self) -> dict[str, Any]:
        """Return the settings that the restoration has."""
        known = method(self.name)
        options: dict[str, Any] = {"weight": self.weight} if known.has_weight else {}
        return options | ({"iterations": self.iterations} if known.has_steps else {})


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """How a restoration ended. Errors are handed over as values: a worker swallows some.

    Attributes
    ----------
    sharp : ndarray of float32 or None
        The restored image, in the source's shape and value range.
    record : dict
        Where `sharp` came from; JSON-ready.
    error : DeblurError or None
        Why there is no image.
    """

    sharp: NDArray[np.float32] | None = None
    record: dict[str, Any] = field(default_factory=dict)
    error: DeblurError | None = None


class StopFlag:
    """Set by the user, or by napari when it quits the worker on closing a window."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.worker: Any = None

    def is_set(self) -> bool:
        """Whether the restoration is to end after its present step."""
        return self.asked.is_set() or bool(self.worker is not None and self.worker.abort_requested)


class RestoreJob(QObject):
    """One restoration of a layer; make it, `start` it, and once only.

    It outlives the widget that began it. All its methods are for the main thread.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Gets the layer ``NAME restored (METHOD)``.
    layer : napari.layers.Image
        A 2-D image, grey or RGB(A). It is copied and never changed.
    kernel : GivenKernel
        The known kernel.
    settings : Restoration
        What to run.

    Attributes
    ----------
    state : str
        ``ready``, ``running``, then one of ``finished``, ``stopped``, ``failed``, ``cancelled``.
        ``stopped`` has a result; ``cancelled`` is a closed viewer, and has none.
    result : napari.layers.Image or None
        The layer with the restored image.
    seconds : float
        Time it took, until now while it runs.
    error : DeblurError or None
        Why it failed.
    ended : Signal()
        Emitted once, whatever the end.

    Raises
    ------
    ImageError
        If `layer` is not a 2-D image layer.
    """

    ended = Signal()

    def __init__(
        self, viewer: ViewerModel, layer: Image, kernel: GivenKernel, settings: Restoration
    ) -> None:
        super().__init__()
        self.source = read_source(layer)
        self.kernel = kernel
        self.settings = settings
        self.state = "ready"
        self.result: Image | None = None
        self.error: DeblurError | None = None
        self._viewer = viewer
        self._begun = self._over = 0.0
        self._stop = StopFlag()
        self._worker: Any = None

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.state == "running"

    @property
    def seconds(self) -> float:
        """Time it took, until now while it runs."""
        return (time.perf_counter() if self.running else self._over) - self._begun

    def start(self) -> None:
        """Begin in a thread of its own.

        Raises
        ------
        DeblurError
            If it was started before.
        """
        if self.state != "ready":
            raise DeblurError("this restoration was started before; make a new RestoreJob")
        self.state = "running"
        self._begun = time.perf_counter()
        _running.add(self)
        self._worker = create_worker(
            run_restoration,
            self.source,
            self.kernel,
            self.settings,
            self._stop,
            _progress={"desc": f"Restoring: {self.source.name}"},
        )
        self._stop.worker = self._worker
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def stop(self) -> None:
        """Ask a restoration that has steps to end after its present one; others go on."""
        self._stop.asked.set()

    def _on_returned(self, ended: Ended) -> None:
        if self._worker.abort_requested:  # as napari does when it closes a window
            return
        if ended.sharp is None:
            self.error, self.state = ended.error, "failed"
            return
        self.result = self._show(ended.sharp, ended.record)
        self._over = time.perf_counter()
        self.state = ended.record["status"]

    def _on_finished(self) -> None:
        if self.running:
            self.state = "cancelled"
        # The worker holds the arrays of the run, and the flag holds the worker.
        self._worker = self._stop.worker = None
        _running.discard(self)
        self.ended.emit()

    def _show(self, sharp: NDArray[np.float32], record: dict[str, Any]) -> Image:
        """Add the result on top, keeping the user's selection."""
        chosen = list(self._viewer.layers.selection)
        layer = Image(
            sharp,
            name=f"{self.source.name} restored ({self.settings.name})",
            rgb=self.source.rgb,
            metadata={METADATA_KEY: record},
            **self.source.placement,
            **self.source.appearance,
        )
        self._viewer.add_layer(layer)
        if chosen:
            self._viewer.layers.selection = set(chosen)
        return layer


def run_restoration(
    source: Source, kernel: GivenKernel, settings: Restoration, stop: StopFlag
) -> Ended:
    """Restore in the thread; it never raises an ordinary exception."""
    try:
        # Here and not above: these imports load torch.
        from napari_selfdeblur.numerics.runtime import device_label, resolve_device
        from napari_selfdeblur.restoration import restore

        begun = time.perf_counter()
        label = device_label(resolve_device(settings.device))
        options = settings.options()
        stoppable = method(settings.name).has_steps
        stopping: dict[str, Any] = {"stop": stop} if stoppable else {}
        sharp = restore(
            source.image,
            kernel.pixels,
            settings.name,
            device=settings.device,
            rgb=source.rgb,
            **options,
            **stopping,
        )
        record = {
            "method": settings.name,
            "options": {k: "auto" if v is None else v for k, v in options.items()},
            "kernel": images.describe(kernel.pixels) | {"name": kernel.name},
            "image": images.describe(source.image) | {"name": source.name},
            "version": package_version(),
            "versions": software_versions(),
            "device": label,
            "seconds": time.perf_counter() - begun,
            "status": "stopped" if stoppable and stop.is_set() else "finished",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return Ended(sharp=sharp, record=json_ready(record))
    except Exception as error:
        return Ended(error=reportable(error))
