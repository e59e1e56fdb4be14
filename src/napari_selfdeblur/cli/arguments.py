"""Arguments that commands share, and the inputs they name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_selfdeblur.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_selfdeblur.compare.ground_truth import GroundTruth
    from napari_selfdeblur.io.files import ImageFile


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
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and JSON if asked for.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a command works on.

    Attributes
    ----------
    source : ImageFile
        Blurred image, cropped to the region where one was asked for.
    origin : dict
        Its name and region, for the record.
    truth : GroundTruth or None
        Known sharp image of the same region, from the file `truth_name`.
    psnr : float or None
        PSNR in dB of the blurred image against it.
    """

    source: ImageFile
    origin: dict[str, Any]
    truth: GroundTruth | None = None
    truth_name: str = ""
    psnr: float | None = None

    def psnr_of(self, sharp: NDArray[np.float32]) -> tuple[float, float] | None:
        """Return the PSNR in dB before and after, None without a known sharp image."""
        if self.truth is None or self.psnr is None:
            return None
        return self.psnr, self.truth.psnr(sharp)


def read_inputs(image: Path, roi: str | None, truth: Path | None) -> Inputs:
    """Read an image, and the known sharp one where there is one, and crop both to the region.

    Raises
    ------
    ConfigError
        If `roi` is not a region of the image.
    ImageError
        If an image cannot be read, or the two cannot be compared.
    """
    from napari_selfdeblur.compare.ground_truth import GroundTruth
    from napari_selfdeblur.io.files import read_image

    source, origin = read_image(image), dict[str, Any](name=image.name)
    shape, region = source.array.shape, (slice(None), slice(None))
    if roi is not None:
        region = parse_roi(roi, shape)
        source = replace(source, array=source.array[region])
        origin["roi"] = [[part.start, part.stop] for part in region]
    if truth is None:
        return Inputs(source, origin)
    known = read_image(truth).array
    against = GroundTruth(known[region] if known.shape[:2] == shape[:2] else known, source.array)
    # Measured before the run: an image too small to be compared is refused while nothing is lost.
    return Inputs(source, origin, against, truth.name, against.psnr(source.array))


def parse_roi(text: str, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns meant by ``Y0:Y1,X0:X1``; an end left out is the image's.

    Raises
    ------
    ConfigError
        If the text is none, or the region is empty or not inside an image of `shape`.
    """
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
