"""The choice of a known kernel: an image layer of the viewer, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_selfdeblur._napari.fields import chosen_path, image_file
from napari_selfdeblur._napari.layer_choice import LayerChoice
from napari_selfdeblur._napari.layers import PART_KEY, full_resolution, read_source
from napari_selfdeblur._napari.stack_source import axes_of
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.file_stack import read_kernels
from napari_selfdeblur.io.files import read_kernel
from napari_selfdeblur.io.kernels import prepare_kernel, prepare_kernels

KERNEL_HELP = (
    "The point spread function: what a point of light became. An image of odd height and width, "
    "dark but for the blur's trace; its values are scaled to add up to 1."
)
"""What a kernel is."""


class KernelChoice:
    """Chooses a kernel: a file where one is named, else a layer.

    Until the user has chosen, it follows `suggest`.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose image layers are offered.

    Attributes
    ----------
    choice : LayerChoice
        The choice of a layer.
    file : FileEdit
        The choice of a file.
    changed : psygnal.Signal
        Emitted when another layer or file is chosen, or the layer's pixels change.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._image: Image | None = None
        self._chosen_by_user = False
        self.choice = LayerChoice(viewer, "Kernel", KERNEL_HELP)
        self.file = image_file(
            "or file", f"{KERNEL_HELP} A file here is used in place of the layer."
        )
        self.choice.changed.connect(self._on_change)
        self.choice.edited.connect(self._on_change)
        self.choice.widget.native.activated.connect(self._on_activated)
        self.file.changed.connect(self._on_change)
        # Last: the choice must have the new layer on its list.
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")

    @property
    def layer(self) -> Image | None:
        """The layer the kernel is taken from, None for a file or where there is no layer."""
        return None if self._path else self.choice.layer

    def kernel(self) -> tuple[NDArray[np.float32], str]:
        """Return the kernel, of odd sides, >= 0, sum 1, and the name of its layer or file.

        Raises
        ------
        ImageError
            If none is chosen, or what is chosen is no kernel.
        """
        if self._path is not None:
            return read_kernel(self._path), self._path.name
        source = read_source(self._kernel_layer(), self._viewer)
        return prepare_kernel(source.image), source.name

    def kernels(self, image: Image) -> tuple[NDArray[np.float32], str]:
        """Return what `restore_stack` takes for all planes of `image`, and the name.

        (kh, kw), or one kernel for each channel or plane, (..., kh, kw): those of a file as
        `restore_stack` has them, those of a layer by the planes that they are displayed with.

        Raises
        ------
        ImageError
            If none is chosen, they do not fit the planes, or one of them is no kernel.
        """
        if self._path is not None:
            given, name = read_kernels(self._path), self._path.name
            by_channel = True
        else:
            layer = self._kernel_layer()
            if layer.ndim == 2:
                return self.kernel()
            given, name = np.asarray(full_resolution(layer)), layer.name
            by_channel = "C" in axes_of(layer)
        fitted = _fitted(given, image, by_channel)
        if fitted is None:
            raise ImageError(
                f"'{name}' of shape {given.shape} does not fit the planes of layer "
                f"'{image.name}'; choose one kernel, one for each channel, or one for each plane"
            )
        return prepare_kernels(fitted), name

    def suggest(self, image: Image | None) -> None:
        """Choose the layer that looks like the kernel of `image`, if the user chose none."""
        self._image = image
        if self._chosen_by_user:
            return
        others: list[Any] = [each for each in self.choice.widget.choices if each is not image]
        own = "" if image is None else f"{image.name} kernel"
        kernels = [each for each in others if _is_kernel(each)]
        kernels.sort(key=lambda each: not each.name.startswith(own))
        if kernels:
            self.choice.choose(kernels[0])
        elif others and self.choice.layer is image:
            self.choice.choose(others[0])

    def release(self) -> None:
        """Follow viewer and layer no more; for a panel that Qt has deleted."""
        self.choice.release()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    @property
    def _path(self) -> Path | None:
        return chosen_path(self.file)

    def _kernel_layer(self) -> Image:
        layer = self.choice.layer
        if layer is None:
            raise ImageError("choose a kernel: an image layer, or a file")
        if layer.metadata.get(PART_KEY) == "kernels":
            raise ImageError(
                f"layer '{layer.name}' is a picture of the kernels of a grid; choose the layer of "
                "one kernel, or a file"
            )
        return layer

    def _on_inserted(self, _: Any) -> None:
        self.suggest(self._image)

    def _on_change(self, _: Any = None) -> None:
        self.changed.emit()

    def _on_activated(self, _: int) -> None:
        self._chosen_by_user = True
        if self._path is not None:
            self.file.value = None  # what is chosen last counts


def _fitted(kernels: NDArray[Any], image: Image, by_channel: bool) -> NDArray[Any] | None:
    """Return kernels for all planes of `image`, None if they do not fit.

    One for each channel where `by_channel`; otherwise aligned by the last axes before the rows,
    as napari aligns layers.
    """
    lead = full_resolution(image).shape[: image.ndim - 2]
    channels = dict(zip(axes_of(image), lead, strict=False)).get("C")
    own, sides = kernels.shape[:-2], kernels.shape[-2:]
    if own == () or (by_channel and own == (channels,)):
        return kernels
    try:
        return np.broadcast_to(kernels, (*lead, *sides))
    except ValueError:
        return None


def _is_kernel(layer: Image) -> bool:
    """Whether a layer is a kernel: by what its run has noted, of other layers by the name."""
    part = layer.metadata.get(PART_KEY)
    return part == "kernel" if part else " kernel" in layer.name
