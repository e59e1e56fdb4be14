"""Options that commands share, and what their text means."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur import config

__all__ = [
    "Device",
    "Dtype",
    "Image",
    "Json",
    "Output",
    "Quiet",
    "Roi",
    "Seed",
    "StoredDtype",
    "Truth",
    "kernel_size",
    "names",
    "parse_roi",
    "tv_weight",
]


class Dtype(StrEnum):
    """Data type of a written image."""

    FLOAT32 = "float32"
    INPUT = "input"


def names(known: dict[str, Any] | tuple[str, ...]) -> str:
    """Return the choices for a help text."""
    return ", ".join(known) or "none in this version"


Image = Annotated[
    Path,
    typer.Argument(metavar="IMAGE", help="Blurred image: TIFF, PNG or JPEG; grey or colour."),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", file_okay=False, help="Folder for the results; made if needed."),
]
Device = Annotated[str, typer.Option(help=f"{names(config.DEVICES)} or cuda:N.")]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]
StoredDtype = Annotated[Dtype, typer.Option("--dtype", help="Data type of the written image.")]
Roi = Annotated[
    str | None,
    typer.Option(metavar="Y0:Y1,X0:X1", help="Work on these rows and columns alone."),
]
Truth = Annotated[
    Path | None, typer.Option(help="Known sharp image: report the PSNR, up to shift, against it.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and JSON if asked for.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def kernel_size(text: str) -> int | tuple[int, int] | str:
    """Return the size meant by ``21`` or ``21x17`` (rows x columns); other text as it is."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    if match is None:
        return text
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def tv_weight(text: str) -> float | str:
    """Return the number meant by `text`; other text as it is."""
    try:
        return float(text)
    except ValueError:
        return text


def parse_roi(text: str, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns meant by ``Y0:Y1,X0:X1``; an end left out is the image's.

    Raises
    ------
    typer.BadParameter
        If the text is none, or the region is empty or not inside an image of `shape`.
    """
    match = re.fullmatch(r"(\d*):(\d*),(\d*):(\d*)", text.replace(" ", ""))
    if match is None:
        raise typer.BadParameter(f"--roi is Y0:Y1,X0:X1 in pixels, got {text!r}; try 0:256,0:256")
    (top, bottom), (left, right) = (
        (int(match[2 * axis + 1] or 0), int(match[2 * axis + 2] or shape[axis])) for axis in (0, 1)
    )
    if not (top < bottom <= shape[0] and left < right <= shape[1]):
        raise typer.BadParameter(
            f"--roi {text} is not a region of an image of {shape[0]} rows and {shape[1]} columns"
        )
    return slice(top, bottom), slice(left, right)
