from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage import data

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian, shrink

EXPONENTS = pytest.mark.parametrize("exponent", [0.5, 2 / 3, 0.8, 1.0, 2])


@EXPONENTS
@pytest.mark.parametrize("w", [1e-3, 0.05, 1.0])
def test_shrink_is_the_minimiser(exponent, w):
    """No value on a fine grid has a lower 1/2 (v - t)^2 + w |v|^a than `shrink` finds."""
    t = torch.linspace(-3, 3, 301, dtype=torch.float64)
    v = shrink(t, w, exponent)
    grid = torch.linspace(-3, 3, 6001, dtype=torch.float64)[:, None]
    cost = 0.5 * (grid - t) ** 2 + w * grid.abs() ** exponent
    found = 0.5 * (v - t) ** 2 + w * v.abs() ** exponent
    assert float((found - cost.amin(0)).max()) < 1e-9


@EXPONENTS
def test_shrink_is_odd_and_keeps_the_order(exponent):
    """shrink(-t) = -shrink(t), it grows with t, and |shrink(t)| <= |t|."""
    t = torch.linspace(0, 2, 500, dtype=torch.float64)
    v = shrink(t, 0.1, exponent)
    assert torch.equal(shrink(-t, 0.1, exponent), -v)
    assert (v.diff() >= 0).all()
    assert (v <= t).all()


def test_shrink_of_exponent_1_is_soft_thresholding():
    """For a = 1 it is max(|t| - w, 0) with t's sign."""
    t = torch.linspace(-1, 1, 101, dtype=torch.float64)
    expected = t.sign() * (t.abs() - 0.3).clamp_min(0)
    np.testing.assert_allclose(shrink(t, 0.3, 1.0), expected, atol=1e-15)


def test_shrink_of_exponent_one_half_is_its_closed_form():
    """For a = 1/2 it is the root 2/3 t (1 + cos(2 pi / 3 - 2 phi / 3)) of Xu et al. 2012."""
    t, w = torch.linspace(1.6, 4, 50, dtype=torch.float64), 0.5
    phi = torch.arccos(w / 4 * (t / 3) ** -1.5)
    expected = 2 / 3 * t * (1 + torch.cos(2 * torch.pi / 3 - 2 / 3 * phi))
    np.testing.assert_allclose(shrink(t, w, 0.5), expected, atol=1e-12)


def test_the_quadratic_case_is_the_dense_solution():
    """With exponent 2, ADMM reaches dense linear algebra's solution, with no border known."""
    rng = np.random.default_rng(0)
    y, k, w = rng.random((9, 8)), rng.random((3, 5)), 0.03
    k /= k.sum()
    shape = (11, 12)
    maps = [k, [[1, -1]], [[1], [-1]]]
    eye = np.eye(shape[0] * shape[1]).reshape(-1, *shape)
    A, Dx, Dy = (
        np.stack([convolve2d(e, f, mode="valid").ravel() for e in eye], axis=1) for f in maps
    )
    x = np.linalg.solve(A.T @ A + 2 * w * (Dx.T @ Dx + Dy.T @ Dy), A.T @ y.ravel())
    found = hyper_laplacian(
        torch.from_numpy(y), torch.from_numpy(k), weight=w, exponent=2, iterations=3000
    )
    np.testing.assert_allclose(found, x.reshape(shape)[1:10, 2:10], atol=1e-7)


def test_total_variation_of_a_step_is_its_closed_form():
    """With a = 1 and no blur, a 1-D step of height c loses w at each plateau's end."""
    y = np.repeat([[0.2] * 10 + [0.8] * 10], 2, axis=0)
    one = torch.ones(1, 1, dtype=torch.float64)
    found = hyper_laplacian(torch.from_numpy(y), one, weight=0.5, exponent=1.0, iterations=2000)
    np.testing.assert_allclose(found, np.where(y < 0.5, 0.2 + 0.05, 0.8 - 0.05), atol=1e-4)


@pytest.mark.parametrize("exponent", [0.5, 2 / 3, 0.8, 1.0])
def test_every_exponent_has_a_fitting_default_weight(exponent):
    """Each exponent's default beats a weight eight times smaller or larger."""
    rng = np.random.default_rng(0)
    x = data.camera()[60:140, 190:270] / 255
    k = np.ones((1, 9)) / 9
    y = convolve2d(x, k, mode="valid") + 0.01 * rng.standard_normal((80, 72))
    arrays = torch.from_numpy(y), torch.from_numpy(k)

    def error(**options: float) -> float:
        restored = hyper_laplacian(*arrays, exponent=exponent, **options)
        return float((restored - torch.from_numpy(x[:, 4:-4])).square().mean())

    default = 0.5 * 0.8 / exponent * 0.01 ** (0.8 - exponent) * (0.01**2 + 0.003**2) ** 0.75
    found = error(sigma=0.01)
    assert found == pytest.approx(error(weight=default), rel=1e-6)
    assert found < min(error(weight=default / 8), error(weight=default * 8))


@pytest.mark.parametrize("exponent", [0, -0.5, 1.5, 3, float("nan")])
def test_other_exponents_are_refused(exponent):
    """An exponent outside (0, 1] and not 2 is an error that names a good one."""
    with pytest.raises(ConfigError, match=r"exponent must be in \(0, 1\], or 2, got .*; try 0.8"):
        hyper_laplacian(torch.ones(9, 9), torch.ones(3, 3), exponent=exponent)
