"""magicgui's choice of an image layer, kept up to date with a viewer."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from napari.components import ViewerModel
from napari.layers import Image
from psygnal import Signal

_EVENTS = ("inserted", "removed", "reordered", "renamed")
_EDITS = ("data", "set_data", "axis_labels")


class LayerChoice:
    """Lists the viewer's image layers, the topmost first; the choice survives every change.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose layers are listed.
    label, tooltip : str
        What the layer is for.

    Attributes
    ----------
    widget : ComboBox
        The magicgui widget.
    layer : Image or None
        The chosen layer, None where the viewer has no image.
    changed : psygnal.Signal
        Emitted when another layer is chosen, by the user or by the program.
    edited : psygnal.Signal
        Emitted when the pixels or the axis labels of the chosen layer change.
    """

    changed = Signal()
    edited = Signal()

    def __init__(self, viewer: ViewerModel, label: str, tooltip: str) -> None:
        self._viewer = viewer
        self.widget = ComboBox(choices=self._images, label=label, tooltip=tooltip)
        self.layer: Image | None = None
        self._take(self.widget.value)
        self.widget.changed.connect(self._on_changed)
        for name in _EVENTS:
            getattr(viewer.layers.events, name).connect(self._refresh)
        self.choose_active()

    def choose(self, layer: Any) -> None:
        """Choose `layer` if it is on the list."""
        for known in self._images():
            if known == layer:
                self.widget.value = known

    def choose_active(self) -> None:
        """Choose the viewer's active layer if it is on the list."""
        self.choose(self._viewer.layers.selection.active)

    def release(self) -> None:
        """Follow the viewer no more; for a widget that Qt has deleted."""
        for name in _EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self._refresh)
        self._take(None)

    def _refresh(self, _: Any) -> None:
        with self.widget.changed.blocked():
            self.widget.native.clear()  # magicgui adds new choices below, whatever their order
            self.widget.reset_choices()
            if self.layer in self.widget.choices:
                self.widget.value = self.layer
        self._on_changed()

    def _images(self, _: Any = None) -> list[Image]:
        # Iteration, unlike indexing, gives the layers themselves and not proxies of them.
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)][::-1]

    def _on_changed(self, _: Any = None) -> None:
        if self.widget.value is not self.layer:
            self._take(self.widget.value)
            self.changed.emit()

    def _take(self, layer: Image | None) -> None:
        """Follow the edits of `layer`, and no longer those of the one before."""
        if self.layer is not None:
            for name in _EDITS:
                getattr(self.layer.events, name).disconnect(self._on_edited)
        self.layer = layer
        if layer is not None:
            for name in _EDITS:
                getattr(layer.events, name).connect(self._on_edited)

    def _on_edited(self, _: Any) -> None:
        self.edited.emit()
