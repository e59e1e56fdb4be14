"""The row of a panel in which a preset is chosen."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt

from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig
from napari_selfdeblur.presets import PRESETS

__all__ = ["PresetChoice", "values_of"]


class PresetChoice(ComboBox):
    """The presets by name, and while the settings are none's ``custom``."""

    def __init__(self) -> None:
        titles = [f"{name}: {preset.title}" for name, preset in PRESETS.items()]
        super().__init__(choices=list(PRESETS), label="Preset", tooltip="\n".join(titles))
        for index, title in enumerate(titles):
            self.native.setItemData(index, title, Qt.ItemDataRole.ToolTipRole)

    def show_name(self, name: str) -> None:
        """Show which preset the settings are, as no choice of the user's."""
        offered = (*PRESETS,) if name in PRESETS else (*PRESETS, name)
        with self.changed.blocked():
            if self.choices != offered:
                self.choices = offered
            self.value = name


def values_of(name: str) -> dict[str, Any]:
    """Return the settings that a preset is made of; none of ``custom``."""
    if name not in PRESETS:
        return {}
    config = SelfDeblurConfig.preset(name)
    return {field: getattr(config, field) for field in config.kinds().keys() - OUTSIDE_PRESETS}
