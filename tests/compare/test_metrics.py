import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_selfdeblur.compare.metrics import (
    Score,
    align,
    error_ratios,
    kernel_similarity,
    psnr,
    psnr_up_to_shift,
    score,
    ssim,
)
from napari_selfdeblur.errors import ImageError


def smooth(shape=(40, 44), seed=0):
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return (values - values.min()) / np.ptp(values)


def exhaustive(candidate, truth, crop, max_shift, step):
    """Return the first best shift and its crop, by interpolating at every shift of the grid."""
    target = truth[crop:-crop, crop:-crop]
    margin = [(a - b) // 2 for a, b in zip(candidate.shape, truth.shape, strict=True)]
    rows, columns = np.indices(target.shape, dtype=float)
    shifts = np.arange(-max_shift, max_shift + step / 2, step)
    best = (math.inf, None, None)
    for dy in shifts:
        for dx in shifts:
            places = [rows + crop + margin[0] + dy, columns + crop + margin[1] + dx]
            moved = map_coordinates(candidate, places, order=1)
            ssd = np.sum((moved - target) ** 2)
            if ssd < best[0]:
                best = (ssd, (dy, dx), moved)
    return best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("extra", [(0, 0), (4, 2)])
def test_align_equals_the_exhaustive_search(seed, extra):
    """The fast search finds the shift, the crop and the error of the brute-force one."""
    rng = np.random.default_rng(seed)
    field = smooth((60, 60), seed)
    truth = field[10:40, 12:40]
    top, left = rng.integers(7, 14, 2)
    candidate = field[top : top + 30 + extra[0], left : left + 28 + extra[1]]
    candidate = np.clip(candidate + rng.normal(0, 0.05, candidate.shape), 0, 1)
    ssd, shift, moved = exhaustive(candidate, truth, 4, 3, 0.25)
    aligned = align(candidate, truth, crop=4, max_shift=3)
    assert aligned.shift == shift
    np.testing.assert_allclose(aligned.candidate_crop, moved, atol=1e-12)
    np.testing.assert_array_equal(aligned.truth_crop, truth[4:-4, 4:-4])
    found = np.sum((aligned.candidate_crop - aligned.truth_crop) ** 2)
    assert found == pytest.approx(ssd, rel=1e-9)


def test_align_reaches_the_ends_of_its_range():
    """The greatest shifts are tried, in whole and fractional steps."""
    field = smooth((50, 50))
    truth = field[10:40, 10:40]
    aligned = align(field[7:37, 13:43], truth, crop=3, max_shift=3)
    assert aligned.shift == (3, -3)
    assert align(field[7:37, 13:43], truth, crop=3, max_shift=2.75).shift == (
        2.75,
        -2.75,
    )


def test_a_shifted_copy_is_found_and_perfect():
    """A whole-pixel shift of the truth is undone exactly, and its sign is the content's motion."""
    field = smooth((60, 60))
    aligned = align(field[8:48, 13:53], field[10:50, 10:50], crop=6, max_shift=5)
    assert aligned.shift == (2, -3)
    np.testing.assert_array_equal(aligned.candidate_crop, aligned.truth_crop)
    assert psnr_up_to_shift(field[8:48, 13:53], field[10:50, 10:50], crop=6, max_shift=5) == (
        math.inf
    )


def test_a_sub_pixel_shift_is_found():
    """A bilinear shift by quarters of a pixel of a band-limited image is found."""
    field = gaussian_filter(smooth((60, 60)), 3)
    rows, columns = np.indices(field.shape, dtype=float)
    moved = map_coordinates(field, [rows - 1.25, columns + 0.5], order=3, mode="nearest")
    assert align(moved, field, crop=8, max_shift=3).shift == (1.25, -0.5)


def test_a_black_result_is_aligned_too():
    """A flat candidate fits equally badly everywhere and takes the first shift of the grid."""
    truth = smooth((24, 24))
    aligned = align(np.zeros_like(truth), truth, crop=4, max_shift=2)
    assert aligned.shift == (-2, -2)
    assert not aligned.candidate_crop.any()


@pytest.mark.parametrize(
    ("candidate", "truth", "options", "message"),
    [
        ((30, 30), (30, 30), {"crop": 5}, "shift of 10.0 pixels .*choose max_shift at most 5"),
        ((34, 36), (30, 30), {"crop": 5}, "choose max_shift at most 7"),
        ((30, 30), (30, 30), {}, "nothing of the truth .* margin of 15; choose smaller crop"),
        ((30, 30), (32, 30), {}, r"must have the shape of the truth \(32, 30\).*crop or pad it"),
        ((31, 30), (30, 30), {}, "extend it equally on both sides"),
        ((30, 30, 3), (30, 30), {}, r"candidate must be 2-D, got shape \(30, 30, 3\); pass its l"),
    ],
)
def test_align_refuses_what_does_not_fit(candidate, truth, options, message):
    """Shapes and margins that leave nothing to compare are named, with smaller values to pass."""
    with pytest.raises(ImageError, match=message):
        align(np.zeros(candidate), np.zeros(truth), **options)


def test_align_refuses_nan():
    """NaN would win or lose every comparison, so it is refused."""
    with pytest.raises(ImageError, match="candidate holds NaN or infinity; replace"):
        align(np.full((40, 40), np.nan), np.zeros((40, 40)))


def test_psnr_of_a_known_difference():
    """A difference of 0.1 everywhere is 20 dB at peak 1, and no difference is infinite."""
    truth = smooth()
    assert psnr(truth + 0.1, truth) == pytest.approx(20)
    assert psnr(truth, truth) == math.inf


def test_psnr_is_ten_logs_of_the_mean_square():
    """PSNR is -10 log10 of the mean squared difference, to rounding."""
    a, b = smooth(seed=1), smooth(seed=2)
    assert psnr(a, b) == pytest.approx(-10 * math.log10(np.mean((a - b) ** 2)), abs=1e-12)


def test_ssim_of_flat_images_is_their_luminance_term():
    """Without structure SSIM is (2ab + C1) / (a^2 + b^2 + C1), with C1 = 0.01^2."""
    a, b = np.full((20, 20), 0.25), np.full((20, 20), 0.5)
    assert ssim(a, b) == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), abs=1e-12)
    assert ssim(smooth(), smooth()) == pytest.approx(1)


def test_ssim_of_one_bright_pixel():
    """A pixel h in one window of 11 x 11 has mean w h and variance w h^2 - (w h)^2.

    w is the central weight of the Gaussian of sigma 1.5, MATLAB's fspecial('gaussian', 11, 1.5).
    """
    height, weight = 0.5, 0.0707622377639470
    image = np.zeros((11, 11))
    image[5, 5] = height
    mean = weight * height
    variance = weight * height**2 - mean**2
    expected = 1e-4 / (mean**2 + 1e-4) * 9e-4 / (variance + 9e-4)
    assert ssim(np.zeros((11, 11)), image) == pytest.approx(expected, abs=1e-12)


def test_measures_refuse_other_shapes():
    """Images that are not of one field are refused by both measures."""
    with pytest.raises(ImageError, match="differ in shape; crop them to the same field"):
        psnr(np.zeros((9, 9)), np.zeros((9, 8)))
    with pytest.raises(ImageError, match=r"at least 11 x 11 pixels.*smaller margin"):
        ssim(np.zeros((9, 9)), np.zeros((9, 9)))


def test_score_holds_every_measure_of_the_aligned_crop():
    """A score's values are those of the single functions at the best shift."""
    field = smooth((60, 60))
    truth = field[8:52, 8:52]
    candidate = field[9:53, 6:50] + np.random.default_rng(0).normal(0, 0.02, (44, 44))
    result = score(candidate, truth, crop=8, max_shift=4)
    aligned = align(candidate, truth, crop=8, max_shift=4)
    error = aligned.candidate_crop - aligned.truth_crop
    assert result.shift == aligned.shift == (-1, 2)
    assert result.psnr == psnr_up_to_shift(candidate, truth, crop=8, max_shift=4)
    assert result.ssim == ssim(aligned.candidate_crop, aligned.truth_crop)
    assert result.ssd == pytest.approx(np.sum(error**2))
    assert result.spectral_error == pytest.approx(np.linalg.svd(error, compute_uv=False)[0])


def test_error_ratios_of_a_doubled_error():
    """An error twice as large has ratio 4 in sums of squares and 2 in spectral norm."""
    truth = np.full((30, 30), 0.5)
    error = np.random.default_rng(0).normal(0, 0.01, truth.shape)
    once, twice = (score(truth + n * error, truth, crop=5, max_shift=0) for n in (1, 2))
    ratios = error_ratios(twice, once)
    assert ratios["sum_of_squares"] == pytest.approx(4)
    assert ratios["spectral"] == pytest.approx(2)


def test_error_ratios_need_an_error_to_divide_by():
    """A perfect known-kernel restoration gives no ratio."""
    perfect = Score(psnr=math.inf, ssim=1.0, ssd=0.0, spectral_error=0.0, shift=(0.0, 0.0))
    with pytest.raises(ImageError, match="no error to divide by; restore the blurred image"):
        error_ratios(perfect, perfect)


def test_kernel_similarity_ignores_shift_scale_and_padding():
    """A kernel shifted in a larger support and scaled is the same kernel."""
    kernel = np.random.default_rng(0).random((5, 7))
    larger = np.zeros((11, 13))
    larger[1:6, 5:12] = 3 * kernel
    assert kernel_similarity(kernel, larger) == pytest.approx(1)
    assert kernel_similarity(larger, kernel) == pytest.approx(1)


def test_kernel_similarity_of_point_and_box():
    """A point has similarity 1/n with an n x n box: its value over the box's norm."""
    assert kernel_similarity(np.ones((1, 1)), np.ones((4, 4))) == pytest.approx(1 / 4)


def test_kernel_similarity_tries_the_rotation_only_when_asked():
    """A kernel and its 180-degree rotation are the same only with rotation=True."""
    kernel = np.zeros((5, 5))
    kernel[0], kernel[:, 0] = 1, 2
    kernel[4, 4] = 3
    rotated = kernel[::-1, ::-1]
    assert kernel_similarity(kernel, rotated) < 0.95
    assert kernel_similarity(kernel, rotated, rotation=True) == pytest.approx(1)
    assert kernel_similarity(kernel, kernel, rotation=True) == pytest.approx(1)


def test_kernel_similarity_refuses_a_zero_kernel():
    """A kernel of zeros has no direction to compare."""
    with pytest.raises(ImageError, match="zero everywhere; pass one with a positive sum"):
        kernel_similarity(np.zeros((3, 3)), np.ones((3, 3)))
