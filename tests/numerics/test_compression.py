"""The error that JPEG leaves is measured from the pixels alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.compression import compression_sigma, sampled_compression
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver
from napari_selfdeblur.run.plan import Plan


def photograph(name: str, blur: float) -> np.ndarray:
    """Return 200 x 240 pixels of a photograph, in whole levels."""
    sharp = getattr(data, name)()[60:260, 40:280].astype(np.float64)
    spread = (blur, blur, 0)[: sharp.ndim]
    return np.rint(gaussian_filter(sharp, spread)).astype(np.uint8)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Return an image as it is read from a JPEG file."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [95, 85, 60])
@pytest.mark.parametrize("blur", [0, 2])
@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_the_error_of_a_known_compression(name: str, blur: float, quality: int) -> None:
    """It is found to a factor of two, in the image and in a part that begins anywhere."""
    image = photograph(name, blur)
    file = compressed(image, quality).astype(float)
    error = float((file - image).std())
    for found in (compression_sigma(file), compression_sigma(file[3:, 5:])):
        assert error / 2 < found < 2 * error


def test_the_noise_alone_does_not_see_it() -> None:
    """Fine detail is rounded away: what measures the noise finds next to none."""
    file = compressed(photograph("camera", 2), 60).astype(float)
    assert noise_sigma(file) < 0.2 * compression_sigma(file)


@pytest.mark.parametrize("sigma", [0, 0.5, 3])
@pytest.mark.parametrize("blur", [0, 2])
@pytest.mark.parametrize("name", ["camera", "moon", "brick"])
def test_an_image_that_was_not_compressed_has_none(name: str, blur: float, sigma: float) -> None:
    """Nor has one in steps of 16 levels, as of 12 bits in 16."""
    image = photograph(name, blur) + np.random.default_rng(0).normal(0, sigma, (200, 240))
    assert compression_sigma(np.rint(image)) == 0
    assert compression_sigma(16 * np.rint(image)) == 0


def test_a_compression_of_long_ago() -> None:
    """scikit-image's coins come in a lossless file, and were in a JPEG file before."""
    assert compression_sigma(photograph("coins", 0)) > 2
    assert compression_sigma(photograph("coins", 1)) == 0


def test_a_resized_file_tells_nothing() -> None:
    """Its grid is gone; 0 is the answer, not a guess."""
    file = compressed(photograph("camera", 1), 80).astype(float)
    assert compression_sigma(np.rint(zoom(file, 0.7, order=1))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (15, 300), (16, 16)])
def test_small_and_flat_images_have_none(shape: tuple[int, int]) -> None:
    """There is nothing to read a step from."""
    assert compression_sigma(np.full(shape, 100.0)) == 0


def test_a_large_image_is_measured_in_its_middle() -> None:
    """The same error is found there, in one window."""
    file = np.tile(compressed(photograph("moon", 1), 80), (6, 6)).astype(float)
    read = []
    found = sampled_compression(lambda window: read.append(window) or file[window], file.shape)
    (window,) = read
    assert [s.stop - s.start for s in window] == [512, 512]
    assert found == pytest.approx(compression_sigma(file[200:400, 240:480]), rel=0.2)


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_a_run_counts_it_as_noise(scale: float) -> None:
    """Luma of a colour file, as levels and as fractions of white alike."""
    file = compressed(photograph("astronaut", 2), 75)
    image = file if scale == 1 else (file * scale).astype(np.float32)
    plan = Plan.of(image, SelfDeblurConfig(kernel_size=9))
    found = plan.source["compression_sigma"]
    assert 0.002 < found < 0.02
    assert plan.sigma == pytest.approx(np.hypot(noise_sigma(plan.y, plan.clipped), found))
    assert plan.source["noise_sigma"] == plan.sigma
    assert sd.estimate_noise(image) == pytest.approx(plan.sigma * 255 * scale, rel=1e-5)


def test_the_channels_of_a_colour_file_have_the_error_of_its_luma() -> None:
    """Red, green and blue lie on no multiples themselves; images of 16 bits are not searched."""
    file = compressed(photograph("astronaut", 2), 75)
    config = SelfDeblurConfig.preset("draft").replace(kernel_size=9, colour="channels")
    survey = Plan.of(file, config).survey
    assert survey.compression > 0
    assert {each.compression for each in survey.channels} == {survey.compression}
    assert all(each.sigma >= survey.compression for each in survey.channels)
    assert Plan.of(file.astype(np.uint16) * 257, config).survey.compression == 0


def test_a_compressed_image_is_not_smoothed_for_its_kernel() -> None:
    """As one of so much noise would be: compression hides no edges, and smoothing would."""
    image = photograph("camera", 1)
    rng = np.random.default_rng(0)
    noisy = np.clip(np.rint(image + rng.normal(0, 3, image.shape)), 0, 255).astype(np.uint8)
    config = SelfDeblurConfig.preset("draft").replace(kernel_size=9, device="cpu")
    widths = []
    for each in (noisy, compressed(image, 30)):
        problem = Plan.of(each, config).problem
        assert problem.sigma > 0.006
        widths.append(EdgeSolver(problem).trials[0].smoothing)
    assert widths[0] > 0
    assert widths[1] == 0
