"""What a panel says."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_selfdeblur._napari.theme import Colours


class Message(QLabel):
    """A text of several lines, in the colour of its kind: ``info``, ``warning`` or ``error``."""

    def __init__(self, colours: Colours) -> None:
        super().__init__()
        self._colours = colours
        self._kind = "info"
        self.setWordWrap(True)
        self.setMinimumWidth(1)  # a long name in it must not widen the panel
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def say(self, text: str, kind: str) -> None:
        """Show a text; nothing where it is empty."""
        self._kind = kind
        self.setText(text)
        self.setVisible(bool(text))
        self.recolour(self._colours)

    def recolour(self, colours: Colours) -> None:
        """Use the colours of another theme."""
        self._colours = colours
        self.setStyleSheet(f"color: {getattr(colours, self._kind)};")
