"""Fusion: true kernels survive whatever stands beside them, in any order."""

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass
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
        large = scene(name, 96 + 2 * m)
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
        return psnr_up_to_shift(x, self.truth, max_shift=5)


CASES = [
    ("camera", "motion", 0.002),
    ("astronaut", "motion", 0.01),
    ("coins", "motion", 0.02),
    ("astronaut", "disk", 0.002),
    ("coins", "disk", 0.01),
    ("camera", "disk", 0.02),
    ("coins", "gaussian", 0.002),
    ("camera", "gaussian", 0.01),
    ("astronaut", "gaussian", 0.02),
]


@pytest.mark.parametrize(("name", "kernel", "sigma"), CASES)
def test_a_true_kernel_is_never_thrown_away(name, kernel, sigma):
    """Beside any wrong kernel the result is within 0.5 dB of the true kernel's restoration."""
    problem = Problem(name, kernel, sigma)
    alone = problem.quality(problem.restore(problem.k))
    gaps = {
        wrong: alone - problem.quality(problem.fuse(make(problem.k), problem.k).sharp)
        for wrong, make in WRONG.items()
    }
    assert {wrong: gap for wrong, gap in gaps.items() if gap > 0.5} == {}


@pytest.fixture(scope="module")
def bundled():
    """The bundled photograph, reduced."""
    sample = motion_blurred_photograph(size=112)
    problem = Problem("camera", "motion", 1 / 255)
    problem.k = sample.kernel
    problem.y = (sample.blurred / 255).astype(np.float32)
    problem.truth = sample.sharp / 255
    return problem


def test_a_true_kernel_among_all_wrong_ones(bundled):
    """Outnumbered by six wrong kernels, the true one still has the result."""
    fused = bundled.fuse(*[make(bundled.k) for make in WRONG.values()], bundled.k)
    alone = bundled.quality(bundled.restore(bundled.k))
    assert bundled.quality(fused.sharp) > alone - 0.5
    assert fused.weights["estimate 6"] + fused.weights["estimate 3"] > 0.9


def test_order_does_not_matter(bundled):
    """A permutation of the estimates gives the same kernel, image, weights and agreement."""
    kernels = [gaussian(7, 0.8), bundled.k, blurred_by_a_pixel(bundled.k), shifted(bundled.k)]
    candidates = [Candidate(k, str(i), bundled.truth + i) for i, k in enumerate(kernels)]
    first, second = (
        fuse(bundled.y, order, bundled.sigma, restore=bundled.restore)
        for order in (candidates, [candidates[i] for i in (2, 0, 3, 1)])
    )
    np.testing.assert_allclose(first.kernel, second.kernel, atol=1e-6)
    np.testing.assert_allclose(first.sharp, second.sharp, atol=1e-5)
    assert first.agreement == second.agreement
    assert first.weights == pytest.approx(second.weights, abs=1e-6)
    assert first.assessment.score == pytest.approx(second.assessment.score, abs=1e-4)


def test_one_estimate_alone_stays_as_it_is(bundled):
    """One centred kernel comes back unchanged, with the whole weight."""
    fused = bundled.fuse(bundled.k)
    np.testing.assert_allclose(fused.kernel, bundled.k, atol=1e-6)
    assert fused.weights == {"estimate 0": 1.0}
    assert fused.agreement == 1.0
    np.testing.assert_array_equal(fused.sharp, fused.restored)


def test_the_image_is_made_with_the_kernel_returned(bundled):
    """Without own images, restoring with the kernel returned gives the result bit for bit."""
    fused = bundled.fuse(blurred_by_a_pixel(bundled.k), shifted(bundled.k), bundled.k)
    np.testing.assert_array_equal(fused.sharp, bundled.restore(fused.kernel))
    assert fused.kernel.dtype == np.float32
    assert fused.kernel.sum() == pytest.approx(1, abs=1e-5)
    middle = np.array(center_of_mass(fused.kernel)) - [n // 2 for n in fused.kernel.shape]
    assert np.abs(middle).max() <= 0.51


def test_a_shifted_kernel_is_not_cut(bundled):
    """A kernel at the edge of its support is centred on a larger one, with all its mass."""
    k = np.zeros((9, 9), np.float32)
    k[0, 1:8] = 1 / 7
    fused = bundled.fuse(k, kernel_size=(3, 3))
    assert fused.kernel.shape == (7, 7)
    np.testing.assert_allclose(fused.kernel[3], 1 / 7, atol=1e-6)


def test_kernels_of_different_sizes_and_a_least_size(bundled):
    """Sizes may differ; the kernel returned has at least the size asked for."""
    fused = bundled.fuse(delta(3), bundled.k, gaussian(13, 2.0), kernel_size=(23, 21))
    assert fused.kernel.shape[0] >= 23
    assert fused.kernel.shape[1] >= 21
    assert all(n % 2 for n in fused.kernel.shape)


def test_own_images_are_registered(bundled):
    """An own image that lies with its shifted kernel is moved to the result before it is mixed."""
    k = shifted(bundled.k)
    x = bundled.restore(k)
    fused = fuse(bundled.y, [Candidate(k, "a", x)], bundled.sigma, restore=bundled.restore)
    inner = slice(20, -20), slice(20, -20)
    np.testing.assert_allclose(fused.sharp[inner], fused.restored[inner], atol=0.02)
    assert np.abs(x - fused.restored)[inner].max() > 0.1


def test_own_images_of_wrong_kernels_are_left_out(bundled):
    """The own image of an estimate whose kernel is unlike the result's has no share."""
    black = np.zeros_like(bundled.y)
    candidates = [Candidate(bundled.k, "true"), Candidate(gaussian(7, 0.8), "wrong", black)]
    fused = fuse(bundled.y, candidates, bundled.sigma, restore=bundled.restore)
    np.testing.assert_array_equal(fused.sharp, fused.restored)


def test_what_cannot_be_fused_is_refused(bundled):
    """No estimate, and a kernel with even sides, are errors that say what to do."""
    with pytest.raises(ImageError, match="no estimate to fuse; run at least one solver"):
        bundled.fuse()
    with pytest.raises(ImageError, match="odd sides and a positive sum, got shape"):
        bundled.fuse(np.ones((4, 4), np.float32))
