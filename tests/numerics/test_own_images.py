"""The share in the result of images that networks made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.fusion import compared, fuse
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.own_images import mixed

SAMPLE = motion_blurred_photograph(size=112)
Y, K = (SAMPLE.blurred / 255).astype(np.float32), SAMPLE.kernel
SIGMA = 1 / 255
INNER = slice(20, -20), slice(20, -20)


def gaussian(n: int, s: float) -> np.ndarray:
    q = np.arange(n) - n // 2
    k = np.exp(-(q[:, None] ** 2 + q**2) / 2 / s**2)
    return (k / k.sum()).astype(np.float32)


def restored(k: np.ndarray) -> np.ndarray:
    tensors = torch.from_numpy(Y), torch.from_numpy(k)
    return hyper_laplacian(*tensors, sigma=SIGMA, iterations=40).clamp(0, 1).numpy()


def candidate(k: np.ndarray, own: np.ndarray | None = None):
    return compared(torch.from_numpy(Y), k, "own" if own is not None else "edges", SIGMA, own)[0]


X = restored(K)


def mixture(own: np.ndarray, k: np.ndarray = K) -> np.ndarray:
    candidates = [candidate(K), candidate(k, own)]
    return mixed(X, fuse(candidates), candidates, 0.5)


def test_they_are_registered():
    """An own image that lies with its shifted kernel is moved to the result before it is mixed."""
    shifted = np.roll(np.pad(K, 3), (3, -2), axis=(0, 1))
    own = restored(shifted)
    noise = np.random.default_rng(0).normal(0, 0.05, own.shape).astype(np.float32)
    sharp = mixture(own + noise, shifted)
    assert np.abs(own - X)[INNER].std() > 0.1
    assert np.abs(sharp - X)[INNER].std() < 0.03


def test_those_of_wrong_kernels_are_left_out():
    """The own image of an estimate whose kernel is unlike the result's has no share."""
    candidates = [candidate(K), candidate(gaussian(7, 0.8), np.zeros_like(Y))]
    np.testing.assert_array_equal(mixed(X, fuse(candidates), candidates, 0.5), X)


def test_what_is_new_in_them_has_its_share():
    """Of an own image that differs by noise, all of the share is taken."""
    noise = np.random.default_rng(0).normal(0, 0.05, Y.shape).astype(np.float32)
    change = (mixture(X + noise) - X)[INNER]  # within the limits of the image
    assert np.vdot(change, noise[INNER]) > 0.47 * np.vdot(noise[INNER], noise[INNER])


@pytest.mark.parametrize("width", [0.7, 1.5])
def test_less_sharpness_has_no_share(width):
    """An own image that is the restoration, only blurred, leaves it as it is."""
    own = gaussian_filter(X, width)
    change = np.abs(mixture(own) - X)[INNER].std()
    assert change < 0.05 * np.abs(own - X)[INNER].std()


def test_of_one_estimate_the_share_is_the_one_asked_for():
    """With nothing to compare it with the own image is mixed as the settings say."""
    own = gaussian_filter(X, 1.0)
    candidates = [candidate(K, own)]
    sharp = mixed(X, fuse(candidates), candidates, 0.5)
    np.testing.assert_allclose(sharp, (X + own) / 2, atol=1e-6)


def test_those_of_unlikely_kernels_are_left_out():
    """However like the result's its kernel is: an estimate that has no weight has no share."""
    noise = np.random.default_rng(0).normal(0, 0.05, Y.shape).astype(np.float32)
    candidates = [candidate(K), candidate(K, X + noise)]
    fused = fuse(candidates)
    for weight, changed in ((0.051, True), (0.049, False)):
        less = replace(fused, weights={"edges": 1.0, "own": weight})
        assert (mixed(X, less, candidates, 0.5) != X).any() == changed
