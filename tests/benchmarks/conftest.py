"""Tiny folders in the layouts of both data sets."""

import numpy as np
import pytest
from PIL import Image
from scipy.signal import fftconvolve


def hook(size):
    """A kernel that is not its own rotation: a bar with a foot, brightest at one end."""
    k = np.zeros((size, size))
    middle = size // 2
    k[middle, 1:] = np.linspace(0.3, 1, size - 1)
    k[middle:, 1] = 0.4
    return k / k.sum()


def scene(seed, shape):
    """A piecewise constant image in [0.1, 0.9]: random boxes on grey."""
    rng = np.random.default_rng(seed)
    x = np.full(shape, 0.5)
    for _ in range(25):
        top, left = (int(rng.integers(0, side - 4)) for side in shape)
        height, width = (int(n) for n in rng.integers(4, 14, 2))
        x[top : top + height, left : left + width] = rng.uniform(0.1, 0.9)
    return x


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)).save(path)


def blurred(x, k):
    """The part of x where y is observed, and y."""
    m = k.shape[0] // 2
    return x[m:-m, m:-m], fftconvolve(x, k, mode="valid")


@pytest.fixture
def levin_folder(tmp_path):
    """im1 and im2 blurred by kernel1 (stored as it is) and kernel2 (stored rotated)."""
    folder = tmp_path / "levin"
    for number, stored in ((1, lambda k: k), (2, lambda k: k[::-1, ::-1])):
        k = hook(5)
        save(folder / "gt" / f"kernel{number}.png", stored(k) / k.max())
        for image in (1, 2):
            x, y = blurred(scene(image, (52, 54)), k)
            save(folder / "gt" / f"im{image}.png", x)
            save(folder / f"im{image}_kernel{number}_img.png", y)
    return folder


@pytest.fixture
def lai_folder(tmp_path):
    """manmade_01 and text_02, each blurred by kernel_01 and kernel_02."""
    folder = tmp_path / "lai"
    for number, size in ((1, 5), (2, 7)):
        k = hook(size)
        save(folder / "kernels" / f"kernel_{number:02}.png", k / k.max())
        for seed, image in enumerate(("manmade_01", "text_02")):
            x, y = blurred(scene(seed, (58, 60)), np.pad(k, (7 - size) // 2))
            save(folder / "ground_truth" / f"{image}.png", x)
            save(folder / "uniform_ycbcr" / f"{image}_kernel_{number:02}.png", y)
    return folder
