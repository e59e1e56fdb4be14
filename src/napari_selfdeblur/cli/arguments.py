"""Arguments that commands share, and the inputs they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.files import ImageFile, read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_selfdeblur.compare.ground_truth import GroundTruth


class Dtype(StrEnum):
    """Data type of a written image."""

    FLOAT32 = "float32"
    INPUT = "input"


Image = Annotated[
    Path,
    typer.Argument(metavar="IMAGE", help="Blurred image: TIFF, PNG or JPEG; grey or colour."),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", file_okay=False, help="Folder for the results; made if needed."),
]
StoredDtype = Annotated[Dtype, typer.Option("--dtype", help="Data type of the written image.")]
Roi = Annotated[
    str | None,
    typer.Option(metavar="Y0:Y1,X0:X1", help="Work on these rows and columns alone."),
]
Truth = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Known sharp image: report the PSNR, up to shift."),
]
Axes = Annotated[
    str | None,
    typer.Option(
        metavar="LETTERS",
        help="Of a stack: a letter for each axis, such as TCYX; the file's own by default.",
    ),
]
Planes = Annotated[
    str | None,
    typer.Option(
        metavar="all|T=0:5,C=1",
        help="Of a stack: which planes, by indices along its axes.",
        show_default="all",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and JSON if asked for.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a command works on, cropped to the region where one was asked for."""

    source: ImageFile
    origin: dict[str, Any]  # name and region, for the record
    truth: GroundTruth | None = None
    truth_name: str = ""

    def psnr_of(self, sharp: NDArray[np.float32]) -> tuple[float, float] | None:
        """Return the PSNR in dB before and after, None without a known sharp image."""
        truth = self.truth
        return None if truth is None else (truth.psnr_blurred, truth.psnr(sharp))


def read_inputs(
    image: Path,
    roi: str | None,
    truth: Path | None,
    check: Callable[[tuple[int, int]], object],
) -> Inputs:
    """Read an image, and the known sharp one where there is one, and crop both to the region.

    `check` is called with the region's rows and columns before the pixels are read.
    """
    from napari_selfdeblur.compare.ground_truth import GroundTruth

    def check_region(shape: tuple[int, int]) -> None:
        with suppress(ConfigError):  # whether there is such a region is known once it is upright
            parts = parse_roi(roi or ":,:", shape)
            check((parts[0].stop - parts[0].start, parts[1].stop - parts[1].start))

    source, origin = read_image(image, check_region), dict[str, Any](name=image.name)
    shape, region = source.array.shape, (slice(None), slice(None))
    if roi is not None:
        region = parse_roi(roi, shape)
        source = replace(source, array=source.array[region])
        origin["roi"] = [[part.start, part.stop] for part in region]
    if truth is None:
        return Inputs(source, origin)
    known = read_image(truth).array
    against = GroundTruth(known[region] if known.shape[:2] == shape[:2] else known, source.array)
    return Inputs(source, origin, against, truth.name)


def parse_roi(text: str, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns meant by ``Y0:Y1,X0:X1``; an end left out is the image's."""
    match = re.fullmatch(r"(\d*):(\d*),(\d*):(\d*)", text.replace(" ", ""))
    if match is None:
        raise ConfigError(f"--roi is Y0:Y1,X0:X1 in pixels, got {text!r}; try 0:256,0:256")
    (top, bottom), (left, right) = (
        (int(match[2 * axis + 1] or 0), int(match[2 * axis + 2] or shape[axis])) for axis in (0, 1)
    )
    if not (top < bottom <= shape[0] and left < right <= shape[1]):
        raise ConfigError(
            f"--roi {text} is not a region of an image of {shape[0]} rows and {shape[1]} columns"
        )
    return slice(top, bottom), slice(left, right)


def command_line(context: typer.Context) -> str:
    """Return the command with its arguments, less folders: results are published, paths not."""
    words = context.command_path.split()
    for parameter in context.command.params:
        name = parameter.name or ""
        source, value = context.get_parameter_source(name), context.params.get(name)
        if source is None or source.name != "COMMANDLINE" or value is False:
            continue
        option = [parameter.opts[0]] if parameter.param_type_name == "option" else []
        for item in value if isinstance(value, list) else [value]:
            text = item.name if isinstance(item, Path) else str(item)
            words += [*option, *([] if item is True else [text])]
    return shlex.join(words)
