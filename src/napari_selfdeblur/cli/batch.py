"""`napari-selfdeblur batch`: deblur many images, and every plane of each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.options import from_settings, option
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import OUTSIDE_PRESETS, RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.files import read_kernel
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.run.batch_summary import COLUMNS, as_row

if TYPE_CHECKING:
    from napari_selfdeblur.run.batch import Batch, Execute
    from napari_selfdeblur.run.batch_frame import FrameReport, Work

__all__ = ["batch"]

_WIDTH = 72  # characters of a reason in the table
_STOPPED = 130  # the exit status of what SIGINT ended


@from_settings(
    SelfDeblurConfig.preset("fast"),
    of_preset=SelfDeblurConfig.kinds().keys() - OUTSIDE_PRESETS,
    instead=("--kernel", RestoreConfig()),
)
def batch(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help='Images (TIFF, PNG, JPEG, OME-Zarr), folders of them, or patterns ("*.tif").',
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for TIFFs, or an OME-Zarr: a name that ends in .zarr."
        ),
    ],
    changes: dict[str, Any],
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(PRESETS)}.", show_default="fast"),
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Restore every frame with this kernel (PSF) instead of a run."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes on this machine, of one thread each."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Join a Dask cluster, such as tcp://10.0.0.1:8786."),
    ] = None,
    dtype: a.StoredDtype = a.Dtype.FLOAT32,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Search folders in folders too.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete what an earlier batch left in the output.")
    ] = False,
    quiet: a.Quiet = False,
    as_json: a.Json = False,
) -> None:
    """Deblur every plane of every INPUT, each by itself.

    Interrupted at any moment, the same command goes on: frames that are done stay. Inputs that
    cannot be read are named and left out. Exit status: 0 all done, 1 some failed, 130 stopped.
    """
    if workers is not None and scheduler is not None:
        raise ConfigError("--workers and --scheduler exclude each other: a cluster has its workers")
    work = _work(preset, changes, kernel, a.command_line(context))
    terminal = Terminal(quiet=quiet, as_json=as_json)
    from napari_selfdeblur.io.inputs import expanded
    from napari_selfdeblur.run.batch import prepare_batch, store_at

    begun = time.perf_counter()
    with terminal.warnings():
        store = store_at(output, dtype)
        execute = _execute(workers, scheduler)
        paths = expanded(images, output, recursive=recursive)
        planned = prepare_batch(paths, store, work, restart=restart)
        reports, stopped = _perform(planned, execute, terminal)
    _report(terminal, planned, reports, time.perf_counter() - begun)
    if stopped:
        terminal.note("stopped: the same command does what is left")
        raise typer.Exit(_STOPPED)
    if any(each.status == "failed" for each in reports):
        raise typer.Exit(1)


def _work(preset: str | None, changes: dict[str, Any], kernel: Path | None, command: str) -> Work:
    """Return what is done with each frame, by the options."""
    from napari_selfdeblur.run.batch_frame import Work

    if kernel is None:
        if others := [option(field) for field in changes if field not in SelfDeblurConfig.kinds()]:
            raise ConfigError(f"{', '.join(others)} is for a restoration with --kernel; give both")
        return Work(SelfDeblurConfig.preset(preset or "fast").replace(**changes), None, command)
    others = [option(field) for field in changes if field not in RestoreConfig.kinds()]
    others += ["--preset"] if preset is not None else []
    if others:
        raise ConfigError(f"--kernel restores without a run, which {', '.join(others)} is for")
    return Work(RestoreConfig(**changes), read_kernel(kernel), command)


def _execute(workers: int | None, scheduler: str | None) -> Execute | None:
    """Return what does the frames, None for this process."""
    if workers is None and scheduler is None:
        return None
    from napari_selfdeblur.run.cluster import distributed

    return distributed(workers=workers, scheduler=scheduler)


def _perform(
    planned: Batch, execute: Execute | None, terminal: Terminal
) -> tuple[list[FrameReport], bool]:
    """Do the batch and show its progress; return the reports, and whether it was stopped."""
    from napari_selfdeblur.run.batch import iter_batch
    from napari_selfdeblur.run.batch_frame import FrameReport

    def note(text: str) -> None:
        terminal.note("stopping: frames that are done stay; Ctrl-C again quits at once")

    reports: list[FrameReport] = []
    total = len(planned.frames) + len(planned.failed)
    with stopped_by_interrupt(note) as stop, terminal.counted(total) as show:
        for event in iter_batch(planned, execute=execute, stop=stop):
            if isinstance(event, FrameReport):
                reports.append(event)
                show(len(reports), _line(event))
        return reports, stop.is_set()


def _line(report: FrameReport) -> str:
    """Return one frame's end in words."""
    what = " ".join(filter(None, (report.input, report.plane)))
    if report.status == "failed":
        return f"{what}: failed: {report.reason}"
    when = "done before" if report.resumed else f"{report.seconds:.1f} s"
    return f"{what}: {report.outcome}, {when}"


def _report(
    terminal: Terminal, planned: Batch, reports: Sequence[FrameReport], seconds: float
) -> None:
    """Print what became of each frame, and where the summary is."""
    order = {(each.name, each.label): i for i, each in enumerate(planned.frames)}
    rows = sorted(reports, key=lambda each: order.get((each.output, each.plane), len(order)))
    table = [as_row(row) for row in rows]
    counts = Counter(row.status for row in rows)
    doubtful = sum(row.credible is False for row in rows)
    before = sum(row.resumed for row in rows)
    values: dict[str, Any] = {
        "output": str(planned.store.path),
        "done": counts["done"],
        "doubtful": doubtful,
        "failed": counts["failed"],
        "done_before": before,
        "seconds": round(seconds, 3),
        "frames": table,
    }
    short = ({**row, "reason": _shortened(str(row["reason"]))} for row in table)
    lines = _columns([COLUMNS, *(tuple(map(_text, row.values())) for row in short)])
    lines.append(
        f"{counts['done']} done ({doubtful} doubtful, {before} done before), "
        f"{counts['failed']} failed, in {seconds:.1f} s: {planned.store.path}"
    )
    if planned.frames:
        values["summary"] = str(planned.store.summary_path())
    terminal.result(lines, values)
    if doubtful:
        terminal.note(f"warning: {doubtful} results may be wrong: see their reasons")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _shortened(text: str) -> str:
    """Return a reason that leaves a line readable; the files have it whole."""
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of texts as lines with their columns below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([t.ljust(w) for t, w in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(row).rstrip() for row in padded]
