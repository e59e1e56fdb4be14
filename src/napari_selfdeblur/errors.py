"""Everything this package raises on purpose.

None of these is a ``RuntimeError``: napari's generator workers swallow those, and a panel's run
would never end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_selfdeblur.run.result import DeblurResult
    from napari_selfdeblur.run.stack_record import StackResult

__all__ = [
    "ConfigError",
    "DeblurError",
    "DeblurWarning",
    "DeviceError",
    "DivergedError",
    "FileError",
    "ImageError",
    "OutOfMemoryError",
]


class DeblurError(Exception):
    """Base of every error this package raises on purpose; its message says what to do next.

    Attributes
    ----------
    result : DeblurResult or StackResult or None
        What a run that failed had reached: its best estimate and its record.
    """

    result: DeblurResult | StackResult | None = None


class ConfigError(DeblurError, ValueError):
    """A setting is outside its range; the message names field, value, rule and a good value.

    Attributes
    ----------
    field : str or None
        Name of the setting, None where no single one is at fault.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ImageError(DeblurError, ValueError):
    """An image or kernel cannot be processed as it is."""


class FileError(DeblurError, OSError):
    """A file cannot be written; the message names it, the reason and what to do."""


class DeviceError(DeblurError):
    """The chosen device or precision is not available on this machine."""


class OutOfMemoryError(DeblurError):
    """The device ran out of memory; the message names image size, estimated need and remedies."""


class DivergedError(DeblurError):
    """The loss became infinite or NaN."""


class DeblurWarning(UserWarning):
    """Something beside the result went wrong; the result is as good as without it."""
