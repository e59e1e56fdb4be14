"""Test images: where the blurred image, the sharp one and the kernel of each are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from napari_selfdeblur.errors import ImageError

DATASETS = ("levin", "lai")
"""Data sets; the module of that name describes its layout and has `found_in` and `LAYOUT`."""


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
    layout = import_module(f"benchmarks.{dataset}")
    found: list[TestImage] = sorted(
        layout.found_in(folder), key=lambda test: (_natural(test.image), _natural(test.kernel))
    )
    if not found:
        raise ImageError(f"{folder}: holds no blurred images; expected {layout.LAYOUT}")
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


def kernel_size(path: Path, number: int, sizes: Mapping[int, int]) -> int:
    """Return the kernel size that the data set's authors give for kernel `number`."""
    if number not in sizes:
        raise ImageError(f"{path}: kernel {number} is not one of {min(sizes)} to {max(sizes)}")
    return sizes[number]


def _chosen(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return the names that are wanted, or whose number at the end is."""
    numbers = {int(item) for item in wanted if item.isdigit()}
    ends = {name: re.search(r"\d+$", name) for name in names}
    return [n for n, end in ends.items() if n in wanted or (end and int(end.group()) in numbers)]


def _natural(name: str) -> list[tuple[int, str]]:
    """Key that puts im2 before im10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
