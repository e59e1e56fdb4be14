"""Test images: where the blurred image, the sharp one and the kernel of each are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from napari_selfdeblur.errors import ConfigError, ImageError

__all__ = ["DATASETS", "TestImage", "choose", "find", "kernel_size"]

DATASETS = ("levin", "lai")
"""Data sets; the module of that name has their `find`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestImage:
    """A blurred image and what is known of it.

    Attributes
    ----------
    dataset : str
        One of `DATASETS`, or ``synthetic`` for an image made on the spot.
    image, kernel : str
        Names, such as ``im1`` and ``kernel1``.
    blurred, sharp : str
        Paths of the blurred and the sharp image; empty where they are made on the spot.
    true_kernel : str or None
        Path of the kernel, None where there is none.
    kernel_size : int
        Support that is given to the method, in pixels.
    category : str or None
        Group of images that is averaged by itself.
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
    folder: str | Path,
    images: Sequence[str] | None = None,
    kernels: Sequence[str] | None = None,
) -> list[TestImage]:
    """Return the test images in `folder`, or those of some images and kernels.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.
    folder : path-like
        In the layout that the module of that name describes.
    images, kernels : sequence of str, optional
        Names (``im1``) or numbers (``1``); default: all.

    Raises
    ------
    ConfigError
        If there is no such data set.
    ImageError
        If the folder holds no blurred images, or a chosen one or its sharp image is missing.
    """
    if dataset not in DATASETS:
        raise ConfigError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r}")
    layout = import_module(f"benchmarks.{dataset}")
    root = Path(folder)
    return choose(layout.found_in(root), root, layout.LAYOUT, images, kernels)


def choose(
    present: Iterable[TestImage],
    folder: Path,
    layout: str,
    images: Sequence[str] | None,
    kernels: Sequence[str] | None,
) -> list[TestImage]:
    """Return those of `present` with these images and kernels, in order of number."""
    found = sorted(present, key=lambda test: (_natural(test.image), _natural(test.kernel)))
    if not found:
        raise ImageError(f"{folder}: holds no blurred images; expected {layout}")
    for field, wanted in (("image", images), ("kernel", kernels)):
        if wanted is None:
            continue
        names = list(dict.fromkeys(getattr(test, field) for test in found))
        for item in wanted:
            if not any(_is(name, item) for name in names):
                raise ImageError(f"{folder}: has no {field} {item}; it has {', '.join(names)}")
        found = [test for test in found if any(_is(getattr(test, field), w) for w in wanted)]
    if not found:
        raise ImageError(f"{folder}: has no blurred image of these images with these kernels")
    for test in found:
        if not Path(test.sharp).is_file():
            raise ImageError(f"{test.sharp}: the sharp image of {test.label} is missing")
    return found


def kernel_size(path: Path, number: int, sizes: Mapping[int, int]) -> int:
    """Return the kernel size that the data set's authors give for kernel `number`."""
    if number not in sizes:
        raise ImageError(
            f"{path}: there is no kernel {number} in this data set; known are kernels "
            f"{min(sizes)} to {max(sizes)}"
        )
    return sizes[number]


def _is(name: str, wanted: str) -> bool:
    """Whether `wanted` is the name, or the number at its end."""
    number = re.search(r"\d+$", name)
    same = wanted.isdigit() and number is not None and int(number.group()) == int(wanted)
    return name == wanted or same


def _natural(name: str) -> list[tuple[int, str]]:
    """Key that puts im2 before im10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
