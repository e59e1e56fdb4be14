"""Captures of Lai, Huang, Hu, Ahuja and Yang, CVPR 2016, in the layout of SelfDeblur's authors.

::

    DIR/uniform_ycbcr/manmade_01_kernel_01.png   captures: 5 categories x 5 images x 4 kernels
    DIR/ground_truth/manmade_01.png              sharp images
    DIR/kernels/kernel_01.png                    kernels, where there are any

The categories are manmade, natural, people, saturated and text. The authors' code reads
``uniform_ycbcr``, which holds the Y of YCbCr alone, in studio range as MATLAB's ``rgb2ycbcr``
returns it; where that folder is missing, the colour captures in ``uniform`` are taken. DIR may
be the folder of the captures itself, with ``ground_truth`` inside or beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_selfdeblur.benchmarks.cases import Case, choose
from napari_selfdeblur.errors import ImageError

__all__ = ["CATEGORIES", "KERNEL_SIZES", "find"]

CATEGORIES = ("manmade", "natural", "people", "saturated", "text")
KERNEL_SIZES = {1: 31, 2: 51, 3: 55, 4: 75}
"""The support that the authors give for each kernel."""

_CAPTURE = re.compile(rf"(({'|'.join(CATEGORIES)})_\d+)_(kernel_(\d+))\.png")
_CAPTURES, _TRUTHS, _KERNELS = ("uniform_ycbcr", "uniform"), "ground_truth", "kernels"


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
        Names (``manmade_01``, ``kernel_01``) or numbers (``1``: that of every category).

    Raises
    ------
    ImageError
        If there are no captures, or a chosen one or a truth is missing.
    """
    root = Path(folder)
    captures = next((root / name for name in _CAPTURES if (root / name).is_dir()), root)
    homes = dict.fromkeys((root, captures, captures.resolve().parent))
    truths = next((home / _TRUTHS for home in homes if (home / _TRUTHS).is_dir()), root / _TRUTHS)
    expected = "uniform_ycbcr/manmade_01_kernel_01.png and the like, with ground_truth/"
    return choose(_cases(captures, truths), root, expected, images, kernels)


def _cases(captures: Path, truths: Path) -> Iterator[Case]:
    for path in captures.glob("*.png"):
        match = _CAPTURE.fullmatch(path.name)
        if match is None:
            continue
        image, category, kernel, number = match[1], match[2], match[3], int(match[4])
        if number not in KERNEL_SIZES:
            raise ImageError(
                f"{path}: there is no kernel {number} in this data set; known are kernels "
                f"{min(KERNEL_SIZES)} to {max(KERNEL_SIZES)}"
            )
        true_kernel = truths.parent / _KERNELS / f"{kernel}.png"
        yield Case(
            dataset="lai",
            image=image,
            kernel=kernel,
            blurred=str(path),
            truth=str(truths / f"{image}.png"),
            true_kernel=str(true_kernel) if true_kernel.is_file() else None,
            kernel_size=KERNEL_SIZES[number],
            category=category,
        )
