"""Addresses on the web. The repository's own stands in the package's metadata only."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from napari_selfdeblur._napari.preferences import PLUGIN

__all__ = ["PAPER", "page"]

PAPER = "https://arxiv.org/abs/1908.02197"


def page(name: str, path: str = "") -> str | None:
    """Return the project's page called `name` in the metadata, such as ``Documentation``.

    Parameters
    ----------
    name : str
        Key of the project's URLs.
    path : str
        What to add: a file below a folder on the page.

    Returns
    -------
    str or None
        None where the package is not installed or has no such page.
    """
    try:
        urls: list[Any] = metadata(PLUGIN).get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    for entry in urls:
        key, _, address = entry.partition(", ")
        if key == name:
            # On GitHub a folder is shown under 'tree', a file under 'blob'.
            return f"{address.replace('/tree/', '/blob/')}/{path}" if path else str(address)
    return None
