"""The comparison of one series deblurred in three ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import series
from benchmarks.__main__ import main


@pytest.mark.parametrize("same", [True, False])
def test_one_differing_pixel_is_not_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """Every way is given the same series, and the row says whether what they give is equal."""
    given: list[Any] = []

    def way(pixel: float) -> Any:
        def made(frames: Any, preset: str) -> Any:
            given.append((preset, frames.shape, frames.tobytes()))
            sharp = frames.astype(np.float32)
            sharp[1, 1, 2, 3] += pixel
            return sharp, np.eye(25, dtype=np.float32)[None].repeat(2, 0)

        return made

    monkeypatch.setattr(series, "from_script", way(0))
    monkeypatch.setattr(series, "in_napari", way(0))
    monkeypatch.setattr(series, "on_command_line", way(0 if same else 1))
    out = tmp_path / "s.json"
    words = ["series", "--side", "40", "--preset", "draft", "-o", str(out)]
    assert main(words) == main(words) == (0 if same else 1)
    (row,) = json.loads(out.read_text())["rows"]
    assert row["identical"] is same
    assert given[0][:2] == ("draft", (4, 2, 40, 40))
    assert len(set(given)) == 1
    channels = np.frombuffer(given[0][2], np.uint16).reshape(4, 2, 40, 40)
    assert len({plane.tobytes() for frame in channels for plane in frame}) == 8


def test_a_script_has_what_the_command_line_has() -> None:
    """Two of the ways themselves, on frames of 48 x 48 pixels: equal, of the given shapes."""
    frames = np.stack([np.random.default_rng(i).integers(0, 60_000, (48, 48)) for i in range(8)])
    frames = frames.reshape(4, 2, 48, 48).astype(np.uint16)
    (sharp, kernels), other = (
        way(frames, "draft") for way in (series.from_script, series.on_command_line)
    )
    assert sharp.shape == frames.shape
    assert kernels.shape == (2, 25, 25)
    np.testing.assert_array_equal(other[0], sharp)
    np.testing.assert_array_equal(other[1], kernels)
