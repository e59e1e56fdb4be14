"""Solvers that can add nothing are left out."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.cost import expected_stages
from napari_selfdeblur.numerics.solvers import edges
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.events import Clock, Previews, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.run import run

SAMPLE = motion_blurred_photograph(size=112)
CLEAN = fftconvolve(SAMPLE.sharp / 255, SAMPLE.kernel, "valid")
NOISY = CLEAN + np.random.default_rng(0).normal(0, 0.01, CLEAN.shape)
BOTH = sd.SelfDeblurConfig.preset("draft").replace(
    solvers=("edges", "joint"), iterations=2, channels=4, scales=2, kernel_size=17, device="cpu"
)


def stages(image: np.ndarray, config: sd.SelfDeblurConfig) -> tuple[list[str], DeblurResult]:
    events: list[Progress] = []
    result = sd.deblur(image, config=config, on_progress=events.append)
    return list(dict.fromkeys(event.stage for event in events)), result


def test_networks_are_left_out_in_noise() -> None:
    """The record says which solvers ran, and that some did not; with them alone it runs again."""
    ran, result = stages(NOISY, BOTH)
    assert ran == ["edges", "fuse", "refine", "restore"]
    assert result.record.config.solvers == ("edges", "joint")
    assert result.record.used.solvers == ("edges",)
    assert "left out" in result.record.left_out
    again = sd.deblur(NOISY, config=result.record.used)
    np.testing.assert_array_equal(again.sharp, result.sharp)


@pytest.fixture(params=[True, False], ids=["doubtful", "credible"])
def doubtful(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the kernel of the edges is doubted."""
    monkeypatch.setattr("napari_selfdeblur.run.effort.is_doubtful", lambda state: request.param)
    return bool(request.param)


def test_networks_run_where_the_kernel_is_doubtful(doubtful: bool) -> None:
    """Of an image with little noise; the estimates are fused to know, and again with theirs."""
    ran, result = stages(CLEAN, BOTH)
    joint = ["joint"] if doubtful else []
    assert ran == ["edges", "fuse", *joint, "refine", "restore"]
    assert result.record.used.solvers == ("edges", *joint)
    assert bool(result.record.left_out) != doubtful


@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize("image", [CLEAN, NOISY], ids=["little noise", "noise"])
def test_every_solver_runs_where_that_is_asked_for(image: np.ndarray) -> None:
    """Whatever those before have found."""
    ran, result = stages(image, BOTH.replace(adaptive=False))
    assert ran == ["edges", "joint", "fuse", "refine", "restore"]
    assert result.record.used.solvers == ("edges", "joint")
    assert result.record.left_out == ""


def test_a_stop_before_them_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is stopped while another size is tried, and does not say what it would have done."""
    monkeypatch.setattr("napari_selfdeblur.run.restarts.is_doubtful", lambda state: True)
    monkeypatch.setattr("napari_selfdeblur.run.restarts._other_size", lambda *ignored: (13, 13))
    stop = threading.Event()
    steps = run(Plan.of(CLEAN, BOTH.replace(kernel_size="auto")), Previews(), stop=stop)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            result = end.value
            break
        if event.stage == "restart":
            stop.set()
    assert result.record.status == "stopped"
    assert result.record.left_out == ""


@pytest.mark.parametrize("solvers", [("joint",), ("joint", "edges")])
def test_the_first_solver_always_runs(solvers: tuple[str, ...]) -> None:
    """Networks with nothing before them are what was asked for, and edges are cheap."""
    ran, _ = stages(NOISY, BOTH.replace(solvers=solvers))
    refine = ["refine"] if "edges" in solvers else []
    assert ran == [*solvers, "fuse", *refine, "restore"]


def test_only_networks_are_spared() -> None:
    """And only after a solver that trains none: edges are cheap, networks alone are asked for."""
    for solvers, spared in {
        ("edges", "joint", "alternating"): (1, 2),
        ("joint", "edges", "joint"): (2,),
        ("joint", "alternating"): (),
    }.items():
        assert BOTH.replace(solvers=solvers).spared == spared
    twice = BOTH.replace(solvers=("joint", "edges", "joint"))
    assert twice.without(twice.spared).solvers == ("joint", "edges")


@pytest.fixture
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer edge-based kernels: the tests take seconds."""
    monkeypatch.setattr(
        edges, "trials", lambda size, _: [edges.Trial(size, s) for s in (1, 0.5, 2)]
    )


@pytest.mark.usefixtures("few_trials")
@pytest.mark.parametrize(
    ("solvers", "ran"),
    [(("edges", "edges"), ("edges",)), (("joint", "edges", "joint"), ("joint", "edges"))],
)
def test_one_of_two_alike_is_left_out(solvers: tuple[str, ...], ran: tuple[str, ...]) -> None:
    """A solver named twice runs once where the second time adds nothing, and the record says so."""
    image = data.camera()[60:130, 100:180] / 255 if solvers[0] == "edges" else NOISY
    result = sd.deblur(image, config=BOTH.replace(solvers=solvers, kernel_size=7))
    assert result.record.used.solvers == ran
    assert tuple(each["source"] for each in result.record.estimates) == ran


@pytest.mark.usefixtures("few_trials")
def test_a_checkpoint_tells_solvers_after_one_left_out(tmp_path: Path) -> None:
    """Each state belongs to its place among the solvers: run again, nothing is estimated anew."""
    config = BOTH.replace(solvers=("edges", "joint", "edges"), kernel_size=7)
    plan = Plan.of(NOISY, config)
    steps = []
    for _ in range(2):
        checkpoint = Checkpoint.of(tmp_path / "run.pt", plan.config, plan.source)
        events = run(plan, Previews(), checkpoint=checkpoint, keep_checkpoint=True)
        steps.append([event.stage for event in events].count("edges"))
    assert steps == [6, 0]


@pytest.mark.usefixtures("few_trials")
def test_the_time_left_is_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock does not count networks before it is known that they are needed."""
    given: list[dict[str, float]] = []

    class Kept(Clock):
        def __init__(self, expected: dict[str, float]) -> None:
            given.append(dict(expected))
            super().__init__(expected)

    monkeypatch.setattr("napari_selfdeblur.run.run.Clock", Kept)
    last = BOTH.replace(solvers=("joint", "edges", "joint"))
    for config in (BOTH, BOTH.replace(adaptive=False), last):
        sd.deblur(NOISY, config=config)
    assert [list(each) for each in given] == [
        ["edges", "fuse", "refine", "restore"],
        list(expected_stages(BOTH, NOISY.shape)),
        ["joint", "edges", "fuse", "refine", "restore"],
    ]
