"""The blur kernel estimated from the strongest edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage import data
from torch import Tensor

from napari_selfdeblur.compare.metrics import kernel_similarity
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.edge_kernel import edge_kernel
from napari_selfdeblur.numerics.kernel_fit import fit_kernel
from napari_selfdeblur.numerics.l0_prior import L0Prior, gradients


def hook(kh: int, kw: int) -> NDArray[np.float64]:
    """Return a motion kernel: down, then off to the right, not symmetric in any way."""
    k = np.zeros((kh, kw))
    k[1 : kh - 2, kw // 2 - 2] = 1
    k[kh - 3, kw // 2 - 2 : kw - 2] = 1.5
    k = gaussian_filter(k, 0.5)
    return k / k.sum()


def photograph(kernel: NDArray[np.float64], side: int = 150) -> Tensor:
    """Return a blurred part of the bundled photograph, with a little noise."""
    scene = data.camera()[90 : 90 + side, 190 : 190 + side] / 255
    y = fftconvolve(scene, kernel, mode="valid")
    y = y + np.random.default_rng(0).normal(0, 0.003, y.shape)
    return torch.from_numpy(y.astype(np.float32))


@pytest.fixture(scope="module")
def blurred() -> Tensor:
    return photograph(hook(11, 11))


@pytest.fixture(scope="module")
def kernel(blurred: Tensor) -> Tensor:
    return edge_kernel(blurred, (11, 11))


@pytest.mark.parametrize("size", [(11, 11), (3, 3), (15, 7), (5, 21)])
def test_a_kernel_of_the_asked_size(blurred: Tensor, size: tuple[int, int]) -> None:
    """The kernel has the asked shape, no negative entry, sum 1 and its centroid at the centre."""
    k = edge_kernel(blurred, size)
    assert k.shape == size
    assert k.dtype == torch.float32
    assert k.min() >= 0
    assert float(k.sum()) == pytest.approx(1, abs=1e-5)
    # Shifts by whole pixels that lose next to no mass: half a pixel is the best they promise.
    for axis in (0, 1):
        profile = k.numpy().sum(axis=1 - axis)
        assert abs(np.average(np.arange(len(profile)), weights=profile) - len(profile) // 2) <= 1


def test_finds_a_known_motion(kernel: Tensor) -> None:
    """On a photograph the estimate is the kernel that blurred it, not that kernel turned round."""
    truth = hook(11, 11)
    assert kernel_similarity(kernel.numpy(), truth) > 0.9
    assert kernel_similarity(kernel.numpy()[::-1, ::-1], truth) < 0.7


def test_finds_a_kernel_that_is_not_square() -> None:
    """Rows and columns of the kernel size are not confused."""
    truth = hook(19, 9)
    assert kernel_similarity(edge_kernel(photograph(truth), (19, 9)).numpy(), truth) > 0.85


def test_same_image_same_kernel(blurred: Tensor, kernel: Tensor) -> None:
    """A second run gives the same numbers, and the image is left as it was."""
    before = blurred.clone()
    assert torch.equal(edge_kernel(blurred, (11, 11)), kernel)
    assert torch.equal(blurred, before)


def test_brightness_and_contrast_do_not_matter(blurred: Tensor, kernel: Tensor) -> None:
    """An image of other units and offset has the same kernel."""
    other = edge_kernel(blurred.double() * 400 - 100, (11, 11))
    assert kernel_similarity(other.numpy(), kernel.numpy()) > 0.99


def test_strengths_give_different_kernels(blurred: Tensor) -> None:
    """Each strength worth trying finds a kernel of its own."""
    kernels = {
        edge_kernel(blurred, (11, 11), strength=s).numpy().tobytes() for s in (0.5, 1.0, 2.0)
    }
    assert len(kernels) == 3


def test_fit_inverts_the_blur_of_sharp_edges() -> None:
    """Given the sharp image, the fitted kernel is the true one."""
    rng = np.random.default_rng(1)
    scene = rng.normal(size=(80, 90))
    truth = hook(9, 7)
    y = fftconvolve(scene, truth, mode="same")
    x, y = (torch.from_numpy(image.astype(np.float32)) for image in (scene, y))
    k = fit_kernel(x, y, (9, 7)).numpy()
    assert kernel_similarity(k, truth) > 0.99
    # Nothing shifts it: the same pixel of the same support.
    assert np.abs(k - truth).max() < 0.15 * truth.max()


def test_no_edge_no_kernel() -> None:
    """A flat sharp image explains no blur: the fit is zero."""
    flat = torch.ones(30, 30)
    assert not fit_kernel(flat, flat, (5, 5)).any()


def test_a_cartoon_is_its_own_l0_image() -> None:
    """Where nothing was blurred, an image of few strong edges is left as it is."""
    cartoon = torch.zeros(40, 48)
    cartoon[10:30, 12:30] = 1
    delta = torch.zeros(5, 5)
    delta[2, 2] = 1
    x = L0Prior(cartoon, (5, 5)).sharp(delta, 1e-2)
    torch.testing.assert_close(x, cartoon, atol=1e-3, rtol=0)


def test_few_intensities_leave_the_background_empty() -> None:
    """A faint haze beside a bright object is background with the prior of intensities alone."""
    scene = torch.full((40, 40), 0.2)
    scene[10:16, 10:16] = 1.0
    scene[24:34, 20:34] = 0.22  # its edges are stronger than the weight asks for
    delta = torch.zeros(5, 5)
    delta[2, 2] = 1
    edges = L0Prior(scene, (5, 5)).sharp(delta, 1e-4)
    objects = L0Prior(scene, (5, 5), intensities=10.0).sharp(delta, 1e-4)
    assert float(edges[29, 27] - edges[2, 2]) == pytest.approx(0.02, abs=2e-3)
    assert float(objects[29, 27]) < 0.005
    assert float(objects[13, 13]) == pytest.approx(0.8, abs=0.02)
    # The background may be the bright side as well.
    dark = L0Prior(1 - scene, (5, 5), intensities=10.0).sharp(delta, 1e-4)
    torch.testing.assert_close(dark, -objects, atol=1e-4, rtol=0)


def test_intensities_find_what_edges_do_not() -> None:
    """Of thin lines on a dark field, defocused, the edges are gone; the field is still plain."""
    rng = np.random.default_rng(3)
    scene = np.zeros((160, 160))
    for angle, offset in zip(rng.uniform(0, np.pi, 25), rng.uniform(-70, 70, 25), strict=True):
        rows, columns = np.indices(scene.shape) - 80
        distance = rows * np.cos(angle) + columns * np.sin(angle) - offset
        scene += rng.uniform(0.3, 1) * np.exp(-0.5 * distance**2)
    rows, columns = np.indices((11, 11)) - 5
    disk = (np.hypot(rows, columns) <= 5.2).astype(float)
    disk /= disk.sum()
    y = fftconvolve(scene, disk, mode="valid") / 3
    y = torch.from_numpy((y + rng.normal(0, 0.001, y.shape)).astype(np.float32))
    by_edges, by_objects = (
        kernel_similarity(edge_kernel(y, (13, 13), intensities=mu).numpy(), disk)
        for mu in (0.0, 10.0)
    )
    assert by_objects > 0.9
    assert by_objects > by_edges + 0.1


def test_weight_removes_weak_edges() -> None:
    """A step lower than the weight pays for goes, and one higher stays."""
    y = torch.zeros(40, 40)
    y[8:32, 8:20] = 1
    y[8:32, 26:32] = 0.05
    delta = torch.zeros(3, 3)
    delta[1, 1] = 1
    x = L0Prior(y, (3, 3)).sharp(delta, 0.1)
    rows, columns = gradients(x)
    assert columns[20, 19].abs() > 0.8
    assert columns[20, 22:34].abs().max() < 0.01
    assert rows[12:28, 22:34].abs().max() < 0.01


def test_works_where_the_kernel_nearly_fills_the_image() -> None:
    """One pixel more than the kernel is enough for a kernel."""
    y = torch.from_numpy(np.random.default_rng(2).random((22, 30)))
    k = edge_kernel(y, (21, 29))
    assert k.shape == (21, 29)
    assert float(k.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(40, 40), "flat"),
        (torch.eye(21), "larger than the kernel"),
        (torch.full((40, 40), torch.nan), "finite"),
        (torch.zeros(40, 40, 3), "2-D"),
    ],
)
def test_unusable_images(image: Tensor, message: str) -> None:
    """What cannot have a kernel is refused, and the message says why."""
    with pytest.raises(ImageError, match=message):
        edge_kernel(image, (21, 21))


@pytest.mark.parametrize("size", [(20, 21), (1, 5), (5,)])
def test_unusable_kernel_sizes(size: tuple[int, ...]) -> None:
    """Even sides, sides under 3 and single numbers are refused."""
    with pytest.raises(ConfigError, match="kernel_size"):
        edge_kernel(torch.eye(40), size)  # type: ignore[arg-type]


def test_the_continuation_of_y_is_smooth() -> None:
    """The continuation of y joins opposite borders: no step there exceeds those inside."""
    y = torch.linspace(0, 1, 40)[:, None].expand(40, 30)
    model = L0Prior(y, (15, 15))
    assert torch.equal(model.y[:40, :30], y)
    assert (torch.roll(model.y, -1, 0) - model.y).abs().max() < 0.2


@pytest.mark.parametrize("strength", [0, -1, float("nan")])
def test_unusable_strengths(strength: float) -> None:
    """Strengths are numbers above zero."""
    with pytest.raises(ConfigError, match="strength"):
        edge_kernel(torch.eye(40), (5, 5), strength=strength)


@pytest.mark.parametrize("intensities", [-1.0, float("nan"), float("inf")])
def test_unusable_intensities(blurred: Tensor, intensities: float) -> None:
    """What is not a number of at least 0 is refused."""
    with pytest.raises(ConfigError, match="intensities must be a number of at least 0"):
        edge_kernel(blurred, (11, 11), intensities=intensities)
