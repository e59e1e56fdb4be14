"""The benchmark of large frames."""

import numpy as np
import pytest

from benchmarks import frames
from benchmarks.cells import kernel
from napari_selfdeblur.errors import ConfigError


def test_a_frame_is_the_scene_blurred_with_noise():
    """Without its noise it is the convolution of the scene, whatever strips it was made in."""
    k = kernel("motion", 25)
    made = (frames.blurred_frame(300, k, 0) - 2000.0) / 58_000
    again = (frames.blurred_frame(300, k, 1) - 2000.0) / 58_000
    assert np.std(made - again) == pytest.approx(0.01 * np.sqrt(2), rel=0.05)
    x = frames._window(frames._scene(), (-12, 312), (-12, 312))
    middle = sum(
        k[i, j] * x[24 - i : 324 - i, 24 - j : 324 - j] for i in range(25) for j in range(25)
    )
    assert np.abs((made + again) / 2 - middle.clip(0, 1)).mean() < 0.01


def test_the_scene_is_mirrored_without_end():
    """Neighbours in the frame are neighbours in a photograph, or equal."""
    base = np.arange(16.0).reshape(4, 4)
    row = frames._window(base, (0, 1), (-2, 14))[0]
    assert np.abs(np.diff(row)).max() <= 1
    assert set(row) == {0, 1, 2, 3}


def test_small_frames_are_refused():
    """Below 1024 pixels there is nothing to compare."""
    with pytest.raises(ConfigError, match="at least 1024, got 512; try 2048"):
        frames.plan([512, 2048], "draft", "cpu", {})
    task = frames.plan([2048], "draft", "cpu", {})[0]
    assert task.setups[0].config.kernel_size == (25, 25)
