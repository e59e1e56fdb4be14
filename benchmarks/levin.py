"""Images of Levin, Weiss, Durand and Freeman, CVPR 2009, in the layout of SelfDeblur's authors.

::

    DIR/im1_kernel1_img.png     blurred images: four images by eight kernels
    DIR/gt/im1.png              sharp images
    DIR/gt/kernel1.png          kernels; some are stored rotated by 180 degrees
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.images import TestImage, kernel_size

KERNEL_SIZES = {1: 17, 2: 15, 3: 13, 4: 27, 5: 11, 6: 19, 7: 21, 8: 21}
"""The support that the authors give for each kernel; the true ones are up to 2 pixels larger."""

LAYOUT = "im1_kernel1_img.png and the like, with gt/im1.png and gt/kernel1.png"
_BLURRED = re.compile(r"(im\d+)_(kernel(\d+))_img\.png")


def found_in(folder: Path) -> Iterator[TestImage]:
    """Yield every blurred image in `folder`, in no order."""
    for path in folder.glob("*.png"):
        if (match := _BLURRED.fullmatch(path.name)) is None:
            continue
        true_kernel = folder / "gt" / f"{match[2]}.png"
        yield TestImage(
            dataset="levin",
            image=match[1],
            kernel=match[2],
            blurred=str(path),
            sharp=str(folder / "gt" / f"{match[1]}.png"),
            true_kernel=str(true_kernel) if true_kernel.is_file() else None,
            kernel_size=kernel_size(path, int(match[3]), KERNEL_SIZES),
        )
