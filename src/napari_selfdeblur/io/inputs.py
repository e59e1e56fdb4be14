"""Names that a user gives for many images: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_selfdeblur.io.zarr_source import is_zarr

__all__ = ["SUFFIXES", "expanded", "lies_in", "stem_of", "unique_names"]

SUFFIXES = (
    ".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"
)  # fmt: skip
"""Of files that are taken for images in folders and dialogs; a file that is named may have any."""


def expanded(
    names: Iterable[str | os.PathLike[str]], output: Path, *, recursive: bool = False
) -> list[Path]:
    """Return the images meant by files, folders, OME-Zarr folders and patterns, each once.

    Parameters
    ----------
    names : iterable of path-like
        A name that does not exist is a pattern with ``*``, ``?``, ``[...]`` or ``**`` where it
        has one of them. What matches nothing is returned as it is, to be named as missing.
    output : Path
        Where results are written. What lies there is left out of a folder or pattern that has
        other images too.
    recursive : bool
        Whether folders in folders are searched too.

    Returns
    -------
    list of Path
        In the order given; those of a folder or pattern sorted by name.
    """
    found: dict[Path, Path] = {}
    for name in names:
        matches = list(_matches(Path(name), recursive))
        for path in [each for each in matches if not lies_in(each, output)] or matches:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it."""
    return path.resolve().is_relative_to(folder.resolve())


def stem_of(path: Path) -> str:
    """Return the name of an image less its ending: ``a`` of ``a.ome.tif``."""
    stem = path.name if path.is_dir() and not path.suffix else path.stem
    return stem.removesuffix(".ome") or stem


def unique_names(stems: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return a name for each stem: ``a``, and for a second one ``a-2``, whatever their case."""
    used, names = {each.casefold() for each in taken}, []
    for stem in stems:
        name, number = stem, 2
        while name.casefold() in used:
            name, number = f"{stem}-{number}", number + 1
        used.add(name.casefold())
        names.append(name)
    return names


def _matches(path: Path, recursive: bool) -> Iterator[Path]:
    if path.is_dir() and not is_zarr(path):
        yield from sorted(_images_in(path, recursive)) or [path]
    elif not path.exists() and glob.has_magic(str(path)):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        for match in matches:
            yield from _matches(match, recursive)
        if not matches:
            yield path
    else:
        yield path


def _images_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if is_zarr(path):
                yield path
            elif recursive:
                yield from _images_in(path, recursive)
        elif path.suffix.lower() in SUFFIXES:
            yield path
