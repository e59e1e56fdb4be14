"""Everything this package raises on purpose.

None of these is a ``RuntimeError``: napari's generator workers swallow those, and
the widget would wait for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_selfdeblur.numerics.progress import Estimate

__all__ = [
    "ConfigError",
    "DeblurError",
    "DeviceError",
    "DivergedError",
    "ImageError",
    "OutOfMemoryError",
]


class DeblurError(Exception):
    """Base of every error this package raises on purpose; its message says what to do next."""


class ConfigError(DeblurError, ValueError):
    """A setting is outside its range; the message names field, value, rule and a good value."""


class ImageError(DeblurError, ValueError):
    """An image or kernel cannot be processed as it is."""


class DeviceError(DeblurError):
    """The chosen device or precision is not available on this machine."""


class OutOfMemoryError(DeblurError):
    """The device ran out of memory; the message names image size, estimated need and remedies."""


class DivergedError(DeblurError):
    """The loss became infinite or NaN.

    Attributes
    ----------
    estimate : Estimate or None
        The last estimate with a finite loss, None when the first step already failed.
    """

    def __init__(self, message: str, estimate: Estimate | None = None) -> None:
        super().__init__(message)
        self.estimate = estimate
