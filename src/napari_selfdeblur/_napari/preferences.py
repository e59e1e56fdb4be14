"""The user's defaults, from the page of this plugin in napari's Preferences."""

from __future__ import annotations

from dataclasses import dataclass

from napari_selfdeblur.config import DEVICE
from napari_selfdeblur.presets import PRESETS

__all__ = ["Preferences", "read_preferences"]

PLUGIN = "napari-selfdeblur"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a new widget starts from.

    Attributes
    ----------
    preset : str
        Name of a preset.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    preview_seconds : float
        Seconds between two updates of the layers.
    """

    preset: str = "fast"
    device: str = "auto"
    preview_seconds: float = 0.5


def read_preferences() -> Preferences:
    """Return the user's preferences, or the defaults where napari has none to give."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return Preferences()
    try:
        chosen = get_plugin_settings(PLUGIN).defaults
    except KeyError:  # the package is imported but not installed as a plugin
        return Preferences()
    known = Preferences()
    return Preferences(
        preset=chosen.preset if chosen.preset in PRESETS else known.preset,
        device=chosen.device if chosen.device in DEVICE.choices else known.device,
        preview_seconds=float(chosen.preview_seconds),
    )
