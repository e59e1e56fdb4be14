"""The command line of the benchmarks: `levin`, `lai`, `known`, `speed`, `report`, `trace`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_selfdeblur import registry
from napari_selfdeblur.benchmarks import lai as lai_data
from napari_selfdeblur.benchmarks import levin as levin_data
from napari_selfdeblur.benchmarks import options as o
from napari_selfdeblur.benchmarks.cases import Case
from napari_selfdeblur.benchmarks.speed.cli import speed
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.cli.command_line import as_asked
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

if TYPE_CHECKING:
    from napari_selfdeblur.benchmarks.runner import Finished

__all__ = ["app"]

app = typer.Typer(
    help="Measure on the data of Levin et al. 2009 and Lai et al. 2016, and speed; report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_CLASSICAL = ("sparse", "hyper_laplacian")
_FINDERS = {"levin": levin_data.find, "lai": lai_data.find}


@app.command(short_help="Deblur the captures of Levin and others, 2009.")
def levin(
    context: typer.Context,
    folder: o.Folder,
    output: o.Output,
    images: o.Images = None,
    kernels: o.Kernels = None,
    preset: o.Preset = "fast",
    seeds: o.Seeds = "0",
    changes: o.Set = None,
    device: o.Device = "auto",
    restorations: o.Restorations = None,
    reference: o.Reference = "sparse",
    jobs: o.Jobs = 1,
    threads: o.Threads = None,
    trace: o.Trace = 0,
    snapshots: o.Snapshots = False,
    quiet: o.Quiet = False,
) -> None:
    """Deblur the captures of Levin et al. 2009: DIR/im1_kernel1_img.png, DIR/gt/im1.png.

    Each kernel gets the size its authors gave, unless --set kernel_size=N. What the results file
    already has with the same settings is skipped.
    """
    cases = levin_data.find(folder, o.names(images), o.names(kernels))
    configs = _configs(preset, changes, seeds, device)
    tasks = _blind_tasks(cases, configs, output, restorations, reference, trace, snapshots)
    _measure(context, tasks, output, jobs, threads, quiet)


@app.command(short_help="Deblur the captures of Lai and others, 2016.")
def lai(
    context: typer.Context,
    folder: o.Folder,
    output: o.Output,
    images: o.Images = None,
    kernels: o.Kernels = None,
    preset: o.Preset = "fast",
    seeds: o.Seeds = "0",
    changes: o.Set = None,
    device: o.Device = "auto",
    restorations: o.Restorations = None,
    reference: o.Reference = "hyper_laplacian",
    jobs: o.Jobs = 1,
    threads: o.Threads = None,
    trace: o.Trace = 0,
    snapshots: o.Snapshots = False,
    quiet: o.Quiet = False,
) -> None:
    """Deblur the captures of Lai et al. 2016: DIR/uniform_ycbcr, DIR/ground_truth.

    The authors' schedule is --preset official --set loss_switch=0.1. Error ratios need
    DIR/kernels/kernel_01.png and the like.
    """
    cases = lai_data.find(folder, o.names(images), o.names(kernels))
    configs = _configs(preset, changes, seeds, device)
    tasks = _blind_tasks(cases, configs, output, restorations, reference, trace, snapshots)
    _measure(context, tasks, output, jobs, threads, quiet)


@app.command(short_help="Restore captures with their true kernels.")
def known(
    context: typer.Context,
    folder: o.Folder,
    output: o.Output,
    dataset: Annotated[str, typer.Option(help="levin or lai.")] = "levin",
    methods: Annotated[str | None, typer.Option(help="Restorations. All classical ones.")] = None,
    weight: Annotated[float | None, typer.Option(help="Weight of the prior.")] = None,
    images: o.Images = None,
    kernels: o.Kernels = None,
    device: o.Device = "auto",
    jobs: o.Jobs = 1,
    threads: o.Threads = None,
    quiet: o.Quiet = False,
) -> None:
    """Restore captures with their true kernels; each one's orientation is found by re-blurring."""
    if dataset not in _FINDERS:
        raise ConfigError(f"dataset must be one of {', '.join(_FINDERS)}, got {dataset!r}")
    cases = _FINDERS[dataset](folder, o.names(images), o.names(kernels))
    tasks = [
        Task(kind="known", case=case, method=method, weight=weight, device=device)
        for method in _methods(methods)
        for case in cases
    ]
    _measure(context, tasks, output, jobs, threads, quiet)


app.command(short_help="Time steps, memory, previews and the import.")(speed)


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results files.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="Markdown file to write.")
    ],
    figure: Annotated[
        list[Path] | None, typer.Option(help="Picture to put at the end; may be repeated.")
    ] = None,
) -> None:
    """Write tables of results files, with the published values beside them."""
    from napari_selfdeblur.benchmarks.report import render
    from napari_selfdeblur.benchmarks.results import Results
    from napari_selfdeblur.io.files import write_text

    files = [Results.read(path) for path in results]
    write_text(output, render(files, figures=figure or (), home=output.parent))


@app.command()
def trace(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results files.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="Picture (PNG) to write.")
    ],
    image: Annotated[str | None, typer.Option(help="im1. The first traced one.")] = None,
    kernel: Annotated[str | None, typer.Option(help="kernel1. The first traced one.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
) -> None:
    """Draw kernel error and image PSNR against the iteration, for runs made with --trace."""
    from napari_selfdeblur.benchmarks.results import Results
    from napari_selfdeblur.benchmarks.trace_figure import draw, traced_rows

    draw(output, traced_rows([Results.read(path) for path in results], image, kernel, seed))


def _methods(text: str | None) -> tuple[str, ...]:
    """Return the restorations meant by `text`."""
    if text is None:
        return tuple(name for name in _CLASSICAL if name in registry.RESTORATIONS)
    if text == "none":
        return ()
    names = tuple(o.names(text) or ())
    for name in names:
        registry.check("restoration", name, registry.RESTORATIONS)
    return names


def _configs(
    preset: str, changes: Sequence[str] | None, seeds: str, device: str
) -> list[tuple[SelfDeblurConfig, bool]]:
    """Return a configuration for each seed, and whether it names the kernel's size."""
    settings = o.settings(changes)
    wanted = o.names(seeds) or []
    if not wanted or not all(seed.isdigit() for seed in wanted):
        raise ConfigError(f"--seeds are whole numbers, got {seeds!r}; try --seeds 0,1,2")
    base = SelfDeblurConfig.preset(preset).replace(device=device).replace(**settings)
    return [(base.replace(seed=int(seed)), "kernel_size" in settings) for seed in wanted]


def _blind_tasks(
    cases: Sequence[Case],
    configs: Iterable[tuple[SelfDeblurConfig, bool]],
    output: Path,
    restorations: str | None,
    reference: str,
    trace: int,
    snapshots: bool,
) -> list[Task]:
    methods = _methods(restorations)
    if reference != "none":
        registry.check("reference", reference, registry.RESTORATIONS)
    if trace < 0 or (snapshots and not trace):
        raise ConfigError("--snapshots needs --trace, a positive number of steps; try --trace 100")
    tasks = []
    for config, sized in configs:
        for case in cases:
            own = config if sized else config.replace(kernel_size=case.kernel_size)
            task = Task(
                kind="deblur",
                case=case,
                config=own,
                device=config.device,
                restorations=methods,
                reference=None if reference == "none" else reference,
                trace=trace,
            )
            tasks.append(_with_snapshots(task, output) if snapshots else task)
    return tasks


def _with_snapshots(task: Task, output: Path) -> Task:
    from napari_selfdeblur.benchmarks.results import row_key

    digest = hashlib.sha256(row_key(task.identity()).encode()).hexdigest()[:8]
    name = f"{task.case.label}_seed{task.settings.seed}_{digest}.npz"
    return task.replace(snapshots=str(output.with_name(f"{output.stem}_snapshots") / name))


def _measure(
    context: typer.Context,
    tasks: Sequence[Task],
    output: Path,
    jobs: int,
    threads: int | None,
    quiet: bool,
) -> None:
    """Run what is missing, a line for each row on standard error."""
    from napari_selfdeblur.benchmarks.results import Results
    from napari_selfdeblur.benchmarks.runner import pending, run

    results = Results.read(output, missing_ok=True)
    todo = len(pending(tasks, results))

    def note(text: str) -> None:
        if not quiet:
            sys.stderr.write(text + "\n")

    note(f"{len(tasks)} measurements, {len(tasks) - todo} of them in {output} already")
    command = as_asked(context)
    for finished in run(tasks, results, jobs=jobs, threads=threads, command=command):
        note(_line(finished))


def _line(finished: Finished) -> str:
    row = finished.row
    what = row["method"] if row["kind"] == "known" else f"seed {row['seed']}"
    images = {"": row.get("sharp"), **row.get("restorations", {})}
    psnr = [f"{name} {image['psnr']:.2f} dB".strip() for name, image in images.items() if image]
    outcome = ", ".join(psnr) or row["status"]
    seconds = f"{row.get('seconds', 0):.1f} s"
    count = f"[{finished.done}/{finished.total}]"
    return f"{count} {row['image']} {row['kernel']} {what}: {outcome}, {seconds}"
