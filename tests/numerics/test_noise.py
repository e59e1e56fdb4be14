from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.restoration import estimate_sigma

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics import noise
from napari_selfdeblur.numerics.noise import noise_sigma, wavelet_sigma

ESTIMATORS = pytest.mark.parametrize("estimate", [noise_sigma, wavelet_sigma])


def photograph(name: str, blur: float) -> np.ndarray:
    sharp = getattr(data, name)()[100:228, 100:228] / 255
    return gaussian_filter(sharp, blur) if blur else sharp


def noisy(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
@pytest.mark.parametrize("blur", [1, 2])
def test_known_noise_on_blurred_photographs(name, blur, sigma, seed):
    """Noise added to a blurred photograph of 128 x 128 pixels is found to within 7 %."""
    assert noise_sigma(noisy(photograph(name, blur), sigma, seed)) == pytest.approx(sigma, rel=0.07)


@pytest.mark.parametrize("photons", [100, 1000])
@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_the_noise_of_photons_is_found(name, photons):
    """Of noise that grows with the image the root mean square is found, to within 10 %.

    Of a blurred photograph of 256 x 256 pixels, so many photons from white.
    """
    sharp = getattr(data, name)()[30:286, 60:316] / 255
    mean = gaussian_filter(sharp, 1.5) ** 2  # much in the dark, as a specimen is
    y = np.random.default_rng(0).poisson(photons * mean) / photons
    assert noise_sigma(y) == pytest.approx(np.sqrt(mean.mean() / photons), rel=0.1)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sigma", [0.05, 0.1])
@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_known_noise_on_sharp_photographs(name, sigma, seed):
    """Noise of 0.05 and more added to a sharp photograph is found to within 7 %."""
    assert noise_sigma(noisy(photograph(name, 0), sigma, seed)) == pytest.approx(sigma, rel=0.07)


@pytest.mark.parametrize("sigma", [0.01, 0.05])
@pytest.mark.parametrize("shape", ["flat", "ramp", "edge"])
@ESTIMATORS
def test_known_noise_on_drawings(estimate, shape, sigma):
    """Noise is found to within 7 % where nothing else is in the fine bands, or one edge is."""
    column = np.arange(128)
    row = {"flat": 0 * column + 0.5, "ramp": column / 128, "edge": column // 64 + 0.0}[shape]
    assert estimate(noisy(np.tile(row, (128, 1)), sigma, 0)) == pytest.approx(sigma, rel=0.07)


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_wavelets_on_a_blurred_photograph(sigma):
    """The wavelet estimate finds the noise of a blurred photograph to within 7 %."""
    assert wavelet_sigma(noisy(photograph("moon", 2), sigma, 0)) == pytest.approx(sigma, rel=0.07)


def test_wavelets_are_scikit_images():
    """The wavelet estimate is scikit-image's number."""
    y = noisy(photograph("camera", 0), 0.02, 0)
    assert wavelet_sigma(y) == estimate_sigma(y)


def test_a_clean_blurred_photograph_has_no_noise():
    """Where nothing was added to a blurred photograph, next to nothing is found."""
    assert noise_sigma(photograph("moon", 2)) < 1e-4


@pytest.mark.parametrize("level", [0.0, 0.3, 255.0])
def test_a_constant_image_has_no_noise(level):
    """A constant image has exactly no noise, at any level."""
    assert noise_sigma(np.full((32, 40), level)) == 0


def test_the_estimate_follows_scale_and_offset():
    """The estimate of a y + b is a times that of y."""
    y = noisy(photograph("camera", 1), 0.02, 0)
    assert noise_sigma(250 * y + 30) == pytest.approx(250 * noise_sigma(y), rel=1e-6)


def test_the_estimate_is_the_same_turned():
    """Turning the image by 90 degrees leaves the estimate."""
    y = noisy(photograph("camera", 1), 0.02, 0)
    assert noise_sigma(np.rot90(y)) == pytest.approx(noise_sigma(y), rel=1e-6)


def test_the_image_is_left_as_it_is():
    """The estimate does not change the array that it is given."""
    y = noisy(photograph("moon", 1), 0.02, 0)
    given = y.copy()
    noise_sigma(y)
    np.testing.assert_array_equal(y, given)


def test_float32_and_integers_are_taken():
    """float32 gives float64's number; 8-bit values give it in their units."""
    y = np.round(255 * noisy(photograph("moon", 2), 0.05, 0)).clip(0, 255)
    expected = noise_sigma(y)
    assert noise_sigma(y.astype(np.float32)) == pytest.approx(expected)
    assert noise_sigma(y.astype(np.uint8)) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(13, 12), (8, 9), (2 * noise._STRIP + 12, 10)])
def test_bands_are_those_of_the_dct(shape):
    """The moments are those of the 63 two-dimensional DCT-II bands of all windows by scipy.

    However many strips the image has.
    """
    y = np.random.default_rng(0).random(shape)
    patches = np.lib.stride_tricks.sliding_window_view(y, (8, 8))
    bands = dctn(patches, axes=(2, 3), norm="ortho").swapaxes(2, 3).reshape(-1, 64)[:, 1:]
    groups = np.random.default_rng(1).integers(-1, 3, patches.shape[:2])
    bands -= bands[groups.ravel() >= 0].mean(0)
    counts, second, fourth = noise._band_moments(y, groups)
    for group in range(3):
        mine = bands[groups.ravel() == group]
        assert counts[group] == len(mine)
        np.testing.assert_allclose(second[group], (mine**2).sum(0), rtol=1e-10)
        np.testing.assert_allclose(fourth[group], (mine**4).sum(0), rtol=1e-10)
    assert not counts[3:].any()


def test_the_memory_taken_is_less_than_three_images():
    """However tall an image is, its bands are never all in memory."""
    y = np.random.default_rng(0).random((8192, 16))
    tracemalloc.start()
    try:
        noise._band_moments(y, np.zeros((8185, 9), dtype=np.intp))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * y.nbytes


def test_the_fit_recovers_its_model_despite_outliers():
    """Bands that follow the model give s^2 exactly, though ten of the 63 do not follow it."""
    rng = np.random.default_rng(0)
    s2 = 4e-4
    v = s2 + 10 ** rng.uniform(-4.5, -1, 63)
    kurtosis = 3 + 9 * ((v - s2) / v) ** 2
    kurtosis[:10] += rng.uniform(5, 20, 10)
    assert noise._fit(v, kurtosis, 10_000) == pytest.approx(s2, rel=1e-3)


@pytest.mark.parametrize("shape", [(7, 100), (100, 7), (1, 1), (0, 20)])
@ESTIMATORS
def test_small_images_are_refused(estimate, shape):
    """An image with a side under 8 pixels is an error that says so."""
    with pytest.raises(ImageError, match="at least 8 x 8 pixels"):
        estimate(np.zeros(shape))


@ESTIMATORS
def test_colour_and_stacks_are_refused(estimate):
    """Only one plane can be measured."""
    with pytest.raises(ImageError, match=r"one 2-D image, got shape \(20, 20, 3\)"):
        estimate(np.zeros((20, 20, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@ESTIMATORS
def test_bad_pixels_are_refused(estimate, bad):
    """NaN and infinity are errors."""
    y = np.zeros((20, 20))
    y[3, 4] = bad
    with pytest.raises(ImageError, match="NaN or infinite"):
        estimate(y)
