"""The widget's run as one call, for scripts and notebooks with a viewer."""

from __future__ import annotations

from typing import Literal, overload

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QCoreApplication

from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.work import deblur_job
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

__all__ = ["deblur_layer"]


@overload
def deblur_layer(
    viewer: ViewerModel,
    layer: Image | str,
    *,
    kernel_size: int | tuple[int, int] | None = ...,
    preset: str | None = ...,
    config: SelfDeblurConfig | None = ...,
    iterations: int | None = ...,
    device: str | None = ...,
    seed: int | None = ...,
    restoration: str | None = ...,
    preview_seconds: float = ...,
    blocking: Literal[False] = ...,
) -> Job: ...


@overload
def deblur_layer(
    viewer: ViewerModel,
    layer: Image | str,
    *,
    kernel_size: int | tuple[int, int] | None = ...,
    preset: str | None = ...,
    config: SelfDeblurConfig | None = ...,
    iterations: int | None = ...,
    device: str | None = ...,
    seed: int | None = ...,
    restoration: str | None = ...,
    preview_seconds: float = ...,
    blocking: Literal[True],
) -> tuple[Image, Image]: ...


def deblur_layer(
    viewer: ViewerModel,
    layer: Image | str,
    *,
    kernel_size: int | tuple[int, int] | None = None,
    preset: str | None = None,
    config: SelfDeblurConfig | None = None,
    iterations: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    restoration: str | None = None,
    preview_seconds: float = 0.5,
    blocking: bool = False,
) -> Job | tuple[Image, Image]:
    """Deblur an image layer of a viewer into two new layers, as the widget does.

    The layers ``NAME deblurred`` and ``NAME kernel`` appear with the first preview and are
    updated in place while the run goes on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    layer : napari.layers.Image or str
        A 2-D image layer, grey or RGB(A), or its name.
    kernel_size : int or (int, int), optional
        Odd support of the kernel in pixels; the preset's by default.
    preset : str, optional
        Name of a preset; ``fast`` where neither it nor `config` is given.
    config : SelfDeblurConfig, optional
        A whole configuration instead of a preset.
    iterations, device, seed, restoration : optional
        Replace these fields of the configuration.
    preview_seconds : float
        Seconds between two updates of the layers, at least 0.25.
    blocking : bool
        Whether to return only when the run has ended. The viewer stays alive meanwhile;
        without a Qt application the run is done in the calling thread.

    Returns
    -------
    Job or (napari.layers.Image, napari.layers.Image)
        The run's handle, with ``stop()``, ``wait()``, ``result`` and ``layers``; if `blocking`,
        the deblurred layer and the kernel layer.

    Raises
    ------
    ConfigError
        If a setting is outside its range.
    ImageError
        If there is no such image layer, or it has more than two dimensions.
    DeblurError
        If `blocking`, whatever `iter_deblur` raises; otherwise ``wait()`` raises it.

    Examples
    --------
    >>> job = deblur_layer(viewer, "camera", kernel_size=21)  # doctest: +SKIP
    >>> result = job.wait()  # doctest: +SKIP
    """
    # Here and not above: this import loads torch.
    from napari_selfdeblur.api import configure

    chosen = configure(
        kernel_size,
        preset,
        config=config,
        iterations=iterations,
        device=device,
        seed=seed,
        restoration=restoration,
    )
    job = deblur_job(
        viewer,
        _find(viewer, layer),
        chosen,
        preview_seconds=preview_seconds,
        notify=not blocking,
    )
    if blocking and QCoreApplication.instance() is None:
        job.run()
    else:
        job.start()
    if not blocking:
        return job
    job.wait()
    sharp, kernel = job.layers
    assert sharp is not None
    assert kernel is not None
    return sharp, kernel


def _find(viewer: ViewerModel, layer: Image | str) -> Image:
    if not isinstance(layer, str):
        return layer
    if layer not in viewer.layers:
        known = ", ".join(repr(each.name) for each in viewer.layers) or "none"
        raise ConfigError(f"layer must be one of the viewer's ({known}), got {layer!r}")
    found: Image = viewer.layers[layer]
    return found
