"""The kinds of job: a blind deconvolution and a restoration, of one plane or of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layers import read_source, refuse_others
from napari_selfdeblur._napari.stack_source import StackSource, read_stack
from napari_selfdeblur._napari.worker import RunWorker
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig

if TYPE_CHECKING:
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult
    from napari_selfdeblur.run.stack_record import StackResult

MIN_PREVIEW_SECONDS = 0.25
"""Layers are updated no faster: each update costs time that the run then lacks."""


def deblur_job(
    viewer: ViewerModel,
    layer: Image,
    config: SelfDeblurConfig,
    *,
    planes: str = "current",
    kernels: str = "one",
    preview_seconds: float = 0.5,
    notify: bool = True,
) -> Job:
    """Return a job that estimates image and kernel: ``NAME deblurred`` and ``NAME kernel``.

    Of a layer with more than two dimensions it deblurs the displayed plane, ``current``, or
    ``all`` of them, with `kernels` as for `deblur_stack`.

    Raises
    ------
    ConfigError
        If the layer cannot have such kernels.
    ImageError
        If `layer` is not an image layer, or no plane of it is displayed.
    """
    refuse_others(layer)
    every = max(MIN_PREVIEW_SECONDS, preview_seconds)
    name = f"{layer.name} deblurred"
    if planes == "all" and layer.ndim > 2:
        stack = read_stack(layer, kernels)
        return Job(
            viewer, stack, config, _stack_run(stack, config, every), name=name, notify=notify
        )
    source = read_source(layer, viewer)

    def work(worker: RunWorker) -> DeblurResult:
        from napari_selfdeblur import api  # loads torch

        return api.deblur(
            source.image,
            config=config,
            rgb=source.rgb,
            preview_seconds=every,
            stop=worker,
            on_progress=worker.receive,
        )

    return Job(viewer, source, config, work, name=name, notify=notify)


def restore_job(
    viewer: ViewerModel,
    layer: Image,
    kernel: NDArray[np.float32],
    config: RestoreConfig,
    *,
    kernel_name: str,
    planes: str = "current",
) -> Job:
    """Return a job that restores with a known kernel: ``NAME restored (RESTORATION)``.

    `planes` as for `deblur_job`. For all planes `kernel` is what `restore_stack` takes: one, one
    for each channel, or one for each plane.

    Raises
    ------
    ImageError
        If `layer` is not an image layer, or no plane of it is displayed.
    """
    refuse_others(layer)
    name = f"{layer.name} restored ({config.restoration})"
    if planes == "all" and layer.ndim > 2:
        stack = read_stack(layer, "one")
        return Job(
            viewer, stack, config, _stack_restoration(stack, kernel, kernel_name, config), name=name
        )
    source = read_source(layer, viewer)

    def work(worker: RunWorker) -> RestoreResult:
        from napari_selfdeblur.run import restoration  # loads torch

        result = restoration.run_restoration(
            source.image, kernel, config, rgb=source.rgb, stop=worker, on_progress=worker.receive
        )
        named = {**result.record.kernel, "name": kernel_name}
        return replace(result, record=replace(result.record, kernel=named))

    return Job(viewer, source, config, work, name=name)


def _stack_run(
    source: StackSource, config: SelfDeblurConfig, every: float
) -> Callable[[RunWorker], StackResult]:
    # Not by `deblur_stack`, which warns of planes that fail: the end of the job says so.
    def work(worker: RunWorker) -> StackResult:
        from napari_selfdeblur.run.events import Previews, drained
        from napari_selfdeblur.run.stack import StackRun  # loads torch

        run = StackRun(
            source.stack,
            config,
            source.kernels,
            previews=Previews(every),
            stop=worker,
            out=source.out,
        )
        return drained(run.steps(), worker.receive)

    return work


def _stack_restoration(
    source: StackSource, kernel: NDArray[np.float32], name: str, config: RestoreConfig
) -> Callable[[RunWorker], StackResult]:
    def work(worker: RunWorker) -> StackResult:
        from napari_selfdeblur.run.events import drained
        from napari_selfdeblur.run.stack_restoration import StackRestoration  # loads torch

        run = StackRestoration(source.stack, kernel, config, worker, source.out, name)
        return drained(run.steps(), worker.receive)

    return work
