"""Where a layer lies and how it is displayed, as keywords of another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine, CompositeAffine

_MARGIN = 0.04
_ALIGNED = ("scale", "rotate", "shear", "translate")
_PLACED = (*_ALIGNED, "affine", "units", "axis_labels")
SHARED = (*_PLACED, "blending", "opacity")
_SHOWN_3D = ("rendering", "iso_threshold", "attenuation", "depiction", "plane")
_SHOWN = ("gamma", "interpolation2d", "interpolation3d", "projection_mode", *_SHOWN_3D)
_SHOWN_GREY = ("colormap", "contrast_limits")


def look_of(layer: Image) -> dict[str, Any]:
    """Return keywords of `Image` that put another one where `layer` is, displayed alike."""
    _, state, _ = layer.as_layer_data_tuple()
    names = (*SHARED, *_SHOWN, *(() if layer.rgb else _SHOWN_GREY))
    return {name: state[name] for name in names}


def moved(look: dict[str, Any], corner: Sequence[float]) -> dict[str, Any]:
    """Return the keywords of a layer whose first pixel lies at `corner` of another, in pixels."""
    return {**look, "translate": Affine(**{name: look[name] for name in _ALIGNED})(corner)}


def refined(look: dict[str, Any], shape: tuple[int, int], other: tuple[int, int]) -> dict[str, Any]:
    """Return the keywords of a layer of `other` rows and columns that covers one of `shape`."""
    before = len(look["scale"]) - 2
    larger = np.divide(shape, other)
    # The corner is that of the first pixel, and a layer's place that of the pixel's centre.
    place = moved(look, (*(0.0,) * before, *(larger / 2 - 0.5)))
    return {**place, "scale": np.asarray(look["scale"]) * [*(1.0,) * before, *larger]}


def last_axes(look: dict[str, Any], ndim: int) -> dict[str, Any]:
    """Return the keywords of a layer for its last `ndim` axes alone."""
    whole = len(look["scale"])
    if ndim == whole:
        return look
    axes = list(range(whole - ndim, whole))
    aligned = {name: look[name] for name in _ALIGNED}
    placed = CompositeAffine(**aligned, ndim=whole).set_slice(axes)
    affine = Affine(affine_matrix=np.asarray(look["affine"])).set_slice(axes)
    named = {name: tuple(look[name])[-ndim:] for name in ("units", "axis_labels")}
    own = {name: getattr(placed, name) for name in _ALIGNED}
    return {**look, **own, **named, "affine": affine.affine_matrix}


def kernel_corner(height: int, width: int) -> tuple[float, float]:
    """Return where the kernel's layer begins, in pixels of the image that it lies beside."""
    return 0.0, width + max(2.0, _MARGIN * max(height, width))
