"""How long a run will take on this machine, by a few small steps timed once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from functools import lru_cache
from inspect import signature

import numpy as np
import torch

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.blur import sharp_size
from napari_selfdeblur.numerics.diagnostics import COMPARED_BY, MOST_COMPARED
from napari_selfdeblur.numerics.expected_loss import RESTORED
from napari_selfdeblur.numerics.grid import cell_sides
from napari_selfdeblur.numerics.refinement import CORRECTIONS, EVALUATIONS
from napari_selfdeblur.numerics.regions import costly_side, region_shape, with_region
from napari_selfdeblur.numerics.runtime import Runtime, own_torch_state
from napari_selfdeblur.numerics.solvers.base import Problem, Solver
from napari_selfdeblur.numerics.support import sizes_to_try, with_size
from napari_selfdeblur.numerics.tiles import tiled_pixels

__all__ = ["expected_seconds", "expected_stages", "stages_of"]

_SIDES = 64, 128  # pixels of the images timed: their difference is the cost of a pixel
_RESTORED_SIDES = 128, 320  # the same of restorations, whose small ones fit into a cache
_SIGMA = 0.01
_KERNEL = 13  # pixels


def expected_seconds(
    config: SelfDeblurConfig, shape: tuple[int, int], *, clipped: bool = False
) -> float:
    """Return the seconds that a run on an image of `shape` is expected to take.

    The first call for some networks and device takes a second or two; call it off a GUI's
    thread. Right within a factor of about 1.5: caches and other programs differ. `clipped` says
    whether the image has clipped pixels, with which some restorations take twice as long.

    Raises
    ------
    DeviceError
        If the device or the precision is not available.
    """
    return sum(expected_stages(config, shape, clipped=clipped).values())


def stages_of(config: SelfDeblurConfig) -> tuple[str, ...]:
    """Return the names of a run's stages, in their order."""
    # In a region the size comes first: the region is then made to suit it.
    own = config.solvers[0] == "edges" and isinstance(config.region, str)
    before = ("size",) if config.kernel_size == "auto" and not own else ()
    spread = ("spread",) if config.diagnostics else ()
    grid = ("grid",) if config.kernel_grid != (1, 1) else ()
    refine = ("refine",) if "edges" in config.solvers and not grid else ()
    after = () if config.restoration is None else ("fuse", *refine, *spread, *grid, "restore")
    return (*before, *config.solvers, *after)


def expected_stages(
    config: SelfDeblurConfig, shape: tuple[int, int], *, clipped: bool = False
) -> dict[str, float]:
    """Return the seconds that each stage of a run is expected to take, in their order.

    Fusing takes as long as the restorations of the region that are compared.
    `clipped` says whether the image has clipped pixels.
    """
    config = with_region(config, shape)
    region = region_shape(config, shape)
    sized = with_size(config, region)
    pixels = math.prod(sharp_size(region, sized.sides))
    sizes = 0 if sized is config else len(sizes_to_try(region))
    small = config.replace(
        kernel_size=_KERNEL,
        region="auto",
        kernel_grid=1,
        iterations=2,
        seed=0,
        tv_weight=0.0,
        lr_milestones=(),
    )
    expected = {}
    for stage in stages_of(config):
        if stage in registry.SOLVERS or stage == "size":
            fixed, rate, steps = _solver_rate(small, "edges" if stage == "size" else stage)
            steps = sizes if stage == "size" else (steps or config.iterations)
            steps += sizes if stage == "edges" and "size" not in expected else 0
            expected[stage] = (fixed + rate * pixels) * steps
        elif stage == "grid":
            fixed, rate, steps = _solver_rate(small, "edges")
            cells = [math.prod(cell) for cell in cell_sides(sized.kernel_grid, shape, sized.sides)]
            # One kernel more than by `edges` alone: the frame's, improved.
            expected[stage] = sum(fixed + rate * cell for cell in cells) * ((steps or 0) + 1)
        elif config.restoration is not None:
            method = COMPARED_BY if stage in ("fuse", "refine", "spread") else config.restoration
            fixed, rate = _restoration_rate(method, str(Runtime.of(config).device), clipped)
            tiled = tiled_pixels(shape, sized.sides, sized.kernel_grid)
            side = costly_side(sized.sides)
            refined = math.prod(
                sharp_size((min(region[0], side), min(region[1], side)), sized.sides)
            )
            restored = {"fuse": pixels, "refine": refined}.get(stage, tiled)
            expected[stage] = fixed + rate * restored
            channels = 3 if config.colour == "channels" else 1
            times = {
                "fuse": RESTORED,
                "refine": 2 * CORRECTIONS + EVALUATIONS,
                "spread": MOST_COMPARED,
                "restore": channels,
            }
            expected[stage] *= times.get(stage, 1)
    return expected


@lru_cache(maxsize=16)
def _solver_rate(config: SelfDeblurConfig, name: str) -> tuple[float, float, int | None]:
    """Return seconds of a step, and of each pixel in it; and the steps if they are its own."""
    make: Callable[[Problem], Solver] = registry.load(name, registry.SOLVERS)
    runtime = Runtime.of(config)

    def once(side: int) -> tuple[float, int]:
        with own_torch_state(runtime.device):
            solver = make(Problem(_picture(side), _SIGMA, config, runtime))
            solver.step()  # the first one makes plans and buffers
            begun = time.perf_counter()
            solver.step()
            return time.perf_counter() - begun, solver.total

    (small, total), (large, _) = (once(side) for side in _SIDES)
    return (*_line([small, large], _SIDES), None if total == config.iterations else total)


@lru_cache(maxsize=16)
def _restoration_rate(name: str, device: str, clipped: bool) -> tuple[float, float]:
    """Return seconds of a restoration, and of each pixel in it."""
    restore = registry.load(name, registry.RESTORATIONS)
    place = torch.device(device)
    accepted = signature(restore).parameters

    def once(side: int) -> float:
        y = torch.from_numpy(_picture(side)).to(place)
        known = {"sigma": _SIGMA} | ({"clipped": y == y.max()} if clipped else {})
        options = {option: value for option, value in known.items() if option in accepted}
        kernel = torch.ones((_KERNEL, _KERNEL), device=place) / _KERNEL**2
        begun = time.perf_counter()
        with own_torch_state(place):
            found = restore(y, kernel, **options)
        if not isinstance(found, Generator):
            return time.perf_counter() - begun
        next(found)  # as of a solver
        begun = time.perf_counter()
        _, total, _ = next(found)
        return (time.perf_counter() - begun) * float(total)

    return _line([once(side) for side in _RESTORED_SIDES], _RESTORED_SIDES)


def _picture(side: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return squares of light and shade, something to find edges in."""
    row = (np.arange(side) // 8) % 2
    return np.asarray(0.25 + 0.5 * (row[:, None] ^ row), dtype=np.float32)


def _line(seconds: list[float], sides: tuple[int, int]) -> tuple[float, float]:
    """Return what does not depend on the pixels, and seconds a pixel."""
    (small, large), (few, many) = seconds, (side * side for side in sides)
    rate = max(large - small, 0.0) / (many - few)
    return max(small - rate * few, 0.0), rate
