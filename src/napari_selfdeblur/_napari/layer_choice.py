"""magicgui's choice of an image layer, kept up to date with a viewer."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, create_widget
from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import Signal

__all__ = ["LayerChoice"]

_EVENTS = ("inserted", "removed", "reordered", "renamed")


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
    changed : psygnal.Signal
        Emitted when another layer is chosen, by whom- or whatever.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, label: str, tooltip: str) -> None:
        self._viewer = viewer
        self._layer: Layer | None = None
        self._events = [getattr(viewer.layers.events, name) for name in _EVENTS]
        widget = create_widget(annotation=Image, label=label, options={"choices": self._images})
        assert isinstance(widget, ComboBox)
        widget.tooltip = tooltip
        self.widget = widget
        widget.changed.connect(self._on_changed)
        for event in self._events:
            event.connect(self.refresh)
        self._layer = widget.value
        self.choose(viewer.layers.selection.active)

    @property
    def layer(self) -> Image | None:
        """The chosen layer, None where the viewer has no image."""
        return self._layer

    def choose(self, layer: Any) -> bool:
        """Choose `layer`; return whether it is on the list."""
        known = next((each for each in self._images() if each is layer or each == layer), None)
        if known is not None:
            self.widget.value = known
        return known is not None

    def choose_active(self) -> bool:
        """Choose the viewer's active layer; return whether it is on the list."""
        return self.choose(self._viewer.layers.selection.active)

    def refresh(self, event: Any = None) -> None:
        """List the layers there are, keeping the choice."""
        kept = self._layer
        with self.widget.changed.blocked():
            self.widget.native.clear()  # magicgui adds new choices below, whatever their order
            self.widget.reset_choices()
            if kept is not None and kept in self.widget.choices:
                self.widget.value = kept
        self._on_changed()

    def release(self) -> None:
        """Follow the viewer no more; for a widget that Qt has deleted."""
        for event in self._events:
            event.disconnect(self.refresh)

    def _images(self, _: Any = None) -> list[Image]:
        # Iteration, unlike indexing, gives the layers themselves and not proxies of them.
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)][::-1]

    def _on_changed(self, _: Any = None) -> None:
        layer = self.widget.value
        if layer is not self._layer:
            self._layer = layer
            self.changed.emit()
