"""`napari-selfdeblur info`: what is installed and what there is to choose."""

from __future__ import annotations

from importlib import metadata, util
from typing import Any

from napari_selfdeblur import registry
from napari_selfdeblur.cli import options as o
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.run.record import package_version, software_versions

__all__ = ["info"]

_BINDINGS = ("PySide6", "PyQt6", "PyQt5", "PySide2")


def info(as_json: o.Json = False) -> None:
    """Print what is installed and what there is to choose."""
    from napari_selfdeblur.numerics.runtime import available_devices

    versions = software_versions()
    bindings = [f"{name} {metadata.version(name)}" for name in _BINDINGS if util.find_spec(name)]
    choices = {
        "presets": list(PRESETS),
        "optimisers": list(registry.OPTIMISERS),
        "image generators": list(registry.IMAGE_GENERATORS),
        "kernel generators": list(registry.KERNEL_GENERATORS),
        "restorations": list(registry.RESTORATIONS),
    }
    devices = dict(available_devices())
    values: dict[str, Any] = {
        "napari-selfdeblur": package_version(),
        "versions": versions,
        "devices": devices,
        "napari": versions.get("napari"),
        "qt": bindings,
        **{name.replace(" ", "_"): known for name, known in choices.items()},
    }
    shown = versions | {
        "napari": versions.get("napari", "not installed; pip install 'napari-selfdeblur[all]'"),
        "Qt": ", ".join(bindings) or "not installed; pip install 'napari-selfdeblur[all]'",
    }
    lines = [f"napari-selfdeblur {package_version()}", "", "Software"]
    lines += [f"  {name:18} {version}" for name, version in shown.items()]
    lines += ["", "Devices"]
    lines += [f"  {name:18} {label}" for name, label in devices.items()]
    lines += ["", "Presets"]
    for name in PRESETS:
        config = SelfDeblurConfig.preset(name)
        what = f"{config.iterations} steps, {config.channels} channels, loss {config.loss}"
        if config.optimiser == "classical":
            what = f"{config.iterations} classical kernels, no networks"
        elif config.draft_first:
            what = f"the draft, then {what}"
        lines.append(f"  {name:18} {what}")
    lines += ["", "Choices"]
    lines += [
        f"  {name:18} {', '.join(known) or 'none'}"
        for name, known in choices.items()
        if name != "presets"
    ]
    Terminal(as_json=as_json).result(lines, values)
