"""Options that the benchmark commands share, and what their text means."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import Results
from benchmarks.runner import Finished, pending, run
from benchmarks.task import Task
from benchmarks.worker import FAILED
from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.presets import PRESETS

__all__ = ["command_of", "names", "numbers", "perform", "restorations_of", "settings"]

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The data set.")
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", dir_okay=False, help="Results file (JSON); grows if it exists."),
]
Page = Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="File to write.")]
Files = Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results files.")]
Images = Annotated[str | None, typer.Option(help="Names or numbers: im1,im2; default: all.")]
Kernels = Annotated[str | None, typer.Option(help="Names or numbers: 1,2; default: all.")]
Preset = Annotated[str, typer.Option(help=", ".join(PRESETS) + ".")]
Seeds = Annotated[str, typer.Option(help="Seeds, each a run of its own: 0,1,2.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Jobs = Annotated[int, typer.Option(help="Processes side by side.")]
Threads = Annotated[int | None, typer.Option(help="Threads of each process.")]
Trace = Annotated[int, typer.Option(min=0, help="Measure every so many steps; 0 for never.")]
Store = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder to keep the images of each row in.")
]
Stored = Annotated[
    Path | None, typer.Option("--store", file_okay=False, help="Folder that --store kept them in.")
]
Restorations = Annotated[
    str, typer.Option(help="Restorations tried with the estimated kernel: a,b or none.")
]
Reference = Annotated[
    str | None,
    typer.Option(help="Known-kernel restoration behind the error ratios, or none. The paper's."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def names(text: str | None) -> list[str] | None:
    """Return the parts of a list with commas; None for None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def numbers(name: str, text: str) -> list[int]:
    """Return the whole numbers in a list with commas, or raise `ConfigError`."""
    parts = names(text) or []
    if not parts or not all(part.isdigit() for part in parts):
        raise ConfigError(f"--{name} are whole numbers, got {text!r}; try --{name} 1,2")
    return [int(part) for part in parts]


def settings(changes: Iterable[str] | None) -> dict[str, Any]:
    """Return what --set says, or raise `ConfigError` for one that is not FIELD=VALUE."""
    found: dict[str, Any] = {}
    for change in changes or ():
        field, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set is FIELD=VALUE, got {change!r}; try --set iterations=500")
        found[field.strip()] = SelfDeblurConfig.parse(field.strip(), text)
    return found


def restorations_of(text: str | None) -> tuple[str, ...]:
    """Return the restorations meant by `text`, or raise `ConfigError` for an unknown one."""
    chosen = () if text in (None, "none") else tuple(names(text) or ())
    for name in chosen:
        if name not in registry.RESTORATIONS:
            raise ConfigError(
                f"restoration must be one of {', '.join(registry.RESTORATIONS)}, got {name!r}"
            )
    return chosen


def command_of(words: Sequence[str]) -> str:
    """Return the command line as results keep it: without folders, which are not published."""
    return shlex.join(["python", "-m", "benchmarks", *(_without_folder(word) for word in words)])


def _without_folder(word: str) -> str:
    return word if "=" in word or word.startswith("-") else Path(word).name or word


def perform(
    context: typer.Context,
    tasks: Sequence[Task],
    output: Path,
    *,
    jobs: int = 1,
    threads: int | None = None,
    quiet: bool = False,
) -> None:
    """Measure what `output` lacks, a line for each measurement on standard error.

    Raises
    ------
    typer.Exit
        With status 1, at the end, if a measurement failed.
    """

    def note(text: str) -> None:
        if not quiet:
            sys.stderr.write(text + "\n")

    results = Results.read(output, missing_ok=True)
    todo = len(pending(tasks, results))
    note(f"{len(tasks)} measurements, {len(tasks) - todo} of them in {output} already")
    failed = 0
    command = command_of(context.obj or ())
    for finished in run(tasks, results, jobs=jobs, threads=threads, command=command):
        note(_line(finished))
        failed += any(row.get("status") == FAILED for row in finished.rows)
    if failed:
        sys.stderr.write(f"error: {failed} measurements failed; {output} has the reasons\n")
        raise typer.Exit(1)


def _line(finished: Finished) -> str:
    outcomes = "; ".join(map(_outcome, finished.rows))
    return f"[{finished.done}/{finished.total}] {finished.task.label}: {outcomes}"


def _outcome(row: dict[str, Any]) -> str:
    """Return what came out, in a few words, of whatever kind the row is."""
    if row.get("status") not in (None, "finished"):
        return f"{row['status']} {row.get('reason', '')}".strip()
    images = {"": row.get("sharp"), **row.get("restorations", {})}
    words = [f"{row['network']} {row['path']}"] if row.get("network") else []
    words += [f"{name} {image['psnr']:.2f} dB".strip() for name, image in images.items() if image]
    for name, unit, scale in _FIGURES:
        if isinstance(row.get(name), float):
            words.append(f"{scale * row[name]:.3g} {unit}")
    return ", ".join(words)


_FIGURES = (
    ("median", "ms a step", 1e3),
    ("peak", "GB", 1e-9),
    ("over_bare_ms", "ms over a bare interpreter", 1),
    ("psnr", "dB", 1),
    ("seconds", "s", 1),
)
