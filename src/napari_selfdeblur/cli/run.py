"""`napari-selfdeblur run`: deblur one image file."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.job import RESULTS, perform, results_of
from napari_selfdeblur.cli.options import from_settings
from napari_selfdeblur.cli.outputs import Outputs, result_paths
from napari_selfdeblur.cli.stack import (
    Asked,
    deblur_file,
    opened_stack,
    stack_outputs,
)
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.io.inputs import stem_of
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.stack_record import StackRecord, read_run_file

__all__ = ["run"]


@from_settings(
    SelfDeblurConfig.preset("fast"),
    of_preset=SelfDeblurConfig.kinds().keys() - OUTSIDE_PRESETS,
)
def run(
    context: typer.Context,
    image: a.Image,
    output: a.Output,
    changes: dict[str, Any],
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(PRESETS)}.", show_default="fast"),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="RECORD",
            exists=True,
            dir_okay=False,
            help="Repeat a run from its record: its settings and its region; options override.",
        ),
    ] = None,
    roi: a.Roi = None,
    axes: a.Axes = None,
    planes: a.Planes = None,
    kernels: Annotated[
        str | None,
        typer.Option(
            metavar="one|channel|plane",
            help="Of a stack: one kernel for all planes, for each channel, or for each plane.",
            show_default="one",
        ),
    ] = None,
    kernel_from: Annotated[
        str | None,
        typer.Option(
            metavar="T=3,C=0",
            help="Of a stack: the plane that the one kernel is estimated on.",
            show_default="the one with most structure",
        ),
    ] = None,
    dtype: a.StoredDtype = a.Dtype.FLOAT32,
    truth: a.Truth = None,
    trace: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Record PSNR and loss every N steps; needs --truth."),
    ] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Save the run in FILE while it goes, and resume it from FILE if that exists.",
        ),
    ] = None,
    quiet: a.Quiet = False,
    as_json: a.Json = False,
) -> None:
    """Deblur IMAGE and estimate its kernel.

    Writes STEM_deblurred.tif, STEM_kernel.tif, STEM_record.json and STEM_panel.png into the
    output folder, replacing earlier ones; with --kernel-grid also STEM_kernels.tif, the kernel of
    each cell, row by row, and with --diagnostics true STEM_residual.tif and STEM_spread.tif. Of a
    stack, a TIFF of several planes, all planes are
    deblurred, into one TIFF of the same axes. Ctrl-C ends the run after the present step and saves
    the best estimate so far: its record has status "stopped", and the exit status is 0. So does
    SIGTERM. A second Ctrl-C quits at once and says what is kept.
    """
    if record is not None and preset is not None:
        raise ConfigError("--preset and --config exclude each other: a record has its settings")
    if trace and truth is None:
        raise ConfigError("--trace compares with a known sharp image; give --truth too")
    asked = Asked(axes, planes, kernels, kernel_from)
    if record is None:
        base = SelfDeblurConfig.preset(preset or "fast")
    else:
        base, region, before = _recorded(record)
        roi, asked = roi or region, _filled(asked, before)
    config, terminal = base.replace(**changes), Terminal(quiet=quiet, as_json=as_json)
    with terminal.warnings():
        stack = opened_stack(image, asked, roi)
    if stack is not None:
        if truth is not None or checkpoint is not None:
            raise ConfigError("--truth and --checkpoint are for one plane; leave them out")
        more = {"terminal": terminal, "dtype": dtype, "command": a.command_line(context)}
        saved = stack_outputs(stack, image, roi, RESULTS, output, record, **more)
        deblur_file(saved, config, stack, asked)
        return
    from napari_selfdeblur.numerics.runtime import Runtime
    from napari_selfdeblur.run.plan import check_every_stage

    runtime = Runtime.of(config)
    with terminal.warnings():
        inputs = a.read_inputs(
            image, roi, truth, lambda shape: check_every_stage(config, shape, runtime)
        )
    kept = [image, truth, record, checkpoint]
    paths = result_paths(output, stem_of(image), results_of(config), inputs.source, kept)
    outputs = Outputs(paths, inputs, terminal, dtype, a.command_line(context))
    perform(outputs, config, trace=trace, checkpoint=checkpoint)


def _recorded(path: Path) -> tuple[SelfDeblurConfig, str | None, Asked]:
    """Return the settings and the region of a record, and of a stack what was asked of it."""
    try:
        record = read_run_file(path)
    except DeblurError as error:
        raise ConfigError(f"--config {path}: {error}") from error
    region = record.image.get("roi")
    asked = Asked() if isinstance(record, RunRecord) else _asked(record)
    try:
        text = region and ",".join(f"{start}:{end}" for start, end in region)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--config {path}: roi must be two pairs, got {region!r:.100}") from error
    return record.config, text, asked


def _asked(record: StackRecord) -> Asked:
    """Return what was asked of the stack that a record is of."""
    places: dict[str, dict[int, None]] = {}
    for plane in record.planes:
        for axis, at in plane["index"].items():
            places.setdefault(axis, {})[at] = None
    texts = (f"{axis}=" + ",".join(map(str, indices)) for axis, indices in places.items())
    place = ",".join(f"{axis}={at}" for axis, at in (record.kernel_from or {}).items())
    return Asked(record.axes, ",".join(texts) or None, record.kernels, place or None)


def _filled(asked: Asked, before: Asked) -> Asked:
    """Return what is asked, and what it leaves open as before."""
    if asked.kernels not in (None, before.kernels):
        before = replace(before, kernel_from=None)  # it names the plane of the one kernel
    pairs = zip(astuple(asked), astuple(before), strict=True)
    return Asked(*(new or old for new, old in pairs))
