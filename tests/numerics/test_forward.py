import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from napari_selfdeblur.numerics.blur import blur_valid, centre, centring_shift, sharp_size

def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def kernel_of(shape: tuple[int, int]) -> np.ndarray:
    k = noise(shape, seed=1)
    return k / k.sum()


@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 5), (9, 9), (17, 11), (31, 31)])
def test_blur_is_scipys_valid_convolution(kernel_size):
    """The kernel is the PSF: k * x equals scipy's true convolution, direct and by FFT."""
    x, k = noise((50, 47)), kernel_of(kernel_size)
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, convolve2d(x, k, mode="valid"), atol=1e-12)


@pytest.mark.parametrize("kernel_size", [(5, 7), (15, 13)])
def test_point_source_blurs_into_the_kernel(kernel_size):
    """A point source blurs into k itself, not into k rotated by 180 degrees."""
    kh, kw = kernel_size
    k = kernel_of(kernel_size)
    x = np.zeros((2 * kh - 1, 2 * kw - 1))
    x[kh - 1, kw - 1] = 1
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, k, atol=1e-15)


def test_delta_kernel_returns_the_central_crop():
    """Convolution with a central delta leaves x where y is observed."""
    x, k = noise((20, 22)), np.zeros((5, 7))
    k[2, 3] = 1
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, x[2:-2, 3:-3], atol=1e-15)


@pytest.mark.parametrize("kernel_size", [(3, 3), (13, 15)])
def test_gradients_agree_with_finite_differences(kernel_size):
    """Both convolutions are differentiable in x and in k, and the gradients are right."""
    x = torch.rand(18, 19, dtype=torch.float64, requires_grad=True)
    k = torch.rand(kernel_size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blur_valid, (x, k), nondet_tol=1e-10)


def test_leading_dimensions_are_kept():
    """Images of any leading shape are blurred one by one."""
    x, k = torch.rand(2, 3, 20, 21), torch.rand(5, 5)
    together = blur_valid(x, k)
    assert together.shape == (2, 3, 16, 17)
    torch.testing.assert_close(together[1, 2], blur_valid(x[1, 2], k))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(3, 3), (5, 9), (11, 7)]))
def test_centring_keeps_what_the_pair_explains(seed, kernel_size):
    """Image and kernel move against each other, so that k * x stays the same inside."""
    draw = np.random.default_rng(seed)
    kh, kw = kernel_size
    k = np.zeros(kernel_size)
    k[tuple(draw.integers(0, n) for n in kernel_size)] = 0.75
    k[tuple(draw.integers(0, n) for n in kernel_size)] += 0.25
    x = draw.random(sharp_size((30, 33), kernel_size))
    sharp, kernel = centre(x, k)
    assert sharp.shape == (30, 33)
    assert kernel.sum() == pytest.approx(1)
    y = convolve2d(x, k, mode="valid")
    inner = convolve2d(sharp, kernel, mode="valid")
    np.testing.assert_allclose(inner, y[kh // 2 : -(kh // 2), kw // 2 : -(kw // 2)], atol=1e-12)


def test_centring_puts_the_centroid_at_the_centre():
    """After centring, the centroid is within half a pixel of the central pixel."""
    k = np.zeros((11, 9))
    k[1:4, 5:8] = noise((3, 3), seed=2)
    _, kernel = centre(noise((30, 30)), k / k.sum())
    assert centring_shift(kernel) == (0, 0)
    rows, columns = np.indices(kernel.shape)
    assert abs((rows * kernel).sum() - 5) <= 0.5
    assert abs((columns * kernel).sum() - 4) <= 0.5


def test_centring_never_pushes_a_kernel_off_its_support():
    """A lopsided kernel that fills its support stays as it is."""
    k = np.zeros((9, 9))
    k[0, 0], k[8, 8] = 0.9, 0.1
    assert centring_shift(k) == (0, 0)
