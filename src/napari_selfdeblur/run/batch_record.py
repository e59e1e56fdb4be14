"""The record of an image whose planes a batch did, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.run.record import RestoreRecord, RunRecord
from napari_selfdeblur.run.values import Described

__all__ = ["BatchRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord(Described):
    """Provenance of an image of several planes, as a batch writes it into a folder.

    Attributes
    ----------
    axes : str
        A letter for each axis of the image.
    shape : tuple of int
        Length of each axis.
    planes : tuple of dict
        The records of the planes that are done, one or more, as `RunRecord.to_dict` and
        `RestoreRecord.to_dict` give them; ``plane`` is the name of each, such as ``T0_C1``.
    """

    axes: str
    shape: tuple[int, ...]
    planes: tuple[dict[str, Any], ...]

    _what: ClassVar[str] = "batch's record"

    def __post_init__(self) -> None:
        Described.__post_init__(self)
        if not self.axes.removesuffix("S").endswith("YX") or len(self.shape) != len(self.axes):
            raise DeblurError(
                f"not a batch's record: axes {self.axes!r:.100} of {self.shape!r:.100}"
            )
        if not self.planes:
            raise DeblurError("not a batch's record: it has no plane")
        for each in self.planes:
            _record_of(each)  # raises what stands against it

    @property
    def config(self) -> SelfDeblurConfig | RestoreConfig:
        """The settings, which all planes share."""
        return _record_of(self.planes[0]).config

    @property
    def image(self) -> dict[str, Any]:
        """Axes and shape of the image, as other records name them."""
        return {"axes": self.axes, "shape": list(self.shape)}

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values | {name: tuple(values[name]) for name in ("shape", "planes")}


def _record_of(plane: Mapping[str, Any]) -> RunRecord | RestoreRecord:
    values = {name: value for name, value in plane.items() if name != "plane"}
    return (RestoreRecord if "kernel" in values else RunRecord).from_dict(values)
