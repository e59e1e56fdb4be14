"""A first kernel by classical means."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage import data

from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.edge_kernel import STRENGTHS, first_guess, fit_kernel
from napari_selfdeblur.numerics.l0_gradient import L0Gradient, gradients


def hook(kh: int, kw: int) -> NDArray[np.float64]:
    """Return a motion kernel: down, then off to the right, not symmetric in any way."""
    k = np.zeros((kh, kw))
    k[1 : kh - 2, kw // 2 - 2] = 1
    k[kh - 3, kw // 2 - 2 : kw - 2] = 1.5
    k = gaussian_filter(k, 0.5)
    return k / k.sum()


def photograph(kernel: NDArray[np.float64], side: int = 150) -> NDArray[np.float32]:
    """Return a blurred part of the bundled photograph, with a little noise."""
    scene = data.camera()[90 : 90 + side, 190 : 190 + side] / 255
    y = fftconvolve(scene, kernel, mode="valid")
    return (y + np.random.default_rng(0).normal(0, 0.003, y.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def blurred() -> NDArray[np.float32]:
    return photograph(hook(11, 11))


@pytest.fixture(scope="module")
def guess(blurred: NDArray[np.float32]) -> NDArray[np.float32]:
    return first_guess(blurred, (11, 11))


@pytest.mark.parametrize("size", [(11, 11), (3, 3), (15, 7), (5, 21)])
def test_a_kernel_of_the_asked_size(blurred: NDArray[np.float32], size: tuple[int, int]) -> None:
    """The guess has the asked shape, no negative entry, sum 1 and its centroid at the centre."""
    k = first_guess(blurred, size)
    assert k.shape == size
    assert k.dtype == np.float32
    assert k.min() >= 0
    assert k.sum() == pytest.approx(1, abs=1e-5)
    # Shifts by whole pixels that lose next to no mass: half a pixel is the best they promise.
    for axis in (0, 1):
        profile = k.sum(axis=1 - axis)
        assert abs(np.average(np.arange(len(profile)), weights=profile) - len(profile) // 2) <= 1


def test_finds_a_known_motion(guess: NDArray[np.float32]) -> None:
    """On a photograph the guess is the kernel that blurred it, not that kernel turned round."""
    truth = hook(11, 11)
    assert kernel_similarity(guess, truth) > 0.9
    assert kernel_similarity(guess[::-1, ::-1], truth) < 0.7


def test_finds_a_kernel_that_is_not_square() -> None:
    """Rows and columns of the kernel size are not confused."""
    truth = hook(19, 9)
    assert kernel_similarity(first_guess(photograph(truth), (19, 9)), truth) > 0.85


def test_same_image_same_kernel(blurred: NDArray[np.float32], guess: NDArray[np.float32]) -> None:
    """A second run gives the same numbers, and the image is left as it was."""
    before = blurred.copy()
    np.testing.assert_array_equal(first_guess(blurred, (11, 11)), guess)
    np.testing.assert_array_equal(blurred, before)


def test_brightness_and_contrast_do_not_matter(
    blurred: NDArray[np.float32], guess: NDArray[np.float32]
) -> None:
    """An image of other units and offset has the same kernel."""
    other = first_guess(blurred.astype(np.float64) * 400 - 100, (11, 11))
    assert kernel_similarity(other, guess) > 0.99


def test_strengths_give_different_kernels(blurred: NDArray[np.float32]) -> None:
    """Each strength worth trying finds a kernel of its own."""
    kernels = {first_guess(blurred, (11, 11), strength=s).tobytes() for s in STRENGTHS}
    assert len(kernels) == len(STRENGTHS)


def test_fit_inverts_the_blur_of_sharp_edges() -> None:
    """Given the sharp image, the fitted kernel is the true one."""
    rng = np.random.default_rng(1)
    scene = rng.normal(size=(80, 90)).astype(np.float32)
    truth = hook(9, 7)
    y = fftconvolve(scene, truth, mode="same").astype(np.float32)
    k = fit_kernel(scene, y, (9, 7), damping=0)
    assert kernel_similarity(k, truth) > 0.99
    # Nothing shifts it: the same pixel of the same support.
    assert np.abs(k - truth).max() < 0.15 * truth.max()


def test_no_edge_no_kernel() -> None:
    """A flat sharp image explains no blur: the fit is zero."""
    flat = np.ones((30, 30), np.float32)
    assert not fit_kernel(flat, flat, (5, 5)).any()


def test_a_cartoon_is_its_own_l0_image() -> None:
    """Where nothing was blurred, an image of few strong edges is left as it is."""
    cartoon = np.zeros((40, 48), np.float32)
    cartoon[10:30, 12:30] = 1
    delta = np.zeros((5, 5), np.float32)
    delta[2, 2] = 1
    x = L0Gradient(cartoon, (5, 5)).sharp(delta, 1e-2)
    np.testing.assert_allclose(x, cartoon, atol=1e-3)


def test_weight_removes_weak_edges() -> None:
    """A step lower than the weight pays for goes, and one higher stays."""
    y = np.zeros((40, 40), np.float32)
    y[8:32, 8:20] = 1
    y[8:32, 26:32] = 0.05
    delta = np.zeros((3, 3), np.float32)
    delta[1, 1] = 1
    x = L0Gradient(y, (3, 3)).sharp(delta, 0.1)
    rows, columns = gradients(x)
    assert np.abs(columns[20, 19]) > 0.8
    assert np.abs(columns[20, 22:34]).max() < 0.01
    assert np.abs(rows[12:28, 22:34]).max() < 0.01


def test_works_where_the_kernel_nearly_fills_the_image() -> None:
    """One pixel more than the kernel is enough for a kernel."""
    y = np.random.default_rng(2).random((22, 30))
    k = first_guess(y, (21, 29))
    assert k.shape == (21, 29)
    assert k.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((40, 40)), "flat"),
        (np.eye(21), "larger than the kernel"),
        (np.full((40, 40), np.nan), "finite"),
        (np.zeros((40, 40, 3)), "2-D"),
    ],
)
def test_unusable_images(image: NDArray[np.float64], message: str) -> None:
    """What cannot have a kernel is refused, and the message says why."""
    with pytest.raises(ImageError, match=message):
        first_guess(image, (21, 21))


@pytest.mark.parametrize("size", [(20, 21), (1, 5), (5,)])
def test_unusable_kernel_sizes(size: tuple[int, ...]) -> None:
    """Even sides, sides under 3 and single numbers are refused."""
    with pytest.raises(ConfigError, match="kernel_size"):
        first_guess(np.eye(40), size)  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0, -1, float("nan")])
def test_unusable_strengths(strength: float) -> None:
    """Strengths are numbers above zero."""
    with pytest.raises(ConfigError, match="strength"):
        first_guess(np.eye(40), (5, 5), strength=strength)
