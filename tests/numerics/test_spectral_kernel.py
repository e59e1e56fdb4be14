"""The blur kernel estimated from the power spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from torch import Tensor

from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.edge_kernel import refined_kernel
from napari_selfdeblur.numerics.spectral_kernel import spectral_kernels


def hook(kh: int, kw: int) -> NDArray[np.float64]:
    """Return a motion kernel: down, then off to the right, not symmetric in any way."""
    k = np.zeros((kh, kw))
    k[1 : kh - 2, kw // 2 - 2] = 1
    k[kh - 3, kw // 2 - 2 : kw - 2] = 1.5
    k = gaussian_filter(k, 0.5)
    return np.asarray(k / k.sum(), dtype=np.float64)


def texture(kernel: NDArray[np.float64], sides: tuple[int, int] = (192, 160)) -> Tensor:
    """Return a blurred texture whose power spectrum is 1 / |w|^2, with random phases."""
    noise = np.random.default_rng(0).normal(size=(256, 256))
    v, u = np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)
    radius = np.hypot(v, u)
    radius[0, 0] = 1
    scene = np.fft.irfft2(np.fft.rfft2(noise) / radius, s=noise.shape)
    blurred = fftconvolve(scene, kernel, mode="valid")[: sides[0], : sides[1]]
    return torch.from_numpy(blurred.astype(np.float32))


@pytest.fixture(scope="module")
def blurred() -> Tensor:
    return texture(hook(11, 11))


@pytest.fixture(scope="module")
def kernels(blurred: Tensor) -> list[Tensor]:
    return spectral_kernels(blurred, (11, 11))


def test_finds_a_known_motion_in_a_texture_without_edges(kernels: list[Tensor]) -> None:
    """One of the two is the kernel that blurred the texture, and only one."""
    similarities = sorted(kernel_similarity(k.numpy(), hook(11, 11)) for k in kernels)
    assert similarities[1] > 0.9
    assert similarities[0] < 0.8


def test_the_two_are_each_other_turned_round(kernels: list[Tensor]) -> None:
    """The second is the first rotated by 180 degrees, whose power spectrum is the same."""
    first, second = (k.numpy() for k in kernels)
    assert kernel_similarity(first, second[::-1, ::-1]) == pytest.approx(1, abs=1e-5)


def test_finds_a_kernel_that_is_not_square() -> None:
    """Rows and columns of the kernel size are not confused."""
    truth = hook(19, 9)
    kernels = spectral_kernels(texture(truth), (19, 9))
    assert max(kernel_similarity(k.numpy(), truth) for k in kernels) > 0.9


@pytest.mark.parametrize("size", [(3, 3), (15, 7), (5, 21)])
def test_kernels_of_the_asked_size(blurred: Tensor, size: tuple[int, int]) -> None:
    """Both have the asked shape, no negative entry and sum 1."""
    for k in spectral_kernels(blurred, size):
        assert k.shape == size
        assert k.dtype == torch.float32
        assert k.min() >= 0
        assert float(k.sum()) == pytest.approx(1, abs=1e-5)


def test_kernels_are_centred(kernels: list[Tensor]) -> None:
    """The centroid of both is at the central pixel, where the size holds the kernel."""
    for k in kernels:
        for axis in (0, 1):
            profile = k.numpy().sum(axis=1 - axis)
            assert abs(np.average(np.arange(len(profile)), weights=profile) - len(profile) // 2) < 1


def test_offset_and_scale_do_not_matter(blurred: Tensor, kernels: list[Tensor]) -> None:
    """The estimate depends on the image up to its offset and scale."""
    again = spectral_kernels(200 * blurred + 1000, (11, 11))
    assert kernel_similarity(again[0].numpy(), kernels[0].numpy(), rotation=True) > 0.99


def test_the_seed_alone_decides(blurred: Tensor, kernels: list[Tensor]) -> None:
    """The same seed gives the same kernels, whatever the state of torch's global generator."""
    torch.rand(3)
    state = torch.get_rng_state()
    again = spectral_kernels(blurred, (11, 11), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(again, kernels, strict=True))


def test_refusals(blurred: Tensor) -> None:
    """What is wrong with the size or the image is said."""
    with pytest.raises(ConfigError, match="odd"):
        spectral_kernels(blurred, (10, 11))
    with pytest.raises(ImageError, match="larger than the kernel"):
        spectral_kernels(blurred[:20], (21, 21))
    with pytest.raises(ImageError, match="flat"):
        spectral_kernels(torch.ones(64, 64), (11, 11))
    with pytest.raises(ImageError, match="2-D"):
        spectral_kernels(torch.full((64, 64), float("nan")), (11, 11))


def test_edges_correct_a_wrong_initial_kernel() -> None:
    """On an image of edges, rounds of refinement bring a smoothed kernel nearer to the true one."""
    truth = hook(11, 11)
    y, x = np.mgrid[:140, :140]
    blocks = (np.hypot(y - 60, x - 70) < 40) + (y // 30 + x // 30) % 2
    image = torch.from_numpy(fftconvolve(blocks, truth, mode="valid").astype(np.float32))
    rough = gaussian_filter(truth, 1.5)
    assert kernel_similarity(rough, truth) < 0.75
    after = refined_kernel(image, torch.from_numpy(rough.astype(np.float32)), rounds=4)
    assert float(after.sum()) == pytest.approx(1, abs=1e-5)
    assert kernel_similarity(after.numpy(), truth) > 0.9
