"""The commands of Layers > Filter, which are also those of the command palette."""

from __future__ import annotations

from typing import Any

from napari.viewer import Viewer

from napari_selfdeblur._napari.dock import dock_of
from napari_selfdeblur._napari.preferences import PLUGIN

__all__ = ["open_deblur", "open_restore"]


def open_deblur(viewer: Viewer) -> None:
    """Open the panel for an unknown kernel, or raise it, and choose the active layer in it."""
    _open(viewer, "SelfDeblur").choose_active_layer()


def open_restore(viewer: Viewer) -> None:
    """Open the panel for a known kernel, or raise it, and choose the active layer in it."""
    _open(viewer, "Restore with a known kernel").choose_active_layer()


def _open(viewer: Viewer, name: str) -> Any:
    # The plugin's display name is its package's: so every way to open a panel names the dock
    # alike, and napari finds the one that is open.
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    dock = dock_of(panel.native)
    assert dock is not None
    dock.show()
    dock.raise_()
    return panel
