"""Pixel sizes and their units in TIFF files, as OME, ImageJ, tifffile and plain TIFF keep them."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any
from warnings import warn
from xml.etree import ElementTree

import tifffile

from napari_selfdeblur.errors import DeblurWarning

__all__ = ["from_tiff", "normalised_unit", "steps_of_tiff", "tiff_options"]

_UM = ("um", "\N{MICRO SIGN}m", "\N{GREEK SMALL LETTER MU}m", "micron", "microns", "micrometer")
_SPELLINGS = dict.fromkeys((*_UM, "micrometers", "micrometre", "micrometres"), "um")
_NO_UNIT = {"", "pixel", "pixels", "px"}
_IN_CENTIMETRES = {"nm": 1e-7, "um": 1e-4, "mm": 0.1, "cm": 1.0, "m": 100.0}
_LARGEST_RATIONAL = 2.0**32  # of a TIFF tag; its inverse is the smallest
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}  # TIFF 6.0, tag 296; 1 is "none"

PixelSize = tuple[tuple[float, float] | None, str | None]


def normalised_unit(unit: str | None) -> str | None:
    """Return the short name of a unit: ``um`` for every spelling of it, None for pixels."""
    if unit is None:
        return None
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), unit)
    text = " ".join(text.split())  # a line break would begin another entry of ImageJ's
    return None if text.lower() in _NO_UNIT else _SPELLINGS.get(text, text)


def from_tiff(tif: tifffile.TiffFile) -> PixelSize:
    """Return ((row distance, column distance), unit) of the first image, (None, None) without.

    OME metadata come first, then ImageJ's, then tifffile's own, then the resolution tags. A size
    that is malformed, or not positive and finite, is ignored with a `DeblurWarning`.
    """
    try:
        sides, unit = _stored(tif)
    except Exception as error:  # whatever a hostile description leads to
        reason = str(error) or type(error).__name__
    else:
        if sides is None or all(0 < side < math.inf for side in sides):
            return sides, unit
        reason = f"{sides[0]} x {sides[1]}"
    warn(f"the pixel size is ignored, it is malformed: {reason:.200}", DeblurWarning, stacklevel=2)
    return None, None


def steps_of_tiff(tif: tifffile.TiffFile) -> dict[str, tuple[float, str | None]]:
    """Return (distance, unit) of the axes Z and T of the first image, those that are known."""
    if tif.ome_metadata is not None:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Pixels")
        own = {} if pixels is None else pixels.attrib
        steps: dict[str, tuple[Any, str | None]] = {
            "Z": (own.get("PhysicalSizeZ"), own.get("PhysicalSizeZUnit", "um")),
            "T": (own.get("TimeIncrement"), own.get("TimeIncrementUnit", "s")),
        }
    else:
        own = tif.imagej_metadata or {}
        unit = own.get("unit")
        steps = {"Z": (own.get("spacing"), unit), "T": (own.get("finterval"), "s")}
    found = {}
    for axis, (text, unit) in steps.items():
        with suppress(TypeError, ValueError):
            if 0 < (step := float(text)) < math.inf:
                found[axis] = (step, normalised_unit(unit))
    return found


def _stored(tif: tifffile.TiffFile) -> PixelSize:
    if tif.ome_metadata is not None:
        return _from_ome(tif.ome_metadata)
    own = (tif.shaped_metadata or ({},))[0]
    if "pixel_size" in own:
        row, column = own["pixel_size"]
        return (float(row), float(column)), normalised_unit(own.get("unit"))
    columns, rows = tif.pages.first.resolution  # pixels a unit; 0 where unknown
    size = (1 / rows, 1 / columns) if rows > 0 and columns > 0 else None
    if tif.imagej_metadata is not None:
        unit = normalised_unit(tif.imagej_metadata.get("unit"))
        return (None, None) if unit is None and size == (1.0, 1.0) else (size, unit)
    tag = tif.pages.first.tags.get("ResolutionUnit")
    unit = None if tag is None else _RESOLUTION_UNITS.get(int(tag.value))
    return (None, None) if unit is None or size is None else (size, unit)


def tiff_options(
    pixel_size: tuple[float, float] | None, unit: str | None, *, imagej: bool
) -> dict[str, Any]:
    """Return the arguments by which `tifffile.imwrite` stores a pixel size.

    ImageJ reads the resolution tags in the unit of its description; any other file gets
    standard tags in centimetres or inches where the unit allows, and the exact numbers beside.
    """
    if pixel_size is None:
        return {}
    row, column = pixel_size
    unit = normalised_unit(unit)
    exact = {"pixel_size": [row, column], "unit": unit}
    if imagej:
        if not _is_rational(1 / row, 1 / column):
            return {}
        escaped = "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in unit or "")
        metadata = {"unit": escaped} if escaped else {}
        return {"resolution": (1 / column, 1 / row), "resolutionunit": 1, "metadata": metadata}
    kind, factor = 1, 1.0
    if unit == "inch":
        kind = 2
    elif unit in _IN_CENTIMETRES:
        kind, factor = 3, _IN_CENTIMETRES[unit]
    resolution = (1 / (column * factor), 1 / (row * factor))
    if not _is_rational(*resolution):
        return {"metadata": exact}
    return {"resolution": resolution, "resolutionunit": kind, "metadata": exact}


def _is_rational(*values: float) -> bool:
    """Whether TIFF's tags can hold these values."""
    return all(1 / _LARGEST_RATIONAL < value < _LARGEST_RATIONAL for value in values)


def _from_ome(xml: str) -> PixelSize:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return None, None
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "YX"]
    units = {normalised_unit(pixels.get(f"PhysicalSize{axis}Unit", "um")) for axis in "YX"}
    if None in sizes or len(units) != 1:
        return None, None
    row, column = (float(size or 0) for size in sizes)
    return (row, column), units.pop()
