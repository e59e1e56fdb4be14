from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.signal import convolve2d
from skimage import data
from skimage.morphology import disk
from skimage.restoration import richardson_lucy as skimage_richardson_lucy

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.blur import Blur
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.nonblind.saturated import (
    _curvature,
    _dilate,
    richardson_lucy,
    saturated,
)

K = np.outer([1.0, 2, 3, 2, 1], [1.0, 1, 4, 1, 0])
K /= K.sum()


def photograph() -> np.ndarray:
    return data.camera()[60:132, 190:262] / 255


def psnr(a, b) -> float:
    return float(-10 * np.log10(np.square(np.asarray(a) - np.asarray(b)).mean()))


def test_without_clipping_it_is_richardson_lucy():
    """Far from the border and from 1, steps with no prior are scikit-image's."""
    y = convolve2d(0.5 * photograph(), K, mode="valid")
    A = Blur.of(*(torch.from_numpy(a) for a in (y, K)))
    start = torch.full(A.padded, 0.5, dtype=torch.float64)
    x = richardson_lucy(A, torch.from_numpy(y), start, 0, 5, 1000, np.inf)
    expected = skimage_richardson_lucy(y, K, num_iter=5, clip=False)
    inner = (slice(22, -22), slice(22, -22))
    np.testing.assert_allclose(A.centre(x)[inner], expected[inner], rtol=1e-6)


def test_the_truth_is_a_fixed_point():
    """Where y is the exact response to x, an iteration without prior leaves x."""
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.random((20, 20)))
    A = Blur.of(y, torch.from_numpy(K))
    x = torch.from_numpy(0.1 + 1.5 * rng.random(A.padded))
    t = A.forward(x)
    response = t - torch.log1p(torch.exp(50 * (t - 1))) / 50
    found = richardson_lucy(A, response, x, 0, 1, 50, np.inf)
    np.testing.assert_allclose(found, x, atol=1e-9)


def test_steps_without_prior_fit_ever_better():
    """The Kullback-Leibler distance of y from k * x falls with each batch of steps."""
    y = torch.from_numpy(convolve2d(0.7 * photograph(), K, mode="valid"))
    A = Blur.of(y, torch.from_numpy(K))
    distances = []
    for steps in (1, 5, 20, 50):
        Ax = A.forward(richardson_lucy(A, y, A.start(y), 0, steps, 50, np.inf))
        distances.append(float((y * torch.log(y / Ax) - y + Ax).sum()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_clipped_lights_do_not_ruin_the_rest():
    """Around clipped lights it beats the restoration that does not model clipping by 3 dB."""
    x = 0.6 * photograph()
    x[15:18, 20:23], x[50:53, 45:48] = 12, 6
    y = convolve2d(x, K, mode="valid").clip(0, 1)
    arrays = [torch.from_numpy(a) for a in (y, K)]
    truth = x[2:-2, 2:-2].clip(0, 1)
    clipped, plain = saturated(*arrays).clamp(0, 1), hyper_laplacian(*arrays).clamp(0, 1)
    assert psnr(clipped, truth) > psnr(plain, truth) + 3
    assert psnr(clipped, truth) > psnr(y, truth) + 3


def test_the_mask_helps_around_strong_lights():
    """Dropping pixels lit by saturated parts is better than believing them."""
    x = 0.6 * photograph()
    x[15:18, 20:23], x[50:53, 45:48] = 12, 20
    y = convolve2d(x, K, mode="valid").clip(0, 1)
    arrays = [torch.from_numpy(a) for a in (y, K)]
    truth = x[2:-2, 2:-2].clip(0, 1)
    masked = saturated(*arrays).clamp(0, 1)
    believing = saturated(*arrays, threshold=np.inf).clamp(0, 1)
    assert psnr(masked, truth) > psnr(believing, truth)


def test_highlights_exceed_the_clipping_level():
    """A clipped light is restored above 1, and nothing falls below 0."""
    x = 0.6 * photograph()
    x[30:33, 30:33] = 12
    y = convolve2d(x, K, mode="valid").clip(0, 1)
    restored = saturated(torch.from_numpy(y), torch.from_numpy(K))
    assert restored.max() > 1.5
    assert restored.min() >= 0


def test_values_beyond_the_range_are_clamped():
    """y below 0 or above 1, as noise makes it, counts as 0 or 1."""
    y = torch.from_numpy(1.4 * photograph() - 0.1)
    one, other = (saturated(image, torch.from_numpy(K), sigma=0.01) for image in (y, y.clamp(0, 1)))
    assert torch.equal(one, other)


def test_the_dilation_is_by_a_disk_of_3():
    """The mask grows by a disk of radius 3."""
    mask = np.random.default_rng(0).random((30, 25)) > 0.98
    expected = binary_dilation(mask, disk(3))
    np.testing.assert_array_equal(_dilate(torch.from_numpy(mask)), expected)


def test_the_curvature_of_a_ramp_is_that_of_its_ends():
    """div(grad x / |grad x|) is 0 inside a ramp, +1 at its foot and -1 at its top."""
    y = torch.zeros(5, 6, dtype=torch.float64)
    A = Blur.of(y, torch.ones(1, 1))
    x = torch.arange(6.0, dtype=torch.float64).expand(A.padded[0], 6)
    expected = torch.tensor([1.0, 0, 0, 0, 0, -1], dtype=torch.float64).expand(5, 6)
    np.testing.assert_allclose(_curvature(x, A.inside(y.device))[:5], expected, atol=1e-5)


@pytest.mark.parametrize("bend", [0, -1, float("inf"), float("nan")])
def test_an_impossible_response_is_refused(bend):
    """The response's bend is positive and finite."""
    with pytest.raises(ConfigError, match=r"bend must be a finite number greater than 0.*try 50"):
        saturated(torch.ones(9, 9), torch.ones(3, 3), bend=bend)
