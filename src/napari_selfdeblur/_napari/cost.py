"""What a run needs, before it is begun: time and memory, found off the main thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import create_worker

from napari_selfdeblur._napari.report import clock
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError

__all__ = ["Cost", "CostFinder", "Devices", "find_cost", "find_devices"]


@dataclass(frozen=True, slots=True)
class Devices:
    """The machine's devices and their labels, best first, or why there are none.

    Attributes
    ----------
    found : tuple of (str, str)
        Name, as in a configuration, and label.
    problem : str or None
        Why torch cannot be loaded.
    """

    found: tuple[tuple[str, str], ...] = ()
    problem: str | None = None


def find_devices() -> Devices:
    """Return what runs can be computed on; loads torch, which takes seconds the first time."""
    try:
        from napari_selfdeblur.numerics.runtime import available_devices
    except (ImportError, OSError) as error:
        return Devices(
            problem=f"PyTorch cannot be loaded ({error}); install it anew, see pytorch.org"
        )
    return Devices(tuple(available_devices()))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of `config` on an image of `shape` needs.

    Attributes
    ----------
    config, shape : SelfDeblurConfig, (int, int)
        What it is the cost of.
    text : str
        Time and memory in words.
    problem : str or None
        Why it cannot run here.
    """

    config: SelfDeblurConfig
    shape: tuple[int, int]
    text: str = ""
    problem: str | None = None


def find_cost(config: SelfDeblurConfig, shape: tuple[int, int]) -> Cost:
    """Return what a run needs on this machine; may time a few small steps."""
    from napari_selfdeblur.numerics.cost import expected_seconds
    from napari_selfdeblur.numerics.runtime import estimate_memory

    try:
        memory = estimate_memory(config, shape) / 2**30
        seconds = expected_seconds(config, shape)
    except DeviceError as error:
        return Cost(config, shape, problem=str(error))
    text = f"{shape[0]} x {shape[1]} px: about {clock(max(seconds, 1))}, {memory:.1f} GiB of memory"
    return Cost(config, shape, text)


class CostFinder(QObject):
    """Finds the cost of the newest question, one question at a time.

    Attributes
    ----------
    found : Signal(Cost)
        Emitted with the answer to the newest question only.
    """

    found = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: tuple[SelfDeblurConfig, tuple[int, int]] | None = None
        self._begun: tuple[SelfDeblurConfig, tuple[int, int]] | None = None
        self._worker: Any = None

    def ask(self, config: SelfDeblurConfig, shape: tuple[int, int]) -> None:
        """Begin to find this cost; an older question is dropped."""
        self._asked = (config, shape)
        if self._worker is None and self._asked != self._begun:
            self._begin(*self._asked)

    def _begin(self, config: SelfDeblurConfig, shape: tuple[int, int]) -> None:
        self._begun = (config, shape)
        self._worker = create_worker(find_cost, config, shape)
        self._worker.returned.connect(self._on_returned)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def _on_returned(self, cost: Cost) -> None:
        if (cost.config, cost.shape) == self._asked:
            self.found.emit(cost)

    def _on_finished(self) -> None:
        self._worker = None
        if self._asked is not None and self._asked != self._begun:
            self._begin(*self._asked)
