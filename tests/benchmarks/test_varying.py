"""Images whose blur varies: their kernels, and that the same kernel everywhere is a plain blur."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

from benchmarks import cells, varying
from benchmarks.sizes_report import sections


@pytest.mark.parametrize("blur", varying.BLURS)
def test_kernels_are_kernels_everywhere(blur: str) -> None:
    """Sum 1, nothing negative, nothing at the border of their support, centred to half a pixel."""
    for place in ((0, 0), (0.3, 0.8), (1, 1)):
        k = varying.BLURS[blur](*place)
        assert k.shape == (varying.SIDE, varying.SIDE)
        assert k.sum() == pytest.approx(1)
        assert k.min() >= 0
        assert k.sum() - k[1:-1, 1:-1].sum() < 0.01
        centre = [(np.indices(k.shape)[axis] * k).sum() for axis in (0, 1)]
        np.testing.assert_allclose(centre, varying.SIDE // 2, atol=0.5)


def test_they_vary_but_for_the_same() -> None:
    """Corners differ in both kinds of blur that vary."""
    for name, at in varying.BLURS.items():
        assert np.array_equal(at(0, 0), at(1, 1)) == (name == "same")


def test_the_same_kernel_everywhere_is_a_plain_blur() -> None:
    """Shares of the lattice sum to 1 in every pixel."""
    x = np.random.default_rng(0).random((60, 75))
    found = varying.blurred(x, varying.same)
    np.testing.assert_allclose(found, fftconvolve(x, varying.same(0, 0), mode="valid"), atol=1e-9)


def test_scenes_are_of_the_halves_they_stand_in() -> None:
    """What is fitted on one half of the scenes is shown on the other."""
    for half, scenes in varying.SCENES.items():
        assert set(scenes) <= set(cells.SCENES[half])
    tasks = varying.plan("checking", (2, 3), "draft", "cpu")
    assert {task.image.category for task in tasks} == {"checking"}
    assert {task.setups[0].config.kernel_grid for task in tasks} == {(2, 3)}


def test_the_report_has_a_line_for_each_image() -> None:
    """With the PSNR of each restoration and how many cells have a kernel of their own."""
    row = {"kind": "varying", "status": "finished", "image": "camera", "kernel": "motion"}
    row |= {"category": "tuning", "psnr_blurred": 20.0, "psnr_one": 21.0, "psnr": 22.0}
    row |= {"psnr_true": 23.0, "score": None, "seconds": 9.6}
    row |= {"cells": [{"kernel": "own"}, {"kernel": "frame"}]}
    page = "\n".join(sections([row]))
    (line,) = (line for line in page.splitlines() if line.startswith("| camera"))
    assert [cell.strip() for cell in line.split("|")[4:11]] == (
        ["20.00", "21.00", "22.00", "23.00", "1 of 2", "-", "10"]
    )
