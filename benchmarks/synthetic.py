"""Blind deconvolution of an image made on the spot, beside the restoration with its true kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from benchmarks.cells import CELLS, SHARP, Cell, Truth, make
from benchmarks.deblur import run
from benchmarks.images import TestImage
from benchmarks.results import rounded
from benchmarks.task import Setup, Task
from napari_selfdeblur import restore
from napari_selfdeblur.compare.metrics import Score, kernel_similarity, score

_LEAST_GAIN = 0.2  # dB over the blurred image
_MOST_LOSS = 4.77  # dB under the restoration with the true kernel: an error ratio of 3
_UNCHANGED = 40.0  # dB: nobody sees the difference
_ROUNDING = 0.01  # dB, of single precision
_HIGHEST = 99.0  # dB, of equal images
_ASKED_OF_SHARP = 15  # kernel size of a user who takes a sharp image for a blurred one


def tasks(
    chosen: Iterable[Cell], setup: Setup, seeds: Iterable[int], size: str | None
) -> list[Task]:
    """Return the tasks of some cells; `size` is ``true``, ``auto``, or None for the setup's."""
    made = []
    for seed in seeds:
        for cell in chosen:
            true = cell.size if cell.kind != SHARP[0] else _ASKED_OF_SHARP
            asked = {} if size is None else {"kernel_size": true if size == "true" else size}
            test = TestImage(
                dataset="synthetic", image=cell.scene, kernel=cell.blur, category=cell.half
            )
            one = setup.changed(seed=seed, **asked)
            made.append(Task(kind="synthetic", image=test, setups=(one,)))
    return made


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the row of `task`: the cell, how the run went, and what it gave."""
    cell, config = CELLS[task.image.image, task.image.kernel], task.setups[0].config
    truth = make(cell)
    row, result = run(truth.blurred, config)
    row |= {"kind_of_blur": cell.kind, "size_true": cell.size, "noise": cell.noise}
    row |= {"clipped": cell.clipped, "quality": cell.quality}
    row |= {"size_asked": config.to_dict()["kernel_size"]}
    method = config.restoration or "sparse"
    known = restore(truth.blurred, truth.kernel, method, device=config.device)
    row |= {"psnr_blurred": _psnr(truth, truth.blurred), "psnr_true": _psnr(truth, known)}
    if result is not None:
        found, verdict = _score(truth, result.sharp), result.record.verdict or {}
        row |= {"psnr": min(found.psnr, _HIGHEST), "ssim": found.ssim}
        row["size_used"] = list(result.kernel.shape)
        row["kernel_similarity"] = kernel_similarity(result.kernel, truth.kernel)
        row |= {name: verdict.get(name) for name in ("score", "credible", "reasons")}
    row |= judged(row)
    return [rounded(row)]


def judged(row: dict[str, Any]) -> dict[str, bool]:
    """Return whether the result is a failure, or a sharp image was ``changed``, by its PSNR.

    A failure is less than 0.2 dB above the blurred image, or more than 4.77 dB under the
    restoration with the true kernel, or no image at all. An image that was never blurred is
    changed where the result is nearer to the truth neither than the image itself nor than 40 dB;
    single precision may cost it 0.01 dB.
    """
    psnr, given = row.get("psnr", float("-inf")), row["psnr_blurred"]
    if row["kind_of_blur"] == SHARP[0]:
        return {"changed": psnr < min(given, _UNCHANGED) - _ROUNDING}
    return {"failure": psnr < given + _LEAST_GAIN or psnr < row["psnr_true"] - _MOST_LOSS}


def _score(truth: Truth, image: ArrayLike) -> Score:
    return score(truth.plane(image), truth.sharp)


def _psnr(truth: Truth, image: ArrayLike) -> float:
    return min(_score(truth, image).psnr, _HIGHEST)
