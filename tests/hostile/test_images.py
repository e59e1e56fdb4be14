"""Images and kernels of any type, shape, layout and scale: a right result, or our own error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError, DeblurError, ImageError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.io.repaired import Defects

LINE = np.ones((1, 3))
DTYPES = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.boolean_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)

FORMS: dict[str, Callable[[NDArray[np.uint16]], Any]] = {
    "big-endian": lambda a: a.astype(">u2"),
    "column by column": np.asfortranarray,
    "every other of a larger array": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "int32": lambda a: a.astype(np.int32),
    "uint64": lambda a: a.astype(np.uint64),
    "float32": lambda a: a.astype(np.float32),
    "float64": lambda a: a.astype(np.float64),
    "tensor": lambda a: torch.from_numpy(a.astype(np.float32)).requires_grad_(),
    "list": lambda a: a.tolist(),
    "of 65535": lambda a: a / 65535,
    "1e-4": lambda a: a * 1e-4,
    "1e-12": lambda a: a * 1e-12,
    "1e20": lambda a: a * 1e20,
    "offset": lambda a: a + 1000,
    "negative": lambda a: a.astype(float) - 5000,
    "of 65535, float32": lambda a: (a / 65535).astype(np.float32),
}


def _in_range(image: Any, like: Any) -> NDArray[np.float64]:
    low, high = np.min(np.asarray(like)), np.max(np.asarray(like))
    return (np.asarray(image, float) - float(low)) / (float(high) - float(low))


@pytest.fixture(scope="module")
def functions(cheap: sd.SelfDeblurConfig) -> dict[str, Callable[[Any], Any]]:
    draft = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=3, device="cpu")
    return {
        "deblur": lambda image: sd.deblur(image, config=cheap).sharp,
        "draft": lambda image: sd.deblur(image, config=draft).sharp,
        "restore": lambda image: sd.restore(image, LINE, device="cpu"),
        "noise": sd.estimate_noise,
        "wavelet": lambda image: sd.estimate_noise(image, "wavelet"),
    }


@pytest.mark.parametrize("function", ["deblur", "restore", "noise", "wavelet"])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_data_give_the_same_result(
    form: str, function: str, field: NDArray[np.uint16], functions: dict[str, Any]
) -> None:
    """Neither type, layout, scale nor offset of the same data matters, to 1e-3 of its range."""
    same = FORMS[form](field)
    plain = same.detach().numpy() if isinstance(same, torch.Tensor) else np.asarray(same)
    expected, found = functions[function](field), functions[function](same)
    if function in ("noise", "wavelet"):
        expected, found = expected / np.ptp(field), found / np.ptp(plain)
    else:
        expected, found = _in_range(expected, field), _in_range(found, plain)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("form", ["of 65535"])
def test_the_same_data_give_the_same_edge_based_estimate(
    form: str, field: NDArray[np.uint16], functions: dict[str, Any]
) -> None:
    """So it is through the whole chain of edge-based estimates, fusion and restoration."""
    same = FORMS[form](field)
    expected, found = functions["draft"](field), functions["draft"](same)
    np.testing.assert_allclose(_in_range(found, same), _in_range(expected, field), atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("scale", "offset"), [(1 / 65535, 0), (1e-4, 0), (0.01, 1), (3e-9, -1e-6)])
def test_counts_are_the_same_bits_in_every_float(
    scale: float, offset: float, dtype: type, field: NDArray[np.uint16]
) -> None:
    """Rounding of scaled counts is undone: hundreds of steps of a network would magnify it."""
    scaled = (field * scale + offset).astype(dtype)
    np.testing.assert_array_equal(Frame.of(scaled, (3, 3)).y, Frame.of(field, (3, 3)).y)


def test_values_of_no_equal_steps_are_kept() -> None:
    """An image that no camera counted is computed on as it is, to float32's digits."""
    image = np.random.default_rng(0).random((300, 300)) * 7
    prepared = Frame.of(image, (3, 3))
    low, high = prepared.value_range
    np.testing.assert_allclose(prepared.y, (image - low) / (high - low), atol=6e-8)


@given(
    image=hnp.arrays(np.uint16, (6, 7), elements=st.integers(0, 4095)),
    scale=st.floats(1e-12, 1e12),
    offset=st.floats(-10, 10),
)
def test_any_scale_and_offset_give_the_same_plane(
    image: NDArray[np.uint16], scale: float, offset: float
) -> None:
    """What is deblurred depends on the values' order and proportions alone."""
    if np.ptp(Defects.of(image, colour=False).repaired(image)) == 0:
        return
    there = (image / np.ptp(image) + offset) * scale
    if scale <= 1.5 * max(1, 1 / (1 + offset)) and there.min() >= 0 and there.max() > 0.4:
        return  # may be on the full scale of floats, from 0 to 1
    np.testing.assert_allclose(Frame.of(there, (1, 1)).y, Frame.of(image, (1, 1)).y, atol=1e-5)


@settings(max_examples=150)
@given(
    image=hnp.arrays(DTYPES, SHAPES),
    rgb=st.sampled_from([None, True, False]),
    turn=st.booleans(),
)
@example(image=np.full((9, 9), 5e-324), rgb=None, turn=False)
@example(image=np.array([[0, 2**64 - 1]], np.uint64), rgb=None, turn=False)
@example(image=np.array([[-(2**63), 2**63 - 1]]), rgb=None, turn=True)
@example(image=np.array([[-1.7e308, 1.7e308]]), rgb=None, turn=False)
@example(image=np.array([[1.0, 1 + 1e-9]]), rgb=None, turn=False)
@example(image=np.array([["a", "b"]]), rgb=None, turn=False)
@example(image=np.array([[None, 3]]), rgb=None, turn=False)
def test_any_array_is_prepared_and_put_back_or_refused(
    image: NDArray[Any], rgb: bool | None, turn: bool
) -> None:
    """Y lies in [0, 1] and gives the image back, less defects; what is no image is refused."""
    image = image.T if turn else image
    try:
        prepared = Frame.of(image, (1, 1), rgb=rgb)
    except ImageError:
        return
    assert prepared.y.dtype == np.float32
    assert 0 <= prepared.y.min() <= prepared.y.max() <= 1
    restored = prepared.restore_range(prepared.y)
    assert restored.shape == image.shape
    whole = Defects.of(image, colour=prepared.colour).repaired(image)
    planes = whole[..., :3] if prepared.colour else whole
    # Values are returned in float32: to its digits of the largest of them.
    size = max(abs(float(planes.min())), abs(float(planes.max())), np.ptp(prepared.value_range))
    np.testing.assert_allclose(
        restored[..., : planes.shape[-1]], planes.astype(float), atol=1e-6 * size
    )


def refusable(image: NDArray[Any], size: int | tuple[int, int] | str) -> bool:
    """Whether an image is constant, or has fewer pixels than the kernel asks for."""
    if image.min() == image.max():
        return True
    if isinstance(size, str):
        return min(image.shape) < 8
    return bool((np.array(image.shape) <= size).any())


@settings(max_examples=25)
@given(
    image=st.one_of(
        hnp.arrays(
            st.sampled_from([np.uint8, np.float64, np.int16]),
            hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
            elements=st.integers(0, 255),
            fill=st.nothing(),
        ),
        st.builds(
            lambda seed, rows, columns: np.random.default_rng(seed).random((rows, columns)),
            st.integers(0, 9),
            st.integers(1, 24),
            st.integers(1, 24),
        ),
    ),
    size=st.sampled_from(["auto", 3, 5, (3, 9), 21]),
)
@example(image=np.arange(25.0).reshape(5, 5), size="auto")
@example(image=np.eye(4), size="auto")
@example(image=np.eye(16), size=3)
@example(image=np.random.default_rng(0).random((9, 9)), size="auto")
def test_a_whole_edge_based_run_of_any_small_image(
    image: NDArray[Any], size: int | tuple[int, int] | str
) -> None:
    """All its stages end in a finite result; only what cannot be deblurred is refused."""
    try:
        result = sd.deblur(image, size, "draft", device="cpu", rgb=False)
    except DeblurError:
        assert refusable(image, size)
        return
    assert not refusable(image, size)
    assert result.sharp.shape == image.shape
    assert np.isfinite(result.sharp).all()
    np.testing.assert_allclose(result.kernel.sum(), 1, atol=1e-5)
    assert 0 <= result.record.verdict["score"] <= 1


@settings(max_examples=40)
@given(
    image=hnp.arrays(np.float32, (8, 9), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    kernel=hnp.arrays(
        st.sampled_from([np.float64, np.int8, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5),
    ),
    method=st.sampled_from(["hyper_laplacian", "sparse", "saturated"]),
)
def test_any_kernel_restores_or_is_refused(
    image: NDArray[np.float32], kernel: NDArray[Any], method: str
) -> None:
    """A restoration is finite and of the image's shape, whatever image and kernel are."""
    try:
        sharp = sd.restore(image, kernel, method, device="cpu")
    except DeblurError:
        return
    assert sharp.shape == image.shape
    assert np.isfinite(sharp).all()


@pytest.mark.parametrize("peak", [1e-300, 1e-30, 1, 1e30, 1e308])
def test_a_kernel_of_any_scale_is_the_same(peak: float) -> None:
    """A kernel is scaled to sum to 1, however small or large its values."""
    k = prepare_kernel(np.array([[1, 2, 1.0]]) * (peak / 2))
    np.testing.assert_allclose(k, [[0.25, 0.5, 0.25]], rtol=1e-6)


HIDDEN = np.ma.masked_array(np.ones((3, 3)), mask=np.eye(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: sd.restore(np.eye(9), HIDDEN, device="cpu"),
        lambda: sd.restore(np.ma.masked_less(np.eye(9), 0.5), np.ones((3, 3)), device="cpu"),
        lambda: sd.estimate_noise(np.ma.masked_less(np.eye(9), 0.5)),
        lambda: sd.deblur(np.ma.masked_less(np.eye(9), 0.5), 3, device="cpu"),
    ],
)
def test_hidden_pixels_are_refused(call: Callable[[], object]) -> None:
    """A mask says that values are not to be used: of an image as of a kernel."""
    with pytest.raises(ImageError, match=r"are masked; fill them, (image|kernel)\.filled"):
        call()


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_seeds_of_any_whole_type(
    seed: Any, field: NDArray[np.uint16], cheap: sd.SelfDeblurConfig
) -> None:
    """A seed drawn by NumPy or torch is the number that it is."""
    expected = sd.deblur(field, config=cheap.replace(seed=3)).sharp
    np.testing.assert_array_equal(sd.deblur(field, config=cheap, seed=seed).sharp, expected)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "x", True, None.__class__, np.float32(1)])
def test_other_seeds_are_refused(seed: Any) -> None:
    """What is no whole number from 0 is refused before anything runs."""
    with pytest.raises(ConfigError, match="seed must be a whole number"):
        sd.SelfDeblurConfig(seed=seed)
