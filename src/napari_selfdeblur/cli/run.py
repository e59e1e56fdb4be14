"""`napari-selfdeblur run`: deblur one image file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.job import RESULTS, perform
from napari_selfdeblur.cli.options import from_settings
from napari_selfdeblur.cli.outputs import Outputs, result_paths
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.run.record import RunRecord

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
    output folder, replacing earlier ones. Ctrl-C ends the run after the present step and saves
    the best estimate so far: its record has status "stopped", and the exit status is 0. So does
    SIGTERM. A second Ctrl-C quits at once and says what is kept.
    """
    if record is not None and preset is not None:
        raise ConfigError("--preset and --config exclude each other: a record has its settings")
    if trace and truth is None:
        raise ConfigError("--trace compares with a known sharp image; give --truth too")
    if record is None:
        base = SelfDeblurConfig.preset(preset or "fast")
    else:
        base, region = _recorded(record)
        roi = roi or region
    config = base.replace(**changes)
    from napari_selfdeblur.numerics.runtime import Runtime
    from napari_selfdeblur.run.plan import check_every_stage

    runtime = Runtime.of(config)
    terminal = Terminal(quiet=quiet, as_json=as_json)
    with terminal.warnings():
        inputs = a.read_inputs(
            image, roi, truth, lambda shape: check_every_stage(config, shape, runtime)
        )
    paths = result_paths(
        output, image.stem, RESULTS, inputs.source, [image, truth, record, checkpoint]
    )
    outputs = Outputs(paths, inputs, terminal, dtype, a.command_line(context))
    perform(outputs, config, trace=trace, checkpoint=checkpoint)


def _recorded(path: Path) -> tuple[SelfDeblurConfig, str | None]:
    """Return the settings and the region of a record."""
    try:
        record = RunRecord.from_json(path.read_text(encoding="utf-8"))
    except (DeblurError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: {error}") from error
    region = record.image.get("roi")
    try:
        return record.config, region and ",".join(f"{start}:{end}" for start, end in region)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--config {path}: roi must be two pairs, got {region!r:.100}") from error
