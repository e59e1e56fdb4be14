"""From a napari image layer to an array, and from arrays back to result layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_selfdeblur._napari.displays import diagnostic_display, kernel_display, kernel_limits
from napari_selfdeblur._napari.placing import SHARED, kernel_corner, last_axes, look_of, moved
from napari_selfdeblur._napari.view import in_view
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.images import cast_like

METADATA_KEY = "selfdeblur"
PART_KEY = "selfdeblur_part"
KERNELS_KEY = "selfdeblur_kernels"
"""Of the image of a run with a kernel grid: the kernels (rows, columns, kh, kw)."""
_NONE: Mapping[str, NDArray[np.float32] | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a run needs of an image layer, copied, so that the layer may change or go.

    Attributes
    ----------
    name : str
        The layer's name.
    image : array, (H, W), (H, W, 3) or (H, W, 4)
        The layer's pixels at full resolution, or those of one plane, in their own dtype; a copy
        where the layer holds them in memory.
    rgb : bool
        Whether the last axis is colour.
    look : dict
        Keywords of `Image` that put another one where the layer is, displayed alike.
    index : dict of str to int
        Of one plane of a stack, where it lies, by the labels of the axes.
    """

    name: str
    image: Any
    rgb: bool
    look: dict[str, Any]
    index: dict[str, int] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.image.shape[: -1 if self.rgb else None][-2:]
        return int(rows), int(columns)

    def kernel_look(self, ndim: int = 2) -> dict[str, Any]:
        """Return keywords of `Image` for the kernel: to the right, at the same pixel size.

        `ndim` are the axes of the kernel's layer: the last ones of the source's.
        """
        before = len(self.look["scale"]) - 2
        look = moved(self.look, (*(0,) * before, *kernel_corner(*self.sides)))
        return last_axes({name: look[name] for name in SHARED}, ndim)

    def diagnostic_look(self, ndim: int = 2) -> dict[str, Any]:
        """Return keywords of `Image` for a grey layer of `ndim` axes that lies on the image."""
        return last_axes({name: self.look[name] for name in SHARED}, ndim)

    def as_shown(self, sharp: NDArray[np.float32]) -> NDArray[Any]:
        """Return a result as its layer holds it: colour in the source's dtype, grey as float32.

        napari displays colour by the dtype's range; a grey layer has contrast limits. A plane of
        a stack has its axes before the rows, each of length 1.
        """
        shown = cast_like(sharp, self.image.dtype) if self.rgb else sharp
        return shown[(None,) * (len(self.look["scale"]) - 2)]

    def kernel_shown(
        self, kernel: NDArray[np.float32], part: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return the kernel of a preview as its layer holds it."""
        return kernel

    def kernels_shown(self, kernels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the kernels of a result as their layer holds them."""
        return kernels


def refuse_others(layer: Image) -> None:
    """Raise `ImageError` unless `layer` is an image."""
    # Widgets are handed proxies of napari's objects, whose isinstance() answers all the same.
    if not isinstance(layer, Image):
        raise ImageError(f"a {type(layer).__name__} is not an image layer; choose an image layer")
    if layer.ndim < 2:
        raise ImageError(f"layer '{layer.name}' has one dimension; choose an image of two or more")


def full_resolution(layer: Image) -> Any:
    """Return the pixels of a layer, of a pyramid those of the finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def read_source(layer: Image, viewer: ViewerModel | None = None) -> Source:
    """Copy what a run needs from `layer`; call it on the main thread.

    Of a layer of more dimensions that is the plane that `viewer` displays.

    Raises
    ------
    ImageError
        If `layer` is no image, or displays no plane of rows and columns.
    """
    refuse_others(layer)
    at = () if layer.ndim == 2 else displayed_plane(viewer, layer)
    look = look_of(layer)
    if at:  # one plane has no volume of which a plane could be depicted
        look = moved(look, (*at, 0, 0)) | {"depiction": "volume"}
    plane = full_resolution(layer)[at] if at else full_resolution(layer)
    if type(plane) is np.ndarray:  # what is read from disk piece by piece stays there
        plane = plane.copy()
    index = dict(zip(map(str, layer.axis_labels), at, strict=False))
    return Source(layer.name, plane, bool(layer.rgb), look, index)


def displayed_plane(viewer: ViewerModel | None, layer: Image) -> tuple[int, ...]:
    """Return where the displayed plane lies along the axes before the rows.

    Raises
    ------
    ImageError
        If other axes than rows and columns are displayed, or the viewer stands outside the layer.
    """
    before, dims = layer.ndim - 2, None if viewer is None else viewer.dims
    if dims is None or dims.ndim < layer.ndim:
        raise ImageError(f"layer '{layer.name}' is in no viewer that displays one of its planes")
    offset = dims.ndim - layer.ndim
    if {axis - offset for axis in dims.displayed} != {before, before + 1}:
        raise ImageError(
            f"the viewer does not display one plane of layer '{layer.name}'; switch to the 2-D "
            "view with the last two axes in it, or choose all planes"
        )
    at = np.rint(layer.world_to_data(dims.point[offset:])[:before]).astype(int)
    if not all(0 <= each < n for each, n in zip(at, full_resolution(layer).shape, strict=False)):
        raise ImageError(
            f"layer '{layer.name}' has no plane where the viewer stands; move the sliders to one, "
            "or choose all planes"
        )
    return tuple(at.tolist())


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
        self.diagnostics: dict[str, Image] = {}

    def show(
        self,
        sharp: NDArray[np.float32],
        kernel: NDArray[np.float32] | None,
        part: tuple[int, int] = (1, 1),
    ) -> None:
        """Show an estimate: make the layers the first time, then change them in place.

        Parameters
        ----------
        sharp : ndarray of float32
            In the source's shape and value range.
        kernel : ndarray of float32, (kh, kw), or None
            Its display runs from 0 to its largest value.
        part : (int, int)
            Of a stack, the number of the plane and how many there are.
        """
        self._show(sharp, None if kernel is None else self._source.kernel_shown(kernel, part))

    def _show(self, sharp: Any, kernel: NDArray[np.float32] | None) -> None:
        chosen = list(self._viewer.layers.selection)
        if kernel is not None:
            if self.kernel is None:
                self._add_kernel(kernel)
            elif self.kernel in self._viewer.layers:
                self.kernel.data = kernel
                self.kernel.contrast_limits = kernel_limits(kernel)
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
        sharp: Any,
        kernel: NDArray[np.float32] | None,
        metadata: dict[str, Any],
        diagnostics: Mapping[str, NDArray[np.float32] | None] = _NONE,
    ) -> None:
        """Show the result with its record; put a layer that was deleted back.

        `diagnostics`, a ``residual`` or a ``spread`` (H, W), get layers that are not visible at
        first: they lie on the image.
        """
        if self.sharp not in self._viewer.layers:
            self.sharp = None
        if self.kernel not in self._viewer.layers:
            self.kernel = None
        self._show(sharp, None if kernel is None else self._source.kernels_shown(kernel))
        for part, image in diagnostics.items():
            if image is not None:
                self._add_diagnostic(part, image)
        self.annotate(metadata)

    def add(self, layers: list[Image]) -> None:
        """Add further layers on top of all others, leaving the selection as it is."""
        chosen = list(self._viewer.layers.selection)
        for layer in layers:
            self._viewer.add_layer(layer)
        if chosen:
            self._viewer.layers.selection = set(chosen)

    def annotate(self, metadata: dict[str, Any]) -> None:
        """Store `metadata` under ``layer.metadata["selfdeblur"]`` of the layers there are.

        Under ``"selfdeblur_part"`` stands what the layer is: ``deblurred``, ``restored``,
        ``kernel``, ``residual`` or ``spread``.
        """
        image = "restored" if self.kernel is None else "deblurred"
        layers = {image: self.sharp, "kernel": self.kernel, **self.diagnostics}
        for part, layer in layers.items():
            if layer is not None:
                layer.metadata.update({METADATA_KEY: metadata, PART_KEY: part})

    def _add_diagnostic(self, part: str, image: NDArray[np.float32]) -> None:
        chosen = list(self._viewer.layers.selection)
        whole = image[(None,) * (len(self._source.look["scale"]) - 2)]
        self.diagnostics[part] = Image(
            whole,
            name=f"{self._source.name} {part}",
            rgb=False,
            visible=False,
            **diagnostic_display(part, image),
            **self._source.diagnostic_look(whole.ndim),
        )
        self._viewer.add_layer(self.diagnostics[part])
        self._viewer.layers.selection = set(chosen)

    def _add_kernel(self, kernel: NDArray[np.float32]) -> None:
        self.kernel = Image(
            kernel,
            name=f"{self._source.name} kernel",
            rgb=False,
            **kernel_display(kernel),
            **self._source.kernel_look(kernel.ndim),
        )
        self._viewer.add_layer(self.kernel)
        # A view that the user has moved during the run is the user's.
        if _camera(self._viewer) == self._camera and not in_view(self._viewer, self.kernel):
            self._viewer.fit_to_view()


def _camera(viewer: ViewerModel) -> tuple[float, ...]:
    camera = viewer.scene.camera
    return (*map(float, camera.center), float(camera.zoom))
