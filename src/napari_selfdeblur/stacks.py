"""The public functions for stacks: series, channels and depths, one plane at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from napari_selfdeblur.api import configure
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.io.stacks import Choice, Stack
from napari_selfdeblur.numerics.stop import Stop, checked_stop
from napari_selfdeblur.run.events import Previews, Progress, check_progress, drained
from napari_selfdeblur.run.stack import StackRun, Steps
from napari_selfdeblur.run.stack_record import StackResult, warn_of
from napari_selfdeblur.run.stack_restoration import StackRestoration

__all__ = ["deblur_stack", "iter_deblur_stack", "iter_restore_stack", "restore_stack"]


def deblur_stack(
    stack: Any,
    axes: str | None = None,
    kernels: str = "one",
    planes: Choice | None = None,
    *,
    on_progress: Callable[[Progress], object] | None = None,
    **options: Any,
) -> StackResult:
    """Deblur the planes of a stack.

    Parameters
    ----------
    stack, axes, kernels, planes : optional
        As for `iter_deblur_stack`.
    on_progress : callable, optional
        Called with each `Progress`.
    **options
        As for `iter_deblur_stack`.

    Returns
    -------
    StackResult

    Raises
    ------
    ConfigError, ImageError, DeviceError, OutOfMemoryError, DivergedError
        As for `iter_deblur_stack`.

    Examples
    --------
    >>> result = deblur_stack(series, axes="TCYX", kernels="channel")  # doctest: +SKIP
    """
    check_progress(on_progress)
    return drained(iter_deblur_stack(stack, axes, kernels, planes, **options), on_progress)


def iter_deblur_stack(
    stack: Any,
    axes: str | None = None,
    kernels: str = "one",
    planes: Choice | None = None,
    *,
    kernel_size: int | tuple[int, int] | Literal["auto"] | None = None,
    preset: str | None = None,
    config: SelfDeblurConfig | None = None,
    iterations: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    restoration: str | None = None,
    kernel_from: Mapping[str, int] | None = None,
    preview_seconds: float | None = None,
    preview_steps: int | None = None,
    stop: Stop | None = None,
    out: Any = None,
) -> Generator[Progress, None, StackResult]:
    """Deblur the planes of a stack step by step.

    Settings and shape are checked at once, before the first step is asked for; the values when
    the planes are read. Each plane is read twice, one at a time: once for its range and
    structure, once to be restored.

    Planes that share a kernel are all restored with it in the same way, also the one that it was
    estimated on, so that a series has no odd plane: by the configuration's restoration, or
    ``sparse`` where it has none, without the networks' own image. A plane with a kernel of its
    own has what `deblur` gives. Where no blur was found the planes stay as they are. All planes
    of a channel have one scale: a plane does not depend on the others where the data are on
    their full scale, otherwise by minimum and maximum of the whole channel.

    Parameters
    ----------
    stack : array, (..., H, W) or (..., H, W, 3 or 4)
        Anything with ``shape``, ``dtype``, ``ndim`` and slicing: NumPy, memory map, dask, zarr,
        HDF5. Of an integer or floating dtype.
    axes : str, optional
        A letter for each axis, such as ``"TCYX"``, ``"ZYX"`` or ``"TYXS"``: rows Y and columns X
        last, after them only colour samples S; channels are C. By default a last axis of 3 or 4
        is S, and the others are YX, TYX, TCYX or TCZYX.
    kernels : {"one", "channel", "plane"}, optional
        One kernel for all planes, for each channel, or for each plane. It is estimated on the
        plane with most structure. For ``plane`` a kernel size that is ``auto`` is found on the
        first plane of each channel that gives one; the others take that of the plane before.
    planes : mapping, optional
        Which planes: an index, several, or a slice along an axis, by its letter:
        ``{"T": slice(0, 5), "C": 1}``. The result holds these alone and keeps its axes.
    kernel_size, preset, config, iterations, device, seed, restoration : optional
        As for `iter_deblur`; they hold for every estimate.
    kernel_from : mapping of str to int, optional
        The plane that the one kernel is estimated on: its index along each axis.
    preview_seconds, preview_steps : optional
        As for `iter_deblur`, of the estimates.
    stop : threading.Event, optional
        Ends the run: planes that are done are kept, the others keep their blurred values.
    out : array, optional
        Where the results go, of the result's shape and any dtype: a memory map, for example. It
        holds the blurred planes first and each result as soon as it is made.

    Yields
    ------
    Progress
        `part` is the plane and how many there are, in the order of the array from 1; `sharp` and
        `kernel` are that plane's. The stage ``read`` comes before those of `iter_deblur`, and
        each plane that is restored with a shared kernel is an event ``restore`` with its image.
        `seconds_left` is that of the whole stack.

    Returns
    -------
    StackResult
        As the generator's return value. A plane that cannot be deblurred, being flat or not
        finite, stays as it is: its record says why, and a `DeblurWarning` names it.

    Raises
    ------
    ConfigError
        If a setting, `axes`, `kernels`, `planes` or `out` is not allowed.
    ImageError
        If no plane can be processed as it is.
    DeviceError
        If the device or precision is not available.
    OutOfMemoryError
        If a plane's run, or the result, does not fit into memory.
    DivergedError
        If the loss of every estimate becomes infinite or NaN.
    DeblurError
        Each of these carries, as `result`, what was done before it, where there is any.
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
    checked_stop(stop)
    previews = Previews(preview_seconds, preview_steps)
    parts = Stack.of(stack, axes, planes)
    return _warning(StackRun(parts, chosen, kernels, kernel_from, previews, stop, out).steps())


def restore_stack(
    stack: Any,
    kernels: ArrayLike,
    method: str = "hyper_laplacian",
    axes: str | None = None,
    planes: Choice | None = None,
    *,
    weight: float | None = None,
    iterations: int | None = None,
    colour: Literal["luma", "channels"] = "luma",
    device: str = "auto",
    on_progress: Callable[[Progress], object] | None = None,
    stop: Stop | None = None,
    out: Any = None,
) -> StackResult:
    """Restore the planes of a stack with known kernels (non-blind deconvolution).

    Parameters
    ----------
    stack, axes, planes, stop, out : optional
        As for `iter_deblur_stack`.
    kernels : array
        (kh, kw) for all planes, (C, kh, kw) for each channel, or one for each plane,
        (..., kh, kw): what `StackResult.kernels` holds. Planes whose kernel is all zero, for none
        was found, stay blurred.
    method, weight, iterations, colour, device : optional
        As for `restore`.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    StackResult
        Planes that cannot be restored stay as they are, as for `iter_deblur_stack`.

    Raises
    ------
    ConfigError, ImageError, DeviceError, OutOfMemoryError
        As `restore`, and `iter_deblur_stack`.
    """
    check_progress(on_progress)
    config = RestoreConfig(
        restoration=method, weight=weight, iterations=iterations, colour=colour, device=device
    )
    steps = iter_restore_stack(stack, kernels, config, axes, planes, stop=stop, out=out)
    return drained(steps, on_progress)


def iter_restore_stack(
    stack: Any,
    kernels: ArrayLike,
    config: RestoreConfig,
    axes: str | None = None,
    planes: Choice | None = None,
    *,
    stop: Stop | None = None,
    out: Any = None,
    kernel_name: str = "",
) -> Generator[Progress, None, StackResult]:
    """Do what `restore_stack` does, plane by plane, by a whole configuration.

    `kernel_name` is the kernels' name in the record.
    """
    checked_stop(stop)
    parts = Stack.of(stack, axes, planes)
    return _warning(StackRestoration(parts, kernels, config, stop, out, kernel_name).steps())


def _warning(steps: Steps) -> Steps:
    """Do the steps, and warn of the planes that could not be deblurred."""
    result = yield from steps
    warn_of(result.record.planes)
    return result
