"""Batches whose processes are killed or ended by signals, or that cannot write all they made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks with torch loaded, and limits on files, need Linux"
)
Happened = list[dict[str, Any]]


@pytest.fixture
def driven(drive: Callable[[str], Callable[[str], Happened]]) -> Callable[[str], Happened]:
    """Return a function that does a scenario of batch_driver.py."""
    return drive("batch_driver.py")


def test_a_killed_batch_is_completed_by_the_same_command(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """After SIGKILL at ten moments every frame is whole and the same, and none is made twice."""
    runs = driven("killed")
    record_property("tried", len(runs))
    assert [run["status"] for run in runs] == [[-9, 0, 0]] * 10, runs
    assert [run["torn"] for run in runs] == [[]] * 10
    assert [run["kept"] for run in runs] == [run["whole"] for run in runs]
    assert sum(0 < run["whole"] < 8 for run in runs) >= 5
    assert [run["at_end"] for run in runs] == [8] * 10
    assert all(run["same"] for run in runs)


def test_a_batch_on_workers_whose_main_process_is_killed(
    driven: Callable[[str], Happened],
) -> None:
    """Its workers end with it, and the same batch in one process goes on from there."""
    (run,) = driven("workers")
    assert run["status"] == [-9, 0]
    assert (run["children"] >= 2, run["alive"]) == (True, 0)
    assert run["kept"] == run["whole"] >= 2
    assert run["same"]


def test_signals_end_a_batch_between_two_frames(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """SIGTERM is Ctrl-C: the exit status says that it was stopped, and what is done stays."""
    cases = driven("terminated")
    record_property("tried", len(cases))
    for case in cases:
        assert case["status"] == [130, 0], case
        assert case["kept"] == case["whole"]
        assert 3 <= case["whole"] < 8
        assert "stopped: the same command does what is left" in case["errors"]


def test_results_too_large_to_be_written_are_named(driven: Callable[[str], Happened]) -> None:
    """Those that fit are there; without the limit only what is missing is made."""
    limited, free = driven("sizes")
    assert limited["status"] == 1
    assert limited["files"] == ["a_deblurred.tif"]
    assert len(limited["failed"]) == 2
    for line, name in zip(limited["failed"], ("colour", "series"), strict=True):
        assert name in line
        assert "File too large; raise the limit on the size of files" in line
    assert (free["status"], free["kept"], free["failed"]) == (0, 7, [])
    assert free["files"] == ["a_deblurred.tif", "colour_deblurred.tif", "series_deblurred.tif"]
