"""Options that the benchmark commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur.config import PRESETS
from napari_selfdeblur.errors import ConfigError

__all__ = [
    "Device",
    "Folder",
    "Images",
    "Jobs",
    "Kernels",
    "Output",
    "Preset",
    "Quiet",
    "Reference",
    "Restorations",
    "Seeds",
    "Set",
    "Snapshots",
    "Threads",
    "Trace",
    "names",
    "settings",
]

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The data set.")
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", dir_okay=False, help="Results file (JSON); grows if it exists."),
]
Images = Annotated[str | None, typer.Option(help="Names or numbers: im1,im2. All unless told.")]
Kernels = Annotated[str | None, typer.Option(help="Names or numbers: 1,2. All unless told.")]
Preset = Annotated[str, typer.Option(help=", ".join(PRESETS) + ".")]
Seeds = Annotated[str, typer.Option(help="Seeds, each a run of its own: 0,1,2.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Jobs = Annotated[int, typer.Option(help="Processes side by side.")]
Threads = Annotated[int | None, typer.Option(help="Threads of each process.")]
Trace = Annotated[int, typer.Option(help="Measure every so many steps; 0 for never.")]
Snapshots = Annotated[
    bool, typer.Option("--snapshots", help="With --trace: keep a few intermediate images.")
]
Restorations = Annotated[
    str | None,
    typer.Option(help="Restorations tried with the estimated kernel: a,b or none. All classical."),
]
Reference = Annotated[
    str, typer.Option(help="Known-kernel restoration behind the error ratios, or none.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def names(text: str | None) -> list[str] | None:
    """Return the parts of a list with commas; None for None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def settings(changes: Sequence[str] | None) -> dict[str, Any]:
    """Return what --set says, JSON values as such and everything else as text.

    Raises
    ------
    ConfigError
        If one is not FIELD=VALUE.
    """
    found: dict[str, Any] = {}
    for change in changes or ():
        field, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set is FIELD=VALUE, got {change!r}; try --set iterations=500")
        found[field.strip()] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None if text == "None" else text
