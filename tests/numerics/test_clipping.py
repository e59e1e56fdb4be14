from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage import data

from napari_selfdeblur.compare.metrics import score
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.clipping import clip_level
from napari_selfdeblur.numerics.losses import DataTerm
from napari_selfdeblur.numerics.measures import measure
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian
from napari_selfdeblur.numerics.nonblind.sparse import sparse
from napari_selfdeblur.run.plan import Plan

K = np.ones((1, 9)) / 9
X = data.camera()[60:188, 150:310] / 255
RESTORATIONS = pytest.mark.parametrize("restoration", [hyper_laplacian, sparse])


def blurred(gain: float = 1.0, sigma: float = 0.005) -> np.ndarray:
    """Return a photograph blurred by K, with noise, times `gain`; not clipped."""
    y = convolve2d(X, K, mode="valid")
    return gain * (y + sigma * np.random.default_rng(0).standard_normal(y.shape))


def clipped_pixels(y: np.ndarray) -> np.ndarray | None:
    """Return where y is clipped, None where it is not."""
    level = clip_level([y])
    return None if level is None else y >= level


@pytest.mark.parametrize(("levels", "limit"), [(255, 255), (65535, 65535), (65535, 4095), (0, 1)])
def test_the_pixels_at_the_limit_are_found(levels, limit):
    """They are those above it before: of 8 bits, 16 bits, 12 in 16, and floats."""
    y = blurred(1.4) * limit
    stored = np.minimum(np.rint(y) if levels else y, limit)
    found = clipped_pixels((stored / (levels or 1)).astype(np.float32))
    assert found is not None
    np.testing.assert_array_equal(found, y > limit - 0.5 if levels else y > limit)


@pytest.mark.parametrize("scale", [255, 65535, None])
def test_nothing_is_found_in_an_unclipped_image(scale):
    """Neither in 8 or 16 bits nor in floats, whether there is noise or not; nor in a flat one."""
    for sigma in (0.0, 0.005):
        y = blurred(0.7, sigma)
        assert clipped_pixels(y if scale is None else np.rint(scale * y) / scale) is None
    assert clipped_pixels(np.ones((9, 9))) is None


def test_the_noise_is_measured_beside_clipped_pixels():
    """With every tenth pixel clipped the mask brings it from over 10 % off to under 5 %."""
    y = blurred(sigma=0.01)
    limit = np.quantile(y, 0.9)
    y = np.minimum(y, limit)
    clipped = clipped_pixels(y)
    assert noise_sigma(y, clipped) == pytest.approx(0.01, rel=0.05)
    assert noise_sigma(y) != pytest.approx(0.01, rel=0.1)


@RESTORATIONS
def test_no_clipped_pixel_is_no_mask(restoration):
    """With a mask that is empty the restoration is that without one, bit by bit."""
    y, k = torch.from_numpy(blurred()), torch.from_numpy(K)
    none = torch.zeros(y.shape, dtype=torch.bool)
    options = {"rounds": 2} if restoration is sparse else {}
    assert torch.equal(
        restoration(y, k, sigma=0.005, clipped=none, **options), restoration(y, k, sigma=0.005)
    )


@RESTORATIONS
def test_a_clipped_image_is_restored_better_with_its_mask(restoration):
    """Of a photograph with lights above the limit, by more than 1 dB."""
    y = blurred(1.25)
    clipped = clipped_pixels(np.minimum(y, 1))
    arrays = torch.from_numpy(np.minimum(y, 1)), torch.from_numpy(K)
    sharp = np.minimum(1.25 * X[:, 4:-4], 1)

    def psnr(mask: torch.Tensor | None) -> float:
        x = restoration(*arrays, sigma=0.005, clipped=mask)
        return score(x.clamp(0, 1).numpy(), sharp).psnr

    assert psnr(torch.from_numpy(clipped)) > psnr(None) + 1


def test_a_clipped_pixel_is_a_lower_bound():
    """Where y is clipped a larger k * x leaves no residual, and a smaller one does."""
    x = 1.25 * X[:, 4:-4]
    y = np.minimum(x, 1)
    clipped, one = clipped_pixels(y), np.ones((1, 1))
    assert clipped is not None
    assert measure(x, one, y, 0.005)["residual"] > 1
    assert measure(x, one, y, 0.005, clipped)["residual"] == pytest.approx(0, abs=1e-9)
    assert measure(0.9 * y, one, y, 0.005, clipped)["residual"] > 1


@pytest.mark.parametrize("loss", ["mse", "ssim"])
def test_the_objective_is_one_sided_where_y_is_clipped(loss):
    """A k * x above y costs nothing there and pulls nowhere; one below, or elsewhere, does."""
    y = torch.full((1, 1, 16, 16), 0.5)
    y[..., :8] = 1
    term = DataTerm(y, SelfDeblurConfig(loss=loss), 0.0, y == 1)
    above = (y + 0.3 * (y == 1)).requires_grad_()
    term(0, above, y).backward()
    assert above.grad is not None
    assert float(term(0, above.detach(), y)) == pytest.approx(0, abs=1e-6)
    assert float(above.grad.abs().max()) < 1e-6
    for other in (y - 0.3 * (y == 1), y + 0.3 * (y < 1)):
        assert float(term(0, other, y)) > 0.01


def test_the_plan_has_mask_share_and_noise_of_a_clipped_image():
    """Of one that is not clipped there is no mask, and the share is 0."""
    config = SelfDeblurConfig(kernel_size=9)
    for gain in (0.7, 1.25):
        image = np.clip(np.rint(255 * blurred(gain)), 0, 255).astype(np.uint8)
        plan = Plan.of(image, config)
        assert plan.source["clipped"] == pytest.approx(np.mean(image == 255) if gain > 1 else 0)
        assert plan.sigma == noise_sigma(plan.y, plan.clipped)
        assert (plan.problem.clipped is None) == (gain < 1)
