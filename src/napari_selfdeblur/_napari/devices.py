"""The machine's devices, found in the background: asking for them loads torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FoundDevices", "find_devices"]


@dataclass(frozen=True, slots=True)
class FoundDevices:
    """Devices and their labels, best first, or why there are none.

    Attributes
    ----------
    devices : tuple of (str, str)
        Name, as in a configuration, and label.
    problem : str or None
        Why torch cannot be loaded.
    """

    devices: tuple[tuple[str, str], ...] = ()
    problem: str | None = None


def find_devices() -> FoundDevices:
    """Return what runs can be computed on; takes seconds the first time."""
    try:
        from napari_selfdeblur.numerics.runtime import available_devices
    except (ImportError, OSError) as error:
        return FoundDevices(
            problem=f"PyTorch cannot be loaded ({error}); install it anew, see pytorch.org"
        )
    return FoundDevices(tuple(available_devices()))
