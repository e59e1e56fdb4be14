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
    outputs = Outputs(output, image.stem, _RESULTS, [image, kernel, truth])

    from napari_selfdeblur.run.restoration import run_restoration

    with stopped_by_interrupt() as stop:
        result = run_restoration(source.array, k, config, rgb=source.rgb, stop=stop)
    record = result.record
    record = replace(record, image={**record.image, **inputs.origin}, command=command_line(context))
    outputs.image("restored", result.sharp, inputs, dtype, rgb=source.rgb)
    outputs.text("record", record.to_json())
    values: dict[str, Any] = {**config.to_dict(), "status": record.status}
    lines, psnr = [], None
    if inputs.truth is not None and inputs.psnr is not None:
        psnr = (inputs.psnr, inputs.truth.psnr(result.sharp))
        values |= {"psnr_blurred": round(psnr[0], 4), "psnr_sharp": round(psnr[1], 4)}
        lines = [f"PSNR before {psnr[0]:6.2f} dB", f"PSNR after  {psnr[1]:6.2f} dB"]
    outputs.panel(
        "panel",
        inputs,
        terminal,
        sharp=result.sharp,
        kernel=k,
        title=image.name,
        subtitle=config.restoration,
        psnr=psnr,
    )
    lines += [f"{name:9} {path}" for name, path in outputs.written.items()]
    terminal.result(lines, {**values, "outputs": outputs.written})
