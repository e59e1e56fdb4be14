"""`napari-selfdeblur restore`: deblur one image with a kernel that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.command_line import command_line
from napari_selfdeblur.cli.options import from_settings
from napari_selfdeblur.cli.outputs import Outputs
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import RestoreConfig

__all__ = ["restore"]

_RESULTS = {"restored": "restored.tif", "record": "restored.json", "panel": "restored.png"}


@from_settings(RestoreConfig(), names={"restoration": "--method"})
def restore(
    context: typer.Context,
    image: a.Image,
    kernel: Annotated[
        Path,
        typer.Argument(metavar="KERNEL", help="Kernel (PSF) as an image file; scaled to sum to 1."),
    ],
    output: a.Output,
    changes: dict[str, Any],
    roi: a.Roi = None,
    dtype: a.StoredDtype = a.Dtype.FLOAT32,
    truth: a.Truth = None,
    quiet: a.Quiet = False,
    as_json: a.Json = False,
) -> None:
    """Restore IMAGE, blurred by KERNEL.

    Writes STEM_restored.tif, STEM_restored.json, its record, and STEM_restored.png, a picture
    of before and after, into the output folder.
    """
    config, terminal = RestoreConfig(**changes), Terminal(quiet=quiet, as_json=as_json)

    from napari_selfdeblur.io.files import read_kernel

    inputs, k = a.read_inputs(image, roi, truth), read_kernel(kernel)
    source = inputs.source
    outputs = Outputs(output, image.stem, _RESULTS, inputs, terminal, [image, kernel, truth])

    from napari_selfdeblur.run.restoration import run_restoration

    with stopped_by_interrupt() as stop:
        result = run_restoration(source.array, k, config, rgb=source.rgb, stop=stop)
    origin = {**result.record.image, **inputs.origin}
    record = replace(result.record, image=origin, command=command_line(context))
    if record.status == "stopped":
        terminal.note('stopped early: the image so far is saved, with status "stopped"')
    psnr = inputs.psnr_of(result.sharp)
    outputs.image("restored", result.sharp, dtype)
    outputs.text("record", record.to_json())
    title = {"title": image.name, "subtitle": config.restoration}
    outputs.panel("panel", sharp=result.sharp, kernel=k, psnr=psnr, **title)
    outputs.report([], {**config.to_dict(), "status": record.status}, psnr)
