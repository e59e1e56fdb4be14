"""A fixture that both kinds of faults share: a scenario of a driver, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Driven = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def drive(tmp_path: Path) -> Callable[[str], Driven]:
    """Return a function that returns, for a driver's file, what does one of its scenarios."""

    def of(driver: str) -> Driven:
        def run(scenario: str) -> list[dict[str, Any]]:
            words = [sys.executable, str(Path(__file__).with_name(driver)), scenario, str(tmp_path)]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(words, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, done.stderr
            happened: list[dict[str, Any]] = json.loads(done.stdout)
            return happened

        return run

    return of
