"""Solvers that can add nothing are left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

import napari_selfdeblur as sd
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.cost import expected_stages
from napari_selfdeblur.run.effort import adds_in_noise
from napari_selfdeblur.run.events import Clock, Progress
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.result import DeblurResult

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


@pytest.mark.parametrize(
    ("image", "more"),
    [
        pytest.param(CLEAN, {}, id="little noise"),
        pytest.param(NOISY, {"adaptive": False}, id="asked for"),
    ],
)
def test_otherwise_they_run(image: np.ndarray, more: dict[str, bool]) -> None:
    """Where there is little noise, and wherever every solver is asked for."""
    ran, result = stages(image, BOTH.replace(**more))
    assert ran == ["edges", "joint", "fuse", "refine", "restore"]
    assert result.record.used.solvers == ("edges", "joint")
    assert result.record.left_out == ""


@pytest.mark.parametrize("solvers", [("joint",), ("joint", "edges")])
def test_the_first_solver_always_runs(solvers: tuple[str, ...]) -> None:
    """Networks with nothing before them are what was asked for, and edges are cheap."""
    ran, _ = stages(NOISY, BOTH.replace(solvers=solvers))
    refine = ["refine"] if "edges" in solvers else []
    assert ran == [*solvers, "fuse", *refine, "restore"]


def test_only_networks_are_left_out() -> None:
    """And only after a solver that trains none: edges are cheap, networks alone are asked for."""
    for solvers, left_out in {
        ("edges", "joint", "alternating"): {"joint", "alternating"},
        ("joint", "edges", "alternating"): {"alternating"},
        ("joint", "alternating"): set(),
    }.items():
        plan = Plan.of(NOISY, BOTH.replace(solvers=solvers))
        assert {name for name in solvers if not adds_in_noise(plan, name)} == left_out


def test_the_time_left_is_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a run on a noisy image does not count networks."""
    given: list[dict[str, float]] = []

    class Kept(Clock):
        def __init__(self, expected: dict[str, float]) -> None:
            given.append(dict(expected))
            super().__init__(expected)

    monkeypatch.setattr("napari_selfdeblur.run.run.Clock", Kept)
    for image in (NOISY, CLEAN):
        sd.deblur(image, config=BOTH)
    assert [list(each) for each in given] == [
        ["edges", "fuse", "refine", "restore"],
        list(expected_stages(BOTH, CLEAN.shape)),
    ]
