"""Captures of Levin, Weiss, Durand and Freeman, CVPR 2009, in the layout of SelfDeblur's authors.

::

    DIR/im1_kernel1_img.png     captures, four images by eight kernels
    DIR/gt/im1.png              sharp images
    DIR/gt/kernel1.png          kernels; some are stored rotated by 180 degrees
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_selfdeblur.benchmarks.cases import Case, choose
from napari_selfdeblur.errors import ImageError

__all__ = ["KERNEL_SIZES", "find"]

KERNEL_SIZES = {1: 17, 2: 15, 3: 13, 4: 27, 5: 11, 6: 19, 7: 21, 8: 21}
"""The support that the authors give for each kernel; the true ones are up to 2 pixels larger."""

_CAPTURE = re.compile(r"(im\d+)_(kernel(\d+))_img\.png")


def find(
    folder: str | os.PathLike[str],
    images: Sequence[str] | None = None,
    kernels: Sequence[str] | None = None,
) -> list[Case]:
    """Return the captures in `folder`, or those of some images and kernels.

    Parameters
    ----------
    folder : path-like
        In the layout above.
    images, kernels : sequence of str, optional
        Names (``im1``, ``kernel1``) or numbers (``1``).

    Raises
    ------
    ImageError
        If there are no captures, or a chosen one or a truth is missing.
    """
    expected = "im1_kernel1_img.png and the like, with gt/im1.png and gt/kernel1.png"
    return choose(_cases(Path(folder)), Path(folder), expected, images, kernels)


def _cases(folder: Path) -> Iterator[Case]:
    for path in folder.glob("*.png"):
        match = _CAPTURE.fullmatch(path.name)
        if match is None:
            continue
        image, kernel, number = match[1], match[2], int(match[3])
        if number not in KERNEL_SIZES:
            raise ImageError(
                f"{path}: there is no kernel {number} in this data set; known are kernels "
                f"{min(KERNEL_SIZES)} to {max(KERNEL_SIZES)}"
            )
        true_kernel = folder / "gt" / f"{kernel}.png"
        yield Case(
            dataset="levin",
            image=image,
            kernel=kernel,
            blurred=str(path),
            truth=str(folder / "gt" / f"{image}.png"),
            true_kernel=str(true_kernel) if true_kernel.is_file() else None,
            kernel_size=KERNEL_SIZES[number],
        )
