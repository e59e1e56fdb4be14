import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics.blur import Blur, blur_valid, sharp_size
from napari_selfdeblur.numerics.centring import centre, centring_shift
from napari_selfdeblur.numerics.nonblind.operators import differences


def scene(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def kernel_of(shape: tuple[int, int]) -> np.ndarray:
    k = np.random.default_rng(1).random(shape)
    return k / k.sum()


@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 5), (9, 9), (17, 11), (31, 31)])
def test_blur_is_scipys_valid_convolution(kernel_size):
    """The kernel is the PSF: k * x equals scipy's true convolution, direct and by FFT."""
    x, k = scene(50, 47), kernel_of(kernel_size)
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, convolve2d(x, k, mode="valid"), atol=1e-12)


@pytest.mark.parametrize("kernel_size", [(5, 7), (15, 13)])
def test_point_source_blurs_into_the_kernel(kernel_size):
    """A point source blurs into k itself, not into k rotated by 180 degrees."""
    kh, kw = kernel_size
    k = kernel_of(kernel_size)
    x = np.zeros((2 * kh - 1, 2 * kw - 1))
    x[kh - 1, kw - 1] = 1
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, k, atol=1e-15)


def test_delta_kernel_returns_the_central_crop():
    """Convolution with a central delta leaves x where y is observed."""
    x, k = scene(20, 22), np.zeros((5, 7))
    k[2, 3] = 1
    ours = blur_valid(torch.from_numpy(x), torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, x[2:-2, 3:-3], atol=1e-15)


@pytest.mark.parametrize("kernel_size", [(3, 3), (13, 15)])
def test_gradients_agree_with_finite_differences(kernel_size):
    """Both convolutions are differentiable in x and in k, and the gradients are right."""
    x = torch.rand(18, 19, dtype=torch.float64, requires_grad=True)
    k = torch.rand(kernel_size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blur_valid, (x, k), nondet_tol=1e-10)


def test_leading_dimensions_are_kept():
    """Images of any leading shape are blurred one by one."""
    x, k = torch.rand(2, 3, 20, 21), torch.rand(5, 5)
    together = blur_valid(x, k)
    assert together.shape == (2, 3, 16, 17)
    torch.testing.assert_close(together[1, 2], blur_valid(x[1, 2], k))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(3, 3), (5, 9), (11, 7)]))
def test_centring_keeps_what_the_pair_explains(seed, kernel_size):
    """Image and kernel move against each other, so that k * x stays the same inside."""
    draw = np.random.default_rng(seed)
    kh, kw = kernel_size
    k = np.zeros(kernel_size)
    k[tuple(draw.integers(0, n) for n in kernel_size)] = 0.75
    k[tuple(draw.integers(0, n) for n in kernel_size)] += 0.25
    x = draw.random(sharp_size((30, 33), kernel_size))
    sharp, kernel = centre(x, k)
    assert sharp.shape == (30, 33)
    assert kernel.sum() == pytest.approx(1)
    y = convolve2d(x, k, mode="valid")
    inner = convolve2d(sharp, kernel, mode="valid")
    np.testing.assert_allclose(inner, y[kh // 2 : -(kh // 2), kw // 2 : -(kw // 2)], atol=1e-12)


def test_centring_puts_the_centroid_at_the_centre():
    """After centring, the centroid is within half a pixel of the central pixel."""
    k = np.zeros((11, 9))
    k[1:4, 5:8] = scene(3, 3)
    _, kernel = centre(scene(30, 30), k / k.sum())
    assert centring_shift(kernel) == (0, 0)
    rows, columns = np.indices(kernel.shape)
    assert abs((rows * kernel).sum() - 5) <= 0.5
    assert abs((columns * kernel).sum() - 4) <= 0.5


def test_centring_never_pushes_a_kernel_off_its_support():
    """A lopsided kernel that fills its support stays as it is."""
    k = np.zeros((9, 9))
    k[0, 0], k[8, 8] = 0.9, 0.1
    assert centring_shift(k) == (0, 0)


SHAPES = pytest.mark.parametrize(
    ("shape", "kernel_shape"), [((20, 31), (5, 9)), ((9, 8), (15, 11)), ((11, 11), (1, 1))]
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


@SHAPES
def test_adjoint(shape, kernel_shape):
    """<A x, y> = <x, A^T y>, also where the kernel is larger than the image."""
    A = Blur.of(random(*shape), random(*kernel_shape, seed=1))
    x, y = random(*A.padded, seed=2), random(*shape, seed=3)
    left, right = (A.forward(x) * y).sum(), (x * A.blur_adjoint(A.embed(y))).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)


def test_inside_are_the_differences_across_no_edge():
    """`inside` marks just the differences between two pixels that y depends on."""
    A = Blur.of(random(20, 25), random(7, 5))
    x = torch.full(A.padded, float("nan"))
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


def test_what_lies_outside_is_not_observed():
    """y does not depend on the padded domain beyond the part that the valid convolution needs."""
    A = Blur.of(random(20, 25), random(7, 5, seed=1))
    x = random(*A.padded, seed=2)
    beyond = x.clone()
    beyond[A.needed[0] :] += 5
    beyond[:, A.needed[1] :] -= 3
    assert A.padded > A.needed
    np.testing.assert_allclose(A.forward(beyond), A.forward(x), atol=1e-12)


def test_the_start_repeats_the_border_and_its_centre_is_y():
    """The start holds y in its centre and y's outermost pixels around it."""
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
    assert torch.equal(A.embed(y)[A.observed], y)


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
