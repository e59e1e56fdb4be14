"""Faults of a whole batch, each in a fork of this process: torch is loaded once.

``python batch_driver.py SCENARIO FOLDER`` prints what happened as JSON. This process itself never
uses zarr or distributed: their threads would not be there in a fork.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
import zarr.storage
from driver import calls_in, forked, killed_at, left
from scipy import ndimage

from napari_selfdeblur.cli import main
from napari_selfdeblur.run import batch_frame

COLOUR, SERIES = 3, (2, 3)
FRAMES = 8  # one grey image, one in colour, and a series


def scene(seed: int) -> Any:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random((24, 24)), 1)
    return (1000 + 50000 * (field - field.min()) / np.ptp(field)).astype(np.uint16)


def inputs(folder: Path) -> list[str]:
    """Write the images and the kernel; return the words of a batch, less its output."""
    images = folder / "in"
    images.mkdir()
    tifffile.imwrite(images / "a.tif", scene(0))
    colour = np.stack([scene(1 + i) for i in range(COLOUR)], axis=-1)
    tifffile.imwrite(images / "colour.tif", colour, photometric="rgb")
    series = np.stack([[scene(10 * t + c) for c in range(SERIES[1])] for t in range(SERIES[0])])
    tifffile.imwrite(images / "series.tif", series, ome=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(folder / "k.tif", np.full((3, 3), 1 / 9, np.float32))
    quick = ["--kernel", str(folder / "k.tif"), "--iterations", "2", "--device", "cpu"]
    return ["batch", str(images), *quick]


def hashes(out: Path) -> dict[str, str]:
    """Return the hash of each frame that is marked done."""
    found = {}
    for path in [*out.rglob("frames/*/*.json"), *out.rglob("frames/*/zarr.json")]:
        values = json.loads(path.read_text())
        marker = values.get("attributes", {}).get("napari-selfdeblur", values)
        if "sharp" in marker:
            report = marker["report"]
            found[f"{report['output']} {report['plane']}".strip()] = marker["sharp"]
    return found


def done_before(errors: str) -> int:
    return errors.count("done before\n")


def slowly(seconds: float) -> Callable[..., Any]:
    """Return a restoration that takes a while, so that a signal comes during one."""
    real = batch_frame.run_restoration

    def restored(*args: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return real(*args, **options)

    return restored


def killed(folder: Path) -> list[dict[str, Any]]:
    """Kill a batch at random moments of its writing, then complete it."""
    words, rng, found = inputs(folder), random.Random(4), []
    for kind in ("", ".ome.zarr"):
        reference = folder / f"whole{kind}"
        frame = calls_in(lambda out=reference: main([*words, "-o", str(out)])) // FRAMES
        for number in range(5):
            out, last = folder / f"{number}{kind}", rng.randrange(1, FRAMES)
            command = [*words, "-o", str(out)]
            status = killed_at(last, rng.randrange(frame), lambda words=command: main(words))
            whole = len(hashes(out))
            files = left_whole(out)
            again, errors = forked(lambda words=command: main(words))
            third = forked(lambda words=command: main(words))
            found.append(
                {
                    "status": [status, again, third[0]],
                    "whole": whole,
                    "kept": done_before(errors),
                    "at_end": done_before(third[1]),  # by the hash of their pixels
                    "same": hashes(out) == hashes(reference),
                    "torn": [name for name, state in files.items() if state != "whole"],
                    "errors": errors,
                }
            )
    return found


def left_whole(out: Path) -> dict[str, str]:
    """Return the results in a folder of TIFFs, and whether each can be read."""
    states = {} if out.suffix else left(out / "frames" / "series") if out.exists() else {}
    for path in out.glob("*_*.tif"):
        try:
            tifffile.imread(path)
            states[path.name] = "whole"
        except Exception as error:
            states[path.name] = repr(error)
    return {name: state for name, state in states.items() if not name.endswith(".part")}


def workers(folder: Path) -> list[dict[str, Any]]:
    """Kill the main process of a batch on two workers, then complete it here."""
    words, out, seen = inputs(folder), folder / "out", [0]
    children: list[psutil.Process] = []

    def kill(pid: int) -> None:
        seen[0] += 1
        if seen[0] == 2:
            children.extend(psutil.Process(pid).children(recursive=True))
            os.kill(pid, signal.SIGKILL)

    status, _ = forked(lambda: main([*words, "-o", str(out), "--workers", "2"]), kill)
    _, alive = psutil.wait_procs(children, timeout=20)
    whole = len(hashes(out))
    again, errors = forked(lambda: main([*words, "-o", str(out)]))
    forked(lambda: main([*words, "-o", str(folder / "whole")]))
    return [
        {
            "status": [status, again],
            "children": len(children),
            "alive": len(alive),
            "whole": whole,
            "kept": done_before(errors),
            "same": hashes(out) == hashes(folder / "whole"),
        }
    ]


def terminated(folder: Path) -> list[dict[str, Any]]:
    """End a batch by SIGTERM and by SIGINT, then complete it."""
    words, found = inputs(folder), []
    batch_frame.run_restoration = slowly(0.3)
    for number in (signal.SIGTERM, signal.SIGINT):
        out, seen = folder / number.name, [0]

        def send(pid: int, seen: list[int] = seen, number: signal.Signals = number) -> None:
            seen[0] += 1
            if seen[0] == 3:
                os.kill(pid, number)

        status, errors = forked(lambda out=out: main([*words, "-o", str(out)]), send)
        whole = len(hashes(out))
        again, more = forked(lambda out=out: main([*words, "-o", str(out)]))
        found.append(
            {"status": [status, again], "whole": whole, "kept": done_before(more), "errors": errors}
        )
    return found


def sizes(folder: Path) -> list[dict[str, Any]]:
    """Limit the size of files, so that some results cannot be written; then lift the limit."""
    words, out, found = inputs(folder), folder / "out", []
    for limit in (6000, 10_000_000):

        def work(limit: int = limit) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return main([*words, "-o", str(out)])

        status, errors = forked(work)
        summary = (out / "summary.csv").read_text()
        found.append(
            {
                "status": status,
                "kept": done_before(errors),
                "files": sorted(path.name for path in out.glob("*_deblurred.tif")),
                "failed": [line for line in summary.splitlines() if ",failed," in line],
            }
        )
    return found


def warm(folder: Path) -> None:
    """Restore one image here, so that no fork has to load what that needs."""
    tifffile.imwrite(folder / "warm.tif", scene(0))
    tifffile.imwrite(folder / "k.tif", np.full((3, 3), 1 / 9, np.float32))
    words = ["batch", str(folder / "warm.tif"), "-o", str(folder / "warm"), "--quiet"]
    assert main([*words, "--kernel", str(folder / "k.tif"), "--device", "cpu"]) == 0
    assert zarr.storage.LocalStore(folder) is not None  # loaded, and not yet used


if __name__ == "__main__":
    scenario, place = sys.argv[1:]
    warm(Path(place))
    json.dump(globals()[scenario](Path(place)), sys.stdout)
