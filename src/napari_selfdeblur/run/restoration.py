"""Restoration with a known kernel: one tile, a frame of any size, and that with its record."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter

from napari_selfdeblur import registry
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.images import Scale, describe
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.numerics.grid import KernelGrid
from napari_selfdeblur.numerics.runtime import (
    device_label,
    in_own_torch_state,
    memory_checked,
    memory_errors,
    resolve_device,
)
from napari_selfdeblur.numerics.stop import Stop, stopped
from napari_selfdeblur.numerics.tiles import Window, tiles
from napari_selfdeblur.run.channels import blurred_channels
from napari_selfdeblur.run.events import Clock, Progress
from napari_selfdeblur.run.plan import check_restoration
from napari_selfdeblur.run.record import RestoreRecord, now
from napari_selfdeblur.run.result import RestoreResult
from napari_selfdeblur.run.survey import Survey

__all__ = ["restore_channels", "restore_frame", "restore_steps", "run_restoration"]

Step = tuple[int, int, float]
Steps = Generator[Step, None, NDArray[np.float32]]


def restore_frame(
    survey: Survey,
    x: NDArray[np.float32],
    k: NDArray[np.float32],
    restoration: str,
    device: torch.device,
    *,
    first: tuple[float, float] | None = None,
    stop: Stop | None = None,
    grid: KernelGrid | None = None,
    **options: Any,
) -> Generator[Step, None, None]:
    """Restore a frame with a known kernel, tile by tile.

    Parameters
    ----------
    survey : Survey
        The blurred frame.
    x : ndarray of float32, (H, W)
        Holds the blurred plane, ``frame.y``; the restored one, clipped to the frame's bounds,
        takes its place tile by tile.
    k : ndarray of float32, (kh, kw)
        The PSF, summing to 1.
    restoration : str
        As registered.
    device : torch.device
        Where to compute.
    first : (float, float), optional
        Row and column near which the first tiles are.
    stop : Stop, optional
        Ends the restoration early; what is not yet restored stays blurred.
    grid : KernelGrid, optional
        Kernels that vary over the frame; each tile is restored with that of its place, not `k`.
    **options
        Settings of the restoration.

    Yields
    ------
    (int, int, float)
        After each tile: tiles done, of how many, and NaN. Of a restoration that reports its
        steps, after each of them: steps done in all tiles, of how many, and the loss.

    Raises
    ------
    OutOfMemoryError
        If the device is too small.
    DeblurError
        If the result is not finite.
    """
    size, cells = (k.shape[0], k.shape[1]), (1, 1)
    if grid is not None:
        size, cells = grid.kernel_size, grid.shape
    parts = list(tiles(survey.frame.shape, size, cells))
    if first is not None:
        parts.sort(key=lambda tile: _distance(tile.window, first))
    for number, (window, share, centre) in enumerate(parts):
        if number and stopped(stop):
            return
        y = survey.frame.plane(window)
        observed, clipped = _observed(survey, y, window)
        options |= {"sigma": survey.sigma, "clipped": clipped, "stop": stop}
        kernel = k if grid is None else grid.at(centre)
        steps, reported = restore_steps(observed, kernel, restoration, device, **options), False
        while True:
            try:
                step, total, loss = next(steps)
            except StopIteration as end:
                restored = np.clip(end.value, *survey.frame.bounds)
                break
            reported = True
            yield number * total + step, len(parts) * total, loss
        # With one tile without rounding.
        x[window] = restored if len(parts) == 1 else x[window] + share * (restored - y)
        if not reported:
            yield number + 1, len(parts), math.nan


def restore_channels(
    survey: Survey,
    planes: NDArray[np.float32],
    k: NDArray[np.float32],
    restoration: str,
    device: torch.device,
    *,
    stop: Stop | None = None,
    **options: Any,
) -> Generator[Step, None, None]:
    """Restore R, G and B one after another, each by its own noise and clipped level.

    `planes` (H, W, 3) hold the blurred channels, and the restored ones take their place; all else
    is as in `restore_frame`. The steps are those of all three.
    """
    for number, channel in enumerate(survey.channels):
        if number and stopped(stop):
            return
        x = planes[..., number]
        for step, total, loss in restore_frame(
            channel, x, k, restoration, device, stop=stop, **options
        ):
            yield number * total + step, 3 * total, loss


def _observed(
    survey: Survey, y: NDArray[np.float32], window: Window
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Return a window of the blurred plane y as it is restored, and where it is clipped.

    A gap, and the pixels next to it, which may be mixtures, are at 0 and clipped: k * x may be
    anything from there up.
    """
    clipped, gaps = survey.clipped(y), survey.frame.gaps
    empty = None if gaps is None else gaps.within(window)
    if empty is None or not empty.any():
        return y, clipped
    empty = maximum_filter(empty, 3)
    return np.where(empty, np.float32(0), y), empty if clipped is None else clipped | empty


def _distance(window: Window, place: tuple[float, float]) -> float:
    """Return how far a place is from the centre of a window."""
    return math.hypot(
        *((each.start + each.stop) / 2 - p for each, p in zip(window, place, strict=True))
    )


def restore_steps(
    y: NDArray[np.float32],
    k: NDArray[np.float32],
    restoration: str,
    device: torch.device,
    *,
    sigma: float,
    clipped: NDArray[np.bool_] | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> Steps:
    """Restore one plane with a known kernel, reporting the steps of a network.

    Parameters
    ----------
    y : ndarray of float32, (H, W)
        Blurred image in [0, 1].
    k : ndarray of float32, (kh, kw)
        The PSF, summing to 1.
    restoration : str
        As registered.
    device : torch.device
        Where to compute.
    sigma : float
        Noise standard deviation of `y`.
    clipped : ndarray of bool, (H, W), optional
        Where `y` is clipped above.
    stop : Stop, optional
        Ends the restoration early, with what it has.
    **options
        Settings of the restoration.

    Yields
    ------
    (int, int, float)
        After each step of a network: steps done, of how many, and the loss. The other
        restorations take seconds and yield nothing.

    Returns
    -------
    ndarray of float32, (H, W)

    Raises
    ------
    OutOfMemoryError
        If the device is too small.
    DeblurError
        If the result is not finite.
    """
    function = registry.load(restoration, registry.RESTORATIONS)
    accepted = inspect.signature(function).parameters
    if "sigma" in accepted:
        options["sigma"] = sigma
    if "clipped" in accepted and clipped is not None:
        options["clipped"] = torch.from_numpy(clipped).to(device)
    with memory_checked(None, (y.shape[0], y.shape[1]), device):
        tensors = (torch.from_numpy(each).to(device) for each in (y, k))
        x = function(*tensors, stop=stop, **options)
    if isinstance(x, Generator):
        x = yield from x
    if not torch.isfinite(x).all():
        raise DeblurError(
            f"the restoration {restoration!r} became infinite or NaN; choose a weight nearer to "
            "the default, or another restoration"
        )
    return np.asarray(x.detach().cpu().numpy(), dtype=np.float32)


def run_restoration(
    image: ArrayLike,
    kernel: ArrayLike,
    config: RestoreConfig,
    *,
    rgb: bool | None = None,
    stop: Stop | None = None,
    scale: Scale | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> RestoreResult:
    """Restore a blurred image whose kernel is known, and record how.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, as for `deblur`.
    kernel : array, (kh, kw)
        Point spread function of odd size; scaled to sum to 1.
    config : RestoreConfig
        What to run.
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape where it is not given.
    stop : threading.Event, optional
        Ends the restoration early, with what it has: of a large image, the tiles done.
    scale : Scale, optional
        That of the stack that the image is a plane of; by default its own.
    on_progress : callable, optional
        Called with an event for each step that `restore_frame` yields.

    Returns
    -------
    RestoreResult

    Raises
    ------
    ImageError, DeviceError, OutOfMemoryError
        As `restore`.
    """
    created, clock = now(), Clock({})
    k = prepare_kernel(kernel)
    sides, shape = (k.shape[0], k.shape[1]), tuple(getattr(image, "shape", ())[:2])
    device = resolve_device(config.device)
    with memory_errors(None, shape, device):
        frame = Frame.of(
            image,
            sides,
            rgb=rgb,
            check=lambda shape: check_restoration(config.restoration, shape, sides, device),
            scale=scale,
            channels=config.colour == "channels",
        )
        in_channels = frame.colour and config.colour == "channels"
        x = blurred_channels(frame) if in_channels else frame.y
        steps = (restore_channels if in_channels else restore_frame)(
            Survey.of(frame), x, k, config.restoration, device, stop=stop, **config.options()
        )
        clock.begin("restore", 0)
        for step, total, loss in in_own_torch_state(steps, device):
            if on_progress is not None:
                left = clock.left(step, total)
                on_progress(Progress("restore", step, total, loss, clock.seconds, left))
        sharp = frame.restore_range(x)
    record = RestoreRecord(
        config=config,
        kernel=describe(k),
        image=frame.description,
        device=device_label(device),
        seconds=clock.seconds,
        status="stopped" if stopped(stop) else "finished",
        created=created,
    )
    return RestoreResult(sharp, record)
