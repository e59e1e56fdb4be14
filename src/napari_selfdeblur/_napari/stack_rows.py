"""The rows of a panel that are there for layers of more than two dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari.cost import Amount
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur._napari.layers import displayed_plane, full_resolution
from napari_selfdeblur._napari.stack_source import axes_of, check_kernels
from napari_selfdeblur.settings import Choice

PLANES_TEXTS = {"current plane": "current", "all planes": "all"}
KERNELS_TEXTS = {"all planes": "one", "each channel": "channel", "each plane": "plane"}
PLANES_ROW = {
    "planes": Choice(
        label="Planes",
        choices=tuple(PLANES_TEXTS),
        help="What is deblurred of this layer: the plane that the viewer displays, or all.",
    )
}
KERNELS_ROW = {
    "kernels": Choice(
        label="Kernel for",
        choices=tuple(KERNELS_TEXTS),
        help="One kernel for all planes, estimated on the one with most structure; one for each "
        "channel (an axis labelled c or channel); or one for each plane.",
    )
}
_RESULT_BYTES = 4


class StackRows:
    """Shows and reads the rows of a form that are for stacks.

    Parameters
    ----------
    form : SettingsForm
        It has the field ``planes``, and ``kernels`` or not.
    """

    def __init__(self, form: SettingsForm[Any]) -> None:
        self._shown: bool | None = None
        self._fields = {
            name: form.fields[name] for name in ("planes", "kernels") if name in form.fields
        }

    def follow(self, layer: Image | None) -> None:
        """Show the rows if `layer` is a stack, and no others."""
        stack = layer is not None and isinstance(layer, Image) and layer.ndim > 2
        if stack != self._shown:
            self._shown = stack
            for field in self._fields.values():
                field.widget.visible = stack
        if "kernels" in self._fields:
            self._fields["kernels"].widget.enabled = self._all

    def planes(self, layer: Image) -> str:
        """Return ``current`` or ``all``."""
        return "all" if layer.ndim > 2 and self._all else "current"

    def kernels(self) -> str:
        """Return ``one``, ``channel`` or ``plane``."""
        return KERNELS_TEXTS[str(self._fields["kernels"].widget.value)]

    def refuse(self, viewer: ViewerModel, layer: Image) -> None:
        """Raise what keeps `layer` from being deblurred as the rows say."""
        if self.planes(layer) == "all":
            if "kernels" in self._fields:
                check_kernels(layer, self.kernels())
        elif layer.ndim > 2:
            displayed_plane(viewer, layer)

    def amount(self, layer: Image) -> Amount:
        """Return how much a run has to do."""
        if self.planes(layer) == "current":
            return Amount()
        shape = full_resolution(layer).shape
        lead = [int(each) for each in shape[: layer.ndim - 2]]
        planes = math.prod(lead)
        channels = dict(zip(axes_of(layer), lead, strict=False)).get("C", 1)
        estimates = {"one": 1, "channel": channels, "plane": planes}[self.kernels()]
        restorations = 0 if estimates == planes else planes
        size = math.prod(map(int, shape)) * _RESULT_BYTES
        return Amount(planes, estimates, restorations, size)

    @property
    def _all(self) -> bool:
        return PLANES_TEXTS[str(self._fields["planes"].widget.value)] == "all"


def rows_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what the rows show of the run of all planes that a record is of, else nothing."""
    alike = (text for text, kernels in KERNELS_TEXTS.items() if facts.get("kernels") == kernels)
    return {"planes": "all planes", "kernels": text} if (text := next(alike, None)) else {}


def sides_of(layer: Image) -> tuple[int, int]:
    """Return rows and columns of a layer's planes."""
    height, width = full_resolution(layer).shape[layer.ndim - 2 :][:2]
    return int(height), int(width)
