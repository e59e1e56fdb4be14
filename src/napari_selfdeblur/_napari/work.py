"""The two kinds of job: a blind deconvolution, and a restoration with a known kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layers import read_source
from napari_selfdeblur._napari.worker import RunWorker
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig

if TYPE_CHECKING:
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult

MIN_PREVIEW_SECONDS = 0.25
"""Layers are updated no faster: each update costs time that the run then lacks."""


def deblur_job(
    viewer: ViewerModel,
    layer: Image,
    config: SelfDeblurConfig,
    *,
    preview_seconds: float = 0.5,
    notify: bool = True,
) -> Job:
    """Return a job that estimates image and kernel: ``NAME deblurred`` and ``NAME kernel``.

    Raises
    ------
    ImageError
        If `layer` is not a 2-D image layer.
    """
    source = read_source(layer)

    def work(worker: RunWorker) -> DeblurResult:
        from napari_selfdeblur import api  # loads torch

        return api.deblur(
            source.image,
            config=config,
            rgb=source.rgb,
            preview_seconds=max(MIN_PREVIEW_SECONDS, preview_seconds),
            stop=worker,
            on_progress=worker.receive,
        )

    return Job(viewer, source, config, work, name=f"{source.name} deblurred", notify=notify)


def restore_job(
    viewer: ViewerModel,
    layer: Image,
    kernel: NDArray[np.float32],
    config: RestoreConfig,
    *,
    kernel_name: str,
) -> Job:
    """Return a job that restores with a known kernel: ``NAME restored (RESTORATION)``.

    Raises
    ------
    ImageError
        If `layer` is not a 2-D image layer.
    """
    source = read_source(layer)

    def work(worker: RunWorker) -> RestoreResult:
        from napari_selfdeblur.run import restoration  # loads torch

        result = restoration.run_restoration(
            source.image, kernel, config, rgb=source.rgb, stop=worker
        )
        named = {**result.record.kernel, "name": kernel_name}
        return replace(result, record=replace(result.record, kernel=named))

    name = f"{source.name} restored ({config.restoration})"
    return Job(viewer, source, config, work, name=name)
