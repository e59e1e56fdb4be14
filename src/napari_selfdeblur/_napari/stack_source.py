"""A stack layer of which every plane is deblurred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_selfdeblur._napari.layers import Source, full_resolution, refuse_others
from napari_selfdeblur._napari.placing import look_of
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.stacks import Position, Stack, result_array
from napari_selfdeblur.run.stack_record import stacked_kernels

__all__ = [
    "PLANES",
    "StackSource",
    "axes_of",
    "check_kernels",
    "letters_of",
    "read_stack",
]

PLANES = ("current", "all")
_LETTERS = {
    **dict.fromkeys(("t", "time"), "T"),
    **dict.fromkeys(("z", "depth"), "Z"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "C"),
}
_OTHERS = "QIPAHLEVMN"  # for axes of whatever name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StackSource(Source):
    """What a run needs of a stack layer. Its planes are read from the layer's array as they come.

    Attributes
    ----------
    stack : Stack
        The planes.
    out : ndarray
        Where the run puts its results, and what their layer displays.
    kernels : str
        ``one``, ``channel`` or ``plane``.
    """

    stack: Stack
    out: NDArray[Any]
    kernels: str
    _known: dict[Position, NDArray[np.float32]] = field(default_factory=dict)

    def as_shown(self, sharp: NDArray[np.float32]) -> NDArray[Any]:
        """Return all planes, as far as they are done."""
        return self.out

    def kernel_shown(
        self, kernel: NDArray[np.float32], part: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return the kernels that are known by now, with that of this plane."""
        if self.kernels == "one":
            return kernel
        position = tuple(int(each) for each in np.unravel_index(part[0] - 1, self.stack.lead))
        channel = self.stack.channel(position)
        self._known[(channel,) if self.kernels == "channel" else position] = kernel
        return self.kernels_shown(stacked_kernels(self._known, self._lead))

    def kernels_shown(self, kernels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the kernels with the axes that their layer needs to follow the sliders."""
        if self.kernels != "channel":
            return kernels
        return along_planes(kernels, self.stack.lead[self.stack.outer.index("C") + 1 :])

    @property
    def _lead(self) -> tuple[int, ...]:
        lead = self.stack.lead
        return (lead[self.stack.outer.index("C")],) if self.kernels == "channel" else lead


def along_planes(kernels: NDArray[np.float32], after: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the channels' kernels (C, kh, kw) with the axes between channel and rows."""
    count, *sides = kernels.shape
    apart = kernels.reshape(count, *(1 for _ in after), *sides)
    return np.broadcast_to(apart, (count, *after, *sides))


def read_stack(layer: Image, kernels: str) -> StackSource:
    """Return what a run needs of all planes of `layer`; call it on the main thread.

    Raises
    ------
    ConfigError
        If `kernels` is not allowed for it.
    ImageError
        If `layer` is no image.
    OutOfMemoryError
        If the result does not fit into memory.
    """
    refuse_others(layer)
    check_kernels(layer, kernels)
    stack = Stack.of(full_resolution(layer), axes_of(layer))
    out = result_array(stack, dtype=stack.data.dtype if layer.rgb else np.float32)
    return StackSource(
        layer.name,
        stack.data,
        bool(layer.rgb),
        look_of(layer),
        stack=stack,
        out=out,
        kernels=kernels,
    )


def axes_of(layer: Image) -> str:
    """Return a letter for each axis of a layer's array, by the layer's labels.

    T, Z and C where a label is t, time, z, depth, c, ch or channel; others have letters of no
    meaning. The last two axes are rows and columns.
    """
    return letters_of(layer.axis_labels) + ("YXS" if layer.rgb else "YX")


def letters_of(labels: Sequence[Any]) -> str:
    """Return a letter for each axis before the rows, by the labels of all; see `axes_of`."""
    letters: list[str] = []
    for label in list(map(str, labels))[:-2]:
        letter = _LETTERS.get(label.lower(), "")
        spare = (each for each in _OTHERS if each not in letters)
        letters.append(letter if letter and letter not in letters else next(spare))
    return "".join(letters)


def check_kernels(layer: Image, kernels: str) -> None:
    """Raise `ConfigError` if a stack layer cannot have kernels of this kind."""
    if kernels == "channel" and "C" not in axes_of(layer):
        labels = ", ".join(map(str, layer.axis_labels))
        raise ConfigError(
            f"kernels='channel' needs an axis labelled c or channel, and layer '{layer.name}' has "
            f"{labels}; label it, layer.axis_labels = (..., 'c', 'y', 'x')",
            field="kernels",
        )
