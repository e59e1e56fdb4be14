"""The report's tables of large frames, stacks and batches."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.sizes_report import sections

FRAME: dict[str, Any] = {
    "kind": "frames",
    "status": "finished",
    "image": "2048 x 2048",
    "kernel": "25 x 25",
    "preset": "draft",
    "device": "CPU",
    "seconds": 61.4,
    "seconds_per_megapixel": 14.6,
    "peak": 3.2e8,
    "psnr_blurred": 20.0,
    "psnr": 30.0,
}
SEAM = {"untiled_psnr": 30.01, "seam_rms": 1e-5, "seam_999": 1e-4, "seam_max": 2e-3}
BATCH: dict[str, Any] = {
    "kind": "batch",
    "status": "finished",
    "image": "40 frames of 256 x 256",
    "preset": "draft",
    "workers": 2,
    "in_process": {"seconds": 300.0, "busy_before_percent": 1.2},
    "on_workers": {"seconds": 160.0, "busy_before_percent": 0.4},
    "speed_up": 1.875,
    "identical": True,
}


def test_a_frame_has_its_seams_where_they_were_measured() -> None:
    """A frame too large to be restored without tiles has a dash for what was not measured."""
    page = "\n".join(sections([FRAME | SEAM, FRAME | {"image": "4096 x 4096"}]))
    small, large = (line for line in page.splitlines() if line.startswith(("| 2048", "| 4096")))
    assert "1.0e-05, 1.0e-04, 2.0e-03" in small
    assert "30.01" in small
    assert large.count("| -") == 2


def test_a_batch_has_its_speed_up() -> None:
    """Times, their ratio and whether the results are identical stand in one line."""
    page = "\n".join(sections([BATCH]))
    assert "## Large images" not in page
    (line,) = (line for line in page.splitlines() if line.startswith("| 40 frames"))
    assert [cell.strip() for cell in line.split("|")[3:7]] == ["300", "160", "1.88", "yes"]


@pytest.mark.parametrize(("identical", "word"), [(True, "yes"), (False, "no")])
def test_a_series_has_its_three_ways(identical: bool, word: str) -> None:
    """The times of all ways, the kernels' quality and whether the results are identical."""
    way = {"seconds": 12.3, "kernel_similarity": [0.91, 0.876]}
    ways = {"script": way, "napari": way | {"seconds": 14.0}, "command_line": way}
    row = {"kind": "series", "status": "finished", "image": "4 frames", "kernel": "25 x 25"}
    row |= {"preset": "draft", "ways": ways, "identical": identical}
    (line,) = (line for line in "\n".join(sections([row])).splitlines() if "| 4 frames" in line)
    cells = [cell.strip() for cell in line.split("|")[3:9]]
    assert cells == ["draft", "0.91, 0.88", "12", "14", "12", word]


def test_rows_of_other_benchmarks_are_left_out() -> None:
    """Neither has a heading without rows of its own; what failed is none."""
    assert sections([{"kind": "deblur"}, FRAME | {"status": "failed"}]) == []
