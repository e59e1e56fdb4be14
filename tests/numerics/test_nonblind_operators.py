from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.nonblind.operators import (
    checked_weight,
    differences,
    differences_adjoint,
    noise_scale,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


def test_differences_adjoint():
    """<D x, v> = <x, D^T v>."""
    x, v = random(9, 12), random(2, 9, 12, seed=1)
    left, right = (differences(x) * v).sum(), (x * differences_adjoint(v)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_the_default_weight_follows_the_noise():
    """`noise_scale` grows with sigma, as its 3/2 power where the noise is strong."""
    y = torch.zeros(9, 9)
    scales = [noise_scale(y, sigma) for sigma in (0.0, 0.001, 0.01, 0.1)]
    assert scales == sorted(scales)
    assert scales[0] > 0
    assert noise_scale(y, 0.4) / noise_scale(y, 0.1) == pytest.approx(8, rel=1e-2)


def test_the_noise_is_measured_unless_given():
    """Without sigma, the scale is that of the measured sigma."""
    y = 0.1 * random(40, 40)
    assert noise_scale(y, None) == noise_scale(y, noise_sigma(y.numpy()))


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_impossible_noise_is_refused(sigma):
    """sigma is finite and not negative."""
    with pytest.raises(ConfigError, match="sigma must be a finite number at least 0"):
        noise_scale(torch.zeros(9, 9), sigma)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("positive", [True, False])
def test_impossible_weights_are_refused(weight, positive):
    """A weight is finite and not negative."""
    with pytest.raises(ConfigError, match="weight must be a finite number"):
        checked_weight(weight, positive=positive)


def test_weight_zero_where_it_has_a_meaning():
    """0 is allowed only where asked for."""
    assert checked_weight(0, positive=False) == 0
    with pytest.raises(ConfigError, match="greater than 0"):
        checked_weight(0, positive=True)
