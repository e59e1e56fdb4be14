"""Images of Lai, Huang, Hu, Ahuja and Yang, CVPR 2016, in the layout of SelfDeblur's authors.

::

    DIR/uniform_ycbcr/manmade_01_kernel_01.png   blurred images: 5 categories x 5 x 4 kernels
    DIR/ground_truth/manmade_01.png              sharp images
    DIR/kernels/kernel_01.png                    kernels, where there are any

The authors' code reads ``uniform_ycbcr``, which holds the Y of YCbCr alone, in studio range as
MATLAB's ``rgb2ycbcr`` returns it; where that folder is missing, the colour images in ``uniform``
are taken. DIR may be the folder of the blurred images itself, with ``ground_truth`` inside or
beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.images import TestImage, kernel_size

CATEGORIES = ("manmade", "natural", "people", "saturated", "text")
KERNEL_SIZES = {1: 31, 2: 51, 3: 55, 4: 75}
"""The support that the authors give for each kernel."""

LAYOUT = "uniform_ycbcr/manmade_01_kernel_01.png and the like, with ground_truth/"
_BLURRED = re.compile(rf"(({'|'.join(CATEGORIES)})_\d+)_(kernel_(\d+))\.png")
_FOLDERS = ("uniform_ycbcr", "uniform")


def found_in(folder: Path) -> Iterator[TestImage]:
    """Yield every blurred image in `folder`, in no order."""
    blurred = next((folder / name for name in _FOLDERS if (folder / name).is_dir()), folder)
    homes = [home / "ground_truth" for home in (folder, blurred, blurred.resolve().parent)]
    sharp = next((home for home in homes if home.is_dir()), homes[0])
    for path in blurred.glob("*.png"):
        if (match := _BLURRED.fullmatch(path.name)) is None:
            continue
        true_kernel = sharp.parent / "kernels" / f"{match[3]}.png"
        yield TestImage(
            dataset="lai",
            image=match[1],
            kernel=match[3],
            blurred=str(path),
            sharp=str(sharp / f"{match[1]}.png"),
            true_kernel=str(true_kernel) if true_kernel.is_file() else None,
            kernel_size=kernel_size(path, int(match[4]), KERNEL_SIZES),
            category=match[2],
        )
