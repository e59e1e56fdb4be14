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
from napari_selfdeblur.numerics.costs import costs, slopes
from napari_selfdeblur.numerics.fusion import Candidate, compared, fuse
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

    def candidates(self, *kernels: np.ndarray, own: np.ndarray | None = None) -> list[Candidate]:
        y = torch.from_numpy(self.y)
        return [compared(y, k, str(i), self.sigma, own)[0] for i, k in enumerate(kernels)]

    def fuse(self, *kernels: np.ndarray, size: tuple[int, int] | None = None):
        return fuse(self.candidates(*kernels), size)

    def quality(self, x: np.ndarray) -> float:
        return psnr_up_to_shift(x, self.truth, max_shift=5)


CASES = [
    ("camera", "motion", 0.002),
    ("astronaut", "motion", 0.01),
    ("coins", "disk", 0.01),
    ("camera", "disk", 0.02),
    ("camera", "gaussian", 0.01),
    ("astronaut", "gaussian", 0.02),
]


@pytest.mark.parametrize(("name", "kernel", "sigma"), CASES)
def test_a_true_kernel_is_never_thrown_away(name, kernel, sigma):
    """Beside any wrong kernel the result is within 0.5 dB of the true kernel's restoration."""
    problem = Problem(name, kernel, sigma)
    alone = problem.quality(problem.restore(problem.k))
    gaps = {
        wrong: alone
        - problem.quality(problem.restore(problem.fuse(make(problem.k), problem.k).kernel))
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
    assert bundled.quality(bundled.restore(fused.kernel)) > alone - 0.5
    assert fused.best in (3, 6)  # the true kernel, or the same shifted


def test_sources_are_averaged_not_their_estimates(bundled):
    """The best of each source has a share, a second estimate of a source none."""
    y, k = torch.from_numpy(bundled.y), bundled.k
    near = blurred_by_a_pixel(k)
    one = [compared(y, k, "a", bundled.sigma)[0], compared(y, near, "a", bundled.sigma)[0]]
    assert fuse(one).weights == {"a": 1.0}
    alone = fuse(one[:1], near.shape).kernel
    np.testing.assert_allclose(fuse(one).kernel, alone, atol=1e-7)
    equal = one[1]._replace(source="b", measures=one[0].measures)
    both = fuse([one[0], equal])
    assert both.weights["a"] == pytest.approx(0.5, abs=0.1)
    assert both.kernel.max() < alone.max()


def test_a_kernel_is_no_better_for_having_been_found_often(bundled):
    """Copies of a wrong kernel do not outvote the true one."""
    wrong, right = bundled.candidates(gaussian(17, 2.5), bundled.k)
    assert fuse([wrong] * 8 + [right]).best == 8


def test_of_equals_the_kernel_that_others_are_like(bundled):
    """Of two kernels that cost the same, the one whose likes cost little has the result."""
    lone, one, other = bundled.candidates(gaussian(7, 0.8), bundled.k, shifted(bundled.k))
    doubtful = bundled.candidates(gaussian(7, 1.0))[0]
    worse = {**one.measures, "spectrum": one.measures["spectrum"] + 0.5}
    same = [c._replace(measures=one.measures) for c in (lone, one, other)]
    assert fuse([same[0], doubtful._replace(measures=worse), *same[1:]]).best in (2, 3)


def test_order_does_not_matter(bundled):
    """A permutation of the estimates gives the same kernel, image and agreement."""
    kernels = [gaussian(7, 0.8), bundled.k, blurred_by_a_pixel(bundled.k), shifted(bundled.k)]
    candidates = bundled.candidates(*kernels, own=bundled.truth)
    first, second = (fuse([candidates[i] for i in order]) for order in ((0, 1, 2, 3), (2, 0, 3, 1)))
    np.testing.assert_allclose(first.kernel, second.kernel, atol=1e-7)
    assert first.agreement == pytest.approx(second.agreement)
    assert first.weights == pytest.approx(second.weights)
    np.testing.assert_allclose(first.alike, second.alike[[1, 3, 0, 2]])


def test_one_estimate_alone_stays_as_it_is(bundled):
    """One centred kernel comes back unchanged; there is none to agree with."""
    fused = bundled.fuse(bundled.k)
    np.testing.assert_allclose(fused.kernel, bundled.k, atol=1e-6)
    assert fused.agreement is None


def test_the_kernel_is_a_centred_psf(bundled):
    """The kernel returned is float32, sums to 1, its centroid within half a pixel of the centre."""
    fused = bundled.fuse(blurred_by_a_pixel(bundled.k), shifted(bundled.k), bundled.k)
    assert fused.kernel.dtype == np.float32
    assert fused.kernel.sum() == pytest.approx(1, abs=1e-5)
    middle = np.array(center_of_mass(fused.kernel)) - [n // 2 for n in fused.kernel.shape]
    assert np.abs(middle).max() <= 0.51


def test_a_shifted_kernel_is_not_cut(bundled):
    """A kernel at the edge of its support is centred on a larger one, with all its mass."""
    k = np.zeros((9, 9), np.float32)
    k[0, 1:8] = 1 / 7
    fused = bundled.fuse(k, size=(3, 3))
    assert fused.kernel.shape == (7, 7)
    np.testing.assert_allclose(fused.kernel[3], 1 / 7, atol=1e-6)


def test_kernels_of_different_sizes_and_a_least_size(bundled):
    """Sizes may differ; the kernel returned has at least the size asked for."""
    fused = bundled.fuse(delta(3), bundled.k, gaussian(13, 2.0), size=(23, 21))
    assert fused.kernel.shape[0] >= 23
    assert fused.kernel.shape[1] >= 21
    assert all(n % 2 for n in fused.kernel.shape)


def test_what_cannot_be_fused_is_refused(bundled):
    """No estimate, and a kernel with even sides, are errors that say what to do."""
    with pytest.raises(ImageError, match="no estimate to fuse; run at least one solver"):
        fuse([])
    with pytest.raises(ImageError, match="odd sides and a positive sum, got shape"):
        bundled.candidates(np.ones((4, 4), np.float32))


@pytest.mark.parametrize(("informative", "wide_is_best"), [(0.05, True), (0.5, False)])
def test_the_spectrum_counts_by_its_informative_frequencies(informative, wide_is_best):
    """A small difference over all of them is a large one if most are noise alone."""
    same = {
        "informative": informative,
        "residual": 1.0,
        "sparsity": 0.5,
        "geary": 0.8,
        "sigma": 0.02,
    }
    narrow = {"spectrum": -6.639, "width": 0.7} | same
    wide = {"spectrum": -6.649, "width": 13.6} | same
    narrow_cost, wide_cost = costs([narrow, wide])
    assert bool(wide_cost < narrow_cost) is wide_is_best


SAME = {"informative": 0.2, "spectrum": -6.0, "sparsity": 0.5, "width": 3.0}


def test_objects_that_stand_apart_more_speak_for_a_kernel():
    """A smaller Geary ratio costs less; differences as small as photographs' say nothing."""
    measures = [SAME | {"residual": 1.0, "sigma": 0.01, "geary": g} for g in (0.5, 0.505, 0.65)]
    cost = costs(measures)
    assert cost[1] - cost[0] < 0.01
    assert cost[2] - cost[0] > 0.3


@pytest.mark.parametrize(("sigma", "decides"), [(0.0, False), (0.02, True)])
def test_a_residual_beyond_the_noise_decides_where_there_is_noise(sigma, decides):
    """Without noise the restoration itself leaves more."""
    right, wrong = (SAME | {"residual": r, "sigma": sigma, "geary": 0.8} for r in (1.0, 3.0))
    right_cost, wrong_cost = costs([right, wrong])
    assert bool(wrong_cost > right_cost + 0.3) is decides


@pytest.mark.parametrize("name", ["spectrum", "sparsity"])
def test_slopes_are_those_of_the_costs(name: str) -> None:
    """Where two estimates hardly differ, the cost is the slope times the difference."""
    one = {
        "spectrum": -5.0,
        "sparsity": 0.5,
        "residual": 1.0,
        "geary": 0.7,
        "width": 3.0,
        "sigma": 0.004,
        "informative": 0.2,
    }
    step = 1e-4
    changed = one[name] + step if name == "spectrum" else one[name] * np.exp(step)
    least, more = costs([one, one | {name: changed}])
    assert more - least == pytest.approx(slopes(0.004, 0.2)[name] * step, rel=1e-2)


def test_the_slope_of_geary_s_ratio_is_the_steepest() -> None:
    """No two estimates differ in cost by more, over their difference in log(Geary)."""
    apart = np.linspace(0, 1, 2001)
    cost = costs(
        [
            {
                "spectrum": 0.0,
                "sparsity": 0.5,
                "residual": 1.0,
                "geary": 0.3 * np.exp(d),
                "width": 3.0,
                "sigma": 0.0,
                "informative": 1.0,
            }
            for d in apart
        ]
    )
    steepest = np.diff(cost).max() / (apart[1] - apart[0])
    assert slopes(0.0, 1.0)["geary"] == pytest.approx(steepest, rel=1e-3)
