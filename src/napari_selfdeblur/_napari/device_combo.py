"""A choice among the devices of this machine."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox

__all__ = ["DeviceCombo"]


class DeviceCombo(QComboBox):
    """Offers ``auto``, and the machine's devices once `offer` has named them.

    Parameters
    ----------
    preferred : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``: chosen as soon as it is found.
    """

    def __init__(self, preferred: str) -> None:
        super().__init__()
        self._preferred = preferred
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self.addItem("auto", "auto")

    @property
    def name(self) -> str:
        """Name of the chosen device; the preferred one until it is known what there is."""
        return self._preferred if self.count() == 1 else str(self.currentData())

    def offer(self, devices: Iterable[tuple[str, str]]) -> None:
        """Offer these devices, (name, label) pairs with the best first, beside ``auto``."""
        offered = list(devices)
        self.clear()
        self.addItem(f"auto: {offered[0][1]}" if offered else "auto", "auto")
        for name, label in offered:
            self.addItem(label, name)
        for index in range(self.count()):
            self.setItemData(index, self.itemText(index), Qt.ItemDataRole.ToolTipRole)
        # A preference says 'cuda', the machine's first card is called 'cuda:0'.
        found = next((name for name, _ in offered if name.startswith(self._preferred)), "auto")
        self.setCurrentIndex(self.findData(found))
