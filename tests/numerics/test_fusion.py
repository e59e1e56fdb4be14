"""Fusion: true kernels survive whatever stands beside them, in any order."""

import numpy as np
import pytest
import torch
from scipy.ndimage import shift as moved_by
from scipy.signal import fftconvolve
from skimage import color, data
from skimage.transform import resize

from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.fusion import Candidate, fuse
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian


def gaussian(n: int, s: float) -> np.ndarray:
    q = np.arange(n) - n // 2
    k = np.exp(-(q[:, None] ** 2 + q**2) / 2 / s**2)
    return (k / k.sum()).astype(np.float32)


def disk(n: int, r: float) -> np.ndarray:
    q = (np.arange(n * 8) + 0.5) / 8 - n / 2
    k = (q[:, None] ** 2 + q**2 <= r * r).astype(float).reshape(n, 8, n, 8).mean((1, 3))
    return (k / k.sum()).astype(np.float32)


def delta(n: int) -> np.ndarray:
    k = np.zeros((n, n), np.float32)
    k[n // 2, n // 2] = 1
    return k


def blurred_by_a_pixel(k: np.ndarray) -> np.ndarray:
    wide = fftconvolve(np.pad(k, 4), gaussian(9, 1.0), mode="same").clip(0)
    return (wide / wide.sum()).astype(np.float32)


def shifted(k: np.ndarray) -> np.ndarray:
    return np.roll(np.pad(k, 3), (3, -2), axis=(0, 1))


MOTION = motion_blurred_photograph(size=64).kernel
KERNELS = {"motion": MOTION, "disk": disk(11, 4.0), "gaussian": gaussian(13, 1.6)}
SCENES = {"camera": data.camera, "astronaut": data.astronaut, "coins": data.coins}
WRONG = {
    "narrow": lambda k: gaussian(7, 0.8),
    "wide": lambda k: gaussian(17, 2.5),
    "blurred": blurred_by_a_pixel,
    "shifted": shifted,
    "delta": lambda k: delta(3),
    "disk": lambda k: disk(15, 6.0),
}


def scene(name: str, side: int) -> np.ndarray:
    image = SCENES[name]()
    image = color.rgb2gray(image) if image.ndim == 3 else image / 255
    n = min(image.shape)
    return resize(image[:n, :n], (side, side), anti_aliasing=True)


class Problem:
    """A blurred image with a known truth."""

    def __init__(self, name: str, kernel: str, sigma: float) -> None:
        self.k, self.sigma = KERNELS[kernel], sigma
        m = self.k.shape[0] // 2
        large = scene(name, 112 + 2 * m)
        self.truth = large[m:-m, m:-m]
        noise = np.random.default_rng(3).normal(0, sigma, self.truth.shape)
        self.y = (fftconvolve(large, self.k, mode="valid") + noise).clip(0, 1).astype(np.float32)

    def restore(self, k: np.ndarray) -> np.ndarray:
        x = hyper_laplacian(
            torch.from_numpy(self.y), torch.from_numpy(k), sigma=self.sigma, iterations=40
        )
        return x.clamp(0, 1).numpy()

    def fuse(self, *kernels: np.ndarray, **options):
        candidates = [Candidate(k, f"estimate {i}") for i, k in enumerate(kernels)]
        return fuse(self.y, candidates, self.sigma, restore=self.restore, **options)

    def quality(self, x: np.ndarray) -> float:
        return psnr_up_to_shift(x, self.truth, margin=10)


@pytest.fixture(scope="module", params=["camera", "astronaut", "coins"])
def name(request):
    return request.param


@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.02])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_true_kernel_is_never_thrown_away(name, kernel, sigma):
    """Beside any wrong kernel the result is within 0.5 dB of the true kernel's restoration."""
    problem = Problem(name, kernel, sigma)
    alone = problem.quality(problem.restore(problem.k))
    gaps = {
        wrong: alone - problem.quality(problem.fuse(make(problem.k), problem.k).sharp)
        for wrong, make in WRONG.items()
    }
    assert {wrong: gap for wrong, gap in gaps.items() if gap > 0.5} == {}
