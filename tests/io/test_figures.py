"""The panel: what it shows, and that drawing it changes nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from napari_selfdeblur.io.figures import save_panel


def _panel(path: Path, *args: Any, **kwargs: Any) -> NDArray[np.uint8]:
    save_panel(path, *args, **kwargs)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def _kernel() -> NDArray[np.float32]:
    kernel = np.zeros((5, 7), np.float32)
    kernel[2, 2:5] = 1 / 3
    return kernel


def _centres(panel: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the middle pixels of the two images of a panel of 40 x 40 pixel images."""
    # About 4 inches high and wide each, side by side, with half an inch between them.
    row = panel.shape[0] // 2
    return panel[row, (2 * 150)], panel[row, round(6.5 * 150)]


@pytest.mark.parametrize("scale", [1.0, 60000.0])
def test_both_images_share_one_display_range(tmp_path: Path, scale: float) -> None:
    """Equal values look equal in both images, though only one of them spans the range."""
    narrow = np.full((40, 40), 0.5, np.float32) * scale
    wide = np.linspace(0, 1, 40, dtype=np.float32)[:, None] * np.ones((1, 40), np.float32) * scale
    wide[12:28, 12:28] = 0.5 * scale
    left, right = _centres(_panel(tmp_path / "panel.png", narrow, wide, _kernel()))
    np.testing.assert_array_equal(left, right)
    assert 115 <= left[0] <= 140


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_true(tmp_path: Path, channels: int) -> None:
    """An 8-bit colour image and its float32 result are drawn in their own colours."""
    colour = np.full((40, 40, channels), 255, np.uint8)
    colour[..., :3] = (200, 100, 50)
    result = colour.astype(np.float32)
    for middle in _centres(_panel(tmp_path / "panel.png", colour, result, _kernel(), rgb=True)):
        assert np.abs(middle.astype(int) - (200, 100, 50)).max() <= 1


def test_every_extra_is_drawn(tmp_path: Path) -> None:
    """Title, subtitle, PSNR and loss curve each change the picture."""
    image = np.random.default_rng(0).random((30, 50)).astype(np.float32)
    plain = _panel(tmp_path / "plain.png", image, image, _kernel())
    for extra in (
        {"title": "name"},
        {"subtitle": "settings"},
        {"psnr": (20.0, 30.0)},
        {"losses": [0.1, 0.02, 0.003]},
    ):
        drawn = _panel(tmp_path / "extra.png", image, image, _kernel(), **extra)
        assert drawn.shape != plain.shape or (drawn != plain).any(), extra


@pytest.mark.parametrize("shape", [(20, 200), (200, 20), (40, 40)])
def test_any_shape_gives_a_readable_size(tmp_path: Path, shape: tuple[int, int]) -> None:
    """Long images do not make a panel of extreme width or height."""
    image = np.random.default_rng(0).random(shape)
    height, width, _ = _panel(tmp_path / "panel.png", image, image, _kernel(), title="a").shape
    assert 600 <= height <= 900
    assert 1000 <= width <= 3000


def test_constant_images_are_drawn(tmp_path: Path) -> None:
    """A flat result, the sign of a failed run, is drawn like any other."""
    image = np.full((30, 30), 3, np.uint16)
    panel = _panel(tmp_path / "panel.png", image, image.astype(np.float32), _kernel())
    assert panel.std() > 0


def test_no_global_figure_state(tmp_path: Path) -> None:
    """Drawing loads no pyplot and opens no window: it works in any thread and any process."""
    script = (
        "import sys, numpy as np; from napari_selfdeblur.io.figures import save_panel; "
        f"save_panel({str(tmp_path / 'a.png')!r}, np.eye(9), np.eye(9), np.eye(3)); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
