"""From a napari image layer to an array, and from arrays back to result layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.images import cast_like

METADATA_KEY = "selfdeblur"
PART_KEY = "selfdeblur_part"
_KERNEL_COLORMAP = "inferno"
_MARGIN = 0.04
_ALIGNED = ("scale", "rotate", "shear", "translate")
_PLACED = (*_ALIGNED, "affine", "units", "axis_labels")
_SHARED = (*_PLACED, "blending", "opacity")
_SHOWN = ("gamma", "interpolation2d", "interpolation3d")
_SHOWN_GREY = ("colormap", "contrast_limits")


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
    look : dict
        Keywords of `Image` that put another one where the layer is, displayed alike.
    """

    name: str
    image: NDArray[Any]
    rgb: bool
    look: dict[str, Any]

    def kernel_look(self) -> dict[str, Any]:
        """Return keywords of `Image` for the kernel: to the right, at the same pixel size."""
        corner = kernel_corner(*self.image.shape[:2])
        beside = Affine(**{name: self.look[name] for name in _ALIGNED})(corner)
        return {**{name: self.look[name] for name in _SHARED}, "translate": beside}

    def as_shown(self, sharp: NDArray[np.float32]) -> NDArray[Any]:
        """Return a result as its layer holds it: colour in the source's dtype, grey as float32.

        napari displays colour by the dtype's range; a grey layer has contrast limits.
        """
        return cast_like(sharp, self.image.dtype) if self.rgb else sharp


def kernel_corner(height: int, width: int) -> tuple[float, float]:
    """Return where the kernel's layer begins, in pixels of the image that it lies beside."""
    return 0.0, width + max(2.0, _MARGIN * max(height, width))


def kernel_display(kernel: NDArray[np.float32]) -> dict[str, Any]:
    """Return keywords of `Image` by which a kernel is displayed, from 0 to its largest value."""
    return {
        "colormap": _KERNEL_COLORMAP,
        "contrast_limits": _kernel_limits(kernel),
        "interpolation2d": "nearest",
    }


def refuse_stack(layer: Image) -> None:
    """Raise `ImageError`, which says how to get at one plane, unless `layer` is a 2-D image."""
    # Widgets are handed proxies of napari's objects, whose isinstance() answers all the same.
    if not isinstance(layer, Image):
        raise ImageError(f"a {type(layer).__name__} is not an image layer; choose an image layer")
    if layer.ndim != 2:
        raise ImageError(
            f"layer '{layer.name}' has {layer.ndim} dimensions, an image of 2 is needed; "
            "split it with 'Split Stack' in the layer's context menu and choose one plane"
        )


def full_resolution(layer: Image) -> Any:
    """Return the pixels of a layer, of a pyramid those of the finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def read_source(layer: Image) -> Source:
    """Copy what a run needs from `layer`; call it on the main thread.

    Raises
    ------
    ImageError
        If `layer` is no image or has more than two dimensions.
    """
    refuse_stack(layer)
    _, state, _ = layer.as_layer_data_tuple()
    names = (*_SHARED, *_SHOWN, *(() if layer.rgb else _SHOWN_GREY))
    look = {name: state[name] for name in names}
    return Source(layer.name, np.array(full_resolution(layer)), bool(layer.rgb), look)


class ResultLayers:
    """The layers of one run: its image, and beside it the kernel where the run finds one.

    A layer that the user deletes during the run is left alone until `finish`, which puts it back:
    a finished result is never lost.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers go.
    source : Source
        The image they come from.
    name : str
        Name of the layer of the image.
    """

    def __init__(self, viewer: ViewerModel, source: Source, name: str) -> None:
        self._viewer = viewer
        self._source = source
        self._name = name
        self._camera = _camera(viewer)
        self.sharp: Image | None = None
        self.kernel: Image | None = None

    def show(self, sharp: NDArray[np.float32], kernel: NDArray[np.float32] | None) -> None:
        """Show an estimate: make the layers the first time, then change them in place.

        Parameters
        ----------
        sharp : ndarray of float32
            In the source's shape and value range.
        kernel : ndarray of float32, (kh, kw), or None
            Its display runs from 0 to its largest value.
        """
        chosen = list(self._viewer.layers.selection)
        if kernel is not None:
            if self.kernel is None:
                self._add_kernel(kernel)
            elif self.kernel in self._viewer.layers:
                self.kernel.data = kernel
                self.kernel.contrast_limits = _kernel_limits(kernel)
        shown, rgb = self._source.as_shown(sharp), self._source.rgb
        if self.sharp is None:
            self.sharp = Image(shown, name=self._name, rgb=rgb, **self._source.look)
            self._viewer.add_layer(self.sharp)
        elif self.sharp in self._viewer.layers:
            self.sharp.data = shown
        if chosen:
            self._viewer.layers.selection = set(chosen)

    def finish(
        self,
        sharp: NDArray[np.float32],
        kernel: NDArray[np.float32] | None,
        metadata: dict[str, Any],
    ) -> None:
        """Show the result with its record; put a layer that was deleted back."""
        if self.sharp not in self._viewer.layers:
            self.sharp = None
        if self.kernel not in self._viewer.layers:
            self.kernel = None
        self.show(sharp, kernel)
        self.annotate(metadata)

    def annotate(self, metadata: dict[str, Any]) -> None:
        """Store `metadata` under ``layer.metadata["selfdeblur"]`` of the layers there are.

        Under ``"selfdeblur_part"`` stands what the layer is: ``deblurred``, ``restored`` or
        ``kernel``.
        """
        image = "restored" if self.kernel is None else "deblurred"
        for layer, part in ((self.sharp, image), (self.kernel, "kernel")):
            if layer is not None:
                layer.metadata.update({METADATA_KEY: metadata, PART_KEY: part})

    def _add_kernel(self, kernel: NDArray[np.float32]) -> None:
        self.kernel = Image(
            kernel,
            name=f"{self._source.name} kernel",
            rgb=False,
            **kernel_display(kernel),
            **self._source.kernel_look(),
        )
        self._viewer.add_layer(self.kernel)
        # A view that the user has moved during the run is the user's.
        if _camera(self._viewer) == self._camera and not _in_view(self._viewer, self.kernel):
            self._viewer.fit_to_view()


def _kernel_limits(kernel: NDArray[np.float32]) -> tuple[float, float]:
    return 0.0, max(float(kernel.max()), float(np.finfo(np.float32).tiny))


def _camera(viewer: ViewerModel) -> tuple[float, ...]:
    camera = viewer.scene.camera
    return (*map(float, camera.center), float(camera.zoom))


def _in_view(viewer: ViewerModel, layer: Image) -> bool:
    """Whether the whole of a 2-D layer is displayed; in 3-D and in a grid that is napari's."""
    if viewer.dims.ndisplay != 2 or viewer.canvas.grid.enabled:
        return True
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    centre = np.array(camera.center[-2:])
    low, high = np.asarray(layer.extent.world)[:, -2:]
    return bool((low >= centre - half).all() and (high <= centre + half).all())
