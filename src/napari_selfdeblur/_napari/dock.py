"""The panels' docks: the commands of Layers > Filter that open them, and their titles."""

from __future__ import annotations

from typing import Any

from napari.viewer import Viewer
from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

from napari_selfdeblur._napari.plugin import PLUGIN


def open_deblur(viewer: Viewer) -> None:
    """Open or raise the panel for an unknown kernel, and choose the active layer in it."""
    _open(viewer, "SelfDeblur")


def open_restore(viewer: Viewer) -> None:
    """Open or raise the panel for a known kernel, and choose the active layer in it."""
    _open(viewer, "Restore with a known kernel")


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that holds `widget`, None without one."""
    parent = widget.parent()
    return parent if isinstance(parent, QDockWidget) else None


def keep_title(dock: QDockWidget, title: str) -> None:
    """Give the dock this title, also when napari makes its title bar anew.

    napari calls a dock "WIDGET (PLUGIN)", and finds it by that name, which stays.
    """

    def apply(_: Any = None) -> None:
        dock.setWindowTitle(title)
        # napari's title bar is a QLabel that shows the text in another one, its `title`.
        label = getattr(dock.titleBarWidget(), "title", None)
        if isinstance(label, QLabel):
            label.setText(title)

    apply()
    dock.topLevelChanged.connect(apply)
    dock.dockLocationChanged.connect(apply)


def _open(viewer: Viewer, name: str) -> None:
    # The plugin's display name is its package's: so every way to open a panel names the dock
    # alike, and napari finds the one that is open.
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    dock = dock_of(panel.native)
    assert dock is not None
    dock.show()
    dock.raise_()
    panel.image.choose_active()
