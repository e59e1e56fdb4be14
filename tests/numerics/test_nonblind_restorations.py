"""What every restoration without networks does, whatever its prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import rotate
from scipy.signal import convolve2d
from skimage import data

from napari_selfdeblur import registry
from napari_selfdeblur.errors import ConfigError, ImageError

NAMES = ("hyper_laplacian", "sparse", "saturated")


@pytest.fixture(params=NAMES)
def restoration(request):
    return registry.load(request.param, registry.RESTORATIONS)


def motion(size: int = 9) -> np.ndarray:
    line = np.zeros((size, size))
    line[size // 2] = 1
    k = rotate(line, 30, reshape=False, order=1).clip(0)
    k[:, : size // 3] *= 0.5
    return k / k.sum()


def scene(kernel: np.ndarray, sigma: float = 0.0, size: int = 72) -> tuple[np.ndarray, ...]:
    """Return x where y is observed, and y: the valid part of a blurred photograph."""
    (kh, kw), rng = kernel.shape, np.random.default_rng(0)
    x = data.camera()[60 : 60 + size + kh - 1, 190 : 190 + size + kw - 1] / 255
    y = convolve2d(x, kernel, mode="valid") + sigma * rng.standard_normal((size, size))
    return x[kh // 2 : kh // 2 + size, kw // 2 : kw // 2 + size], y


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.asarray(a) - np.asarray(b)).mean()))


def tensors(*arrays: np.ndarray, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array)).to(dtype) for array in arrays]


def test_a_known_blur_is_undone(restoration):
    """With the known kernel and no noise, a photograph gains at least 5 dB."""
    k = motion()
    x, y = scene(k)
    assert psnr(restoration(*tensors(y, k)), x) > psnr(y, x) + 5


def test_the_border_is_unknown_not_invented(restoration):
    """The outermost 4 pixels, half the kernel's reach, gain from the restoration as well."""
    k = motion()
    x, y = scene(k)
    frame = np.ones(x.shape, bool)
    frame[4:-4, 4:-4] = False
    assert psnr(restoration(*tensors(y, k))[frame], x[frame]) > psnr(y[frame], x[frame]) + 2


def test_the_opposite_side_does_not_reach_over(restoration):
    """What is observed at the right edge has under 1 % of its influence at the left one."""
    k = motion()
    _, y = scene(k)
    other = y.copy()
    other[:, -6:] = 1 - other[:, -6:]
    before, after = (restoration(*tensors(image, k), weight=1e-3) for image in (y, other))
    change = (before - after).abs().mean(0)
    assert change[-8:].mean() > 0.2
    assert change[:8].mean() < 0.01 * change[-8:].mean()


@pytest.mark.parametrize("shape", [(1, 1), (5, 7)])
def test_a_delta_kernel_returns_the_image(restoration, shape):
    """Where nothing is blurred or noisy, y comes back to within 0.02, the prior's doing."""
    x, _ = scene(np.ones((1, 1)))
    delta = np.zeros(shape)
    delta[shape[0] // 2, shape[1] // 2] = 1
    restored = restoration(*tensors(x, delta), sigma=0.0).numpy()
    assert np.abs(restored - x).mean() < 0.005
    assert psnr(restored, x) > 34


def test_a_constant_image_stays(restoration):
    """A constant image is its own restoration, up to its border."""
    y, k = tensors(np.full((30, 34), 0.4), motion())
    np.testing.assert_allclose(restoration(y, k), y, atol=2e-3)


def test_the_kernel_is_the_psf_not_its_rotation(restoration):
    """Restoring with the kernel turned by 180 degrees is worse by 3 dB."""
    k = motion()
    x, y = scene(k)
    right, wrong = (restoration(*tensors(y, kernel)) for kernel in (k, k[::-1, ::-1]))
    assert psnr(right, x) > psnr(wrong, x) + 3


def test_the_kernels_scale_does_not_matter(restoration):
    """A kernel given in grey levels is scaled to sum 1."""
    k = motion()
    _, y = scene(k)
    one, other = (restoration(*tensors(y, kernel)) for kernel in (k, 255 * k))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_tall_kernels_and_wide_images(restoration):
    """Image and kernel need not be square, and the kernel may be larger than the image."""
    y, k = tensors(scene(np.ones((1, 1)))[1][:10, :33], np.ones((13, 3)) / 39)
    assert restoration(y, k).shape == (10, 33)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_the_images(restoration, dtype):
    """float32 stays float32 and agrees with float64, whatever the kernel's dtype."""
    k = motion()
    _, y = scene(k, sigma=0.01)
    reference = restoration(*tensors(y, k), weight=1e-3)
    restored = restoration(tensors(y, dtype=dtype)[0], tensors(k)[0], weight=1e-3)
    assert restored.dtype == dtype
    np.testing.assert_allclose(restored, reference, atol=5e-3)


def test_neither_image_nor_kernel_is_changed(restoration):
    """The inputs are left as they were."""
    y, k = tensors(scene(motion())[1], 3 * motion())
    before = y.clone(), k.clone()
    restoration(y, k)
    assert torch.equal(y, before[0])
    assert torch.equal(k, before[1])


@pytest.mark.parametrize("sigma", [0.02, 0.06])
def test_the_default_weight_suits_the_noise(restoration, sigma):
    """On noisy data the default beats a weight ten times smaller or larger."""
    k = motion()
    x, y = scene(k, sigma)
    blurred = tensors(y, k)
    factor = {"hyper_laplacian": 0.5, "sparse": 3.75, "saturated": 3.5}[restoration.__name__]
    weight = factor * (sigma**2 + 0.003**2) ** 0.75
    restored = restoration(*blurred, sigma=sigma)
    np.testing.assert_allclose(restored, restoration(*blurred, weight=weight), atol=1e-5)
    weaker, stronger = (restoration(*blurred, weight=w) for w in (weight / 10, weight * 10))
    assert psnr(restored, x) > max(psnr(weaker, x), psnr(stronger, x), psnr(y, x))


def test_measured_noise_does_as_well_as_known(restoration):
    """Without sigma the noise is measured: within 0.3 dB of the given sigma."""
    k = motion()
    x, y = scene(k, sigma=0.03)
    measured, given = restoration(*tensors(y, k)), restoration(*tensors(y, k), sigma=0.03)
    assert psnr(measured, x) == pytest.approx(psnr(given, x), abs=0.3)


def test_bad_settings_are_refused(restoration):
    """A negative weight or sigma is an error that names it."""
    y, k = tensors(np.zeros((20, 20)), motion())
    with pytest.raises(ConfigError, match="weight must be"):
        restoration(y, k, weight=-1)
    with pytest.raises(ConfigError, match="sigma must be"):
        restoration(y, k, sigma=-1)


def test_an_image_too_small_to_measure_says_so(restoration):
    """Below 8 x 8 pixels sigma has to be given."""
    y, k = tensors(np.full((6, 6), 0.5), np.ones((3, 3)))
    with pytest.raises(ImageError, match="at least 8 x 8 pixels"):
        restoration(y, k)
    assert restoration(y, k, sigma=0.01).shape == (6, 6)


class StopAfter:
    """Becomes set when it has been asked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


SETTING = {
    "hyper_laplacian": "iterations",
    "saturated": "iterations",
    "sparse": "cg_iterations",
}


@pytest.mark.parametrize("done", [0, 3])
def test_stopped_is_as_far_as_it_got(restoration, done):
    """Stopped after some iterations, it returns what so many iterations give."""
    y, k = tensors(scene(motion(), size=40)[1], motion())
    options = {SETTING[restoration.__name__]: done}
    if restoration.__name__ == "sparse":
        options["rounds"] = 0
    stopped = restoration(y, k, sigma=0.01, stop=StopAfter(done))
    assert torch.equal(stopped, restoration(y, k, sigma=0.01, **options))
