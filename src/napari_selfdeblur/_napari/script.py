"""The widget's run as one call, for scripts and notebooks with a viewer."""

from __future__ import annotations

from typing import Any, Literal, overload

from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari.job import Job, in_qt_thread
from napari_selfdeblur._napari.stack_source import PLANES
from napari_selfdeblur._napari.work import deblur_job
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.stacks import KERNELS
from napari_selfdeblur.run.stack_record import warn_of

__all__ = ["deblur_layer"]


@overload
def deblur_layer(
    viewer: ViewerModel, layer: Image | str, *, blocking: Literal[False] = ..., **settings: Any
) -> Job: ...


@overload
def deblur_layer(
    viewer: ViewerModel, layer: Image | str, *, blocking: Literal[True], **settings: Any
) -> tuple[Image, Image]: ...


def deblur_layer(
    viewer: ViewerModel,
    layer: Image | str,
    *,
    planes: Literal["current", "all"] = "current",
    kernels: Literal["one", "channel", "plane"] = "one",
    blocking: bool = False,
    preview_seconds: float = 0.5,
    **settings: Any,
) -> Job | tuple[Image, Image]:
    """Deblur an image layer of a viewer into two new layers, as the widget does.

    The layers ``NAME deblurred`` and ``NAME kernel`` appear with the first preview and are
    updated in place while the run goes on.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Image or str
        An image layer, grey or RGB(A), or its name. Rows and columns are its last two axes.
    planes : {"current", "all"}
        Of a layer with more than two dimensions: the plane that the viewer displays, whose
        result is a layer of that one plane, in its place; or all planes, as `deblur_stack` does.
    kernels : {"one", "channel", "plane"}
        With all planes: one kernel, one for each channel, or one for each plane. The channel
        axis is the one that the layer labels ``c`` or ``channel``.
    blocking : bool
        Whether to return only when the run has ended. The viewer stays alive meanwhile;
        without a Qt application, or in another thread than the application's, the run is done in
        the calling thread.
    preview_seconds : float
        Seconds between two updates of the layers, at least 0.25.
    **settings
        `preset`, ``fast`` by default, or a whole `config`; and any setting to replace in it,
        such as `kernel_size`, `iterations`, `device`, `seed` or `restoration`.

    Returns
    -------
    Job or (napari.layers.Image, napari.layers.Image)
        The run's handle, with ``stop()``, ``wait()``, ``result`` and ``layers``; if `blocking`,
        the deblurred layer and the kernel layer.

    Raises
    ------
    ConfigError
        If a setting is unknown or outside its range, `viewer` is no viewer, or the layer labels
        no channel axis where one is needed.
    ImageError
        If there is no such image layer, or none of its planes is displayed.
    DeblurError
        If `blocking`, whatever `iter_deblur` raises; otherwise ``wait()`` raises it.

    Examples
    --------
    >>> job = deblur_layer(viewer, "camera", kernel_size=21)  # doctest: +SKIP
    >>> result = job.wait()  # doctest: +SKIP
    """
    if not isinstance(viewer, ViewerModel):
        kind = type(viewer).__name__
        raise ConfigError(f"viewer must be a napari.Viewer or a ViewerModel, got a {kind}")

    for name, value, choices in (("planes", planes, PLANES), ("kernels", kernels, KERNELS)):
        if not isinstance(value, str) or value not in choices:
            known = ", ".join(choices)
            raise ConfigError(f"{name} must be one of {known}, got {value!r:.100}", field=name)

    from napari_selfdeblur.api import configure  # loads torch

    job = deblur_job(
        viewer,
        _find(viewer, layer),
        configure(**settings),
        planes=planes,
        kernels=kernels,
        preview_seconds=preview_seconds,
        notify=not blocking,
    )
    if blocking and not in_qt_thread():
        job.run()
    else:
        job.start()
    if not blocking:
        return job
    result = job.wait()
    warn_of(getattr(result.record, "planes", ()))
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
