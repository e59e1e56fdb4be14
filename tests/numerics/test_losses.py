import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.losses import SSIM, DataTerm, mse, total_variation


def image(
    height: int = 40, width: int = 37, dtype: torch.dtype = torch.float64, seed: int = 0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 1, height, width, dtype=dtype, generator=generator)


def test_ssim_of_an_image_with_itself_is_one():
    """SSIM(y, y) = 1."""
    y = image()
    assert SSIM(y)(y).item() == pytest.approx(1, abs=1e-12)


def test_ssim_agrees_with_scikit_image():
    """SSIM is scikit-image's of both images on a border of zeros, averaged over the images."""
    y = image()
    other = (y + 0.2 * (image(seed=1) - 0.5)).clamp(0, 1)
    _, theirs = structural_similarity(
        *(np.pad(a[0, 0].numpy(), 5) for a in (y, other)),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        full=True,
    )
    assert SSIM(y)(other).item() == pytest.approx(theirs[5:-5, 5:-5].mean(), abs=1e-12)


def test_ssim_gradient_is_right():
    """The gradient of SSIM agrees with finite differences."""
    y, a = image(14, 13), image(14, 13, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(SSIM(y), a)


def test_total_variation_of_a_ramp_is_its_slope():
    """A ramp of slope s along one axis has TV s, but for the last column."""
    ramp = torch.arange(10.0).mul(0.1).expand(1, 1, 8, 10)
    assert total_variation(ramp).item() == pytest.approx(0.1 * 9 / 10)


def test_total_variation_of_a_constant_is_zero():
    """A constant image has no variation."""
    assert total_variation(torch.full((1, 1, 5, 5), 0.3)).item() == 0


@pytest.mark.parametrize(("iterations", "switch"), [(10, 2), (5000, 1000), (1, 0)])
def test_loss_switches_at_its_fraction(iterations, switch):
    """'mse_then_ssim' changes after a fifth of the steps, however many there are."""
    config = SelfDeblurConfig.preset("official").replace(iterations=iterations)
    y, blurred = image(), image(seed=1)
    term = DataTerm(y, config, 0.0)
    assert term.mse_steps == switch
    if switch:
        assert term(switch - 1, blurred, y) == mse(blurred, y)
    assert term(switch, blurred, y) == 1 - SSIM(y)(blurred)


def test_paper_objective_is_squared_error_plus_weighted_tv():
    """The paper's objective is MSE + lambda TV at every step (equation 6)."""
    config = SelfDeblurConfig.preset("paper").replace(iterations=10)
    y, blurred, x = image(), image(seed=1), image(50, 50, seed=2)
    term = DataTerm(y, config, 0.25)
    for t in (0, 9):
        expected = mse(blurred, y) + 0.25 * total_variation(x)
        assert term(t, blurred, x).item() == pytest.approx(expected.item())


def test_ssim_is_built_only_where_it_is_used():
    """The objective of a run on the squared error alone holds no SSIM; others do."""
    config = SelfDeblurConfig.preset("official").replace(iterations=10)
    built = {
        loss: DataTerm(image(), config.replace(loss=loss), 0.0).ssim is not None
        for loss in ("mse", "ssim", "mse_then_ssim")
    }
    assert built == {"mse": False, "ssim": True, "mse_then_ssim": True}
