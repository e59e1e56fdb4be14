"""The command line: ``python -m benchmarks levin | lai | known | speed | score | report | trace``.

Run from a checkout; it needs the dependency group ``benchmarks``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import options as o
from benchmarks import speed_plan
from benchmarks.images import find
from benchmarks.results import Results
from benchmarks.task import Setup, Task
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError

app = typer.Typer(
    help="Measure on images whose sharp image is known, and speed; report what was found.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _blind(dataset: str, reference_of_paper: str) -> Callable[..., None]:
    """Return the command that deblurs the images of `dataset`."""

    def command(
        context: typer.Context,
        folder: o.Folder,
        output: o.Output,
        images: o.Images = None,
        kernels: o.Kernels = None,
        preset: o.Preset = "fast",
        seeds: o.Seeds = "0",
        changes: o.Set = None,
        device: o.Device = "auto",
        restorations: o.Restorations = "sparse,hyper_laplacian",
        reference: o.Reference = None,
        jobs: o.Jobs = 1,
        threads: o.Threads = None,
        trace: o.Trace = 0,
        store: o.Store = None,
        quiet: o.Quiet = False,
    ) -> None:
        changed = o.settings(changes)
        base = SelfDeblurConfig.preset(preset).replace(device=device).replace(**changed)
        behind = o.restorations_of(reference_of_paper if reference is None else reference)
        tasks = []
        for seed in o.numbers("seeds", seeds):
            for test in find(dataset, folder, o.names(images), o.names(kernels)):
                size = base.kernel_size if "kernel_size" in changed else test.kernel_size
                task = Task(
                    kind="deblur",
                    image=test,
                    setups=(Setup(preset, base.replace(seed=seed, kernel_size=size)),),
                    device=base.device,
                    restorations=o.restorations_of(restorations),
                    reference=behind[0] if behind else None,
                    trace=trace,
                    store=None if store is None else str(store),
                )
                tasks.append(task)
        o.perform(context, tasks, output, jobs=jobs, threads=threads, quiet=quiet)

    return command


app.command(
    "levin",
    help="Deblur the images of Levin et al. 2009: DIR/im1_kernel1_img.png, DIR/gt/im1.png. Each "
    "kernel gets the size its authors gave, unless --set kernel_size=N. What the results file "
    "already has with the same settings is skipped.",
)(_blind("levin", "sparse"))
app.command(
    "lai",
    help="Deblur the images of Lai et al. 2016: DIR/uniform_ycbcr, DIR/ground_truth. The "
    "authors' schedule is --preset official --set loss_switch=0.1. Error ratios need "
    "DIR/kernels/kernel_01.png and the like.",
)(_blind("lai", "hyper_laplacian"))


@app.command()
def known(
    context: typer.Context,
    folder: o.Folder,
    output: o.Output,
    dataset: Annotated[str, typer.Option(help="levin or lai.")] = "levin",
    methods: Annotated[str, typer.Option(help="Restorations.")] = "sparse,hyper_laplacian",
    weight: Annotated[float | None, typer.Option(help="Weight of the prior.")] = None,
    images: o.Images = None,
    kernels: o.Kernels = None,
    device: o.Device = "auto",
    jobs: o.Jobs = 1,
    threads: o.Threads = None,
    store: o.Store = None,
    quiet: o.Quiet = False,
) -> None:
    """Restore images with their true kernels; each one's orientation is found by re-blurring."""
    folder_kept = None if store is None else str(store)
    tasks = [
        Task(
            kind="known", image=test, method=method, weight=weight, device=device, store=folder_kept
        )
        for method in o.restorations_of(methods)
        for test in find(dataset, folder, o.names(images), o.names(kernels))
    ]
    o.perform(context, tasks, output, jobs=jobs, threads=threads, quiet=quiet)


@app.command()
def speed(
    context: typer.Context,
    output: o.Output,
    device: o.Device = "auto",
    sizes: Annotated[str, typer.Option(help="Sides of the images, in pixels.")] = (
        "128,255,512,1024"
    ),
    kernels: Annotated[str, typer.Option(help="Sides of the kernels, in pixels.")] = "17,31,75",
    steps: Annotated[int, typer.Option(help="Timed steps of each path.")] = 5,
    measure: Annotated[str, typer.Option(help="What to measure.")] = ",".join(
        speed_plan.MEASUREMENTS
    ),
    run_steps: Annotated[
        int, typer.Option(help="Steps of the full network among the whole runs.")
    ] = 1000,
    profile: Annotated[
        bool, typer.Option("--profile", help="Store what one optimised step spends its time on.")
    ] = False,
    changes: o.Set = None,
    threads: o.Threads = None,
    quiet: o.Quiet = False,
) -> None:
    """Time the optimised paths against the plain eager float32 step, in turn.

    Also peak memory beside its prediction, the cost of a live preview, the time to import the
    package, and whole runs on a photograph: how long they take, and how long until a PSNR. Each
    measurement is made in a fresh process; what the results file already has with the same
    settings is skipped. Run nothing else meanwhile.
    """
    from benchmarks.speed import precisions_of
    from napari_selfdeblur.numerics.runtime import resolve_device

    resolved = str(resolve_device(device))
    tasks = speed_plan.plan(
        o.numbers("sizes", sizes),
        o.numbers("kernels", kernels),
        steps=steps,
        device=resolved,
        precisions=precisions_of(resolved),
        changes=o.settings(changes),
        measurements=o.names(measure) or [],
        run_steps=run_steps,
        profile=profile,
    )
    o.perform(context, tasks, output, threads=threads, quiet=quiet)


@app.command()
def score(
    folder: o.Folder,
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Results file.")],
    store: Annotated[Path, typer.Option(file_okay=False, help="Folder given to --store.")],
    output: o.Page,
    dataset: Annotated[str, typer.Option(help="levin or lai.")] = "levin",
) -> None:
    """Measure stored images again, with every metric there is now; nothing is run."""
    from benchmarks.score import rescored

    rescored(Results.read(results), find(dataset, folder), store, output).write()


@app.command()
def report(
    context: typer.Context,
    results: o.Files,
    output: o.Page,
    figure: Annotated[
        list[Path] | None, typer.Option(help="Picture to put at the end; may be repeated.")
    ] = None,
) -> None:
    """Write a page on results files and records of single runs, beside the published values."""
    from benchmarks.report import render
    from napari_selfdeblur.io.files import write_text

    command = o.command_of(context.obj or ())
    page = render(results, figure=figure or (), home=output.parent, command=command)
    write_text(output, page)


@app.command()
def trace(
    results: o.Files,
    output: o.Page,
    image: Annotated[str | None, typer.Option(help="im1; default: the first traced one.")] = None,
    kernel: Annotated[str | None, typer.Option(help="kernel1; default: the first.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    store: o.Stored = None,
) -> None:
    """Draw kernel error and image PSNR against the iteration (PNG), of runs made with --trace.

    With --store, images along the first of the runs stand below.
    """
    from benchmarks.trace import draw, traced_rows

    files = [Results.read(path) for path in results]
    draw(output, traced_rows(files, image, kernel, seed), store)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong arguments."""
    words = list(sys.argv[1:] if args is None else args)
    # Not app(): that would set the process's exception hook.
    command = typer.main.get_command(app)
    try:
        command.main(args=words, prog_name="python -m benchmarks", obj=words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (DeblurError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split()) or type(error).__name__}\n")
        return 2 if isinstance(error, ConfigError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
