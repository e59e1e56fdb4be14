"""The samples under File > Open Sample, made when opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_selfdeblur.io import samples

if TYPE_CHECKING:
    from napari.types import LayerData

__all__ = ["blurred_microscopy_field", "motion_blurred_photograph"]


def motion_blurred_photograph() -> list[LayerData]:
    """Return a photograph blurred by a shaken camera, as napari layer data."""
    return [_layer(samples.motion_blurred_photograph())]


def blurred_microscopy_field() -> list[LayerData]:
    """Return a simulated fluorescence field blurred by a microscope's PSF, as layer data."""
    return [_layer(samples.blurred_microscopy_field())]


def _layer(sample: samples.Sample) -> LayerData:
    return (
        sample.blurred,
        {
            "name": sample.name,
            "scale": sample.scale,
            "units": (sample.unit, sample.unit),
            "axis_labels": ("y", "x"),
            "colormap": "gray",
        },
        "image",
    )
