"""Other starts for a doubtful result."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import napari_selfdeblur as sd
from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.fusion import Candidate, fuse
from napari_selfdeblur.run import restarts
from napari_selfdeblur.run.events import Previews, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.run import run

SAMPLE = motion_blurred_photograph(size=128)
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(device="cpu")


def drive(config: sd.SelfDeblurConfig) -> tuple[list[Progress], DeblurResult]:
    events, steps = [], run(Plan.of(SAMPLE.blurred, config), Previews())
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value


@pytest.fixture
def too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the size be sought among those that cut the kernel, and the next one hold it."""
    monkeypatch.setattr(
        "napari_selfdeblur.numerics.solvers.edges.sizes_to_try", lambda shape: [(5, 5)]
    )
    monkeypatch.setattr("napari_selfdeblur.numerics.solvers.edges.next_size", lambda *ignored: None)
    sizes: Iterator[tuple[int, int] | None] = iter([(17, 17), None])
    monkeypatch.setattr(restarts, "_other_size", lambda *ignored: next(sizes))


@pytest.mark.usefixtures("too_small")
def test_a_doubtful_kernel_is_sought_at_another_size() -> None:
    """What is found there is the result, on its support, and the record counts its trials."""
    events, result = drive(DRAFT)
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["edges", "fuse", "restart", "refine", "restore"]
    assert kernel_similarity(result.kernel, SAMPLE.kernel) > 0.7
    assert result.kernel.shape == result.record.used.sides == (17, 17)
    [edges] = result.record.estimates
    tried = sum(event.stage in ("edges", "restart") for event in events)
    assert edges["iterations"] == result.record.iterations == tried
    assert [event.stage for event in events].count("fuse") == 2


@pytest.mark.usefixtures("too_small")
def test_a_stop_there_keeps_the_estimate_before() -> None:
    """The result is the best single estimate, and the run says it was stopped."""
    stop, events = threading.Event(), []
    steps = run(Plan.of(SAMPLE.blurred, DRAFT), Previews(), stop=stop)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            result = end.value
            break
        if events[-1].stage == "restart":
            stop.set()
    assert result.record.status == "stopped"
    assert np.isfinite(result.sharp).all()
    assert events[-1].sharp is not None
    assert "restore" not in [event.stage for event in events]


@pytest.mark.parametrize("size", ["auto", 17])
def test_a_credible_kernel_and_a_given_size_are_left(
    size: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photograph's kernel is not doubted; where the size is given nobody asks."""
    if size != "auto":
        monkeypatch.setattr(restarts, "is_doubtful", lambda state: True)
    events, result = drive(DRAFT.replace(kernel_size=size))
    assert "restart" not in [event.stage for event in events]
    assert result.record.verdict["credible"]


def test_at_most_two_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However doubtful it stays, a run ends."""
    monkeypatch.setattr(restarts, "is_doubtful", lambda state: True)
    sizes = iter([(5, 5), (7, 7), (9, 9)])
    monkeypatch.setattr(restarts, "_other_size", lambda *ignored: next(sizes))
    events, result = drive(DRAFT)
    totals = [e.total for e in events if e.stage == "restart" and e.iteration == e.total]
    assert len(totals) == 2
    assert next(sizes) == (9, 9)
    assert kernel_similarity(result.kernel, SAMPLE.kernel) > 0.7  # no worse kernel was taken


def test_the_other_size_is_of_the_likeliest_kernel_that_differs() -> None:
    """Neither one like the fused, nor one tried before, nor a likelier one of the same size."""
    same = {"informative": 0.5, "residual": 1.0, "sparsity": 0.5, "geary": 0.8, "sigma": 0.0}
    rows, columns = np.eye(21, dtype=np.float32), np.eye(21, dtype=np.float32)[::-1].copy()
    short = np.zeros((21, 21), np.float32)
    short[10, 7:14] = 1
    kernels = [rows, columns, short, rows]
    candidates = [
        Candidate(k, "edges", same | {"spectrum": s, "width": 3.0})
        for k, s in zip(kernels, (-6.0, -5.8, -5.9, -5.99), strict=True)
    ]

    class Fake:
        plan = Plan.of(SAMPLE.blurred, DRAFT)

    state = Fake()
    state.candidates, state.fused = candidates, fuse(candidates)
    assert restarts._other_size(state, set()) == (11, 11)
    assert restarts._other_size(state, {(11, 11)}) == (25, 25)
    assert restarts._other_size(state, {(11, 11), (25, 25)}) is None
    # A cell of 64 pixels would be too small for it.
    Fake.plan = Plan.of(SAMPLE.blurred, DRAFT.replace(kernel_grid=(2, 2)))
    assert restarts._other_size(state, {(11, 11)}) is None
