"""Results that are good and results that are deliberately bad, and what the verdict says of each.

Scenes and the definition of a failure are those of the images made on the spot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import SCENES, SHARP, Cell, Truth, kernel, make
from benchmarks.deblur import run
from benchmarks.images import TestImage
from benchmarks.results import rounded
from benchmarks.scenes import SIDE, Plane, central
from benchmarks.synthetic import judged
from benchmarks.task import Setup, Task
from napari_selfdeblur import restore
from napari_selfdeblur.compare.metrics import score
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.numerics.assess import assess
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.run.survey import Survey

CUT = 192  # pixels: the side of what is deblurred, in the middle of the images made on the spot
_BLURS = (("motion", 15), ("disk", 11), ("motion", 21), ("gaussian", 13))  # of scenes in turn
_NOISE, _HEAVY = 0.2, 8.0  # percent of the range
_RUNS: dict[str, Callable[[int], int]] = {
    "right size": lambda size: size + 4,
    "size far too small": lambda size: size // 3 | 1,
    "size far too large": lambda size: 3 * size,
    "heavy noise": lambda size: size + 4,
    "blur varying over the frame": lambda size: size + 14,
    "never blurred": lambda _: 15,
    "pure noise": lambda _: 15,
    "few steps": lambda size: size + 4,
}
"""Kinds of blind runs, and the kernel size that each is given for a blur of `size`."""
_FEW_STEPS = PRESETS["fast"].values | {"solvers": ("joint",), "iterations": 40}
KINDS = (*_RUNS, "true kernel, restored", "wrong kernel, restored")
"""All kinds. A restoration has no other estimates, and its verdict no agreement of them."""


def tasks(half: str, setup: Setup) -> list[Task]:
    """Return the tasks of each kind on each scene of a half."""
    made = []
    for what in KINDS:
        for name in SCENES[half]:
            size = _blur(half, name)[1]
            size = _RUNS[what](size) if what in _RUNS else size
            test = TestImage(dataset="verdict", image=name, kernel=what, category=half)
            asked = _FEW_STEPS if what == "few steps" else {}
            setups = (setup.changed(kernel_size=size, **asked),)
            made.append(Task(kind="verdict", image=test, setups=setups))
    return made


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the row of `task`: whether the result is good by the truth, and the verdict on it."""
    test, config = task.image, task.setups[0].config
    half, name, what = str(test.category), test.image, test.kernel
    truth, known = _made(half, name, what)
    method = config.restoration or "sparse"
    row: dict[str, Any]
    if what in _RUNS:
        row, result = run(truth.blurred, config)
        sharp = None if result is None else result.sharp
        verdict = (result.record.verdict or {}) if result else {}
    else:
        row = {"status": "finished", "seconds": None}
        wrong = kernel("motion", 17, crc32(f"wrong {name}".encode()))
        k = truth.kernel if what.startswith("true") else wrong
        sharp = restore(truth.blurred, k, method, device=config.device)
        verdict = _assessed(truth, sharp, k)
    row |= {each: verdict.get(each) for each in ("score", "credible", "reasons")}
    if what == "pure noise":
        return [rounded(row | {"good": False})]
    if known is None:
        known = restore(truth.blurred, truth.kernel, method, device=config.device)
    images = {"psnr_blurred": truth.blurred, "psnr_true": known, "psnr": sharp}
    for key, image in images.items():
        if image is not None:
            row[key] = min(score(truth.plane(image), truth.sharp).psnr, 99.0)
    row["kind_of_blur"] = SHARP[0] if what == "never blurred" else _blur(half, name)[0]
    return [rounded(row | {"good": not any(judged(row).values())})]


def _blur(half: str, name: str) -> tuple[str, int]:
    return _BLURS[SCENES[half].index(name) % len(_BLURS)]


def _made(half: str, name: str, what: str) -> tuple[Truth, NDArray[Any] | None]:
    """Return the image with its truth; where one kernel does not explain it, its restoration."""
    kind, size = SHARP if what == "never blurred" else _blur(half, name)
    if what == "pure noise":
        rng = np.random.default_rng(crc32(name.encode()))
        blurred = np.clip(rng.normal(128, 25, (CUT, CUT)), 0, 255).astype(np.uint8)
        return Truth(blurred, blurred / 255, kernel("disk", 11), 0, 255), None
    noise = _HEAVY if what == "heavy noise" else _NOISE
    truth = _cut(make(Cell(half, name, kind, size, noise)))
    if what != "blur varying over the frame":
        return truth, None
    other = _cut(make(Cell(half, name, "motion", size + 10, noise)))
    share = np.clip(np.linspace(-0.5, 1.5, CUT), 0, 1)[None, :]  # of the other kernel, by column
    planes = [each.plane(each.blurred) for each in (truth, other)]
    y = ((1 - share) * planes[0] + share * planes[1]).astype(np.float32)
    known = [restore(y, each.kernel, "sparse") for each in (truth, other)]
    truth = replace(truth, blurred=y, black=0, white=1)
    return truth, (1 - share) * known[0] + share * known[1]


def _cut(truth: Truth) -> Truth:
    inside = slice((SIDE - CUT) // 2, (SIDE - CUT) // 2 + CUT)
    blurred = truth.blurred[inside, inside]
    return replace(truth, blurred=blurred, sharp=central(truth.sharp, CUT))


def _assessed(truth: Truth, sharp: NDArray[Any], k: Plane) -> dict[str, Any]:
    """Return the verdict on a restoration, as on an estimate of it."""
    survey = Survey.of(Frame.of(truth.blurred, (3, 3)))
    low, high = survey.frame.value_range
    y = survey.frame.y
    x = (sharp - low) / (high - low)
    return assess(x, k, y, survey.sigma, clipped=survey.clipped(y)).to_dict()
