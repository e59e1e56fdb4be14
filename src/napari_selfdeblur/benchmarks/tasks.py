"""What to measure: a case and its settings, as plain JSON between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from napari_selfdeblur.benchmarks.cases import Case
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

__all__ = ["Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to measure.

    Attributes
    ----------
    kind : {"deblur", "known"}
        Blind deconvolution, or restoration with the true kernel.
    case : Case
        On which capture.
    config : SelfDeblurConfig or None
        Settings of the blind run.
    method, weight : str, float or None
        Restoration with the true kernel; its weight is its default where None.
    device : str
        Where restorations are computed.
    restorations : tuple of str
        Restorations tried with the estimated kernel.
    reference : str or None
        Restoration with the true kernel that the error ratios refer to.
    trace : int
        Measure every so many steps; 0 for never.
    snapshots : str or None
        File (npz) for a few intermediate images and kernels.
    """

    kind: str
    case: Case
    config: SelfDeblurConfig | None = None
    method: str | None = None
    weight: float | None = None
    device: str = "auto"
    restorations: tuple[str, ...] = ()
    reference: str | None = None
    trace: int = 0
    snapshots: str | None = None

    def identity(self) -> dict[str, Any]:
        """Return the part of the row that is known before anything is measured."""
        case = self.case
        row: dict[str, Any] = {"kind": self.kind, "dataset": case.dataset}
        row |= {"image": case.image, "kernel": case.kernel, "category": case.category}
        if self.kind == "known":
            return row | {"method": self.method, "weight": self.weight}
        config = self.settings
        return row | {"seed": config.seed, "config": config.to_dict()}

    def replace(self, **changes: Any) -> Task:
        """Return a copy with `changes` applied."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        config = None if self.config is None else self.config.to_dict()
        return values | {"case": self.case.to_dict(), "config": config}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Task:
        """Return the task that `to_dict` described."""
        read = dict(values)
        read["case"] = Case(**read["case"])
        if read["config"] is not None:
            read["config"] = SelfDeblurConfig.from_dict(read["config"])
        return cls(**read | {"restorations": tuple(read["restorations"])})

    @property
    def settings(self) -> SelfDeblurConfig:
        """The settings of a blind run."""
        if self.config is None:
            raise ConfigError("a blind run needs a configuration; set the task's config")
        return self.config
