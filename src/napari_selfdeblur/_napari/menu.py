"""The command of Layers > Filter."""

from __future__ import annotations

from napari.viewer import Viewer

from napari_selfdeblur._napari.preferences import PLUGIN

__all__ = ["open_with_active_layer"]


def open_with_active_layer(viewer: Viewer) -> None:
    """Open the dock widget, or find it, and choose the active layer in it."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SelfDeblur")
    dock = widget.parent()
    dock.show()
    dock.raise_()
    widget.choose_active_layer()
