from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.nonblind.sparse import (
    add_derivatives_adjoint,
    derivatives,
    sparse,
)

FILTERS = ([[1, -1]], [[1], [-1]], [[1, -2, 1]], [[1], [-2], [1]], [[1, -1], [-1, 1]])


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def matrix(apply, shape: tuple[int, int]) -> np.ndarray:
    """Return the dense matrix of a linear map of images of `shape`."""
    columns = []
    for i in range(shape[0] * shape[1]):
        e = np.zeros(shape)
        e.flat[i] = 1
        columns.append(apply(e).ravel())
    return np.stack(columns, axis=1)


def dense_solution(y, k, we: float, rounds: int) -> np.ndarray:
    """Solve the same problem with dense matrices made by scipy's convolution."""
    (h, w), (kh, kw) = y.shape, k.shape
    shape = (h + kh - 1, w + kw - 1)
    A = matrix(lambda x: convolve2d(x, k, mode="valid"), shape)
    D = [matrix(lambda x, f=f: convolve2d(x, f, mode="valid"), shape) for f in FILTERS]
    orders = (1, 1, 0.25, 0.25, 0.25)
    weights = [np.ones(len(d)) for d in D]
    for _ in range(rounds + 1):
        terms = zip(orders, weights, D, strict=True)
        penalty = sum(order * d.T @ (wd[:, None] * d) for order, wd, d in terms)
        x = np.linalg.solve(A.T @ A + we * penalty, A.T @ y.ravel())
        weights = [0.1 * np.maximum(np.abs(d @ x), 0.01) ** (0.8 - 2) for d in D]
    top, left = kh // 2, kw // 2
    return x.reshape(shape)[top : top + h, left : left + w]


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("we", [1e-2, 1.0])
@pytest.mark.parametrize("columns", [8, 11])  # the transform has 12, or 15
def test_it_is_the_dense_solution(columns, we, rounds):
    """Quadratic and reweighted solutions equal dense linear algebra's, with no border known."""
    y, k = random(9, columns), random(3, 5, seed=1)
    k /= k.sum()
    x = sparse(
        torch.from_numpy(y), torch.from_numpy(k), weight=we, rounds=rounds, cg_iterations=2000
    )
    np.testing.assert_allclose(x, dense_solution(y, k, we, rounds), atol=1e-6)


def test_more_iterations_than_needed_do_no_harm():
    """In single precision rounding errors do not grow where the padded domain exceeds x."""
    y, k = random(71, 58), random(3, 5, seed=1)  # x has 73 x 62 pixels, the domain 75 x 64
    k /= k.sum()
    exact = sparse(torch.from_numpy(y), torch.from_numpy(k), weight=1e-3, cg_iterations=1000)
    single = (torch.from_numpy(each).float() for each in (y, k))
    x = sparse(*single, weight=1e-3, cg_iterations=1000)
    np.testing.assert_allclose(x, exact, atol=1e-2)


def test_the_derivatives_are_valid_convolutions():
    """D_d x are the valid convolutions by the five derivative filters, signs apart."""
    x = random(8, 9)
    for g, f in zip(derivatives(torch.from_numpy(x)), FILTERS, strict=True):
        np.testing.assert_allclose(g.abs(), np.abs(convolve2d(x, f, mode="valid")), atol=1e-12)


def test_the_derivatives_adjoint():
    """<D x, g> = <x, D^T g>."""
    x = torch.from_numpy(random(8, 9))
    g = [torch.from_numpy(random(*d.shape, seed=i)) for i, d in enumerate(derivatives(x))]
    left = sum(float((d * gd).sum()) for d, gd in zip(derivatives(x), g, strict=True))
    adjoint = add_derivatives_adjoint(torch.zeros_like(x), g)
    assert left == pytest.approx(float((x * adjoint).sum()), rel=1e-12)


def test_weight_zero_is_refused():
    """Without a prior the border is undetermined, so the weight is greater than 0."""
    with pytest.raises(ConfigError, match="weight must be a finite number greater than 0"):
        sparse(torch.ones(9, 9), torch.ones(3, 3), weight=0)


def test_the_prior_is_sparse():
    """Reweighting flattens the plain parts of a noisy step and keeps its height."""
    step = np.repeat([[0.2] * 16 + [0.8] * 16], 24, axis=0)
    y = torch.from_numpy(step + 0.02 * np.random.default_rng(0).standard_normal(step.shape))
    one = torch.ones(1, 1, dtype=torch.float64)
    quadratic, reweighted = (sparse(y, one, weight=0.05, rounds=rounds) for rounds in (0, 2))
    assert reweighted[:, :12].std() < 0.7 * quadratic[:, :12].std()
    assert float((reweighted[:, 16] - reweighted[:, 15]).mean()) > 0.55
