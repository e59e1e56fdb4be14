import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from skimage import data, img_as_float
from skimage.transform import rescale

from napari_selfdeblur.numerics.assess import judge, normalised_sparsity

SHARP = rescale(img_as_float(data.camera()), 0.3, anti_aliasing=True)
KERNEL = np.zeros((15, 15))
KERNEL[np.arange(3, 12), np.arange(3, 12)] = 1 / 9
Y = convolve2d(SHARP, KERNEL, mode="same", boundary="symm")


def test_the_truth_is_credible():
    """The true sharp image and kernel pass, with no reason against them."""
    verdict = judge(SHARP, KERNEL, Y)
    assert verdict.credible
    assert verdict.reasons == ()


def delta() -> np.ndarray:
    kernel = np.zeros((15, 15))
    kernel[7, 7] = 1
    return kernel


def at_the_border() -> np.ndarray:
    kernel = np.zeros((15, 15))
    kernel[0, 3:12] = 1 / 9
    return kernel


@pytest.mark.parametrize(
    ("sharp", "kernel", "sign"),
    [
        (np.full_like(SHARP, 0.4), KERNEL, "the image is flat"),
        (SHARP, delta(), "nearly a single point"),
        (SHARP, np.full((15, 15), 1 / 225), "the kernel is diffuse"),
        (SHARP, at_the_border(), "reaches the border of its support"),
        (gaussian_filter(Y, 1), KERNEL, "hardly sparser in its gradients"),
    ],
)
def test_each_failure_is_named(sharp, kernel, sign):
    """Each known failure has its sign, and a word on what to do."""
    verdict = judge(sharp, kernel, Y)
    assert not verdict.credible
    named = [reason for reason in verdict.reasons if sign in reason]
    assert len(named) == 1
    assert "try" in named[0] or "run" in named[0]


def test_blur_raises_normalised_sparsity():
    """L1 / L2 of the gradients is larger for the blurred image."""
    assert normalised_sparsity(Y) > normalised_sparsity(SHARP)
    assert normalised_sparsity(np.zeros((5, 5))) == 0
