from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.blur import blur_valid
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.nonblind.operators import (
    Blur,
    checked_weight,
    differences,
    differences_adjoint,
    noise_scale,
)

SHAPES = pytest.mark.parametrize(
    ("shape", "kernel_shape"), [((20, 31), (5, 9)), ((9, 8), (15, 11)), ((11, 11), (1, 1))]
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


@SHAPES
def test_adjoint(shape, kernel_shape):
    """<A x, y> = <x, A^T y>, also where the kernel is larger than the image."""
    A = Blur.of(random(*shape), random(*kernel_shape, seed=1))
    x, y = random(*A.canvas, seed=2), random(*shape, seed=3)
    left, right = (A.forward(x) * y).sum(), (x * A.adjoint(y)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_differences_adjoint():
    """<D x, v> = <x, D^T v>."""
    x, v = random(9, 12), random(2, 9, 12, seed=1)
    left, right = (differences(x) * v).sum(), (x * differences_adjoint(v)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_inside_are_the_differences_across_no_edge():
    """`inside` marks just the differences between two pixels that y depends on."""
    A = Blur.of(random(20, 25), random(7, 5))
    x = torch.full(A.canvas, float("nan"))
    x[: A.needed[0], : A.needed[1]] = random(*A.needed)
    assert torch.equal(A.inside(x.device), differences(x).isfinite())


@SHAPES
def test_forward_is_the_true_valid_convolution(shape, kernel_shape):
    """A x is scipy's valid convolution by the kernel scaled to sum 1, and `blur_valid`'s."""
    k = random(*kernel_shape, seed=1)
    A = Blur.of(random(*shape), k)
    x = random(*A.needed, seed=2)
    expected = convolve2d(x, k / k.sum(), mode="valid")
    assert expected.shape == shape
    np.testing.assert_allclose(A.forward(x), expected, atol=1e-12)
    np.testing.assert_allclose(A.forward(x), blur_valid(x, k / k.sum()), atol=1e-12)


def test_what_lies_outside_is_not_seen():
    """y does not depend on the canvas beyond the part that the valid convolution needs."""
    A = Blur.of(random(20, 25), random(7, 5, seed=1))
    x = random(*A.canvas, seed=2)
    beyond = x.clone()
    beyond[A.needed[0] :] += 5
    beyond[:, A.needed[1] :] -= 3
    assert A.canvas > A.needed
    np.testing.assert_allclose(A.forward(beyond), A.forward(x), atol=1e-12)


def test_the_start_repeats_the_border_and_its_centre_is_y():
    """The starting canvas holds y in its centre and y's outermost pixels around it."""
    y = random(6, 7)
    A = Blur.of(y, random(5, 3))
    x = A.start(y)
    assert torch.equal(A.centre(x), y)
    assert torch.equal(
        x[: A.needed[0], : A.needed[1]], torch.from_numpy(np.pad(y, ((2,), (1,)), "edge"))
    )


def test_embedding_is_undone_by_looking():
    """M M^T y = y."""
    y = random(6, 7)
    A = Blur.of(y, random(5, 3))
    assert torch.equal(A.embed(y)[A.seen], y)


@pytest.mark.parametrize("name", ["image", "kernel"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3, 4, 5), r"must be a 2-D floating-point tensor, got shape \(3, 4, 5\)"),
        (
            torch.ones(9, 9, dtype=torch.uint8),
            "must be a 2-D floating-point .*, torch.uint8",
        ),
        (torch.full((9, 9), float("nan")), "has NaN or infinite pixels"),
    ],
)
def test_unusable_arrays_are_named(name, bad, message):
    """The error says which of image and kernel is wrong, and how."""
    arrays = {"image": torch.ones(9, 9), "kernel": torch.ones(3, 3)} | {name: bad}
    with pytest.raises(ImageError, match=f"the {name} {message}"):
        Blur.of(arrays["image"], arrays["kernel"])


def test_an_empty_kernel_is_refused():
    """A kernel whose sum is not positive is an error."""
    with pytest.raises(ImageError, match="positive sum, got 0"):
        Blur.of(torch.ones(9, 9), torch.zeros(3, 3))


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
