"""Faults of the whole process, each in a fork of this one: torch is loaded once.

``python driver.py SCENARIO FOLDER`` prints what happened as JSON.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
import torch
from PIL import Image

import napari_selfdeblur as sd
from napari_selfdeblur.cli import main
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.run import restoration, stages

torch.set_num_threads(1)
SETTINGS = {
    "kernel_size": 5, "iterations": 8, "device": "cpu", "channels": 4, "skip_channels": 2,
    "scales": 2, "kernel_generator": "fcn_shallow", "precision": "float32",
}  # fmt: skip
QUICK = ["--preset", "official", *(f"--set={name}={value}" for name, value in SETTINGS.items())]
SCENE = np.random.default_rng(1).integers(0, 200, (40, 48)).astype(np.uint8)


class Deadline(io.TextIOWrapper):
    """Standard error of a process that kills itself `calls` calls after its line `last`.

    Calls, of Python and of C functions, are counted and not seconds: a machine may be busy.
    """

    def __init__(self, last: int, calls: int) -> None:
        super().__init__(os.fdopen(os.dup(2), "wb", buffering=0), write_through=True)
        self._lines, self._calls = last, calls

    def write(self, text: str) -> int:
        """Write, and begin to count calls at the last line."""
        before, self._lines = self._lines, self._lines - text.count("\n")
        if before > 0 >= self._lines:
            sys.setprofile(self._count)
        return super().write(text)

    def _count(self, *_: object) -> None:
        self._calls -= 1
        if self._calls <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], int], begun: Callable[[int], object] | None = None) -> Any:
    """Do `work` in a fork; return its exit status, negative for a signal, and standard error.

    `begun` is called with the fork's process number for each line that it writes to stderr.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.close(reader)
            os.dup2(writer, 2)
            sys.stderr = os.fdopen(2, "w", buffering=1)
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    lines = []
    with os.fdopen(reader) as errors:
        for line in errors:
            lines.append(line)
            if begun is not None:
                begun(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "".join(lines)


def killed_at(last: int, calls: int, work: Callable[[], object]) -> int:
    """Return the status of a fork killed `calls` calls after its line `last`, doing `work`."""

    def until() -> int:
        sys.stderr = Deadline(last, calls)
        work()
        return 0

    status: int = forked(until)[0]
    return status


def calls_in(work: Callable[[], object]) -> int:
    """Return how many calls a fork makes, and returns from, doing `work`."""
    counted = [0]

    def count(*_: object) -> None:
        counted[0] += 1

    def until() -> int:
        sys.setprofile(count)
        work()
        sys.setprofile(None)
        sys.stderr.write(f"{counted[0]}\n")
        return 0

    return int(forked(until)[1].split()[-1])


def killed(folder: Path) -> list[dict[str, Any]]:
    """Kill a checkpointed run at ten moments and resume it."""
    stages._CHECKPOINT_STEPS = 2
    config = sd.SelfDeblurConfig.preset("official").replace(
        **SETTINGS, solvers=("joint", "alternating"), restoration="hyper_laplacian"
    )
    small = SCENE[:24, :24]
    whole = sd.deblur(small, config=config)
    two_steps = calls_in(lambda: sd.deblur(small, config=config)) // config.iterations
    rng, found = random.Random(9), []
    for number in range(10):
        path, last = folder / f"{number}.pt", rng.randrange(1, 2 * config.iterations - 4)

        def work(path: Path = path) -> None:
            sd.deblur(small, config=config, checkpoint=path, on_progress=lambda _: print_line())

        status = killed_at(last, rng.randrange(two_steps), work)
        had = path.exists()
        again = sd.deblur(small, config=config, checkpoint=path)
        same = [
            np.array_equal(again.sharp, whole.sharp),
            np.array_equal(again.kernel, whole.kernel),
            again.record.losses == whole.record.losses,
        ]
        found.append({"status": status, "had": had, "same": all(same)})
    return found


def print_line() -> None:
    sys.stderr.write(".\n")


def left(folder: Path) -> dict[str, str]:
    """Return the files in `folder`, and whether each can be read."""
    readers: dict[str, Callable[[Path], object]] = {
        ".tif": tifffile.imread,
        ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
        ".png": lambda path: Image.open(path).load(),
        ".pt": lambda path: torch.load(path, weights_only=True),
    }
    found = {}
    for path in sorted(folder.iterdir()):
        try:
            readers[path.suffix](path)
            found[path.name] = "whole"
        except Exception as error:
            found[path.name] = repr(error)
    return found


def sizes(folder: Path) -> list[dict[str, Any]]:
    """Run with limits on the size of files, below and above each file's own."""
    Image.fromarray(SCENE).save(folder / "a.png")
    stages._CHECKPOINT_STEPS, found = 5, []
    for limit in (200, 4000, 7800, 9000, 10_000_000):
        out = folder / str(limit)
        words = ["run", str(folder / "a.png"), "-o", str(out), *QUICK]
        words += ["--checkpoint", str(folder / f"{limit}.pt")]

        def work(words: list[str] = words, limit: int = limit) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return main(words)

        status, errors = forked(work)
        kept = (folder / f"{limit}.pt").exists()
        found.append(
            {"limit": limit, "status": status, "errors": errors, "files": left(out), "kept": kept}
        )
    return found


def memory(folder: Path) -> list[dict[str, Any]]:
    """Run and restore with limits on memory."""
    sample = motion_blurred_photograph(size=256)
    Image.fromarray(sample.blurred).save(folder / "a.png")
    tifffile.imwrite(folder / "k.tif", sample.kernel)
    image, found = str(folder / "a.png"), []
    # Modules that are loaded late would fail to, and say so in their own ways.
    main(["run", image, "-o", str(folder), *QUICK, "--roi", "0:40,0:40", "-q"])
    commands = {
        "official": ["run", image, "--preset", "official", "--iterations", "1", *QUICK[2:3]],
        "draft": ["run", image, "--preset", "draft", "--kernel-size", "13", "--roi", "0:64,0:64"],
        "restore": ["restore", image, str(folder / "k.tif"), "--iterations", "3"],
    }
    for name, words in commands.items():
        for extra in (8, 16, 60):
            out = folder / f"{name}{extra}"

            def work(words: list[str] = words, extra: int = extra, out: Path = out) -> int:
                limit = psutil.Process().memory_info().vms + extra * 2**20
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
                return main([*words, "-o", str(out)])

            status, errors = forked(work)
            files = left(out) if out.exists() else {}
            found.append(
                {"case": f"{name} {extra}", "status": status, "errors": errors, "files": files}
            )
    return found


def terminated(folder: Path) -> list[dict[str, Any]]:
    """End a run, and a restoration, by one signal; a run by two."""
    Image.fromarray(SCENE).save(folder / "a.png")
    tifffile.imwrite(folder / "k.tif", np.ones((3, 3), np.float32))
    stages._CHECKPOINT_STEPS, found = 2, []
    Terminal._line = lambda self, progress: print_line()  # type: ignore[method-assign]
    many = [*QUICK, "--iterations", "100000", "--checkpoint", str(folder / "run.pt")]
    many = [word for word in many if word != "--set=iterations=8"]
    run = ["run", str(folder / "a.png"), *many]
    restore = ["restore", str(folder / "a.png"), str(folder / "k.tif"), "--device", "cpu"]
    restore += ["--method", "hyper_laplacian", "--iterations", "1000000"]
    cases = {
        "SIGTERM": (run, [signal.SIGTERM]),
        "SIGINT": (run, [signal.SIGINT]),
        "twice": (run, [signal.SIGTERM, signal.SIGINT]),
        "restoration": (restore, [signal.SIGTERM]),
    }
    for name, (words, signals) in cases.items():
        out, sent = folder / name, [0]

        def work(words: list[str] = words, out: Path = out, twice: bool = len(signals) > 1) -> int:
            if words[0] == "restore":
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
                restoration.restore_steps = soon(restoration.restore_steps)
            if twice:
                stages.checked_step = slow(stages.checked_step)
            return main([*words, "-o", str(out)])

        def send(pid: int, sent: list[int] = sent, signals: list[Any] = signals) -> None:
            sent[0] += 1
            if sent[0] == 5:
                for each in signals:
                    os.kill(pid, each)
                    time.sleep(0.3)

        status, errors = forked(work, send)
        files = left(out) if out.exists() else {}
        record = next((json.loads(p.read_text()) for p in out.glob("*.json")), {})
        found.append(
            {
                "case": name,
                "status": status,
                "errors": errors,
                "files": files,
                "record": record.get("status"),
                "kept": (folder / "run.pt").exists(),
            }
        )
        (folder / "run.pt").unlink(missing_ok=True)
    return found


def soon(restore: Callable[..., Any]) -> Callable[..., Any]:
    """Return a restoration that gets its signal when it has begun."""

    def restored(*args: Any, **options: Any) -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        return restore(*args, **options)

    return restored


def slow(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return steps that take a while, so that a second signal comes during one."""

    def slowly(*args: Any) -> Any:
        done = step(*args)
        if args[1].t > 4:
            time.sleep(2)
        return done

    return slowly


if __name__ == "__main__":
    scenario, place = sys.argv[1:]
    json.dump(globals()[scenario](Path(place)), sys.stdout)
