import numpy as np
import pytest
from scipy.signal import convolve2d

from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.samples import blurred_microscopy_field, motion_blurred_photograph

SAMPLES = [motion_blurred_photograph, blurred_microscopy_field]


@pytest.mark.parametrize("make", SAMPLES)
def test_a_sample_is_the_same_every_time(make):
    """Two calls give equal images, and the global random state is neither used nor moved."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = make(64), make(64)
    np.testing.assert_array_equal(first.blurred, second.blurred)
    np.testing.assert_array_equal(first.sharp, second.sharp)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("make", SAMPLES)
def test_the_kernel_is_a_centred_psf(make):
    """The kernel is odd, non-negative, sums to one and has its centroid at its centre."""
    kernel = make(64).kernel.astype(float)
    assert all(side % 2 for side in kernel.shape)
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    for places, side in zip(np.indices(kernel.shape), kernel.shape, strict=True):
        assert np.sum(places * kernel) == pytest.approx((side - 1) / 2, abs=1e-4)


def photograph_noise(expected):
    """Gaussian of one grey level, rounded once (the rounding of sharp averages out)."""
    return np.full(expected.shape, np.sqrt(1 + 1 / 12))


def field_noise(expected):
    """Photon noise at 4 counts a photon over an offset of 100, and 2 photons of read noise."""
    return 4 * np.sqrt((expected - 100) / 4 + 2**2)


@pytest.mark.parametrize(
    ("make", "noise"), [(SAMPLES[0], photograph_noise), (SAMPLES[1], field_noise)]
)
def test_the_blurred_image_is_the_sharp_one_convolved(make, noise):
    """Away from the border, blurred - kernel * sharp is the stated noise and nothing else."""
    sample = make(96)
    expected = convolve2d(sample.sharp.astype(float), sample.kernel, mode="valid")
    margin = sample.kernel.shape[0] // 2
    residual = sample.blurred[margin:-margin, margin:-margin] - expected
    normalised = residual / noise(expected)
    assert normalised.mean() == pytest.approx(0, abs=0.05)
    assert normalised.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("make", SAMPLES)
def test_sharp_and_blurred_share_field_type_and_units(make):
    """Both images have one shape, dtype and mean level, so that PSNR can be computed."""
    sample = make(128)
    assert sample.sharp.shape == sample.blurred.shape == (128, 128)
    assert sample.sharp.dtype == sample.blurred.dtype
    assert sample.sharp.mean() == pytest.approx(sample.blurred.mean(), rel=0.05)
    low, high = Frame.of(sample.blurred, sample.kernel.shape).value_range
    unit = [(image - low) / (high - low) for image in (sample.blurred, sample.sharp)]
    assert 15 < psnr_up_to_shift(*unit) < 30


def test_dtypes_scales_and_units():
    """The photograph is 8-bit in pixels, the microscopy field 16-bit in micrometers."""
    photograph, field = motion_blurred_photograph(64), blurred_microscopy_field(64)
    assert photograph.blurred.dtype == np.uint8
    assert (photograph.scale, photograph.unit) == ((1.0, 1.0), "pixel")
    assert field.blurred.dtype == np.uint16
    assert (field.scale, field.unit) == ((0.1, 0.1), "micrometer")
    assert photograph.name != field.name


def test_the_photograph_needs_no_network(monkeypatch):
    """The photograph is read from scikit-image's own files: no socket is opened."""

    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert motion_blurred_photograph(64).blurred.shape == (64, 64)


@pytest.mark.parametrize(("make", "largest"), [(SAMPLES[0], 496), (SAMPLES[1], 1024)])
@pytest.mark.parametrize("size", [63, 4096, 64.0, True])
def test_sizes_out_of_range_are_refused(make, largest, size):
    """A size that cannot be made is refused with the range and a good value."""
    with pytest.raises(ConfigError, match=f"from 64 to {largest}, got {size}; try 256"):
        make(size)


def test_the_largest_photograph_is_not_enlarged():
    """At its largest size the scene is the photograph itself, pixel for pixel."""
    from skimage import data

    np.testing.assert_array_equal(motion_blurred_photograph(496).sharp, data.camera()[8:-8, 8:-8])


def test_a_large_field_is_as_full_as_a_small_one():
    """Structures grow in number with the area, so the mean level does not depend on the size."""
    small, large = blurred_microscopy_field(256), blurred_microscopy_field(512)
    assert large.blurred.mean() == pytest.approx(small.blurred.mean(), rel=0.3)
    assert large.scale == small.scale
