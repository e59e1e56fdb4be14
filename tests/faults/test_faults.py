"""Processes that are killed, ended by signals, or short of disk or memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks with torch loaded, and limits on memory, need Linux"
)
WHOLE = ["a_deblurred.tif", "a_kernel.tif", "a_panel.png", "a_record.json"]
Happened = list[dict[str, Any]]


@pytest.fixture
def driven(drive: Callable[[str], Callable[[str], Happened]]) -> Callable[[str], Happened]:
    """Return a function that does a scenario of driver.py."""
    return drive("driver.py")


def test_a_killed_run_resumes_bit_for_bit(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """Killed by SIGKILL at ten moments, each run resumes to the numbers of an uninterrupted one."""
    runs = driven("killed")
    record_property("tried", len(runs))
    assert [run["status"] for run in runs] == [-9] * 10, runs
    assert sum(run["had"] for run in runs) >= 5
    assert all(run["same"] for run in runs)


def test_signals_end_and_keep(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """SIGTERM is Ctrl-C: the estimate so far is saved; the second signal says what is kept."""
    cases = {case["case"]: case for case in driven("terminated")}
    record_property("tried", len(cases))
    for name in ("SIGTERM", "SIGINT"):
        assert (cases[name]["status"], cases[name]["record"]) == (0, "stopped"), cases[name]
        assert cases[name]["files"] == dict.fromkeys(WHOLE, "whole")
        assert cases[name]["kept"]
    restored = cases["restoration"]
    assert (restored["status"], restored["record"]) == (0, "stopped"), restored
    twice = cases["twice"]
    assert (twice["status"], twice["files"], twice["kept"]) == (130, {}, True), twice
    assert "interrupted: no result was saved; the same command goes on from" in twice["errors"]


def test_a_limit_on_the_size_of_files(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """Each file is whole or absent; what fails is named; what is optional costs nothing else."""
    cases = driven("sizes")
    record_property("tried", len(cases))
    statuses = []
    for case in cases:
        assert set(case["files"].values()) <= {"whole"}, case
        assert "Traceback" not in case["errors"], case
        statuses.append(case["status"])
        if case["status"]:
            last = case["errors"].splitlines()[-1]
            assert last.startswith("error: ")
            assert f"{case['limit']}/a_deblurred.tif cannot be written: File too large" in last
        else:
            assert case["files"].keys() >= set(WHOLE) - {"a_panel.png"}
            assert not case["kept"]
        if case["limit"] < 30_000:
            assert "warning: the run goes on without a checkpoint" in case["errors"], case
    assert statuses == sorted(statuses, reverse=True)
    assert set(statuses) == {0, 1}
    assert list(cases[-1]["files"]) == WHOLE


def test_a_limit_on_memory(
    driven: Callable[[str], Happened], record_property: Callable[[str, object], None]
) -> None:
    """Whatever allocation fails, a command ends with its results or one line of reason."""
    cases = driven("memory")
    record_property("tried", len(cases))
    for case in cases:
        last = case["errors"].strip().splitlines()[-1] if case["errors"].strip() else ""
        assert case["status"] in (0, 1), case
        assert "Traceback" not in case["errors"], case
        assert case["status"] == 0 or last.startswith("error: "), case
        assert set(case["files"].values()) <= {"whole"}, case
    assert {case["status"] for case in cases} == {0, 1}
