"""The two kinds of job: a blind deconvolution, and a restoration with a known kernel."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.kernel_choice import GivenKernel
from napari_selfdeblur._napari.layers import read_source
from napari_selfdeblur._napari.worker import StopFlag
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult, RestoreResult

__all__ = ["MIN_PREVIEW_SECONDS", "deblur_job", "restore_job"]

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
    interval = max(MIN_PREVIEW_SECONDS, preview_seconds)

    def work(stop: StopFlag) -> Generator[Progress, None, DeblurResult]:
        # Here and not above: this import loads torch.
        from napari_selfdeblur import api

        return api.iter_deblur(
            source.image, config=config, rgb=source.rgb, preview_seconds=interval, stop=stop
        )

    return Job(viewer, source, config, work, name=f"{source.name} deblurred", notify=notify)


def restore_job(
    viewer: ViewerModel,
    layer: Image,
    kernel: GivenKernel,
    config: RestoreConfig,
    *,
    notify: bool = True,
) -> Job:
    """Return a job that restores with a known kernel: ``NAME restored (RESTORATION)``.

    Raises
    ------
    ImageError
        If `layer` is not a 2-D image layer.
    """
    source = read_source(layer)

    def work(stop: StopFlag) -> RestoreResult:
        # Here and not above: this import loads torch.
        from napari_selfdeblur.run import restoration

        result = restoration.run_restoration(
            source.image, kernel.pixels, config, rgb=source.rgb, stop=stop
        )
        named = {**result.record.kernel, "name": kernel.name}
        return replace(result, record=replace(result.record, kernel=named))

    name = f"{source.name} restored ({config.restoration})"
    return Job(viewer, source, config, work, name=name, notify=notify)
