"""The command line: ``python -m benchmarks levin | synthetic | verdict | report ...``.

Run from a checkout; it needs the dependency group ``benchmarks``.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.images import DATASETS, find
from benchmarks.results import Results, read_json, row_key
from benchmarks.runner import header, pending, run
from benchmarks.task import Setup, Task
from benchmarks.worker import FAILED
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.presets import PRESETS

# Behind published error ratios; of microscopy there are none.
_REFERENCES = {"levin": "sparse", "lai": "hyper_laplacian", "microscopy": "sparse"}


def _blind(asked: Namespace) -> int:
    """Deblur test images; finished ones in the results file are skipped."""
    changed = _settings(asked.set)
    base = SelfDeblurConfig.preset(asked.preset).replace(device=asked.device).replace(**changed)
    behind = _restorations(asked.reference or [_REFERENCES[asked.command]])
    tried = _restorations(asked.restorations)
    tests = find(asked.command, asked.folder, asked.images, asked.kernels)
    sizes = {t: base.kernel_size if "kernel_size" in changed else t.kernel_size for t in tests}
    tasks = [
        Task(
            kind="deblur",
            image=test,
            setups=(Setup(asked.preset, base.replace(seed=seed, kernel_size=sizes[test])),),
            device=base.device,
            restorations=tried,
            reference=next(iter(behind), None),
            trace=asked.trace,
            store=asked.store,
        )
        for seed in asked.seeds
        for test in tests
    ]
    return _perform(asked, tasks)


def _synthetic(asked: Namespace) -> int:
    """Deblur photographs and simulated microscopy, blurred on the spot; needs no data."""
    from benchmarks.cells import cells
    from benchmarks.synthetic import tasks

    changed = _settings(asked.set)
    config = SelfDeblurConfig.preset(asked.preset).replace(device=asked.device, **changed)
    size = None if "kernel_size" in changed else asked.kernel_size
    chosen = cells(asked.half, asked.selection)
    return _perform(asked, tasks(chosen, Setup(asked.preset, config), asked.seeds, size))


def _verdict(asked: Namespace) -> int:
    """Make good and deliberately bad results, and see what the verdict says; needs no data."""
    from benchmarks.verdict import tasks

    config = SelfDeblurConfig.preset(asked.preset).replace(device=asked.device)
    setup = Setup(asked.preset, config.replace(**_settings(asked.set)))
    return _perform(asked, tasks(asked.half, setup))


def _known(asked: Namespace) -> int:
    """Restore test images with their true kernels."""
    tests = find(asked.dataset, asked.folder, asked.images, asked.kernels)
    fixed = {"kind": "known", "device": asked.device, "store": asked.store}
    tasks = [
        Task(image=test, method=method, weight=asked.weight, **fixed)
        for method in _restorations(asked.restorations)
        for test in tests
    ]
    return _perform(asked, tasks)


def _speed(asked: Namespace) -> int:
    """Time steps, memory and whole runs; run nothing else meanwhile."""
    from benchmarks.speed import plan, precisions_of
    from napari_selfdeblur.numerics.runtime import resolve_device

    device = str(resolve_device(asked.device))
    tasks = plan(
        asked.sizes,
        asked.sides,
        steps=asked.steps,
        device=device,
        precisions=precisions_of(device),
        changes=_settings(asked.set),
        measurements=asked.measure,
        run_steps=asked.run_steps,
    )
    return _perform(asked, tasks)


def _batch(asked: Namespace) -> int:
    """Time a batch of frames in one process and on workers; run nothing else meanwhile."""
    from benchmarks.batch import measure

    row = measure(asked.count, asked.side, asked.workers, asked.preset, asked.kernel)
    sys.stderr.write(f"speed-up {row['speed_up']:.3g}, identical: {row['identical']}\n")
    return _kept(asked, row, header(asked.line, asked.workers, 1))


def _series(asked: Namespace) -> int:
    """Deblur one series from a script, in napari and on the command line; needs a display."""
    from benchmarks.series import measure

    row = measure(asked.side, asked.preset)
    sys.stderr.write(f"identical: {row['identical']}\n")
    return _kept(asked, row, header(asked.line, 1, None))


def _kept(asked: Namespace, row: dict[str, Any], made: dict[str, Any]) -> int:
    """Put a row into the results in place of its like; return 1 if what it compares differs."""
    results = Results.read(asked.output, missing_ok=True)
    results.runs.append(made)
    results.rows = [each for each in results.rows if row_key(each) != row_key(row)]
    results.add([row])
    results.write()
    return 0 if row["identical"] else 1


def _frame(asked: Namespace) -> int:
    """Time a run on large frames, with memory and seams; run nothing else meanwhile."""
    from benchmarks.frames import plan

    return _perform(asked, plan(asked.frames, asked.preset, asked.device, _settings(asked.set)))


def _varying(asked: Namespace) -> int:
    """Compare one kernel with a grid on photographs whose blur varies slowly; needs no data."""
    from benchmarks.varying import plan

    grid = SelfDeblurConfig.parse("kernel_grid", asked.grid)
    return _perform(asked, plan(asked.half, grid, asked.preset, asked.device))


def _score(asked: Namespace) -> int:
    """Measure stored images again with every metric there is now; nothing is run."""
    from benchmarks.store import rescored

    (source,) = asked.results
    tests = find(asked.dataset, asked.folder)
    rescored(Results.read(source), tests, asked.store, asked.output).write()
    return 0


def _report(asked: Namespace) -> int:
    """Write a page (Markdown) on results files and records of single runs."""
    from benchmarks import verdict_report
    from benchmarks.report import render
    from napari_selfdeblur.io.writing import write_text

    home = asked.output.parent
    rows = [row for path in asked.results for row in read_json(path).get("rows", ())]
    if any(row["kind"] == "verdict" for row in rows):
        verdict_report.draw(home / verdict_report.FIGURE, rows)
    write_text(asked.output, render(asked.results, asked.figure, home, asked.line))
    return 0


def _trace(asked: Namespace) -> int:
    """Draw kernel error and image PSNR against the iteration (PNG), of runs with --trace."""
    from benchmarks.trace import draw, traced_rows

    rows = [row for path in asked.results for row in Results.read(path).rows]
    draw(asked.output, traced_rows(rows, asked.images, asked.kernels, asked.seeds), asked.store)
    return 0


def _perform(asked: Namespace, tasks: Sequence[Task]) -> int:
    """Measure what the results file lacks, a line for each measurement on standard error."""
    results, failed = Results.read(asked.output, missing_ok=True), 0
    todo = len(pending(tasks, results))
    have = f"{len(tasks) - todo} of them in {asked.output} already"
    sys.stderr.write(f"{len(tasks)} measurements, {have}\n")
    done = run(tasks, results, jobs=asked.jobs, threads=asked.threads, command=asked.line)
    for number, (task, rows) in enumerate(done, start=1):
        sys.stderr.write(f"[{number}/{todo}] {task.label}: {'; '.join(map(_outcome, rows))}\n")
        failed += any(row.get("status") == FAILED for row in rows)
    return 1 if failed else 0


def _outcome(row: dict[str, Any]) -> str:
    """Return what came out, in a few words, of whatever kind the row is."""
    if row.get("status") != "finished":
        return f"{row['status']} {row.get('reason', '')}".strip()
    images = {"": row.get("sharp"), **row.get("restorations", {})}
    words = [f"{row['network']} {row['path']}"] if row.get("network") else []
    words += [f"{name} {image['psnr']:.2f} dB".strip() for name, image in images.items() if image]
    figures = {"median": "s a step", "peak": "bytes", "psnr": "dB"}
    figures |= {"seconds": "s"}
    numbers = {unit: row.get(name) for name, unit in figures.items()}
    words += [f"{n:.4g} {unit}" for unit, n in numbers.items() if isinstance(n, int | float)]
    return ", ".join(words)


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in _words(text)]


def _settings(changes: Sequence[str]) -> dict[str, Any]:
    """Return the settings that --set changes, as their own types."""
    pairs = [change.partition("=") for change in changes]
    for field, equals, _ in pairs:
        if not equals:
            raise ConfigError(f"--set is FIELD=VALUE, got {field!r}; try --set iterations=500")
    return {field: SelfDeblurConfig.parse(field, text) for field, _, text in pairs}


def _restorations(names: Sequence[str]) -> tuple[str, ...]:
    """Return the restorations named, none for ``none``; an unknown one is a `ConfigError`."""
    chosen = tuple(name for name in names if name != "none")
    return tuple(RestoreConfig(restoration=name).restoration for name in chosen)


_OPTIONS: dict[str, dict[str, Any]] = {
    "folder": {"type": Path, "metavar": "DIR", "help": "the data set"},
    "results": {"type": Path, "nargs": "+", "metavar": "RESULTS", "help": "results files"},
    "--output": {"type": Path, "required": True, "help": "file to write; results grow"},
    "--images": {"type": _words, "help": "names or numbers: im1,im2; default: all"},
    "--kernels": {"type": _words, "help": "names or numbers: 1,2; default: all"},
    "--preset": {"default": "fast", "help": ", ".join(PRESETS)},
    "--seeds": {"type": _numbers, "default": [0], "help": "each a run of its own: 0,1,2"},
    "--set": {"action": "append", "default": [], "metavar": "FIELD=VALUE", "help": "a setting"},
    "--device": {"default": "auto", "help": "auto, cpu, cuda, cuda:N or mps"},
    "--restorations": {"type": _words, "default": ["sparse", "hyper_laplacian"], "help": "a,b"},
    "--reference": {"type": _words, "help": "restoration behind error ratios, or none"},
    "--dataset": {"choices": list(DATASETS), "default": "levin"},
    "--weight": {"type": float, "help": "weight of the restorations' prior"},
    "--jobs": {"type": int, "default": 1, "help": "processes side by side"},
    "--threads": {"type": int, "help": "threads of each process"},
    "--trace": {"type": int, "default": 0, "help": "measure every so many steps"},
    "--store": {"help": "folder of the rows' images"},
    "--sizes": {"type": _numbers, "default": [128, 255, 512, 1024], "help": "sides of images"},
    "--frames": {"type": _numbers, "default": [2048, 4096], "help": "sides of frames"},
    "--sides": {"type": _numbers, "default": [17, 31, 75], "help": "sides of kernels"},
    "--steps": {"type": int, "default": 5, "help": "timed steps of each path"},
    "--measure": {"type": _words, "default": ["step", "memory", "run"], "help": "a,b"},
    "--run-steps": {"type": int, "default": 1000, "help": "steps of the full network in run"},
    "--count": {"type": int, "default": 40, "help": "images of the batch"},
    "--side": {"type": int, "default": 256, "help": "their side in pixels"},
    "--kernel": {"type": int, "default": 17, "help": "side of the kernel"},
    "--workers": {"type": int, "default": 2, "help": "processes of the batch"},
    "--half": {"choices": ("tuning", "checking"), "default": "tuning", "help": "of the scenes"},
    "--grid": {"default": "3", "metavar": "N|RxC", "help": "cells of the grid of kernels"},
    "--selection": {
        "choices": ("small", "full", "jpeg", "random"),
        "default": "small",
        "help": "which cells",
    },
    "--kernel-size": {"choices": ("true", "auto"), "default": "true", "help": "given to the run"},
    "--figure": {"action": "append", "default": [], "help": "picture at the end"},
}
_SUBSET = "--images --kernels"
_PROCESSES = "--output --device --jobs --threads"
_RUN = f"folder {_PROCESSES} {_SUBSET} --preset --seeds --set --restorations --reference --trace"
_COMMANDS: dict[str, tuple[Callable[[Namespace], int], str]] = {
    "levin": (_blind, f"{_RUN} --store"),
    "lai": (_blind, f"{_RUN} --store"),
    "microscopy": (_blind, f"{_RUN} --store"),
    "synthetic": (
        _synthetic,
        f"{_PROCESSES} --half --selection --kernel-size --preset --seeds --set",
    ),
    "verdict": (_verdict, f"{_PROCESSES} --half --preset --set"),
    "known": (_known, f"folder {_PROCESSES} {_SUBSET} --dataset --restorations --weight --store"),
    "speed": (_speed, f"{_PROCESSES} --sizes --sides --steps --measure --run-steps --set"),
    "batch": (_batch, "--output --count --side --kernel --workers --preset"),
    "series": (_series, "--output --side --preset"),
    "frame": (_frame, f"{_PROCESSES} --frames --preset --set"),
    "varying": (_varying, f"{_PROCESSES} --half --grid --preset"),
    "score": (_score, "folder results --output --dataset --store"),
    "report": (_report, "results --output --figure"),
    "trace": (_trace, f"results --output {_SUBSET} --seeds --store"),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong arguments."""
    words = list(sys.argv[1:] if args is None else args)
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (function, options) in _COMMANDS.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        for option in options.split():
            short = ["-o"] if option == "--output" else []
            command.add_argument(*short, option, **_OPTIONS[option])
    asked = parser.parse_args(words)
    # Results are published, the folders that they were made in are not.
    bare = [w if "=" in w or w.startswith("-") else Path(w).name or w for w in words]
    asked.line = shlex.join(["python", "-m", "benchmarks", *bare])
    try:
        return _COMMANDS[asked.command][0](asked)
    except (DeblurError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split()) or type(error).__name__}\n")
        return 2 if isinstance(error, ConfigError) else 1


if __name__ == "__main__":
    sys.exit(main())
