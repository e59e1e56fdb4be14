"""From a napari image layer to an array, and from arrays back to two result layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_selfdeblur.errors import ImageError

__all__ = ["METADATA_KEY", "ResultLayers", "Source", "read_source"]

METADATA_KEY = "selfdeblur"
_KERNEL_COLORMAP = "inferno"
_MARGIN = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a run needs of an image layer, copied, so that the layer may change or go.

    Attributes
    ----------
    name : str
        The layer's name.
    image : ndarray, (H, W), (H, W, 3) or (H, W, 4)
        The layer's pixels at full resolution, in their own dtype.
    rgb : bool
        Whether the last axis is colour.
    placement : dict
        Scale, rotation, shear, translation, affine, units and axis labels: the keywords
        that put an image where the layer is.
    appearance : dict
        Colormap, and of a grey layer the contrast limits.
    """

    name: str
    image: NDArray[Any]
    rgb: bool
    placement: dict[str, Any]
    appearance: dict[str, Any]

    def beside(self) -> dict[str, Any]:
        """Return the placement of a layer to the right of this one, at the same pixel size."""
        height, width = self.image.shape[:2]
        to_world = Affine(
            scale=self.placement["scale"],
            rotate=self.placement["rotate"],
            shear=self.placement["shear"],
            translate=self.placement["translate"],
        )
        corner = (0.0, width + max(2.0, _MARGIN * max(height, width)))
        return {**self.placement, "translate": np.asarray(to_world(corner))}


def read_source(layer: Image) -> Source:
    """Copy what a run needs from `layer`; call it on the main thread.

    Raises
    ------
    ImageError
        If `layer` is no image or has more than two dimensions.
    """
    # Widgets are handed proxies of napari's objects, whose isinstance() answers all the same.
    if not isinstance(layer, Image):
        raise ImageError(f"{layer!r} is not an image layer; choose an image layer")
    if layer.ndim != 2:
        raise ImageError(
            f"layer '{layer.name}' has {layer.ndim} dimensions, an image of 2 is needed; "
            "split it with 'Split Stack' in the layer's context menu and choose one plane"
        )
    pixels = layer.data[0] if layer.multiscale else layer.data
    appearance: dict[str, Any] = {}
    if not layer.rgb:
        appearance["colormap"] = layer.colormap.name
        appearance["contrast_limits"] = tuple(layer.contrast_limits)
    return Source(
        name=layer.name,
        image=np.array(pixels),
        rgb=bool(layer.rgb),
        placement={
            "scale": np.array(layer.scale),
            "rotate": np.array(layer.rotate),
            "shear": np.array(layer.shear),
            "translate": np.array(layer.translate),
            "affine": np.array(layer.affine.affine_matrix),
            "units": tuple(layer.units),
            "axis_labels": tuple(layer.axis_labels),
        },
        appearance=appearance,
    )


class ResultLayers:
    """The layers ``NAME deblurred`` and ``NAME kernel`` of one run.

    A layer that the user deletes during the run is left alone until `finish`, which puts it back:
    a finished result is never lost.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers go.
    source : Source
        The image they come from.
    """

    def __init__(self, viewer: ViewerModel, source: Source) -> None:
        self._viewer = viewer
        self._source = source
        self.sharp: Image | None = None
        self.kernel: Image | None = None

    def show(self, sharp: NDArray[np.float32], kernel: NDArray[np.float32]) -> None:
        """Show an estimate: make the two layers the first time, then change them in place.

        Parameters
        ----------
        sharp : ndarray of float32
            In the source's shape and value range.
        kernel : ndarray of float32, (kh, kw)
            Its display runs from 0 to its largest value.
        """
        if self.sharp is None or self.kernel is None:
            self._add(sharp, kernel)
            return
        if self._present(self.sharp):
            self.sharp.data = sharp
        if self._present(self.kernel):
            self.kernel.data = kernel
            self.kernel.contrast_limits = _kernel_limits(kernel)

    def finish(
        self,
        sharp: NDArray[np.float32],
        kernel: NDArray[np.float32],
        metadata: dict[str, Any],
    ) -> tuple[Image, Image]:
        """Show the result with its record; put a layer that was deleted back. Return both."""
        if self.sharp is None or not self._present(self.sharp):
            self.sharp = None
        if self.kernel is None or not self._present(self.kernel):
            self.kernel = None
        if self.sharp is None or self.kernel is None:
            self._add(sharp, kernel)
        self.show(sharp, kernel)
        self.annotate(metadata)
        assert self.sharp is not None
        assert self.kernel is not None
        return self.sharp, self.kernel

    def annotate(self, metadata: dict[str, Any]) -> None:
        """Store `metadata` under ``layer.metadata["selfdeblur"]`` of the layers there are."""
        for layer in (self.sharp, self.kernel):
            if layer is not None:
                layer.metadata[METADATA_KEY] = metadata

    def _add(self, sharp: NDArray[np.float32], kernel: NDArray[np.float32]) -> None:
        """Add those of the two layers that are None, keeping the user's selection."""
        chosen = list(self._viewer.layers.selection)
        source = self._source
        if self.kernel is None:
            self.kernel = Image(
                kernel,
                name=f"{source.name} kernel",
                rgb=False,
                colormap=_KERNEL_COLORMAP,
                contrast_limits=_kernel_limits(kernel),
                interpolation2d="nearest",
                **source.beside(),
            )
            self._viewer.add_layer(self.kernel)
        if self.sharp is None:
            self.sharp = Image(
                sharp,
                name=f"{source.name} deblurred",
                rgb=source.rgb,
                **source.placement,
                **source.appearance,
            )
            self._viewer.add_layer(self.sharp)
        if chosen:
            self._viewer.layers.selection = set(chosen)

    def _present(self, layer: Image) -> bool:
        return layer in self._viewer.layers


def _kernel_limits(kernel: NDArray[np.float32]) -> tuple[float, float]:
    return 0.0, max(float(kernel.max()), float(np.finfo(np.float32).tiny))
