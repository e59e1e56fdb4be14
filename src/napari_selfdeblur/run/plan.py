"""What a run will do: every "auto" resolved once, the noise measured once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, OutOfMemoryError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.images import Scale
from napari_selfdeblur.numerics.grid import check_grid
from napari_selfdeblur.numerics.nonblind.generator import KNOWN_KERNEL
from napari_selfdeblur.numerics.regions import Structure, check_region, region_shape
from napari_selfdeblur.numerics.runtime import Runtime, check_memory, memory_errors
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.support import with_size
from napari_selfdeblur.numerics.tiles import Window, tile_shape, whole
from napari_selfdeblur.run.survey import Survey

__all__ = ["Plan", "check_every_stage", "check_restoration"]

_TV_PER_SIGMA = 0.1
_OTHERS = 3  # further regions whose kernel is compared


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A run before its first step.

    Attributes
    ----------
    asked : SelfDeblurConfig
        The settings as given.
    config : SelfDeblurConfig
        The settings that run: nothing is "auto" in them, but for a kernel size not yet found.
    survey : Survey
        The image, its noise and where it is clipped.
    source : dict
        Description of the image as given, JSON-ready.
    runtime : Runtime
        Device and arithmetic.
    window : Window
        The region that the kernel is estimated from.
    y : ndarray of float32, (h, w)
        The blurred image there, in [0, 1].
    structure : Structure or None
        What the region was chosen by, where it was.
    """

    asked: SelfDeblurConfig
    config: SelfDeblurConfig
    survey: Survey
    source: dict[str, Any]
    runtime: Runtime
    window: Window
    y: NDArray[np.float32]
    structure: Structure | None = None

    @classmethod
    def of(
        cls,
        image: ArrayLike,
        config: SelfDeblurConfig,
        *,
        rgb: bool | None = None,
        scale: Scale | None = None,
    ) -> Plan:
        """Return the plan for an image and settings, or raise what stands against it.

        `scale` is that of the stack that the image is a plane of, by default its own.

        Raises
        ------
        ConfigError
            If the region is not one of the image, or the grid of kernels is too fine for it.
        ImageError
            If the image cannot be processed as it is.
        DeviceError
            If the device or precision is not available.
        OutOfMemoryError
            If the run cannot fit into memory.
        """
        runtime = Runtime.of(config)
        size: Any = (3, 3) if isinstance(config.kernel_size, str) else config.kernel_size
        shape: Any = getattr(image, "shape", ())[:2]

        def check(shape: tuple[int, int]) -> None:
            check_region(config, shape, size)
            check_grid(config.kernel_grid, shape, size)
            check_every_stage(config, shape, runtime)

        with memory_errors(None, shape, runtime.device):
            channels = config.colour == "channels"
            frame = Frame.of(image, size, rgb=rgb, check=check, scale=scale, channels=channels)
            survey, structure = Survey.of(frame), None
            if channels and frame.colour:
                survey = survey.with_most_structure()
            frame = survey.frame
            clear = frame.clear.shape
            if config.region == "auto" and region_shape(config, clear) != clear:
                structure = survey.structure()
            source = frame.description | {
                "value_range": list(frame.value_range),
                "noise_sigma": survey.sigma,
                "compression_sigma": survey.compression,
                "clipped": survey.share_clipped,
            }
            if channels and frame.colour:
                source["kernel_plane"] = frame.plane_name
            used = config.replace(device=str(runtime.device), precision=runtime.precision)
            if config.tv_weight == "auto":
                used = used.replace(tv_weight=_TV_PER_SIGMA * survey.sigma)
            nowhere = slice(0), slice(0)
            y = np.empty((0, 0), np.float32)
            plan = cls(config, used, survey, source, runtime, nowhere, y, structure)
            return plan._placed()

    @property
    def frame(self) -> Frame:
        """The image."""
        return self.survey.frame

    @property
    def sigma(self) -> float:
        """Noise standard deviation of the image."""
        return self.survey.sigma

    @property
    def clipped(self) -> NDArray[np.bool_] | None:
        """Where `y` is clipped above; None where it is not."""
        clipped = self.survey.clipped(self.y)
        return clipped if clipped is not None and clipped.any() else None

    @property
    def is_whole(self) -> bool:
        """Whether the region is the whole image."""
        return self.window == whole(self.frame.shape)

    @property
    def in_channels(self) -> bool:
        """Whether each channel of a colour image is restored."""
        return self.frame.colour and self.config.colour == "channels"

    @property
    def problem(self) -> Problem:
        """What the solvers are given."""
        return Problem(
            self.y,
            self.sigma,
            self.config,
            self.runtime,
            clipped=self.clipped,
            compression=self.survey.compression,
        )

    def inside(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the region's part of an image of the whole frame; one of the region as it is."""
        return x if x.shape == self.y.shape else x[self.window]

    @property
    def measured(self) -> Structure:
        """The frame's structure, measured now if it was not needed before."""
        return self.structure or self.survey.structure()

    def part(self, window: Window) -> Problem:
        """Return what a solver is given to estimate a kernel in another window."""
        y = self.frame.plane(window)
        clipped = self.survey.clipped(y)
        some = clipped is not None and clipped.any()
        return replace(self.problem, y=y, clipped=clipped if some else None)

    def others(self) -> list[torch.Tensor]:
        """Return the blurred image in up to three further regions with edges, apart from it."""
        if self.is_whole:
            return []
        shape: Any = self.y.shape
        windows = self.measured.others(shape, [self.window], _OTHERS)
        return [torch.from_numpy(self.frame.plane(w)).to(self.runtime.device) for w in windows]

    def sized(self, size: tuple[int, int]) -> Plan:
        """Return this plan with the kernel's size as found; its region may grow.

        Raises
        ------
        ConfigError
            If the grid of kernels is too fine for a kernel of that size.
        OutOfMemoryError
            If the run cannot fit into memory with a kernel of that size.
        """
        self._check(size)
        return replace(self, config=self.config.replace(kernel_size=size))._placed()

    def takes(self, size: tuple[int, int]) -> bool:
        """Return whether the grid and the memory take a kernel of that size."""
        try:
            self._check(size)
        except (ConfigError, OutOfMemoryError):
            return False
        return True

    def _check(self, size: tuple[int, int]) -> None:
        check_grid(self.config.kernel_grid, self.frame.shape, size)
        check_every_stage(self.asked.replace(kernel_size=size), self.frame.shape, self.runtime)

    def _placed(self) -> Plan:
        """Return this plan with its region."""
        asked, clear, window = self.asked, self.frame.clear, whole(self.frame.shape)
        if not isinstance(asked.region, str):
            rows, columns = asked.region
            window = slice(*rows), slice(*columns)
        elif self.structure is not None:
            sized = asked.replace(kernel_size=self.config.kernel_size)
            window = self.structure.best(region_shape(sized, clear.shape))
        elif asked.region == "auto" and asked.restoration is not None:
            size: Any = self.config.kernel_size
            sides = (1, 1) if isinstance(size, str) else size
            if all(n > side for n, side in zip(clear.shape, sides, strict=True)):
                window = clear.window
        if window == self.window:
            return self
        source = {name: value for name, value in self.source.items() if name != "region"}
        region: Any
        if window == whole(self.frame.shape):
            region, y = "whole", self.frame.y
        else:
            region, y = tuple((each.start, each.stop) for each in window), self.frame.plane(window)
            source["region"] = region
        config = self.config.replace(region=region)
        return replace(self, config=config, source=source, window=window, y=y)


def check_restoration(
    restoration: str, shape: tuple[int, int], sides: tuple[int, int], device: torch.device
) -> None:
    """Raise `OutOfMemoryError` for a restoration that cannot fit into the machine's memory."""
    config = KNOWN_KERNEL if restoration == "generator" else KNOWN_KERNEL.replace(solvers="edges")
    size = tuple(min(max(side, 3), 999) for side in sides)
    config = config.replace(kernel_size=size, device=str(device))
    check_memory(config, tile_shape(shape, sides), device)


def check_every_stage(config: SelfDeblurConfig, shape: tuple[int, int], runtime: Runtime) -> None:
    """Raise `OutOfMemoryError` if a stage of a run cannot fit into the machine's memory."""
    check_memory(config, shape, runtime.device)
    if config.restoration is not None:
        sides = with_size(config, region_shape(config, shape)).sides
        check_restoration(config.restoration, shape, sides, runtime.device)
