"""The public API: one image in, sharp image, kernel and record out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DivergedError
from napari_selfdeblur.io import images
from napari_selfdeblur.numerics.assess import judge
from napari_selfdeblur.numerics.fusion import draft_kernel, final
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.progress import Estimate, Progress
from napari_selfdeblur.numerics.runtime import device_label
from napari_selfdeblur.numerics.solvers.networks import Stop, iterate
from napari_selfdeblur.run import record as records
from napari_selfdeblur.run.checkpoint import Checkpoint

__all__ = ["DeblurResult", "configure", "deblur", "iter_deblur"]

_TV_PER_SIGMA = 0.1
_CHECKPOINT_STEPS = 100


@dataclass(frozen=True, slots=True)
class DeblurResult:
    """What a run leaves behind.

    Attributes
    ----------
    sharp : ndarray of float32
        The deblurred image, in the source's shape and value range.
    kernel : ndarray of float32, (kh, kw)
        The point spread function: >= 0, sums to 1, centroid at the centre.
    record : RunRecord
        How both were made.
    """

    sharp: NDArray[np.float32]
    kernel: NDArray[np.float32]
    record: records.RunRecord


def configure(
    kernel_size: int | tuple[int, int] | None = None,
    preset: str | None = None,
    *,
    config: SelfDeblurConfig | None = None,
    **settings: Any,
) -> SelfDeblurConfig:
    """Return `config` or the named preset (``fast``) with every setting that is not None.

    Raises
    ------
    ConfigError
        If both `config` and `preset` are given, or a setting is outside its range.
    """
    if config is not None and preset is not None:
        raise ConfigError("give either config or preset, not both; config.replace() changes one")
    base = config or SelfDeblurConfig.preset(preset or "fast")
    settings["kernel_size"] = kernel_size
    return base.replace(**{name: value for name, value in settings.items() if value is not None})


def deblur(
    image: ArrayLike,
    kernel_size: int | tuple[int, int] | None = None,
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
    kernel_size : int or (int, int), optional
        Odd support of the kernel in pixels, 21 unless told.
    preset : str, optional
        Name of a preset, ``fast`` unless told.
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
    run = iter_deblur(image, kernel_size, preset, **options)
    while True:
        try:
            progress = next(run)
        except StopIteration as end:
            result: DeblurResult = end.value
            return result
        if on_progress is not None:
            on_progress(progress)


def iter_deblur(
    image: ArrayLike,
    kernel_size: int | tuple[int, int] | None = None,
    preset: str | None = None,
    *,
    config: SelfDeblurConfig | None = None,
    iterations: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    restoration: str | None = None,
    rgb: bool | None = None,
    preview_seconds: float | None = None,
    preview_steps: int | None = None,
    stop: Stop | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Generator[Progress, None, DeblurResult]:
    """Deblur one image step by step (SelfDeblur, CVPR 2020, equation 6).

    Input is checked at once, before the first step is asked for.

    Parameters
    ----------
    image : array, (H, W) or (H, W, 3 or 4)
        Blurred image, grey or RGB(A), of an integer or floating dtype, finite. Of a colour
        image the luma is deblurred and the blurred chroma put back.
    kernel_size : int or (int, int), optional
        Odd support of the kernel in pixels; the configuration's unless told.
    preset : str, optional
        Name of a preset; ``fast`` where neither it nor `config` is given.
    config : SelfDeblurConfig, optional
        A whole configuration instead of a preset.
    iterations, device, seed, restoration : optional
        Replace these fields of the configuration.
    rgb : bool, optional
        Whether the last axis is colour; guessed from the shape unless told.
    preview_seconds, preview_steps : float, int, optional
        Put image and kernel into a progress at most this often, or every so many steps.
    stop : threading.Event, optional
        Ends the run after the present step, with what it has.
    checkpoint : path, optional
        File that a stopped run is put aside in, and any run every 100 steps. Where it exists
        the run goes on from there, to the numbers of an uninterrupted one; a finished run
        deletes it.

    Yields
    ------
    Progress
        After each step; `sharp` in the image's shape and value range. The last one always
        carries `sharp` and `kernel`.

    Returns
    -------
    DeblurResult
        As the generator's return value.

    Raises
    ------
    ConfigError
        If a setting is outside its range, or `checkpoint` belongs to another run.
    ImageError
        If the image cannot be processed as it is.
    DeviceError
        If the device or precision is not available.
    OutOfMemoryError
        If the run does not fit into memory.
    DivergedError
        If the loss becomes infinite or NaN; its `estimate` holds the last good image,
        in the image's shape and value range, and kernel.
    """
    chosen = configure(
        kernel_size,
        preset,
        config=config,
        iterations=iterations,
        device=device,
        seed=seed,
        restoration=restoration,
    )
    prepared = images.prepare(image, chosen.kernel_size, rgb=rgb)
    source = images.describe(image)
    put_aside = None if checkpoint is None else Checkpoint.of(checkpoint, chosen, source)
    previews = {"preview_seconds": preview_seconds, "preview_steps": preview_steps}
    return _run(prepared, source, chosen, put_aside, stop=stop, **previews)


def _run(
    prepared: images.PreparedImage,
    source: dict[str, Any],
    config: SelfDeblurConfig,
    checkpoint: Checkpoint | None,
    **options: Any,
) -> Generator[Progress, None, DeblurResult]:
    created, start = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    tv_weight = _tv_weight(config, prepared.y)
    make = registry.load("optimiser", config.optimiser, registry.OPTIMISERS)
    draft = None
    if config.draft_first:
        draft = yield from draft_kernel(prepared, config, options["stop"])
    optimiser = make(prepared.y, config, tv_weight)
    if checkpoint is not None:
        checkpoint.resume(optimiser)
    before = time.perf_counter() - start
    device = optimiser.runtime.device
    steps = iterate(optimiser, **options)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            estimate: Estimate = end.value
            break
        except DivergedError as error:
            error.estimate = _in_range(error.estimate, prepared)
            raise
        progress = replace(progress, seconds=before + progress.seconds)
        if progress.sharp is not None:
            assert progress.kernel is not None
            sharp, kernel = progress.sharp, progress.kernel
            if progress.last:
                end_with = final(prepared.y, sharp, kernel, draft, config, device)
                sharp, kernel = end_with.sharp, end_with.kernel
            progress = replace(progress, sharp=prepared.restore_range(sharp), kernel=kernel)
        if checkpoint is not None and progress.iteration % _CHECKPOINT_STEPS == 0:
            checkpoint.save(optimiser)
        yield progress
    if checkpoint is not None and estimate.stopped:
        checkpoint.save(optimiser)
    elif checkpoint is not None:
        checkpoint.discard()
    verdict = judge(end_with.sharp, end_with.kernel, prepared.y)
    record = records.RunRecord(
        config=config,
        version=records.package_version(),
        versions=records.software_versions(),
        device=device_label(device),
        seconds=time.perf_counter() - start,
        iterations=estimate.iterations,
        status="stopped" if estimate.stopped else "finished",
        losses=estimate.losses,
        image={**source, "value_range": list(prepared.value_range), "tv_weight": tv_weight},
        verdict={**verdict.to_dict(), "kept": end_with.kept},
        created=created,
    )
    return DeblurResult(prepared.restore_range(end_with.sharp), end_with.kernel, record)


def _tv_weight(config: SelfDeblurConfig, y: NDArray[np.float32]) -> float:
    """Return lambda: as set, or 0.1 sigma of the measured noise (equation 6)."""
    if config.tv_weight == "auto":
        return _TV_PER_SIGMA * noise_sigma(y)
    return float(config.tv_weight)


def _in_range(estimate: Estimate | None, prepared: images.PreparedImage) -> Estimate | None:
    if estimate is None:
        return None
    return replace(estimate, sharp=prepared.restore_range(estimate.sharp))
