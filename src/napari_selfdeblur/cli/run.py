"""`napari-selfdeblur run`: deblur one image file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur import config as settings
from napari_selfdeblur import registry
from napari_selfdeblur.cli import options as o
from napari_selfdeblur.cli.command_line import as_asked
from napari_selfdeblur.cli.job import Job, Outputs, Truth
from napari_selfdeblur.cli.terminal import Terminal

__all__ = ["run"]


def run(
    context: typer.Context,
    image: o.Image,
    output: o.Output,
    kernel_size: Annotated[
        str,
        typer.Option(
            metavar="N or RxC",
            help="Odd size of the kernel in pixels, or rows x columns such as 21x17.",
        ),
    ] = "21",
    preset: Annotated[str, typer.Option(help=o.names(settings.PRESETS))] = "fast",
    device: o.Device = "auto",
    seed: o.Seed = 0,
    iterations: Annotated[
        int | None, typer.Option(help="Optimisation steps; the schedule scales with them.")
    ] = None,
    roi: o.Roi = None,
    restore: Annotated[
        str | None,
        typer.Option(
            help="Restoration that makes the final image from the estimated kernel: "
            f"{o.names(registry.RESTORATIONS)}."
        ),
    ] = None,
    optimiser: Annotated[str | None, typer.Option(help=o.names(registry.OPTIMISERS))] = None,
    image_generator: Annotated[
        str | None, typer.Option(help=o.names(registry.IMAGE_GENERATORS))
    ] = None,
    kernel_generator: Annotated[
        str | None, typer.Option(help=o.names(registry.KERNEL_GENERATORS))
    ] = None,
    tv_weight: Annotated[
        str | None, typer.Option(help="Weight of the total variation, or auto.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help=o.names(settings.PRECISIONS))] = None,
    runtime: Annotated[str | None, typer.Option(help=o.names(settings.RUNTIMES))] = None,
    dtype: o.StoredDtype = o.Dtype.FLOAT32,
    truth: o.Truth = None,
    trace: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Record PSNR and loss every N steps; needs --truth."),
    ] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Put the run aside in FILE when it is stopped, and go on from FILE if it exists.",
        ),
    ] = None,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Deblur IMAGE and estimate its kernel.

    Writes STEM_deblurred.tif, STEM_kernel.tif, STEM_record.json and STEM_panel.png into the
    output folder, replacing earlier ones. Ctrl-C ends the run after the present step and saves
    the estimate so far: its record has status "stopped", and the exit status is 0. A second
    Ctrl-C quits at once and saves nothing.
    """
    changes: dict[str, Any] = {
        "kernel_size": o.kernel_size(kernel_size),
        "iterations": iterations,
        "device": device,
        "seed": seed,
        "restoration": restore,
        "optimiser": optimiser,
        "image_generator": image_generator,
        "kernel_generator": kernel_generator,
        "tv_weight": None if tv_weight is None else o.tv_weight(tv_weight),
        "precision": precision,
        "runtime": runtime,
    }
    config = settings.SelfDeblurConfig.preset(preset).replace(
        **{name: value for name, value in changes.items() if value is not None}
    )
    if trace and truth is None:
        raise typer.BadParameter("--trace compares with a known sharp image; give --truth too")

    from napari_selfdeblur.io.files import read_image

    source = read_image(image)
    origin: dict[str, Any] = {"name": image.name}
    known = None if truth is None else read_image(truth).array
    if roi is not None:
        region = o.parse_roi(roi, source.array.shape)
        if known is not None and known.shape[:2] == source.array.shape[:2]:
            known = known[region]
        source = replace(source, array=source.array[region])
        origin["roi"] = [[part.start, part.stop] for part in region]
    outputs = Outputs(output, image.stem)
    outputs.prepare([image] if truth is None else [image, truth])
    Job(
        source=source,
        origin=origin,
        config=config,
        outputs=outputs,
        terminal=Terminal(quiet=quiet, as_json=as_json),
        dtype=dtype,
        truth=_truth(truth, known, source.array, trace),
        checkpoint=checkpoint,
        command=as_asked(context),
    ).perform()


def _truth(path: Path | None, known: Any, blurred: Any, every: int) -> Truth | None:
    if path is None:
        return None
    from napari_selfdeblur.compare.ground_truth import Reference

    return Truth(path.name, Reference(known, blurred), every)
