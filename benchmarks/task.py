"""What to measure, and by what a row is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.images import TestImage
from napari_selfdeblur.config import SelfDeblurConfig

__all__ = ["Setup", "Task"]


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings, and the preset they started from: a changed preset has no name of its own."""

    preset: str
    config: SelfDeblurConfig

    def changed(self, **changes: Any) -> Setup:
        """Return a copy with some settings changed."""
        return Setup(self.preset, self.config.replace(**changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One measurement, made at once in one process.

    Attributes
    ----------
    kind : str
        Module of `benchmarks` whose `measure` makes it: ``deblur``, ``known`` or ``speed``.
    image : TestImage
        On what.
    setups : tuple of Setup
        Settings of blind runs, a row each; empty where nothing is run blindly.
    method, weight : str, float or None
        Restoration with the true kernel and its weight, or what of speed is measured.
    device : str
        Where restorations are computed.
    restorations : tuple of str
        Restorations tried with the estimated kernel.
    reference : str or None
        Restoration with the true kernel that the error ratios refer to.
    trace : int
        Measure every so many steps; 0 for never.
    store : str or None
        Folder for the images, one file a row; None keeps none.
    size : int
        Side of a square image that is made on the spot, in pixels.
    """

    kind: str
    image: TestImage
    setups: tuple[Setup, ...] = ()
    method: str | None = None
    weight: float | None = None
    device: str = "auto"
    restorations: tuple[str, ...] = ()
    reference: str | None = None
    trace: int = 0
    store: str | None = None
    size: int = 0

    def identities(self) -> list[dict[str, Any]]:
        """Return the part of each row that is known before anything is measured."""
        test = self.image
        row: dict[str, Any] = {"kind": self.kind, "dataset": test.dataset, "image": test.image}
        row |= {"kernel": test.kernel, "category": test.category}
        if self.method is not None:
            row |= {"method": self.method, "weight": self.weight}
        settings = [
            {"preset": s.preset, "seed": s.config.seed, "config": s.config.to_dict()}
            for s in self.setups
        ]
        return [row | each for each in settings] or [row]

    @property
    def label(self) -> str:
        """What is measured, for messages."""
        words = [self.method or "", self.image.image, self.image.kernel]
        if len(self.setups) == 1:
            words += [self.setups[0].preset, f"seed {self.setups[0].config.seed}"]
        return " ".join(word for word in words if word not in ("", "-"))
