"""Restoration with a known kernel: one plane, and one image with its record."""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io import images
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.numerics.runtime import (
    device_label,
    is_out_of_memory,
    out_of_memory_restoring,
    own_torch_state,
    resolve_device,
)
from napari_selfdeblur.numerics.solvers.base import Stop
from napari_selfdeblur.run.plan import measured_sigma
from napari_selfdeblur.run.record import RestoreRecord, now
from napari_selfdeblur.run.result import RestoreResult

__all__ = ["restore_plane", "run_restoration"]


def restore_plane(
    y: NDArray[np.float32],
    k: NDArray[np.float32],
    restoration: str,
    device: torch.device,
    *,
    sigma: float,
    stop: Stop | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Restore one plane with a known kernel.

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
    stop : Stop, optional
        Ends the restoration early, with what it has.
    **options
        Settings of the restoration.

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
    if "sigma" in inspect.signature(function).parameters:
        options["sigma"] = sigma
    try:
        with own_torch_state(device):
            tensors = (torch.from_numpy(each).to(device) for each in (y, k))
            x: torch.Tensor = function(*tensors, stop=stop, **options)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory_restoring((y.shape[0], y.shape[1]), device) from error
    if not torch.isfinite(x).all():
        raise DeblurError(
            f"the restoration {restoration!r} became infinite or NaN; choose a weight nearer to "
            "the default"
        )
    return np.asarray(x.detach().cpu().numpy(), dtype=np.float32)


def run_restoration(
    image: ArrayLike,
    kernel: ArrayLike,
    config: RestoreConfig,
    *,
    rgb: bool | None = None,
    stop: Stop | None = None,
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
    prepared = images.prepare(image, (k.shape[0], k.shape[1]), rgb=rgb)
    device = resolve_device(config.device)
    x = restore_plane(
        prepared.y,
        k,
        config.restoration,
        device,
        sigma=measured_sigma(prepared.y),
        stop=stop,
        **config.options(),
    )
    record = RestoreRecord(
        config=config,
        kernel=images.describe(k),
        image=images.describe(image),
        device=device_label(device),
        seconds=time.perf_counter() - begun,
        status="stopped" if stop is not None and stop.is_set() else "finished",
        created=created,
    )
    return RestoreResult(prepared.restore_range(x), record)
