"""A choice among the image layers of a viewer that follows the viewer."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

__all__ = ["ImageLayerCombo"]


class ImageLayerCombo(QComboBox):
    """Lists the viewer's image layers, the topmost first; the choice survives every change.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose layers are listed.
    """

    layer_changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._listed: list[Image] = []
        self._layer: Image | None = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self._emitters = [
            getattr(viewer.layers.events, name)
            for name in ("inserted", "removed", "reordered", "renamed")
        ]
        for emitter in self._emitters:
            emitter.connect(self._refresh)
        self.activated.connect(self._on_activated)
        self._refresh()
        self.choose_active()

    @property
    def layer(self) -> Image | None:
        """The chosen layer, None where the viewer has no image."""
        return self._layer

    def choose(self, layer: Any) -> bool:
        """Choose `layer`; return whether it is on the list."""
        if layer not in self._listed:
            return False
        index = self._listed.index(layer)
        self.setCurrentIndex(index)
        self._select(self._listed[index])
        return True

    def choose_active(self) -> bool:
        """Choose the viewer's active layer; return whether it is on the list."""
        return self.choose(self._viewer.layers.selection.active)

    def _refresh(self, event: Any = None) -> None:
        if not isalive(self):  # type: ignore[no-untyped-call]
            # Qt has deleted the widget, with a closed dock or window; Python has not yet.
            for emitter in self._emitters:
                emitter.disconnect(self._refresh)
            return
        # Iteration, unlike indexing, gives the layers themselves and not proxies of them.
        self._listed = [layer for layer in self._viewer.layers if isinstance(layer, Image)][::-1]
        self.blockSignals(True)
        self.clear()
        for layer in self._listed:
            self.addItem(layer.name)
        self.blockSignals(False)
        kept = self._layer if self._layer in self._listed else None
        layer = kept or (self._listed[0] if self._listed else None)
        if layer is not None:
            self.setCurrentIndex(self._listed.index(layer))
        self._select(layer)

    def _on_activated(self, index: int) -> None:
        self._select(self._listed[index])

    def _select(self, layer: Image | None) -> None:
        if layer is not self._layer:
            self._layer = layer
            self.layer_changed.emit()
