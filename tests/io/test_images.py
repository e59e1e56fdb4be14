import json
import warnings

import dask.array as da
import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.images import cast_like, describe

KERNEL = (5, 5)
DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    ">u2",
    "uint32",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
]


def noise(shape=(12, 15), low=0.0, high=1.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape)


@pytest.mark.parametrize("shape", [(12, 15), (12, 15, 3), (12, 15, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_putting_y_back_returns_the_image(dtype, shape):
    """restore_range undoes prepare for every dtype, grey, RGB and RGBA."""
    image = noise(shape, 3, 120).astype(dtype)
    prepared = Frame.of(image, KERNEL)
    restored = prepared.restore_range(prepared.y)
    assert restored.dtype == np.float32
    assert restored.shape == shape
    np.testing.assert_allclose(restored, image.astype(float), atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_y_is_float32_contiguous_and_in_the_unit_interval(dtype):
    """Y is a C-contiguous float32 plane in [0, 1] whatever the layout of the image."""
    image = np.asfortranarray(noise(high=100).astype(dtype))
    y = Frame.of(image, KERNEL).y
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert y.min() >= 0
    assert y.max() <= 1


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[40, 128]], np.uint8), (0, 255)),
        (np.array([[0.2, 0.8]]), (0, 1)),
        (np.array([[0, 100]], np.uint8), (0, 125)),
        (np.array([[0.5, 0.6]]), (0.5, 0.625)),
        (np.array([[0, 0.0625]]), (0, 0.078125)),
        (np.array([[100, 300]], np.uint16), (100, 350)),
        (np.array([[0, 65535]], np.uint16), (0, 81918.75)),
        (np.array([[-100, 100]], np.int16), (-100, 150)),
        (np.array([[-1.0, 1.0]]), (-1, 1.5)),
        (np.array([[0, 300, 300]], np.uint16), (-75, 375)),
    ],
)
def test_value_range(image, expected):
    """The type's full scale where the image is on it, else its own values with headroom."""
    assert Frame.of(image, (1, 1)).value_range == pytest.approx(expected)


def test_the_map_to_the_unit_interval_is_affine():
    """Y is (image - low) / (high - low), so it commutes with a kernel that sums to one."""
    image = noise(low=-3, high=9)
    prepared = Frame.of(image, KERNEL)
    low, high = prepared.value_range
    np.testing.assert_allclose(prepared.y, (image - low) / (high - low), atol=1e-6)


def test_an_extreme_float_range_does_not_overflow():
    """Values of both signs near the largest accepted magnitude map to finite numbers and back."""
    image = np.where(noise((8, 8, 3)) > 0.5, 9e37, -9e37)
    prepared = Frame.of(image, KERNEL)
    restored = prepared.restore_range(prepared.y)
    np.testing.assert_allclose(restored, image, rtol=1e-5)


def test_colour_is_optimised_as_bt601_luma():
    """Y of an RGB image is the luma of scikit-image's YCbCr, stretched to the full range."""
    image = noise((9, 9, 3))
    studio = rgb2ycbcr(image)[..., 0]
    np.testing.assert_allclose(Frame.of(image, KERNEL).y, (studio - 16) / 219, atol=1e-4)


def test_a_new_luma_keeps_the_blurred_chroma():
    """Putting another luma back changes Y alone: Cb and Cr stay those of the image."""
    image = noise((9, 9, 3), 0.3, 0.6)
    prepared = Frame.of(image, KERNEL)
    luma = np.clip(prepared.y + noise((9, 9), -0.1, 0.1, seed=1), 0, 1)
    before, after = rgb2ycbcr(image), rgb2ycbcr(prepared.restore_range(luma))
    np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=1e-3)
    np.testing.assert_allclose((after[..., 0] - 16) / 219, luma, atol=1e-4)


def test_alpha_is_kept_and_not_part_of_the_range():
    """The alpha channel comes back as it was and does not widen the value range."""
    image = noise((9, 9, 4), 100, 200).astype(np.uint16)
    image[..., 3] = 65535
    prepared = Frame.of(image, KERNEL)
    assert prepared.value_range[1] < 300
    np.testing.assert_array_equal(prepared.restore_range(prepared.y * 0.5)[..., 3], 65535)


@pytest.mark.parametrize(
    ("image", "low", "high"),
    [
        (noise((8, 8, 3), 0, 255).astype(np.uint8), 0, 255),
        (noise((8, 8, 3)), 0, 1),
        (np.array([[0, 0, 60000]], np.uint16), 0, 65535),
        (np.array([[-100, -100, 100]], np.int8), -100, 127),
        (np.array([[0, 10, 10]], np.uint16), -2.5, 65535),
    ],
)
def test_the_result_is_clipped(image, low, high):
    """An overshooting x gives values of the full scale, or from low up to the type's maximum."""
    prepared = Frame.of(image, (1, 1))
    restored = prepared.restore_range(np.where(prepared.y > 0.5, 9.0, -9.0) * 1e4)
    assert restored.min() == low
    assert restored.max() == high


def test_a_float_image_is_not_clipped_above():
    """A restored point source of a float image may exceed the headroom given to the network."""
    prepared = Frame.of(noise(high=50), KERNEL)
    low, high = prepared.value_range
    restored = prepared.restore_range(np.where(prepared.y > 0.5, 3.0, -3.0))
    assert restored.min() == pytest.approx(low)
    assert restored.max() == pytest.approx(low + 3 * (high - low))


def test_the_input_is_never_modified_nor_shared():
    """Read-only input is accepted, left as it was, and y has memory of its own."""
    image = noise().astype(np.float32)
    before = image.copy()
    image.flags.writeable = False
    prepared = Frame.of(image, KERNEL)
    prepared.y[:] = 0
    np.testing.assert_array_equal(image, before)


def test_dask_and_lists_are_read():
    """Anything numpy can read gives the same plane as the array itself."""
    image = noise()
    expected = Frame.of(image, KERNEL).y
    np.testing.assert_array_equal(Frame.of(da.from_array(image, chunks=5), KERNEL).y, expected)
    np.testing.assert_array_equal(Frame.of(image.tolist(), KERNEL).y, expected)


def test_three_or_four_columns_are_grey_when_two_dimensional():
    """A narrow 2-D image is grey: colour needs a third axis."""
    assert not Frame.of(noise((9, 3)), (3, 3)).colour


def test_put_back_refuses_another_size():
    """restore_range names both sizes when x is not of y's shape."""
    with pytest.raises(
        ImageError, match=r"put back has shape \(3, 4\), its source \(12, 15\).*crop it"
    ):
        Frame.of(noise(), KERNEL).restore_range(np.zeros((3, 4)))


SPOILT = noise()
SPOILT[0, :3] = np.nan
SPOILT[1, 1] = -np.inf


@pytest.mark.parametrize(
    ("image", "rgb", "message"),
    [
        (noise() > 0.5, None, "type bool does not hold grey values.*mask.*pass the grey image"),
        (noise() + 1j, None, r"type complex128 does not hold.*np\.abs"),
        (noise().astype(object), None, r"type object does not hold.*astype\('float32'\)"),
        (np.array([["a"]]), None, "type <U1 does not hold.*convert it"),
        ([noise((9, 9)), noise((5, 5))], None, r"list is not one array.*data\[0\] of a multisc"),
        (np.ma.masked_less(noise(), 0.5), None, "pixels of the image are masked; fill them"),
        (np.zeros((0, 9)), None, r"shape \(0, 9\) is empty; choose one that has pixels"),
        (noise((9,)), None, r"needs rows and columns, got shape \(9,\); pass a 2-D array"),
        (np.float32(1), None, r"needs rows and columns, got shape \(\)"),
        (noise((7, 9, 9)), None, r"shape \(7, 9, 9\) is a stack; pick one plane.*image\[0\]$"),
        (noise((2, 7, 9, 9)), None, r"is a stack; pick one plane, for example image\[0, 0\]$"),
        (noise((9, 9, 2)), None, r"is a stack; pick one plane, for example image\[\.\.\., 0\]$"),
        (noise((2, 9, 9, 3)), True, r"is a stack; pick one plane, for example image\[0\]"),
        (noise((9, 9, 3)), False, r"image\[\.\.\., 0\], or rgb=True if its last axis is colour"),
        (noise((9, 9)), True, r"shape \(H, W, 3\) or \(H, W, 4\), got \(9, 9\); pass rgb=False"),
        (noise((4, 9)), None, r"4 x 9 pixels, smaller .* 5 x 5; choose a kernel_size of at most 3"),
        (noise((9, 2)), None, "9 x 2 pixels, smaller .* 5 x 5; choose a larger image"),
        (SPOILT, None, "3 values of the image are NaN and 1 infinite, of 180; replace them"),
        (noise() * 1e300, None, "values reach 9.9.*e[+]299.*divide the image by its maximum"),
        (np.full((9, 9), 7, np.uint16), None, "constant: its values span 7 to 7.*choose a region"),
        (np.full((9, 9, 3), 0.3), None, "image is constant.*choose a region with structure"),
        (noise() + 1e9, None, "image is constant.*subtract its offset"),
        (noise() * 1e-30, None, "values span 9.9.*e-31.*divide the image by its maximum"),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(image, rgb, message):
    """Every image that cannot be deblurred is refused with its fault and a remedy."""
    with pytest.raises(ImageError, match=message):
        Frame.of(image, KERNEL, rgb=rgb)


def test_describe_is_json_ready_and_independent_of_layout():
    """The fingerprint depends on values and dtype, not on memory or byte order."""
    image = noise((6, 7), 0, 999).astype(np.uint16)
    fact = describe(image)
    assert json.loads(json.dumps(fact)) == fact
    assert fact["shape"] == [6, 7]
    assert (fact["dtype"], fact["min"], fact["max"]) == ("uint16", image.min(), image.max())
    assert describe(np.asfortranarray(image)) == fact
    assert describe(image.astype(">u2")) == fact
    assert describe(image + 1)["sha256"] != fact["sha256"]


def test_describe_has_no_extremes_of_what_is_not_finite():
    """NaN and infinity, which JSON lacks, become None."""
    image = np.array([[np.nan, np.inf]])
    assert (describe(image)["min"], describe(image)["max"]) == (None, None)
    assert describe(np.array([[0.5, np.inf]]))["min"] == 0.5
    assert describe(np.zeros((0, 2)))["max"] is None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "uint64"])
def test_cast_to_integers_rounds_and_saturates(dtype):
    """Values are rounded to the nearest integer and stay inside the type."""
    info = np.iinfo(dtype)
    cast = cast_like(np.array([-1e30, 1.4, 1.6, 1e30, np.inf]), dtype)
    assert cast.dtype == dtype
    np.testing.assert_array_equal(cast[:3], [info.min, 1, 2])
    assert cast[3] == cast[4]
    assert int(cast[3]) == pytest.approx(info.max, rel=1e-15)


def test_cast_to_floats_is_a_cast():
    """Floats are cast; a narrower type saturates instead of overflowing to infinity."""
    image = noise()
    np.testing.assert_array_equal(cast_like(image, "float32"), image.astype(np.float32))
    with warnings.catch_warnings(action="error"):
        cast = cast_like(np.array([1e9, -1e9, 0.5]), "float16")
    np.testing.assert_array_equal(cast, [65504, -65504, 0.5])


def test_cast_returns_memory_of_its_own():
    """The result never shares memory with the argument, even of the same dtype."""
    image = noise()
    assert not np.shares_memory(cast_like(image, image.dtype), image)


def test_cast_refuses_what_it_cannot_store():
    """NaN as an integer and boolean images are refused with a remedy."""
    with pytest.raises(ImageError, match=r"NaN cannot be stored as uint8; store.*float32"):
        cast_like(np.array([np.nan]), np.uint8)
    with pytest.raises(ImageError, match="cannot be stored as bool; choose an integer type"):
        cast_like(np.array([1.0]), bool)
