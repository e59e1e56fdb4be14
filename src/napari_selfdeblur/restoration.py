"""Restoration with a known kernel, and the noise of an image: the public API beside `deblur`."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.errors import ConfigError, ImageError, OutOfMemoryError
from napari_selfdeblur.io import images
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.numerics import noise
from napari_selfdeblur.numerics.runtime import is_out_of_memory, resolve_device

__all__ = ["NOISE_METHODS", "estimate_noise", "restore", "restore_plane"]

NOISE_METHODS = {"zoran_weiss": noise.noise_sigma, "wavelet": noise.wavelet_sigma}


def restore(
    image: ArrayLike,
    kernel: ArrayLike,
    method: str = "hyper_laplacian",
    *,
    weight: float | None = None,
    device: str = "auto",
    rgb: bool | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Restore a blurred image whose kernel is known (non-blind deconvolution).

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, as for `deblur`. Of a colour image the luma is restored and the blurred
        chroma put back.
    kernel : array, (kh, kw)
        Point spread function of odd size; scaled to sum to 1.
    method : str, optional
        ``sparse`` (Levin 2011), ``hyper_laplacian`` (Krishnan and Fergus 2009), ``saturated``
        (Whyte 2014) or ``generator`` (SelfDeblur with a fixed kernel).
    weight : float, optional
        Weight of the prior; follows the measured noise unless set.
    device : str, optional
        As for `deblur`.
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape unless told.
    **options
        Further settings of the method, see its function.

    Returns
    -------
    ndarray of float32
        In the image's shape and value range.

    Raises
    ------
    ConfigError
        If the method or a setting is unknown or out of range.
    ImageError
        If image or kernel cannot be used as they are.
    DeviceError, OutOfMemoryError
        If the device is missing or too small.
    """
    k = prepare_kernel(kernel)
    prepared = images.prepare(image, (k.shape[0], k.shape[1]), rgb=rgb)
    if weight is not None:  # a method without a weight does not take one
        options["weight"] = weight
    x = restore_plane(prepared.y, k, method, device=device, **options)
    return prepared.restore_range(x)


def restore_plane(
    y: NDArray[np.float32],
    k: NDArray[np.float32],
    method: str,
    *,
    device: str = "auto",
    **options: Any,
) -> NDArray[np.float32]:
    """Restore one plane y (H, W) in [0, 1] with kernel k; see `restore`."""
    function = registry.load("method", method, registry.RESTORATIONS)
    known = inspect.signature(function).parameters.keys() - {"y", "k"}
    if unknown := options.keys() - known:
        raise ConfigError(
            f"restoration {method!r} has no setting {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(known))}"
        )
    place = resolve_device(device)
    try:
        x = function(torch.from_numpy(y).to(place), torch.from_numpy(k).to(place), **options)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory on {place} while restoring an image of {y.shape[0]} x {y.shape[1]} "
            "pixels; crop the image, or choose device='cpu'"
        ) from error
    return np.asarray(x.cpu().numpy(), dtype=np.float32)


def estimate_noise(
    image: ArrayLike, method: str = "zoran_weiss", *, rgb: bool | None = None
) -> float:
    """Return the noise standard deviation sigma of an image, in its own values.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Grey or RGB(A) image; of a colour image the luma is measured.
    method : {"zoran_weiss", "wavelet"}, optional
        Scale invariance of natural images (Zoran and Weiss 2009), or the median of the finest
        wavelet band (scikit-image).
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape unless told.

    Raises
    ------
    ConfigError
        If the method is unknown.
    ImageError
        If the image cannot be used, or is smaller than 8 x 8 pixels.
    """
    if method not in NOISE_METHODS:
        raise ConfigError(f"method must be one of {', '.join(NOISE_METHODS)}, got {method!r}")
    prepared = images.prepare(image, (1, 1), rgb=rgb)
    if min(prepared.y.shape) < 8:
        raise ImageError("noise is measured on at least 8 x 8 pixels; take a larger image")
    low, high = prepared.value_range
    return float(NOISE_METHODS[method](prepared.y)) * (high - low)
