import numpy as np
import pytest
from PIL import Image
from scipy.signal import fftconvolve
from skimage.color import rgb2ycbcr

from benchmarks.protocol import grey, kernel_mse, mask_dice, orient, read_psf


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def kernel(rng):
    k = rng.random((7, 5)) ** 3
    return k / k.sum()


def test_colour_is_compared_by_its_studio_range_luma(rng):
    """Y of an RGB image is scikit-image's (and MATLAB's) rgb2ycbcr over 255; alpha is left out."""
    rgba = rng.integers(0, 256, (6, 7, 4)).astype(np.uint8)
    expected = rgb2ycbcr(rgba[..., :3])[..., 0] / 255
    np.testing.assert_allclose(grey(rgba, 255, rgb=True), expected, atol=1e-9)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("offset", [(0, 0), (2, -1)])
def test_reblurring_tells_how_a_kernel_is_stored(rng, kernel, rotated, offset):
    """The PSF is recovered from either orientation, also when the blurred image is shifted."""
    x = rng.random((40, 44))
    y = np.roll(np.pad(fftconvolve(x, kernel, mode="valid"), ((3, 3), (2, 2))), offset, (0, 1))
    found = orient(kernel[::-1, ::-1] if rotated else kernel, x, y)
    assert found.rotated is rotated
    np.testing.assert_allclose(found.psf, kernel, rtol=1e-6)
    assert found.residuals[0] < found.residuals[1]


def test_kernel_error_is_up_to_shift(kernel):
    """A shifted copy on a larger support has no error; a change has its mean square."""
    assert kernel_mse(np.pad(kernel, ((3, 0), (0, 2))), kernel) == pytest.approx(0, abs=1e-15)
    other = kernel.copy()
    other[3, 2] += 0.01
    assert kernel_mse(other, kernel) == pytest.approx(1e-4 / kernel.size, rel=1e-6)


def test_stored_kernels_become_odd_and_sum_to_one(tmp_path):
    """A 4 x 5 kernel file is read as 5 x 5 with a sum of 1."""
    Image.fromarray(np.full((4, 5), 30, np.uint8)).save(tmp_path / "k.png")
    k = read_psf(tmp_path / "k.png")
    assert k.shape == (5, 5)
    assert k.sum() == pytest.approx(1)
    assert k[4].max() == 0


def test_dice_is_of_the_bright_parts_up_to_shift(rng):
    """A square whose inner quarter is dark has 6/7; shifted, at whatever contrast, it has 1."""
    truth = 0.001 * rng.random((80, 80))
    truth[30:50, 30:50] = 1
    assert mask_dice(0.2 * np.roll(truth, (3, -2), (0, 1)) + 0.1, truth) == 1
    hollow = truth.copy()
    hollow[35:45, 35:45] = 0
    assert mask_dice(hollow, truth) == pytest.approx(6 / 7)
