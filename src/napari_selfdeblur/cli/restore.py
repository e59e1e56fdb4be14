"""`napari-selfdeblur restore`: deblur one image with a kernel that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.options import from_settings
from napari_selfdeblur.cli.outputs import Outputs, result_paths
from napari_selfdeblur.cli.stack import (
    Asked,
    opened_stack,
    restore_file,
    stack_outputs,
)
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.file_stack import read_kernels
from napari_selfdeblur.io.files import read_kernel
from napari_selfdeblur.io.inputs import stem_of

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
    axes: a.Axes = None,
    planes: a.Planes = None,
    dtype: a.StoredDtype = a.Dtype.FLOAT32,
    truth: a.Truth = None,
    quiet: a.Quiet = False,
    as_json: a.Json = False,
) -> None:
    """Restore IMAGE, blurred by KERNEL.

    Writes STEM_restored.tif, STEM_restored.json, its record, and STEM_restored.png, a picture
    of before and after, into the output folder. Of a stack, a TIFF of several planes, all planes
    are restored; KERNEL may then hold one kernel for each channel or for each plane.
    """
    config, terminal = RestoreConfig(**changes), Terminal(quiet=quiet, as_json=as_json)
    asked = Asked(axes, planes)
    with terminal.warnings():
        stack = opened_stack(image, asked, roi)
    if stack is not None:
        if truth is not None:
            raise ConfigError("--truth is for one plane; leave it out")
        more = {"terminal": terminal, "dtype": dtype, "command": a.command_line(context)}
        saved = stack_outputs(stack, image, roi, _RESULTS, output, kernel, **more)
        restore_file(saved, config, stack, read_kernels(kernel), asked)
        return
    from napari_selfdeblur.numerics.runtime import resolve_device
    from napari_selfdeblur.run.plan import check_restoration

    device = resolve_device(config.device)
    with terminal.warnings():
        k = read_kernel(kernel)
        sides = (k.shape[0], k.shape[1])
        inputs = a.read_inputs(
            image,
            roi,
            truth,
            lambda shape: check_restoration(config.restoration, shape, sides, device),
        )
    source = inputs.source
    paths = result_paths(output, stem_of(image), _RESULTS, source, [image, kernel, truth])
    outputs = Outputs(paths, inputs, terminal, dtype, a.command_line(context))

    from napari_selfdeblur.run.restoration import run_restoration

    with outputs.interruptible(), terminal.warnings():
        with stopped_by_interrupt(terminal.note) as stop, terminal.progress() as show:
            result = run_restoration(
                source.array, k, config, rgb=source.rgb, stop=stop, on_progress=show
            )
        record, psnr = outputs.save(result.record, result.sharp, k), None
        with terminal.optional("the result was not compared with the truth"):
            psnr = inputs.psnr_of(result.sharp)
        outputs.draw(record, result.sharp, k, subtitle=config.restoration, psnr=psnr)
    if record.status == "stopped":
        terminal.note('stopped early: the image so far is saved, with status "stopped"')
    outputs.report([], {**config.to_dict(), "status": record.status}, psnr)
