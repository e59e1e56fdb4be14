"""`napari-selfdeblur info`: what is installed and what there is to choose."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata, util

from napari_selfdeblur import registry
from napari_selfdeblur._version import __version__
from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.presets import PRESETS, Preset
from napari_selfdeblur.registry import Entry
from napari_selfdeblur.run.record import software_versions

__all__ = ["info"]

_BINDINGS = ("PySide6", "PyQt6", "PyQt5", "PySide2")
_CHOICES: dict[str, Mapping[str, Preset | Entry]] = {
    "Presets": PRESETS,
    "Solvers": registry.SOLVERS,
    "Image networks": registry.IMAGE_GENERATORS,
    "Kernel networks": registry.KERNEL_GENERATORS,
    "Restorations": registry.RESTORATIONS,
}


def info(as_json: a.Json = False) -> None:
    """Print what is installed and what there is to choose."""
    from napari_selfdeblur.numerics.runtime import available_devices

    missing = "not installed; pip install 'napari-selfdeblur[all]'"
    bindings = [f"{name} {metadata.version(name)}" for name in _BINDINGS if util.find_spec(name)]
    software = {
        "napari": missing,
        **software_versions(),
        "Qt": ", ".join(bindings) or missing,
    }
    sections = {"Software": software, "Devices": dict(available_devices())}
    for title, entries in _CHOICES.items():
        sections[title] = {name: entry.title for name, entry in entries.items()}
    lines = [f"napari-selfdeblur {__version__}"]
    for title, names in sections.items():
        lines += ["", title, *(f"  {name:18} {text}" for name, text in names.items())]
    values = {title.lower().replace(" ", "_"): names for title, names in sections.items()}
    Terminal(as_json=as_json).result(lines, {"version": __version__, **values})
