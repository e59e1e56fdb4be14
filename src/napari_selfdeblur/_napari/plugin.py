"""What this plugin's registration holds: the user's preferences, and its addresses on the web."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from napari_selfdeblur.config import DEVICE
from napari_selfdeblur.presets import PRESETS

PLUGIN = "napari-selfdeblur"
PAPER = "https://arxiv.org/abs/1908.02197"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a new panel starts with: preset, device, seconds between two updates of the layers."""

    preset: str = "fast"
    device: str = "auto"
    preview_seconds: float = 0.5


def read_preferences() -> Preferences:
    """Return the choices on the plugin's page of napari's Preferences, or the defaults."""
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


def guide(section: str) -> str | None:
    """Return the address of a section of the user guide, None where it is not installed."""
    try:
        urls: list[Any] = metadata(PLUGIN).get_all("Project-URL") or []
    except PackageNotFoundError:  # a source tree
        return None
    folder = dict(entry.split(", ", 1) for entry in urls).get("Documentation")
    # GitHub shows a folder under 'tree' and a file under 'blob'.
    return folder and f"{folder.replace('/tree/', '/blob/')}/user-guide.md#{section}"
