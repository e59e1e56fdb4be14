"""Addresses on the web. The repository's own stands in the package's metadata only."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from napari_selfdeblur._napari.preferences import PLUGIN

__all__ = ["PAPER", "guide"]

PAPER = "https://arxiv.org/abs/1908.02197"
_GUIDE = "user-guide.md"


def guide(section: str) -> str | None:
    """Return the address of a section of the user guide.

    Parameters
    ----------
    section : str
        Anchor of the section's heading.

    Returns
    -------
    str or None
        None where the package is not installed, as in a source tree.
    """
    try:
        urls: list[Any] = metadata(PLUGIN).get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = dict(entry.split(", ", 1) for entry in urls)
    folder = named.get("Documentation")
    if folder is None:
        return None
    # GitHub shows a folder under 'tree' and a file under 'blob'.
    return f"{folder.replace('/tree/', '/blob/')}/{_GUIDE}#{section}"
