"""Test images: where the blurred image, the sharp one and the kernel of each are.

The folders are laid out as by SelfDeblur's authors. ``levin``, Levin, Weiss, Durand and Freeman,
CVPR 2009::

    DIR/im1_kernel1_img.png     blurred images: four images by eight kernels
    DIR/gt/im1.png              sharp images
    DIR/gt/kernel1.png          kernels; some are stored rotated by 180 degrees

``lai``, Lai, Huang, Hu, Ahuja and Yang, CVPR 2016::

    DIR/uniform_ycbcr/manmade_01_kernel_01.png   blurred images: 5 categories x 5 x 4 kernels
    DIR/ground_truth/manmade_01.png              sharp images
    DIR/kernels/kernel_01.png                    kernels, where there are any

``uniform_ycbcr`` holds the Y of YCbCr alone, in studio range as MATLAB's ``rgb2ycbcr`` returns it;
where that folder is missing, the colour images in ``uniform`` are taken. DIR may be the folder of
the blurred images itself, with ``ground_truth`` inside or beside it.

``microscopy`` has a layout of its own, fields by point spread functions::

    DIR/blurred/im0_k0.png      blurred images
    DIR/gt/im0.png              fields, themselves noisy
    DIR/gt/k0.png               kernels
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from napari_selfdeblur.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TestImage:
    """A blurred image and what is known of it.

    `dataset` is one of `DATASETS`, or ``synthetic`` for an image made on the spot, which has no
    paths; `kernel_size` is the support given to the method, in pixels; images of one `category`
    are averaged by themselves.
    """

    __test__ = False  # not a test, whatever pytest takes from the name

    dataset: str
    image: str
    kernel: str
    blurred: str = ""
    sharp: str = ""
    true_kernel: str | None = None
    kernel_size: int = 0
    category: str | None = None

    @property
    def label(self) -> str:
        """Image and kernel in one word."""
        return f"{self.image}_{self.kernel}"


class DataSet(NamedTuple):
    """How the files of a data set are named and where they are."""

    layout: str  # in words
    blurred: re.Pattern[str]  # names of blurred images
    folders: Callable[[Path], tuple[Path, Path, Path]]  # of blurred and sharp images and kernels
    kernel_sizes: dict[int, int]  # the support that the authors give for each kernel


def _levin(folder: Path) -> tuple[Path, Path, Path]:
    return folder, folder / "gt", folder / "gt"


def _lai(folder: Path) -> tuple[Path, Path, Path]:
    names = ("uniform_ycbcr", "uniform")
    blurred = next((folder / name for name in names if (folder / name).is_dir()), folder)
    homes = [home / "ground_truth" for home in (folder, blurred, blurred.resolve().parent)]
    sharp = next((home for home in homes if home.is_dir()), homes[0])
    return blurred, sharp, sharp.parent / "kernels"


def _microscopy(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "blurred", folder / "gt", folder / "gt"


DATASETS = {
    "levin": DataSet(
        "im1_kernel1_img.png and the like, with gt/im1.png and gt/kernel1.png",
        re.compile(r"(?P<image>im\d+)_(?P<kernel>kernel(?P<number>\d+))_img\.png"),
        _levin,
        {1: 17, 2: 15, 3: 13, 4: 27, 5: 11, 6: 19, 7: 21, 8: 21},  # the true: up to 2 pixels more
    ),
    "lai": DataSet(
        "uniform_ycbcr/manmade_01_kernel_01.png and the like, with ground_truth/",
        re.compile(
            r"(?P<image>(?P<category>manmade|natural|people|saturated|text)_\d+)"
            r"_(?P<kernel>kernel_(?P<number>\d+))\.png"
        ),
        _lai,
        {1: 31, 2: 51, 3: 55, 4: 75},
    ),
    "microscopy": DataSet(
        "blurred/im0_k0.png and the like, with gt/im0.png and gt/k0.png",
        re.compile(r"(?P<image>im\d+)_(?P<kernel>k(?P<number>\d+))\.png"),
        _microscopy,
        {0: 13, 1: 35, 2: 21, 3: 27},
    ),
}


def find(
    dataset: str,
    folder: Path,
    images: Sequence[str] | None = None,
    kernels: Sequence[str] | None = None,
) -> list[TestImage]:
    """Return the test images in `folder`, some chosen by name (``im1``) or number (``1``).

    Raises
    ------
    ImageError
        If the folder holds no blurred images, or a chosen one or its sharp image is missing.
    """
    found = _found_in(folder, dataset)
    if not found:
        layout = DATASETS[dataset].layout
        raise ImageError(f"{folder}: holds no blurred images; expected {layout}")
    for field, wanted in (("image", images), ("kernel", kernels)):
        names = list(dict.fromkeys(getattr(test, field) for test in found))
        for item in wanted or ():
            if not _chosen(names, [item]):
                raise ImageError(f"{folder}: has no {field} {item}; it has {', '.join(names)}")
        if wanted is not None:
            names = _chosen(names, wanted)
        found = [test for test in found if getattr(test, field) in names]
    for test in found:
        if not Path(test.sharp).is_file():
            raise ImageError(f"{test.sharp}: the sharp image of {test.label} is missing")
    return found


def _found_in(folder: Path, dataset: str) -> list[TestImage]:
    """Return every test image in `folder`, im2 before im10."""
    _, names, folders, sizes = DATASETS[dataset]
    blurred, sharp, kernels = folders(folder)
    found = []
    for path in blurred.glob("*.png"):
        if (match := names.fullmatch(path.name)) is None:
            continue
        named = match.groupdict()
        if (number := int(named.pop("number"))) not in sizes:
            raise ImageError(f"{path}: kernel {number} is not one of {min(sizes)} to {max(sizes)}")
        true_kernel = kernels / f"{named['kernel']}.png"
        test = TestImage(
            dataset=dataset,
            blurred=str(path),
            sharp=str(sharp / f"{named['image']}.png"),
            true_kernel=str(true_kernel) if true_kernel.is_file() else None,
            kernel_size=sizes[number],
            **named,
        )
        found.append(test)
    return sorted(found, key=lambda test: re.sub(r"\d+", lambda n: n[0].zfill(9), test.label))


def _chosen(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return the names that are wanted, or whose number at the end is."""
    numbers = {int(item) for item in wanted if item.isdigit()}
    ends = {name: re.search(r"\d+$", name) for name in names}
    return [n for n, end in ends.items() if n in wanted or (end and int(end.group()) in numbers)]
