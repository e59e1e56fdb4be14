"""The refinement of the kernel as a part of a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import napari_selfdeblur as sd
from napari_selfdeblur.compare.metrics import kernel_similarity, psnr_up_to_shift
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.run import refine_stage
from napari_selfdeblur.run.events import Previews, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.run import run

SAMPLE = motion_blurred_photograph(size=128)
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(device="cpu", kernel_size=17)


def drive(
    image: np.ndarray, stop: threading.Event | None = None
) -> tuple[list[Progress], DeblurResult]:
    """Return the events and the result of a run; a stop given is set in the refinement."""
    events, steps = [], run(Plan.of(image, DRAFT), Previews(), stop=stop)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value
        if stop is not None and events[-1].stage == "refine":
            stop.set()


def test_a_refined_kernel_is_nearer_to_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is the image; every step is an event, the last one at its end."""
    events, result = drive(SAMPLE.blurred)
    steps = [event for event in events if event.stage == "refine"]
    assert len(steps) > 3
    assert steps[-1].iteration == steps[-1].total
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert result.kernel.min() >= 0
    monkeypatch.setattr(refine_stage, "NOISY", 0.0)
    events, chosen = drive(SAMPLE.blurred)
    assert "refine" not in [event.stage for event in events]
    assert kernel_similarity(result.kernel, SAMPLE.kernel) > kernel_similarity(
        chosen.kernel, SAMPLE.kernel
    )
    assert psnr_up_to_shift(result.sharp, SAMPLE.sharp) > psnr_up_to_shift(
        chosen.sharp, SAMPLE.sharp
    )


def test_in_noise_the_kernel_stays_as_it_was_chosen() -> None:
    """Its restoration is not sparse there."""
    y = SAMPLE.blurred.astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.03 * np.ptp(y), y.shape)
    events, _ = drive((y + noise).astype(np.float32))
    assert "refine" not in [event.stage for event in events]


def test_a_stop_there_keeps_the_estimate_before() -> None:
    """The result is the best single estimate, and the run says it was stopped."""
    events, result = drive(SAMPLE.blurred, threading.Event())
    assert result.record.status == "stopped"
    assert np.isfinite(result.sharp).all()
    assert "restore" not in [event.stage for event in events]


def test_of_a_larger_image_a_region_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient takes too much memory for all of it; it is the region with the edges."""
    rows, columns = np.indices((400, 300))
    image = (0.3 + 1e-4 * (rows + np.pi * columns)).astype(np.float32)  # no two of one value
    image[260:388, 150:278] = np.asarray(SAMPLE.blurred, np.float32) / np.max(SAMPLE.blurred)
    shapes = []

    refined = refine_stage.refined_kernels

    def watched(y: torch.Tensor, *more: Any) -> Iterator[tuple[int, np.ndarray]]:
        shapes.append(y.shape)
        assert y.std() > 0.05
        return refined(y, *more)

    monkeypatch.setattr(refine_stage, "refined_kernels", watched)
    drive(image)
    assert shapes == [(256, 256)]
