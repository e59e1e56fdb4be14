"""What to measure, and by what a row is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.images import TestImage
from napari_selfdeblur.config import SelfDeblurConfig


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
    """One measurement, made at once in one process."""

    kind: str  # module whose `measure` makes it: deblur, known, speed, frames or varying
    image: TestImage
    setups: tuple[Setup, ...] = ()  # of blind runs, a row each
    method: str | None = None  # restoration with the true kernel, or what of speed is measured
    weight: float | None = None  # of that restoration
    device: str = "auto"  # where restorations are computed
    restorations: tuple[str, ...] = ()  # tried with the estimated kernel
    reference: str | None = None  # known-kernel restoration that error ratios refer to
    trace: int = 0  # measure every so many steps; 0 for never
    store: str | None = None  # folder for the images, one file a row
    size: int = 0  # side in pixels of a square image that is made on the spot

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
