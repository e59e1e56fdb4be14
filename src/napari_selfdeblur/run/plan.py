"""What a run will do: every "auto" resolved once, the noise measured once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.io import images
from napari_selfdeblur.numerics.clipping import clipped_pixels
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.nonblind.generator import KNOWN_KERNEL
from napari_selfdeblur.numerics.runtime import Runtime, check_memory, memory_errors
from napari_selfdeblur.numerics.solvers.base import Problem
from napari_selfdeblur.numerics.support import with_size

__all__ = ["Plan", "check_every_stage", "check_restoration", "measured_sigma"]

_TV_PER_SIGMA = 0.1
_SMALLEST_MEASURED = 8  # pixels: the side of a DCT block


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A run before its first step.

    Attributes
    ----------
    asked : SelfDeblurConfig
        The settings as given.
    config : SelfDeblurConfig
        The settings that run: nothing is "auto" in them, but for a kernel size not yet found.
    prepared : PreparedImage
        The image in the form in which it is computed on, and the way back.
    source : dict
        Description of the image as given, JSON-ready.
    sigma : float
        Noise standard deviation of ``prepared.y``.
    runtime : Runtime
        Device and arithmetic.
    clipped : ndarray of bool, (H, W), or None
        Where ``prepared.y`` is clipped above; None where nowhere.
    """

    asked: SelfDeblurConfig
    config: SelfDeblurConfig
    prepared: images.PreparedImage
    source: dict[str, Any]
    sigma: float
    runtime: Runtime
    clipped: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        image: ArrayLike,
        config: SelfDeblurConfig,
        *,
        rgb: bool | None = None,
        scale: images.Scale | None = None,
    ) -> Plan:
        """Return the plan for an image and settings, or raise what stands against it.

        `scale` is that of the stack that the image is a plane of, by default its own.

        Raises
        ------
        ImageError
            If the image cannot be processed as it is.
        DeviceError
            If the device or precision is not available.
        OutOfMemoryError
            If the run cannot fit into memory.
        """
        runtime = Runtime.of(config)
        size: Any = config.kernel_size
        shape: Any = getattr(image, "shape", ())[:2]
        with memory_errors(None, shape, runtime.device):
            prepared = images.prepare(
                image,
                (3, 3) if isinstance(size, str) else size,
                rgb=rgb,
                check=lambda shape: check_every_stage(config, shape, runtime),
                scale=scale,
            )
            clipped = clipped_pixels(prepared.y)
            sigma = measured_sigma(prepared.y, clipped)
            described = images.describe(image)
        used = config.replace(device=str(runtime.device), precision=runtime.precision)
        if config.tv_weight == "auto":
            used = used.replace(tv_weight=_TV_PER_SIGMA * sigma)
        source = described | {
            "value_range": list(prepared.value_range),
            "noise_sigma": sigma,
            "clipped": 0.0 if clipped is None else float(clipped.mean()),
        }
        return cls(config, used, prepared, source, sigma, runtime, clipped)

    @property
    def problem(self) -> Problem:
        """What the solvers are given."""
        return Problem(self.prepared.y, self.sigma, self.config, self.runtime, clipped=self.clipped)

    def sized(self, size: tuple[int, int]) -> Plan:
        """Return this plan with the kernel's size as found.

        Raises
        ------
        OutOfMemoryError
            If the run cannot fit into memory with a kernel of that size.
        """
        config = self.config.replace(kernel_size=size)
        check_every_stage(config, self.problem.shape, self.runtime)
        return replace(self, config=config)


def check_restoration(
    restoration: str, shape: tuple[int, int], sides: tuple[int, int], device: torch.device
) -> None:
    """Raise `OutOfMemoryError` for a restoration that cannot fit into the machine's memory."""
    config = KNOWN_KERNEL if restoration == "generator" else KNOWN_KERNEL.replace(solvers="edges")
    size = tuple(min(max(side, 3), 999) for side in sides)
    check_memory(config.replace(kernel_size=size, device=str(device)), shape, device)


def check_every_stage(config: SelfDeblurConfig, shape: tuple[int, int], runtime: Runtime) -> None:
    """Raise `OutOfMemoryError` if a stage of a run cannot fit into the machine's memory."""
    check_memory(config, shape, runtime.device)
    if config.restoration is not None:
        sides = with_size(config, shape).sides
        check_restoration(config.restoration, shape, sides, runtime.device)


def measured_sigma(y: NDArray[np.float32], clipped: NDArray[np.bool_] | None = None) -> float:
    """Return the noise of y (H, W), clipped or not; 0 where it is too small to be measured."""
    return noise_sigma(y, clipped) if min(y.shape) >= _SMALLEST_MEASURED else 0.0
