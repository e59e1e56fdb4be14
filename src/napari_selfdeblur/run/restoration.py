"""Restoration with a known kernel: one plane, and one image with its record."""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io import images
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.numerics.clipping import clipped_pixels
from napari_selfdeblur.numerics.runtime import (
    device_label,
    memory_checked,
    memory_errors,
    own_torch_state,
    resolve_device,
)
from napari_selfdeblur.numerics.stop import Stop, stopped
from napari_selfdeblur.run.plan import check_restoration, measured_sigma
from napari_selfdeblur.run.record import RestoreRecord, now
from napari_selfdeblur.run.result import RestoreResult

__all__ = ["restore_plane", "restore_steps", "run_restoration"]


Steps = Generator[tuple[int, int, float], None, NDArray[np.float32]]


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


def restore_plane(*args: Any, **options: Any) -> NDArray[np.float32]:
    """Return what `restore_steps` returns; its arguments and errors."""
    steps = restore_steps(*args, **options)
    with own_torch_state(torch.device("cpu")):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return np.asarray(end.value)


def run_restoration(
    image: ArrayLike,
    kernel: ArrayLike,
    config: RestoreConfig,
    *,
    rgb: bool | None = None,
    stop: Stop | None = None,
    scale: images.Scale | None = None,
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
        Ends the restoration early, with what it has.
    scale : Scale, optional
        That of the stack that the image is a plane of; by default its own.

    Returns
    -------
    RestoreResult

    Raises
    ------
    ImageError, DeviceError, OutOfMemoryError
        As `restore`.
    """
    created, begun = now(), time.perf_counter()
    k = prepare_kernel(kernel)
    sides, shape = (k.shape[0], k.shape[1]), tuple(getattr(image, "shape", ())[:2])
    device = resolve_device(config.device)
    with memory_errors(None, shape, device):
        prepared = images.prepare(
            image,
            sides,
            rgb=rgb,
            check=lambda shape: check_restoration(config.restoration, shape, sides, device),
            scale=scale,
        )
        clipped = clipped_pixels(prepared.y)
        x = restore_plane(
            prepared.y,
            k,
            config.restoration,
            device,
            sigma=measured_sigma(prepared.y, clipped),
            clipped=clipped,
            stop=stop,
            **config.options(),
        )
        sharp = prepared.restore_range(x)
    record = RestoreRecord(
        config=config,
        kernel=images.describe(k),
        image=images.describe(image),
        device=device_label(device),
        seconds=time.perf_counter() - begun,
        status="stopped" if stopped(stop) else "finished",
        created=created,
    )
    return RestoreResult(sharp, record)
