"""What only the extra `batch` brings along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_selfdeblur.errors import ConfigError

__all__ = ["needs_batch"]


@contextmanager
def needs_batch(what: str) -> Iterator[None]:
    """Raise a `ConfigError` that says how to install what is imported inside."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f'{what} needs more packages ({error}); pip install "napari-selfdeblur[batch]"'
        ) from error
