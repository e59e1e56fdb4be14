"""Assessment: the truth is never doubted, each failure is, for its own reason."""

import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage import color, data
from skimage.transform import resize

from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.assess import assess, is_blurred
from napari_selfdeblur.numerics.measures import geary_ratio, normalised_sparsity
from napari_selfdeblur.numerics.spectrum import PowerSpectrum, spectral_fit, window_lags


def gaussian(n: int, s: float) -> np.ndarray:
    q = np.arange(n) - n // 2
    k = np.exp(-(q[:, None] ** 2 + q**2) / 2 / s**2)
    return k / k.sum()


def disk(n: int, r: float) -> np.ndarray:
    q = (np.arange(n * 8) + 0.5) / 8 - n / 2
    k = (q[:, None] ** 2 + q**2 <= r * r).astype(float).reshape(n, 8, n, 8).mean((1, 3))
    return k / k.sum()


TRUE_KERNELS = {
    "disk 5": disk(13, 5),
    "disk 7": disk(17, 7),
    "disk 10": disk(23, 10),
    "gaussian 2": gaussian(15, 2.0),
    "gaussian 3": gaussian(21, 3.0),
    "motion": motion_blurred_photograph(size=64).kernel.astype(float),
}
DELTA = np.pad([[1.0]], 7)


def large_scene(name: str) -> np.ndarray:
    image = getattr(data, name)()
    image = color.rgb2gray(image) if image.ndim == 3 else image / 255
    n = min(image.shape)
    return resize(image[:n, :n], (160, 160), anti_aliasing=True)


def blurred(name: str, k: np.ndarray, sigma: float):
    """Return the true image and the blurred one."""
    scene, m = large_scene(name), k.shape[0] // 2
    y = fftconvolve(scene, k, mode="valid")
    noise = np.random.default_rng(1).normal(0, sigma, y.shape) if sigma else 0
    return scene[m:-m, m:-m], (y + noise).clip(0, 1)


@pytest.mark.parametrize("sigma", [0.0, 0.002, 0.01, 0.04])
@pytest.mark.parametrize("name", ["camera", "astronaut", "coins", "chelsea", "moon"])
@pytest.mark.parametrize("kernel", TRUE_KERNELS)
def test_the_truth_is_never_doubted(name, kernel, sigma):
    """The true image with the true kernel is credible, whatever the kernel's shape."""
    k = TRUE_KERNELS[kernel]
    x, y = blurred(name, k, sigma)
    found = assess(x, k, y, sigma)
    assert found.reasons == ()
    assert found.credible
    assert found.score >= 0.5
    assert found.advice == ()


K = TRUE_KERNELS["motion"]
X, Y = blurred("camera", K, 0.004)
NOISE = np.random.default_rng(2).normal(0.5, 0.1, X.shape).clip(0, 1)


def cut(k: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(k.sum(axis=1) > 0.03)
    k = k[rows[0] + 3 : rows[-1] - 2]
    return k[: len(k) - 1 + len(k) % 2] / k[: len(k) - 1 + len(k) % 2].sum()


def scattered() -> np.ndarray:
    k = np.zeros((17, 17))
    k[2:15:4, 2:15:4] = 1 / 16
    return k


FAILURES = {
    "noise": (NOISE, K, NOISE, 0.1, "hardly more than noise", "exposures"),
    "flat": (np.full_like(X, 0.4), K, Y, 0.004, "nearly flat", "seed"),
    "narrow": (Y, gaussian(15, 0.8), Y, 0.004, "a single point", "sharp already"),
    "delta": (Y, DELTA, Y, 0.004, "a single point", "sharp already"),
    "already sharp": (X, gaussian(15, 2.0), X, 0.0, "no blur at all explains", "sharp already"),
    "cut": (X, np.full((9, 9), 1 / 81), Y, 0.004, "reaches the border", "larger kernel size"),
    "scattered": (X, scattered(), Y, 0.004, "scattered", "kernel size"),
    "still blurred": (gaussian_filter(Y, 2), K, Y, 0.004, "explains the image worse", "preset"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_is_doubted_for_its_own_reason(failure):
    """Each failure has its reason and an advice, and a score below one half."""
    x, k, y, sigma, reason, advice = FAILURES[failure]
    found = assess(x, k, y, sigma)
    assert not found.credible
    assert found.score < 0.5
    assert any(reason in sentence for sentence in found.reasons)
    assert any(advice in sentence for sentence in found.advice)


@pytest.mark.parametrize(("s", "wide_enough"), [(0.8, False), (1.2, True)])
def test_a_blur_as_narrow_as_that_of_sharp_images_is_none(s, wide_enough):
    """Whatever the sum of the kernel."""
    assert is_blurred(3 * gaussian(15, s)) == wide_enough


def test_a_loss_that_the_estimates_expect_is_a_reason():
    """The score is the share of the error that a restoration with the true kernel has too."""
    for loss, score in ((0.0, 1.0), (1.0, 0.79), (3.0, 0.501), (6.0, 0.25)):
        found = assess(X, K, Y, 0.004, agreement=0.9, parts=0.95, loss=loss)
        assert found.score == pytest.approx(score, abs=0.005)
        assert found.credible == (score > 0.5)
        assert found.measures["loss"] == loss
    assert found.reasons == ("estimates that explain the image as well restore it differently",)


@pytest.mark.parametrize(("s", "credible"), [(1.0, False), (2.0, True)])
def test_a_spectrum_without_blur_makes_only_narrow_kernels_doubtful(s, credible):
    """Sharp images in noise give narrow kernels; the spectrum of wide ones can be misjudged."""
    found = assess(X, gaussian(15, s), X, 0.0, agreement=0.9, parts=0.95, loss=0.5)
    assert found.measures["spectrum_gain"] <= 0
    assert found.credible == credible
    assert assess(X, gaussian(15, s), X, 0.0, agreement=0.9, loss=6.0).reasons == (
        "no blur at all explains the image's spectrum as well as this kernel does",
    )


def test_disagreement_is_a_reason():
    """Where it may be why a loss is expected."""
    found = assess(X, K, Y, 0.004, agreement=0.05, parts=0.6, loss=6.0)
    assert not found.credible
    assert "the estimates disagree about the kernel" in found.reasons
    assert found.measures["agreement"] == 0.05


def test_parts_that_disagree_are_a_reason():
    """Parts of the image with other kernels make a good estimate doubtful, whatever agrees."""
    assert assess(X, K, Y, 0.004, agreement=0.9, parts=0.95, loss=0.5).credible
    found = assess(X, K, Y, 0.004, agreement=0.9, parts=0.1, loss=0.5)
    assert not found.credible
    assert found.reasons == (
        "parts of the image give another kernel, which is wrong or not the same everywhere",
    )
    assert any("kernel grid" in sentence for sentence in found.advice)
    assert any("smaller region" in sentence for sentence in found.advice)


def test_the_score_rises_as_the_image_nears_the_truth():
    """Between the blurred image and the true one, each step towards the truth scores higher."""
    images = [Y + t * (X - Y) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    scores = [assess(x, K, Y, 0.004).score for x in images]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.2


@pytest.mark.parametrize("kernel", ["disk 5", "gaussian 2", "motion"])
def test_the_spectrum_prefers_the_true_kernel(kernel):
    """No blur, too narrow and too wide kernels explain the spectrum worse than the true one."""
    k = TRUE_KERNELS[kernel]
    _, y = blurred("camera", k, 0.004)
    others = (np.ones((1, 1)), gaussian(9, 1.0), disk(23, 9.0))
    assert all(spectral_fit(y, k, 0.004) < spectral_fit(y, o, 0.004) for o in others)


@pytest.mark.parametrize("deviating", [False, True])
def test_the_slope_of_the_spectrum_s_misfit(deviating):
    """By the kernel's power, as differences of two misfits have it; the fit follows by itself."""
    _, y = blurred("camera", gaussian(9, 1.0), 0.004)
    spectrum = PowerSpectrum(y, 0.004, deviating=deviating)
    K2 = np.abs(np.fft.rfft2(gaussian(9, 1.3), s=y.shape).flat[spectrum.used]) ** 2
    along = K2 * np.random.default_rng(0).uniform(0, 1, K2.shape)
    h = 1e-3
    rise = (spectrum.fit(K2 + h * along).misfit - spectrum.fit(K2 - h * along).misfit) / (2 * h)
    assert spectrum.fit(K2).slope @ along == pytest.approx(rise, rel=1e-2)


def test_a_spectrum_that_may_deviate_tells_details_and_not_the_roll_off():
    """By it a kernel too smooth gains less, and one of wrong details is told as before."""
    k = TRUE_KERNELS["motion"]
    _, y = blurred("camera", k, 0.002)
    rises = []
    for deviating in (False, True):
        spectrum = PowerSpectrum(y, 0.002, deviating=deviating)
        true, smooth, wrong = (
            spectrum.fit(np.abs(np.fft.rfft2(q, s=y.shape).flat[spectrum.used]) ** 2).misfit
            for q in (k, gaussian_filter(np.pad(k, 4), 0.6), k.T)
        )
        rises.append((smooth - true, wrong - true))
    assert abs(rises[1][0]) < 0.5 * abs(rises[0][0])
    assert rises[1][1] > 0.5 * rises[0][1] > 0


def test_the_window_mixes_frequencies_as_its_lags_say():
    """The power of windowed noise that was blurred, over 200 draws, also where K is zero."""
    n, rng = 64, np.random.default_rng(0)
    K2 = np.abs(np.fft.rfft2(np.ones((1, 8)) / 8, s=(n, n))) ** 2
    taper = window_lags(torch.zeros((n, n), dtype=torch.float64)).numpy()
    mixed = np.fft.rfft2(np.fft.irfft2(K2, s=(n, n)) * taper).real
    window = np.hanning(n)[:, None] * np.hanning(n)
    power = np.zeros_like(K2)
    for _ in range(200):
        y = np.fft.irfft2(np.sqrt(K2) * np.fft.rfft2(rng.normal(size=(n, n))), s=(n, n))
        power += np.abs(np.fft.rfft2(y * window)) ** 2 / (window**2).sum() / 200
    columns = power[8:-8].mean(axis=0)[4:29], mixed[0, 4:29], K2[0, 4:29]
    np.testing.assert_allclose(columns[0], columns[1], rtol=0.1)
    assert (columns[2] < 0.1 * columns[1]).any()


def test_an_assessment_is_json_ready():
    """Its dictionary survives JSON unchanged."""
    found = assess(X, K, Y, 0.004).to_dict()
    assert json.loads(json.dumps(found)) == found


def test_an_image_without_frequencies_is_assessed():
    """An image of 5 x 5 pixels says nothing by its spectrum, and is no error."""
    tiny = np.random.default_rng(0).random((5, 5))
    assert spectral_fit(tiny[:4, :4], DELTA, 0.0).misfit == 0
    assert 0 <= assess(tiny, DELTA, tiny, 0.0).score <= 1


def test_blur_raises_normalised_sparsity():
    """L1 / L2 of the gradients is larger for the blurred image; a flat one has 0."""
    assert normalised_sparsity(Y) > normalised_sparsity(X)
    assert normalised_sparsity(np.zeros((5, 5))) == 0


def test_geary_ratio_of_known_distributions():
    """A normal one has sqrt(2 / pi), two equal halves 1, few bright pixels little, none 0."""
    rng = np.random.default_rng(0)
    assert geary_ratio(rng.normal(3, 2, (300, 300))) == pytest.approx(np.sqrt(2 / np.pi), abs=5e-3)
    assert geary_ratio(np.repeat([[0.0, 1.0]], 10, axis=0)) == pytest.approx(1)
    few = np.zeros((20, 20))
    few[3, 4] = 1
    assert geary_ratio(few) < 0.1
    assert geary_ratio(5 - 2 * few) == pytest.approx(geary_ratio(few))
    assert geary_ratio(np.ones((5, 5))) == 0
