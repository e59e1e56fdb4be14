"""Compare the results of two checkouts of this project on a bundled image, bit for bit.

    python scripts/compare_commits.py OLD_CHECKOUT NEW_CHECKOUT [--size 96] [-o RESULT.json]

Each case runs once with each checkout, in a process of its own with one thread, and the arrays
are compared: equal bit for bit, or the largest difference of kernel and image and the PSNR of
either. The plain path (runtime "reference") has no reordered arithmetic: there the networks'
runs should be equal whatever was changed in the fast path. Works with checkouts from before and
after the settings were renamed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

CASES = {
    "draft": {"preset": "draft"},
    "networks of fast, 60 steps": {"preset": "fast", "iterations": 60, "networks_only": True},
    "fast, 60 steps": {"preset": "fast", "iterations": 60},
    "networks of fast, plain path, 60 steps": {
        "preset": "fast",
        "iterations": 60,
        "networks_only": True,
        "runtime": "reference",
    },
    "official, 60 steps": {"preset": "official", "iterations": 60},
    "official, plain path, 60 steps": {
        "preset": "official",
        "iterations": 60,
        "runtime": "reference",
    },
    "paper, 60 steps": {"preset": "paper", "iterations": 60},
    "paper, plain path, 60 steps": {"preset": "paper", "iterations": 60, "runtime": "reference"},
    "alternating, 40 steps": {"preset": "official", "iterations": 40, "alternating": True},
    "alternating, plain path, 40 steps": {
        "preset": "official",
        "iterations": 40,
        "alternating": True,
        "runtime": "reference",
    },
    "restoration sparse": {"restoration": "sparse"},
    "restoration hyper_laplacian": {"restoration": "hyper_laplacian"},
    "restoration saturated": {"restoration": "saturated"},
}

# Runs in the process of either checkout: case, size and file to write come as arguments.
RUN = """
import dataclasses, json, sys
import numpy as np
import torch
torch.set_num_threads(1)
import napari_selfdeblur as sd
try:
    from napari_selfdeblur.io.samples import motion_blurred_photograph
except ImportError:
    from napari_selfdeblur.samples import motion_blurred_photograph
case, size = json.loads(sys.argv[1]), int(sys.argv[2])
sample = motion_blurred_photograph(size=size)
if "restoration" in case:
    sharp = sd.restore(sample.blurred, sample.kernel, case["restoration"], device="cpu")
    kernel = sample.kernel
else:
    config = sd.SelfDeblurConfig.preset(case["preset"])
    renamed = "solvers" in {f.name for f in dataclasses.fields(config)}
    changes = {"kernel_size": sample.kernel.shape, "device": "cpu"}
    changes |= {name: case[name] for name in ("iterations", "runtime") if name in case}
    if case.get("alternating"):
        changes |= {"solvers": ("alternating",)} if renamed else {"optimiser": "alternating"}
    if case.get("networks_only"):
        changes |= {"solvers": ("joint",)} if renamed else {"draft_first": False}
    result = sd.deblur(sample.blurred, config=config.replace(**changes))
    sharp, kernel = result.sharp, result.kernel
np.savez(sys.argv[3], sharp=sharp, kernel=kernel, truth=sample.sharp)
"""


def arrays(checkout: Path, case: dict[str, object], size: int) -> dict[str, np.ndarray]:
    """Return image, kernel and truth of one case run with one checkout."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.npz"
        environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", RUN, json.dumps(case), str(size), str(file)]
        subprocess.run(command, env=environment, check=True, cwd=folder)
        with np.load(file) as stored:
            return dict(stored)


def compared(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> dict[str, object]:
    """Return what differs between two results of one case."""
    from napari_selfdeblur.compare.metrics import psnr_up_to_shift

    truth = old["truth"] / 255
    row: dict[str, object] = {
        "image_equal": bool(np.array_equal(old["sharp"], new["sharp"])),
        "kernel_equal": bool(np.array_equal(old["kernel"], new["kernel"])),
        "psnr_old": round(psnr_up_to_shift(old["sharp"] / 255, truth), 3),
        "psnr_new": round(psnr_up_to_shift(new["sharp"] / 255, truth), 3),
        "image_difference": float(np.abs(old["sharp"] - new["sharp"]).max() / 255),
    }
    if old["kernel"].shape == new["kernel"].shape:
        row["kernel_difference"] = float(np.abs(old["kernel"] - new["kernel"]).max())
    return row


def main() -> None:
    """Run every case with both checkouts and print, or write, what differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--size", type=int, default=96, help="rows and columns of the image")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write as rows come")
    options = parser.parse_args()
    head = [["git", "-C", str(each), "rev-parse", "HEAD"] for each in (options.old, options.new)]
    commits = [subprocess.run(c, capture_output=True, text=True).stdout.strip() for c in head]
    found = {
        "commits": commits,
        "size": options.size,
        "seed": 0,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.processor() or platform.machine(),
        "rows": {},
    }
    for name, case in CASES.items():
        both = (arrays(each.resolve(), case, options.size) for each in (options.old, options.new))
        found["rows"][name] = compared(*both)
        print(name, found["rows"][name], flush=True)
        if options.output is not None:
            options.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
