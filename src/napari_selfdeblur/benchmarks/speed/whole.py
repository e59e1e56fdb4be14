"""A whole run on a sample, watched against its truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from napari_selfdeblur.compare.ground_truth import Reference
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError
from napari_selfdeblur.io.samples import Sample
from napari_selfdeblur.run.run import iter_deblur

__all__ = ["watched_run"]

_LEVELS = (24, 26, 28, 30, 32)  # dB
_PREVIEW_STEPS = 25


def watched_run(sample: Sample, config: SelfDeblurConfig) -> dict[str, Any]:
    """Run `config` on `sample` to its end.

    Parameters
    ----------
    sample : Sample
        The blurred image and its truth.
    config : SelfDeblurConfig
        What to run, with a preview every 25 steps; of a draft at every kernel it tries.

    Returns
    -------
    dict
        ``status``; ``seconds`` of the run, without those spent on measuring it; ``psnr`` of its
        result in dB, up to shift; ``trace``, seconds and PSNR of each preview; ``seconds_to``,
        the seconds until the first preview of at least so many dB, None where there is none.
        Of a run that diverges the ``reason`` only.
    """
    reference = Reference(sample.sharp, sample.blurred)
    every = 1 if config.optimiser == "classical" else _PREVIEW_STEPS
    trace: list[tuple[float, float]] = []
    start, measuring = time.perf_counter(), 0.0
    run = iter_deblur(sample.blurred, config=config, preview_steps=every)
    while True:
        try:
            progress = next(run)
        except StopIteration as end:
            seconds = time.perf_counter() - start - measuring
            result = end.value
            break
        except DivergedError as error:
            return {"status": "diverged", "reason": str(error)}
        if progress.sharp is not None:
            seen = time.perf_counter()
            trace.append((seen - start - measuring, reference.psnr(progress.sharp)))
            measuring += time.perf_counter() - seen
    return {
        "status": "finished",
        "seconds": seconds,
        "psnr": reference.psnr(result.sharp),
        "trace": trace,
        "seconds_to": {str(level): _first(trace, level) for level in _LEVELS},
    }


def _first(trace: Sequence[tuple[float, float]], level: float) -> float | None:
    return next((seconds for seconds, psnr in trace if psnr >= level), None)
