"""The comparison of a batch in one process with one on workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tifffile

from benchmarks import batch
from benchmarks.__main__ import main


@pytest.mark.parametrize("same", [True, False])
def test_a_row_says_how_much_faster_and_whether_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """The frames differ from one another; equal results are equal hashes of every frame."""
    read: list[Any] = []

    def timed(folder: Path, name: str, words: list[str]) -> dict[str, float]:
        shared = "--workers" in words
        for path in sorted((folder / "in").iterdir()):
            read.append(tifffile.imread(path).tobytes())
            marker = folder / name / "frames" / path.stem / "frame.json"
            marker.parent.mkdir(parents=True)
            changed = shared and not same and path.stem == "001"
            marker.write_text(json.dumps({"sharp": str(changed), "kernel": "k"}))
        return {"seconds": 10.0 if shared else 18.0}

    monkeypatch.setattr(batch, "_timed", timed)
    out = tmp_path / "b.json"
    words = ["batch", "--count", "3", "--side", "32", "--preset", "draft", "-o", str(out)]
    assert main(words) == (0 if same else 1)
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["speed_up"], row["identical"]) == (1.8, same)
    assert len(set(read)) == 3
