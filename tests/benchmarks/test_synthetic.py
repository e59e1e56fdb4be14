from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from scipy.signal import fftconvolve

from benchmarks import synthetic
from benchmarks.__main__ import main
from benchmarks.cells import (
    CELLS,
    KERNELS,
    NOISE,
    SCENES,
    SHARP,
    Cell,
    cells,
    kernel,
    make,
)
from benchmarks.report import render
from benchmarks.results import Results, row_key
from benchmarks.scenes import FIELD, SIDE, scene
from benchmarks.synthetic_report import roc_area
from benchmarks.task import Setup
from napari_selfdeblur.config import SelfDeblurConfig

DRAFT = Setup("draft", SelfDeblurConfig.preset("draft").replace(device="cpu"))
HALVES = tuple(SCENES)


@pytest.mark.parametrize("name", [name for names in SCENES.values() for name in names])
def test_every_scene_is_in_the_wheel_and_large_enough(name):
    """Each scene loads without a download, the same every time, with room for every kernel."""
    found = scene(name)
    assert found.shape == (SIDE + max(size for _, size in KERNELS) - 1,) * 2
    assert found.min() >= 0
    assert found.std() > 0
    np.testing.assert_array_equal(found, scene(name))


def test_the_halves_share_no_scene():
    """What is fitted on one half has not seen the other."""
    assert not set(SCENES["tuning"]) & set(SCENES["checking"])
    assert len(SCENES["tuning"]) == len(SCENES["checking"]) == 8


@pytest.mark.parametrize(("kind", "size"), [*KERNELS, SHARP])
def test_kernels_fill_their_size(kind, size):
    """A kernel sums to 1, is centred, and has mass near the border of its support alone."""
    k = kernel(kind, size, seed=1)
    assert k.shape == (size, size)
    assert k.min() >= 0
    assert k.sum() == pytest.approx(1)
    assert center_of_mass(k) == pytest.approx((size // 2,) * 2, abs=0.4)
    ring = k[2:-2, 2:-2].sum() if size > 5 else 0
    assert 1 - ring > 1e-4


@pytest.mark.parametrize("half", HALVES)
def test_the_small_selection_is_balanced(half):
    """Scenes, kernels and noise levels occur evenly, no two together twice, all in the full one."""
    small = cells(half, "small")
    blurred = [c for c in small if c.kind != "none"]
    triples = [(c.scene, (c.kind, c.size), c.noise) for c in blurred]
    for place, counts in zip(range(3), ({3}, {3}, {4, 5}), strict=True):
        assert set(Counter(t[place] for t in triples).values()) == counts
    for a, b in combinations(range(3), 2):
        assert len({(t[a], t[b]) for t in triples}) == len(triples) == 24
    assert [c.noise for c in small if c.kind == "none"] == list(NOISE)
    assert {c.clipped for c in blurred} == {True, False}
    assert set(small) < set(cells(half, "full"))
    assert len(cells(half, "full")) == 8 * 9 * 5


def test_every_cell_is_known_by_scene_and_blur():
    """No two cells have one name, and no two tasks one row."""
    names = ("full", "jpeg", "random")
    everything = [c for half in HALVES for name in names for c in cells(half, name)]
    assert len(CELLS) == len(everything)
    tasks = synthetic.tasks(everything, DRAFT, [0, 1], "true")
    assert len({row_key(task.identities()[0]) for task in tasks}) == 2 * len(CELLS)


def cell(scene, kind="motion", size=15, noise=0.0, clipped=False):
    return Cell("tuning", scene, kind, size, noise, clipped)


@pytest.mark.parametrize("half", HALVES)
def test_the_random_selection_has_new_views_of_its_half(half):
    """No scene of the other selections, nor of the other half; each is a whole field."""
    drawn = [c.scene for c in cells(half, "random")]
    assert len(drawn) == 56
    assert not set(drawn) & {name for each in HALVES for name in SCENES[each]}
    other = cells("checking" if half == "tuning" else "tuning", "random")
    assert not {name.partition("@")[0] for name in drawn} & {
        c.scene.partition("@")[0] for c in other
    }
    for name in drawn[:14]:
        assert scene(name).shape == (FIELD, FIELD)
        assert 0 <= scene(name).min() < scene(name).max()


@pytest.mark.parametrize("half", HALVES)
def test_the_cells_can_be_made(half):
    """Each kind of cell of a half is an 8- or 16-bit image of 255 x 255, always the same."""
    for each in cells(half, "small")[::4]:
        made = make(each)
        assert made.blurred.shape == made.sharp.shape == (SIDE, SIDE)
        assert made.blurred.dtype in (np.uint8, np.uint16)
        np.testing.assert_array_equal(made.blurred, make(each).blurred)


@pytest.mark.parametrize("scene", ["camera", "cells_1"])
def test_without_noise_the_truth_explains_the_image(scene):
    """The sharp image, convolved with the kernel, is the blurred one, to rounding."""
    made = make(cell(scene))
    m = made.kernel.shape[0] // 2
    expected = fftconvolve(made.sharp, made.kernel, mode="valid")
    step = 1 / (made.white - made.black)
    error = made.plane(made.blurred)[m:-m, m:-m] - expected
    assert np.abs(error).max() <= 0.51 * step


@pytest.mark.parametrize("scene", ["chelsea", "filaments_1"])
def test_noise_is_that_of_its_name(scene):
    """The difference to the image without noise has 2 % of the range as standard deviation."""
    clean, noisy = (make(cell(scene, noise=n)).blurred.astype(float) for n in (0.0, 2.0))
    span = 255 if scene == "chelsea" else np.ptp(clean)
    assert (noisy - clean).std() == pytest.approx(0.02 * span, rel=0.03)


@pytest.mark.parametrize("scene", ["chelsea", "filaments_1"])
def test_clipped_images_lose_their_brightest_pixels(scene):
    """1 to 2 % of the pixels of a clipped image are at its format's maximum, else none."""
    for clipped in (True, False):
        blurred = make(cell(scene, clipped=clipped)).blurred
        share = float(np.mean(blurred == np.iinfo(blurred.dtype).max))
        assert (0.01 < share < 0.02) if clipped else share == 0


@pytest.mark.parametrize("half", HALVES)
def test_jpeg_files_differ_by_their_compression_alone(half):
    """Photographs with three kernels and none, in two qualities; the noise is the same in both."""
    chosen = cells(half, "jpeg")
    assert len(chosen) == 5 * 4 * 2
    assert {c.quality for c in chosen} == {90, 70}
    fine, coarse = chosen[:2]
    plain = make(Cell(half, fine.scene, fine.kind, fine.size, fine.noise)).blurred.astype(float)
    errors = [(make(each).blurred - plain).std() for each in (fine, coarse)]
    assert 0.5 < errors[0] < errors[1] < 5


@pytest.mark.parametrize(
    ("kind", "psnr", "true", "expected"),
    [
        ("motion", 25.19, 29.0, {"failure": True}),
        ("motion", 25.21, 29.0, {"failure": False}),
        ("motion", 27.0, 31.8, {"failure": True}),
        ("none", 24.9, 40.0, {"changed": True}),
        ("none", 25.1, 40.0, {"changed": False}),
        ("none", 24.995, 40.0, {"changed": False}),
    ],
)
def test_a_failure_is_by_gain_and_by_loss(kind, psnr, true, expected):
    """Failed is what hardly improves or falls far behind the true kernel; changed is worse."""
    row = {"kind_of_blur": kind, "psnr": psnr, "psnr_blurred": 25.0, "psnr_true": true}
    assert synthetic.judged(row) == expected


def test_a_row_is_measured(monkeypatch):
    """A row holds cell, sizes, PSNR beside blurred and true kernel, and the verdict."""
    monkeypatch.setattr("benchmarks.cells.SIDE", 72)
    (task,) = synthetic.tasks([CELLS["camera", "motion 9, noise 0.2 %"]], DRAFT, [0], "true")
    (row,) = synthetic.measure(task)
    assert (row["size_true"], row["size_asked"], row["size_used"]) == (9, [9, 9], [9, 9])
    assert (row["noise"], row["clipped"], row["status"]) == (0.2, False, "finished")
    assert row["psnr_blurred"] + 3 < row["psnr_true"]
    assert row["failure"] is synthetic.judged(row)["failure"]
    assert 0 < row["kernel_similarity"] <= 1
    assert {"score", "credible", "reasons", "ssim", "seconds"} <= row.keys()


def test_the_command_line_names_the_cells(tmp_path, monkeypatch, capsys):
    """`synthetic` runs the chosen half with the true size; a sharp image is given 15 pixels."""
    asked = []
    monkeypatch.setattr("benchmarks.__main__._perform", lambda _, tasks: asked.extend(tasks) or 0)
    words = ["synthetic", "--preset", "draft", "-o", str(tmp_path / "r.json")]
    assert main([*words, "--half", "checking"]) == 0
    assert {task.image.category for task in asked} == {"checking"}
    sizes = {t.image.kernel.partition(",")[0]: t.setups[0].config.kernel_size for t in asked}
    assert (sizes["motion 31"], sizes["none"]) == ((31, 31), (15, 15))
    assert len(asked) == 29


def test_the_area_under_the_curve():
    """Perfect order has 1, its reverse 0, ties one half; without two kinds there is none."""
    assert roc_area([0.8, 0.9], [0.1, 0.2]) == 1
    assert roc_area([0.1], [0.8, 0.9]) == 0
    assert roc_area([0.5], [0.5]) == 0.5
    assert roc_area([], [0.5]) is None


def row_of(cell, psnr, credible, score):
    (task,) = synthetic.tasks([cell], DRAFT, [0], "true")
    row = {"kind_of_blur": cell.kind, "psnr": psnr, "psnr_blurred": 20.0, "psnr_true": 28.0}
    row |= synthetic.judged(row) | {"credible": credible, "score": score, "reasons": []}
    return task.identities()[0] | row | {"status": "finished", "seconds": 3.0, "run": 0}


def test_the_report_counts_failures_and_verdicts(tmp_path):
    """Tables by noise and kernel, the confusion table and the area are those of the rows."""
    rows = [
        row_of(cell("camera", noise=1.0), 27.0, True, 0.9),
        row_of(cell("coffee", noise=1.0), 26.0, False, 0.4),
        row_of(cell("brick", "disk", 11, 4.0), 20.0, True, 0.6),
        row_of(cell("brick", "none", 1), 19.0, True, 0.6),
    ]
    Results(tmp_path / "r.json", [], rows).write()
    text = render([tmp_path / "r.json"])
    assert "`draft`, kernel size given, gives 24.33 dB, the true kernel 28.00; failures: 1" in text
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    found = {line[0]: line for line in lines if len(line) in (3, 6, 11)}
    assert found["all"][1:] == (
        ["3", "20.00", "24.33", "26.00", "20.00", "28.00", "1", "1", "1", "3.0"]
    )
    assert found["noise 4 %"][7:10] == ["1", "1", "0"]
    assert found["good"][1:] == ["1", "1"]
    assert found["failure"][1:] == ["1", "0"]
    assert found["0 %"][1:] == ["1", "20.00", "19.00", "1", "1"]
    assert "Area under the score's ROC curve: 0.50." in text
    assert "does not improve by 0.2 dB either: 0." in text


def test_the_report_tells_images_drawn_at_random(tmp_path):
    """Views of photographs and further fields are, the halves' own scenes are not."""
    rows = [row_of(each, 27.0, True, 0.9) for each in cells("tuning", "random")[::9]]
    blurred = [row for row in rows if row["kind_of_blur"] != "none"]
    Results(tmp_path / "r.json", [], blurred).write()
    text = render([tmp_path / "r.json"])
    assert f"On {len(blurred)} images drawn at random, made on the spot (tuning half" in text
    mixed = [*blurred, row_of(cell("cells_1"), 27.0, True, 0.9)]
    Results(tmp_path / "r.json", [], mixed).write()
    assert "drawn at random, made" not in render([tmp_path / "r.json"])


def test_the_report_tells_jpeg_files_by_their_quality(tmp_path):
    """They have a line for each quality, and are called files; other images have no such line."""
    chosen = [c for c in cells("tuning", "jpeg") if c.kind == "disk"][:2]
    rows = [row_of(each, 27.0, True, 0.9) | {"quality": each.quality} for each in chosen]
    Results(tmp_path / "r.json", [], rows).write()
    text = render([tmp_path / "r.json"])
    assert "On 2 JPEG files made on the spot (tuning half" in text
    assert "| JPEG 70" in text
    Results(tmp_path / "r.json", [], [row_of(cell("camera"), 27.0, True, 0.9)]).write()
    text = render([tmp_path / "r.json"])
    assert "On 1 images made on the spot" in text
    assert "not compressed" not in text
