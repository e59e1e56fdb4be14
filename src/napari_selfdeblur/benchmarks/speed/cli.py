"""The command `benchmark speed`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from napari_selfdeblur.benchmarks import options as o
from napari_selfdeblur.benchmarks.speed.tasks import MEASUREMENTS, SpeedTask, plan
from napari_selfdeblur.cli.command_line import as_asked
from napari_selfdeblur.errors import ConfigError

__all__ = ["speed"]


def speed(
    context: typer.Context,
    output: o.Output,
    device: o.Device = "auto",
    sizes: Annotated[str, typer.Option(help="Sides of the images, in pixels.")] = (
        "128,255,512,1024"
    ),
    kernels: Annotated[str, typer.Option(help="Sides of the kernels, in pixels.")] = "17,31,75",
    steps: Annotated[int, typer.Option(help="Timed steps of each path.")] = 5,
    measure: Annotated[str, typer.Option(help="What to measure.")] = ",".join(MEASUREMENTS),
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
    from napari_selfdeblur.benchmarks.results import Results
    from napari_selfdeblur.benchmarks.speed.measure import precisions_of
    from napari_selfdeblur.benchmarks.speed.runner import pending, run
    from napari_selfdeblur.numerics.runtime import resolve_device

    resolved = resolve_device(device)
    tasks = plan(
        _numbers("sizes", sizes),
        _numbers("kernels", kernels),
        steps=steps,
        device=str(resolved),
        precisions=precisions_of(str(resolved)),
        changes=o.settings(changes),
        measurements=o.names(measure) or [],
        run_steps=run_steps,
        profile=profile,
    )
    results = Results.read(output, missing_ok=True)

    def note(text: str) -> None:
        if not quiet:
            sys.stderr.write(text + "\n")

    todo = len(pending(tasks, results))
    note(f"{len(tasks)} measurements, {len(tasks) - todo} of them in {output} already")
    done = run(
        tasks,
        results,
        threads=threads,
        command=as_asked(context),
        device=str(resolved),
    )
    for number, (task, rows) in enumerate(done, start=1):
        note(f"[{number}/{todo}] {task.label}: {_outcome(task, rows)}")


def _numbers(name: str, text: str) -> list[int]:
    parts = o.names(text) or []
    if not parts or not all(part.isdigit() for part in parts):
        raise ConfigError(f"--{name} are whole numbers, got {text!r}; try --{name} 31,75")
    return [int(part) for part in parts]


def _outcome(task: SpeedTask, rows: Sequence[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        if row["status"] != "finished":
            parts.append(row["status"])
        elif task.method == "step":
            parts.append(f"{row['network']} {row['path']} {1000 * row['median']:.1f} ms")
        elif task.method == "memory":
            parts.append(f"{row['peak'] / 1e9:.2f} GB, {row['predicted'] / 1e9:.2f} predicted")
        elif task.method == "import":
            parts.append(f"{row['over_bare_ms']:.1f} ms over a bare interpreter")
        elif task.method == "preview":
            parts.append(f"{row['ratio']:.3f} of a run without")
        elif task.method == "run":
            path = f"{row['network']} {row['path']}"
            parts.append(f"{path} {row['seconds']:.1f} s, {row['psnr']:.2f} dB")
        else:
            parts.append(row["operators"][0]["name"])
    return "; ".join(parts)
