"""One capture of a data set: where it, its truth and its kernel are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_selfdeblur.errors import ImageError

__all__ = ["Case", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A blurred capture with a known truth.

    Attributes
    ----------
    dataset : str
        ``levin`` or ``lai``.
    image, kernel : str
        Names, such as ``im1`` and ``kernel1``.
    blurred, truth : str
        Paths of the capture and the sharp image.
    true_kernel : str or None
        Path of the kernel, None where the folder has none.
    kernel_size : int
        Support that is given to the method, in pixels.
    category : str or None
        Group of images that is averaged by itself.
    """

    dataset: str
    image: str
    kernel: str
    blurred: str
    truth: str
    true_kernel: str | None
    kernel_size: int
    category: str | None = None

    @property
    def label(self) -> str:
        """Image and kernel in one word."""
        return f"{self.image}_{self.kernel}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def choose(
    cases: Iterable[Case],
    folder: Path,
    expected: str,
    images: Sequence[str] | None = None,
    kernels: Sequence[str] | None = None,
) -> list[Case]:
    """Return the cases with the given images and kernels, in order of number.

    Parameters
    ----------
    cases : iterable of Case
        What `folder` holds.
    folder : Path
        Named in the error.
    expected : str
        The layout, named in the error.
    images, kernels : sequence of str, optional
        Names (``im1``, ``kernel1``) or numbers (``1``); all unless told.

    Raises
    ------
    ImageError
        If there are no cases, a chosen one is missing, or a truth is.
    """
    found = sorted(cases, key=lambda case: (_natural(case.image), _natural(case.kernel)))
    if not found:
        raise ImageError(f"{folder}: holds no captures; expected {expected}")
    for field, wanted in (("image", images), ("kernel", kernels)):
        if wanted is None:
            continue
        names = list(dict.fromkeys(getattr(case, field) for case in found))
        for item in wanted:
            if not any(_is(name, item) for name in names):
                raise ImageError(f"{folder}: has no {field} {item}; it has {', '.join(names)}")
        found = [case for case in found if any(_is(getattr(case, field), item) for item in wanted)]
    if not found:
        raise ImageError(f"{folder}: has no capture of these images with these kernels")
    for case in found:
        if not Path(case.truth).is_file():
            raise ImageError(f"{case.truth}: the truth of {case.label} is missing")
    return found


def _is(name: str, wanted: str) -> bool:
    """Whether `wanted` is the name, or the number at the end of it."""
    if name == wanted:
        return True
    number = re.search(r"\d+$", name)
    return wanted.isdigit() and number is not None and int(number.group()) == int(wanted)


def _natural(name: str) -> list[tuple[int, str]]:
    """Key that puts im2 before im10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
