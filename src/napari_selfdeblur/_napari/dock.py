"""What napari's dock does not do by itself: a title of one's own."""

from __future__ import annotations

from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

__all__ = ["dock_of", "keep_title"]


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that holds `widget`, None without one."""
    parent = widget.parent()
    return parent if isinstance(parent, QDockWidget) else None


def keep_title(dock: QDockWidget, title: str) -> None:
    """Give the dock this title, also when napari makes its title bar anew.

    napari calls a dock "WIDGET (PLUGIN)", and finds it by that name, which stays.
    """

    def apply() -> None:
        dock.setWindowTitle(title)
        # napari's title bar is a QLabel that shows the text in another one, its `title`.
        label = getattr(dock.titleBarWidget(), "title", None)
        if isinstance(label, QLabel):
            label.setText(title)

    apply()
    dock.topLevelChanged.connect(lambda _: apply())
    dock.dockLocationChanged.connect(lambda _: apply())
