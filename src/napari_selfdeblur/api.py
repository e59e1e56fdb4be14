"""The public functions: one image in; sharp image, kernel and record out."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.numerics import noise
from napari_selfdeblur.numerics.stop import Stop, checked_stop
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.events import Previews, Progress, check_progress, drained
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.restoration import run_restoration
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.run import run
from napari_selfdeblur.run.survey import Survey

__all__ = ["NOISE_METHODS", "configure", "deblur", "estimate_noise", "iter_deblur", "restore"]

NOISE_METHODS = {"zoran_weiss": noise.noise_sigma, "wavelet": noise.wavelet_sigma}


def configure(
    kernel_size: int | tuple[int, int] | Literal["auto"] | None = None,
    preset: str | None = None,
    *,
    config: SelfDeblurConfig | None = None,
    **settings: Any,
) -> SelfDeblurConfig:
    """Return `config` or the named preset (``fast``) with every setting that is not None.

    Raises
    ------
    ConfigError
        If both `config` and `preset` are given, or a setting is not allowed.
    """
    if config is not None and preset is not None:
        raise ConfigError(
            "give either config or preset, not both; config.replace() changes one", field="preset"
        )
    if config is not None and not isinstance(config, SelfDeblurConfig):
        raise ConfigError(
            f"config must be a SelfDeblurConfig, got {type(config).__name__}; "
            "SelfDeblurConfig.from_dict() reads a dict"
        )
    base = config or SelfDeblurConfig.preset("fast" if preset is None else preset)
    settings["kernel_size"] = kernel_size
    return base.replace(**{name: value for name, value in settings.items() if value is not None})


def deblur(
    image: ArrayLike,
    kernel_size: int | tuple[int, int] | Literal["auto"] | None = None,
    preset: str | None = None,
    *,
    on_progress: Callable[[Progress], object] | None = None,
    **options: Any,
) -> DeblurResult:
    """Deblur one image and estimate its blur kernel.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, grey or RGB(A), of an integer or floating dtype, finite.
    kernel_size : int, (int, int) or "auto", optional
        Odd support of the kernel in pixels; found by default.
    preset : str, optional
        Name of a preset, ``fast`` by default.
    on_progress : callable, optional
        Called with each `Progress`.
    **options
        As for `iter_deblur`.

    Returns
    -------
    DeblurResult

    Raises
    ------
    ConfigError, ImageError, DeviceError, OutOfMemoryError, DivergedError
        As for `iter_deblur`.

    Examples
    --------
    >>> result = deblur(image, kernel_size=21, preset="fast")  # doctest: +SKIP
    """
    check_progress(on_progress)
    return drained(iter_deblur(image, kernel_size, preset, **options), on_progress)


def iter_deblur(
    image: ArrayLike,
    kernel_size: int | tuple[int, int] | Literal["auto"] | None = None,
    preset: str | None = None,
    *,
    config: SelfDeblurConfig | None = None,
    iterations: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    restoration: str | None = None,
    colour: Literal["luma", "channels"] | None = None,
    diagnostics: bool | None = None,
    region: tuple[tuple[int, int], tuple[int, int]] | Literal["auto", "whole"] | None = None,
    kernel_grid: int | tuple[int, int] | None = None,
    rgb: bool | None = None,
    preview_seconds: float | None = None,
    preview_steps: int | None = None,
    stop: Stop | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    keep_checkpoint: bool = False,
) -> Generator[Progress, None, DeblurResult]:
    """Deblur one image step by step (SelfDeblur, CVPR 2020, equation 6).

    Input is checked at once, before the first step is asked for.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, grey or RGB(A), of an integer or floating dtype, finite. Of a colour
        image the luma is deblurred and the blurred chroma put back, or with
        ``colour="channels"`` each channel restored. A memory-mapped, dask or zarr array of any
        size is read in parts; nothing may write to it meanwhile.
    kernel_size : int, (int, int) or "auto", optional
        Odd support of the kernel in pixels; the configuration's by default.
    preset : str, optional
        Name of a preset; ``fast`` where neither it nor `config` is given.
    config : SelfDeblurConfig, optional
        A whole configuration instead of a preset.
    iterations, device, seed, restoration, colour, diagnostics : optional
        Replace these fields of the configuration.
    region : ((int, int), (int, int)), "auto" or "whole", optional
        Rows and columns, ends excluded, where the kernel is estimated; by default the whole of a
        small image, of a large one the part with the clearest edges. All of the image is
        restored.
    kernel_grid : int or (int, int), optional
        Rows and columns of cells that each have a kernel, for a blur that varies slowly over the
        image: the result has them as `kernels`. By default one kernel everywhere.
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape where it is not given.
    preview_seconds, preview_steps : float, int, optional
        Put image and kernel into an event at most this often, or every so many steps, and into
        that of each solver's last step.
    stop : threading.Event, optional
        Ends the run after the present step, or in the middle of a long one, with the best
        estimate so far: what previews show.
    checkpoint : path, optional
        File that the run is saved in every 100 steps and when it is stopped. Where it exists
        the run continues from there, to the numbers of an uninterrupted one; a finished run
        deletes it. Where it cannot be written the run goes on, with a `DeblurWarning`.
    keep_checkpoint : bool, optional
        Leave the file of a finished run: a script that fails to store the result then gets it
        again by the same call. Delete the file once the result is stored.

    Yields
    ------
    Progress
        After each step. The last one carries the result's `sharp` and `kernel`.

    Returns
    -------
    DeblurResult
        As the generator's return value.

    Raises
    ------
    ConfigError
        If a setting is not allowed, or `checkpoint` cannot be written or belongs to another
        run.
    ImageError
        If the image cannot be processed as it is.
    DeviceError
        If the device or precision is not available.
    OutOfMemoryError
        If the run does not fit into memory.
    DivergedError
        If the loss becomes infinite or NaN.
    DeblurError
        Each of these carries, as `result`, the best estimate before it, where there is one.
    """
    chosen = configure(
        kernel_size,
        preset,
        config=config,
        iterations=iterations,
        device=device,
        seed=seed,
        restoration=restoration,
        colour=colour,
        diagnostics=diagnostics,
        region=region,
        kernel_grid=kernel_grid,
    )
    checked_stop(stop)
    previews = Previews(preview_seconds, preview_steps)
    plan = Plan.of(image, chosen, rgb=rgb)
    file = None if checkpoint is None else Checkpoint.of(checkpoint, plan.config, plan.source)
    return run(plan, previews, stop=stop, checkpoint=file, keep_checkpoint=keep_checkpoint)


def restore(
    image: ArrayLike,
    kernel: ArrayLike,
    method: str = "hyper_laplacian",
    *,
    weight: float | None = None,
    iterations: int | None = None,
    colour: Literal["luma", "channels"] = "luma",
    device: str = "auto",
    rgb: bool | None = None,
    stop: Stop | None = None,
) -> NDArray[np.float32]:
    """Restore a blurred image whose kernel is known (non-blind deconvolution).

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, as for `deblur`.
    kernel : array, (kh, kw)
        Point spread function of odd size; scaled to sum to 1.
    method : str, optional
        Restoration: ``sparse`` (Levin 2011), ``hyper_laplacian`` (Krishnan and Fergus 2009),
        ``saturated`` (Whyte 2014) or ``generator`` (SelfDeblur with a fixed kernel).
    weight : float, optional
        Weight of the prior; follows the measured noise by default.
    iterations : int, optional
        Steps of a restoration that has them; the restoration's default otherwise.
    colour : {"luma", "channels"}, optional
        Of a colour image: restore the luma and put the blurred chroma back, or restore each
        channel.
    device : str, optional
        As for `deblur`.
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape where it is not given.
    stop : threading.Event, optional
        Ends the restoration early, with what it has.

    Returns
    -------
    ndarray of float32
        In the image's shape and value range.

    Raises
    ------
    ConfigError
        If the restoration or a setting is unknown or not allowed.
    ImageError
        If image or kernel cannot be used as they are.
    DeviceError, OutOfMemoryError
        If the device is missing or too small.
    """
    checked_stop(stop)
    config = RestoreConfig(
        restoration=method, weight=weight, iterations=iterations, colour=colour, device=device
    )
    return run_restoration(image, kernel, config, rgb=rgb, stop=stop).sharp


def estimate_noise(
    image: ArrayLike, method: str = "zoran_weiss", *, rgb: bool | None = None
) -> float:
    """Return the noise standard deviation sigma of an image, in its own values.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Grey or RGB(A) image; of a colour image the luma is measured.
    method : {"zoran_weiss", "wavelet"}, optional
        Scale invariance of natural images (Zoran and Weiss 2009) and, in quadrature, the error
        that JPEG compression has left, which is what runs use; or the median of the finest
        wavelet band (scikit-image).
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape where it is not given.

    Raises
    ------
    ConfigError
        If the method is unknown.
    ImageError
        If the image cannot be used, or is smaller than 8 x 8 pixels.
    """
    if not isinstance(method, str) or method not in NOISE_METHODS:
        raise ConfigError(
            f"method must be one of {', '.join(NOISE_METHODS)}, got {method!r}", field="method"
        )
    frame = Frame.of(image, (1, 1), rgb=rgb)
    if min(frame.shape) < 8:
        raise ImageError("noise is measured on at least 8 x 8 pixels; take a larger image")
    low, high = frame.value_range
    sigma = Survey.of(frame).sigma if method == "zoran_weiss" else NOISE_METHODS[method](frame.y)
    return sigma * (high - low)
