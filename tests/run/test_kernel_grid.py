"""A blur that varies over the frame: kernels on a grid, what is restored with them, the record."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.numerics.grid import KernelGrid
from napari_selfdeblur.numerics.regions import Structure
from napari_selfdeblur.numerics.solvers import edges
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.restoration import restore_frame
from napari_selfdeblur.run.survey import Survey

SIDE = 7
ROW, COLUMN = np.zeros((2, SIDE, SIDE))
ROW[3, 1:6] = COLUMN[1:6, 3] = 0.2
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(
    kernel_size=SIDE, device="cpu", restoration="hyper_laplacian"
)


def scene() -> NDArray[np.float64]:
    return data.camera()[60:176, 100:346] / 255


def observed(y: NDArray[np.float64]) -> NDArray[np.uint16]:
    y = y + np.random.default_rng(0).normal(0, 0.002, y.shape)
    return np.rint(y.clip(0, 1) * 60_000).astype(np.uint16)


SHARP = scene()[3:-3, 3:-3]
SHARE = np.linspace(
    0, 1, SHARP.shape[1]
)  # of the second kernel: none at the left, all at the right
VARYING = observed(
    (1 - SHARE) * fftconvolve(scene(), ROW, "valid") + SHARE * fftconvolve(scene(), COLUMN, "valid")
)
SAME = observed(fftconvolve(scene(), ROW, "valid"))


def quality(image: NDArray[Any]) -> float:
    return psnr_up_to_shift(np.clip(image / 60_000, 0, 1), SHARP)


@pytest.fixture(scope="module", autouse=True)
def few_trials() -> Iterator[None]:
    """Half as many edge-based kernels of the region and of each cell: the tests take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edges, "trials", lambda size, _: [edges.Trial(size, s) for s in (1, 0.5, 2)])
        yield


@pytest.fixture(scope="module")
def varying(few_trials: None) -> sd.DeblurResult:
    return sd.deblur(VARYING, config=DRAFT, kernel_grid=(1, 2))


@pytest.fixture(scope="module")
def same(few_trials: None) -> sd.DeblurResult:
    return sd.deblur(SAME[:, :140], config=DRAFT, kernel_grid=(1, 2))


def test_a_grid_restores_a_varying_blur_better_than_one_kernel(varying: sd.DeblurResult) -> None:
    """With kernels estimated in the cells, each more like the true one of its end."""
    one = sd.restore(VARYING, varying.kernel, "hyper_laplacian", device="cpu")
    assert quality(varying.sharp) > quality(one) + 0.3 > quality(VARYING) + 1
    assert varying.kernels is not None
    assert varying.kernels.shape[:2] == (1, 2)
    assert varying.kernels.dtype == np.float32
    np.testing.assert_allclose(varying.kernels.sum(axis=(2, 3)), 1, atol=1e-5)
    first, last = (_width(k, 1) / _width(k, 0) for k in varying.kernels[0])
    assert first < 0.95 < 1.05 < last


def _width(k: NDArray[np.floating], axis: int) -> float:
    """Return the root mean square width of a kernel along rows (1) or columns (0)."""
    line = k.sum(axis=axis)
    at = np.arange(line.size) - (np.arange(line.size) * line).sum()
    return float(np.sqrt((at**2 * line).sum()))


def test_the_record_has_the_map_of_differences(varying: sd.DeblurResult) -> None:
    """Each cell: where it is, whose kernel it has, how far that is from the frame's; as JSON."""
    record = RunRecord.from_json(varying.record.to_json())
    assert record.cells == varying.record.cells
    assert [(cell["row"], cell["column"]) for cell in record.cells] == [(0, 0), (0, 1)]
    assert {cell["kernel"] for cell in record.cells} <= {"own", "frame", "neighbours"}
    assert [cell["kernel"] for cell in record.cells] == ["own", "own"]
    assert all(0 < cell["correlation"] <= 1 for cell in record.cells)
    assert min(cell["correlation"] for cell in record.cells) < 0.97
    assert record.cells[0]["window"][1][0] == 0
    assert record.cells[1]["window"][1][1] == VARYING.shape[1]
    assert record.used.kernel_grid == (1, 2)
    assert record.verdict is not None
    assert record.verdict["score"] in [cell["score"] for cell in record.cells]
    assert "2 of 2 cells have a kernel of their own" in record.cells_found


def test_the_same_blur_everywhere_gives_a_grid_that_agrees(same: sd.DeblurResult) -> None:
    """Its kernels are like the frame's, and the image like that restored with one kernel."""
    assert min(cell["correlation"] for cell in same.record.cells) > 0.9
    one = sd.restore(SAME[:, :140], same.kernel, "hyper_laplacian", device="cpu")
    assert np.sqrt((((same.sharp - one) / 60_000) ** 2).mean()) < 0.02


@pytest.mark.parametrize("method", ["sparse", "saturated"])
def test_a_grid_of_equal_kernels_restores_as_one(method: str) -> None:
    """Within 1e-3 of the range (RMS) of the restoration as a whole, by smaller tiles."""
    k = ROW.astype(np.float32)
    grid = KernelGrid(np.tile(k, (2, 3, 1, 1)), (np.array([30.0, 80]), np.array([40.0, 120, 200])))
    survey = Survey.of(Frame.of(SAME, (SIDE, SIDE)))
    found = []
    for each in (None, grid):
        x = survey.frame.y
        steps = list(restore_frame(survey, x, k, method, torch.device("cpu"), grid=each))
        found.append((x, len(steps)))
    (whole, one), (tiled, several) = found
    assert one == 1 < several
    assert 0 < np.sqrt(((whole - tiled).astype(np.float64) ** 2).mean()) < 1e-3


def test_without_a_grid_there_are_no_cells() -> None:
    """By default a run has one kernel, and its record no cells."""
    result = sd.deblur(SAME[:70, :80], config=DRAFT)
    assert result.kernels is None
    assert result.record.cells == ()
    assert result.record.cells_found == ""
    old = {n: v for n, v in result.record.to_dict().items() if n != "cells"}
    assert RunRecord.from_dict(old).cells == ()


def test_a_flat_cell_has_its_neighbours_kernel() -> None:
    """Where there are no edges nothing is estimated, and the cell has no score."""
    y = np.full((60, 160), 20_000, np.uint16)
    y[:, :76] = SAME[40:100, 60:136]
    result = sd.deblur(y, config=DRAFT, kernel_grid=(1, 2))
    first, second = result.record.cells
    assert second["kernel"] == "neighbours"
    assert second["score"] is second["neighbours"] is None
    assert first["score"] is not None
    assert result.kernels is not None
    np.testing.assert_allclose(result.kernels[0, 0], result.kernels[0, 1], atol=1e-6)


def test_without_edges_in_any_cell_there_is_one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a grid, but for the refinement that a grid leaves out; the record has no cells."""
    monkeypatch.setattr(Structure, "shown", lambda _, windows: [False] * len(windows))
    monkeypatch.setattr("napari_selfdeblur.run.run.refine_stage", lambda _: iter(()))
    found, one = (
        sd.deblur(SAME[:60, :90], config=DRAFT, kernel_grid=grid) for grid in ((1, 2), (1, 1))
    )
    assert found.kernels is None
    assert found.record.cells == ()
    assert found.record.verdict == one.record.verdict
    np.testing.assert_array_equal(found.sharp, one.sharp)


def test_a_stop_among_the_cells_keeps_the_best_estimate() -> None:
    """It has one kernel: no cell is in the record of such a run."""
    stop = threading.Event()
    events = sd.iter_deblur(SAME[:90, :90], config=DRAFT, kernel_grid=(1, 2), stop=stop)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            result = end.value
            break
        if event.stage == "grid":
            assert (event.iteration, event.total) == (1, 2)
            stop.set()
    assert result.record.status == "stopped"
    assert result.kernels is None
    assert result.record.cells == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"restoration": None}, "kernel_grid needs a restoration.*for example sparse"),
        ({"kernel_grid": (0, 2)}, "whole number of 1 to 32, or a pair of them, got"),
        ({"kernel_grid": 2.5}, "whole number of 1 to 32"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], reason: str) -> None:
    """Where they are made, by the field."""
    with pytest.raises(ConfigError, match=reason) as error:
        DRAFT.replace(**{"kernel_grid": 2, **changes})
    assert error.value.field == "kernel_grid"


def test_a_frame_too_small_for_its_grid_is_refused() -> None:
    """Before the first step where the size is given; with what would fit."""
    with pytest.raises(ConfigError, match="at most 2 x 5") as error:
        sd.iter_deblur(SAME, config=DRAFT, kernel_grid=6)
    assert error.value.field == "kernel_grid"
    run = sd.iter_deblur(SAME[:90, :90], config=DRAFT, kernel_size="auto", kernel_grid=5)
    with pytest.raises(ConfigError, match="is too fine: a cell needs") as late:
        list(run)
    assert late.value.result is not None
    assert late.value.result.kernels is None


def test_diagnostics_are_of_one_kernel() -> None:
    """The residual and the spread of a grid are not made; that is said before the first step."""
    with pytest.raises(ConfigError, match="diagnostics are of one kernel") as error:
        sd.iter_deblur(SAME, config=DRAFT.replace(diagnostics=True), kernel_grid=2)
    assert error.value.field == "diagnostics"


def test_planes_share_no_grid() -> None:
    """Of a stack each plane may have one, where each has a kernel."""
    stack = np.stack([SAME, SAME])
    with pytest.raises(ConfigError, match="choose kernels='plane'") as error:
        sd.iter_deblur_stack(stack, "TYX", config=DRAFT.replace(kernel_grid=2))
    assert error.value.field == "kernel_grid"


def test_the_command_line_writes_the_kernels(tmp_path: Path) -> None:
    """STEM_kernels.tif has a plane for each cell, row by row, beside the kernel of the image."""
    tifffile = pytest.importorskip("tifffile")
    from napari_selfdeblur.cli import main

    tifffile.imwrite(tmp_path / "a.tif", SAME[:80, :90])
    words = ["--preset", "draft", "--kernel-size", "7", "--restoration", "hyper_laplacian"]
    words += ["--device", "cpu", "--kernel-grid", "1x2", "--quiet", "-o", str(tmp_path)]
    assert main(["run", str(tmp_path / "a.tif"), *words]) == 0
    kernels = tifffile.imread(tmp_path / "a_kernels.tif")
    record = json.loads((tmp_path / "a_record.json").read_text())
    assert kernels.shape[0] == len(record["cells"]) == 2
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-5)
    assert record["config"]["kernel_grid"] == [1, 2]
    assert (tmp_path / "a_panel.png").exists()


def test_a_record_of_other_cells_says_nothing_of_them() -> None:
    """What a file calls cells need not have a correlation."""
    values = RunRecord(
        config=DRAFT, used=DRAFT, device="CPU", seconds=1.0, iterations=1, status="finished",
        losses=(), image={},
    ).to_dict()  # fmt: skip
    for cells in ([], [{}], [{"correlation": "high"}]):
        assert RunRecord.from_dict(values | {"cells": cells}).cells_found == ""
