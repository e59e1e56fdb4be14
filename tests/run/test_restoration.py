import re
import threading

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage import data, img_as_float
from skimage.transform import rescale

import napari_selfdeblur as sd
from napari_selfdeblur import registry
from napari_selfdeblur.api import NOISE_METHODS
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, ImageError, OutOfMemoryError
from napari_selfdeblur.io.kernels import prepare_kernel
from napari_selfdeblur.numerics.nonblind.generator import KNOWN_KERNEL, generator
from napari_selfdeblur.run import restoration, stages

SHARP = rescale(img_as_float(data.camera())[80:330, 150:400], 0.4, anti_aliasing=True)
KERNEL = np.zeros((7, 7))
KERNEL[np.arange(1, 6), np.arange(1, 6)] = 0.2
TRUTH = SHARP[3:-3, 3:-3]
BLURRED = convolve2d(SHARP, KERNEL, mode="valid")
TINY = KNOWN_KERNEL.replace(channels=8, skip_channels=4, precision="float32")


def drained(steps):
    reported = []
    while True:
        try:
            reported.append(next(steps))
        except StopIteration as end:
            return reported, end.value


def distance(a, b):
    return float(np.sqrt(((a - b) ** 2).mean()))


@pytest.mark.parametrize("method", [name for name in registry.RESTORATIONS if name != "generator"])
def test_every_restoration_sharpens_and_keeps_the_range(method):
    """With the true kernel each method comes nearer to the truth, in the image's own values."""
    image = (BLURRED * 200 + 20).astype(np.float32)
    restored = sd.restore(image, KERNEL, method, device="cpu")
    assert restored.dtype == np.float32
    assert restored.shape == image.shape
    assert distance((restored - 20) / 200, TRUTH) < 0.7 * distance(BLURRED, TRUTH)


def test_generator_restoration_learns_the_image_alone():
    """SelfDeblur with a fixed kernel comes nearer to the truth and leaves the kernel alone."""
    y, k = torch.from_numpy(BLURRED), torch.from_numpy(KERNEL)
    before = k.clone()
    steps = generator(y, k, iterations=150, config=TINY.replace(channels=16, loss="mse"))
    reported, x = drained(steps)
    assert [step[:2] for step in reported] == [(t, 150) for t in range(1, 151)]
    assert reported[-1][2] < reported[0][2]
    assert x.shape == y.shape
    assert x.dtype == y.dtype
    assert torch.equal(k, before)
    blurred_again = convolve2d(x.numpy(), KERNEL, mode="valid")
    assert distance(blurred_again, BLURRED[3:-3, 3:-3]) < 0.05


def test_the_generator_after_a_run_computes_as_the_run_does(monkeypatch):
    """What the record says of precision, runtime and seed holds for it too."""
    given = {}

    def unrestored(*arguments, **options):
        given.update(options)
        return iter(())

    monkeypatch.setattr(stages, "restore_frame", unrestored)
    own = {"precision": "float32", "runtime": "reference", "seed": 5}
    config = sd.SelfDeblurConfig.preset("draft").replace(
        restoration="generator", kernel_size=7, device="cpu", **own
    )
    sd.deblur(BLURRED, config=config)
    assert {name: getattr(given["config"], name) for name in own} == own
    assert given["config"].iterations == KNOWN_KERNEL.iterations
    given.clear()
    sd.deblur(BLURRED, config=config.replace(restoration="sparse"))
    assert "config" not in given


@pytest.mark.parametrize(("method", "steps"), [("generator", [1, 2]), ("sparse", [])])
def test_only_a_network_reports_its_steps(method, steps):
    """The image network yields each step with its total; the others return at once."""
    y, k = BLURRED[:40, :40].astype(np.float32), KERNEL.astype(np.float32)
    options = {"iterations": 2} if method == "generator" else {}
    arguments = (y, k, method, torch.device("cpu"))
    reported, x = drained(restoration.restore_steps(*arguments, sigma=0.0, **options))
    assert [(t, total) for t, total, _ in reported] == [(t, 2) for t in steps]
    assert x.shape == y.shape


def test_generator_restoration_has_no_weight():
    """A weight that would be ignored is refused."""
    with pytest.raises(ConfigError, match="'generator' has no weight; leave it unset"):
        sd.restore(BLURRED, KERNEL, "generator", weight=0.1, device="cpu")


def test_colour_is_restored_through_its_luma():
    """A colour image keeps its shape; grey in three channels equals the grey restoration."""
    method = next(iter(registry.RESTORATIONS.keys() - {"generator"}))
    grey = sd.restore(BLURRED, KERNEL, method, device="cpu")
    colour = sd.restore(np.stack([BLURRED] * 3, axis=-1), KERNEL, method, device="cpu")
    np.testing.assert_allclose(colour, np.stack([grey] * 3, axis=-1), atol=1e-5)


def test_result_can_be_a_restoration_with_the_estimated_kernel():
    """config.restoration makes result.sharp from the estimated kernel by that method."""
    method = next(iter(registry.RESTORATIONS.keys() - {"generator"}))
    config = TINY.replace(kernel_size=7, iterations=3, restoration=method, device="cpu")
    result = sd.deblur(BLURRED, config=config)
    np.testing.assert_allclose(
        result.sharp, sd.restore(BLURRED, result.kernel, method, device="cpu"), atol=1e-6
    )


def test_final_image_can_be_a_mixture():
    """restoration_share mixes restoration and own image; the last progress shows the result."""
    image = 200 * BLURRED + 1000  # far from any limit of the range
    config = TINY.replace(kernel_size=7, iterations=3, device="cpu")
    own, half, whole = (
        sd.deblur(image, config=config.replace(restoration=method, restoration_share=share))
        for method, share in ((None, 1.0), ("sparse", 0.5), ("sparse", 1.0))
    )
    np.testing.assert_allclose(half.sharp, (own.sharp + whole.sharp) / 2, rtol=1e-6)
    events = []
    again = sd.deblur(image, config=half.record.config, on_progress=events.append)
    np.testing.assert_array_equal(events[-1].sharp, again.sharp)
    assert [p.stage for p in events] == ["joint", "joint", "joint", "fuse", "restore"]


def test_unknown_method_and_setting_list_the_known():
    """Misspelt names are errors that say what there is."""
    with pytest.raises(
        ConfigError, match=r"restoration must be one of .*generator.*, got 'wiener'"
    ):
        sd.restore(BLURRED, KERNEL, "wiener")
    with pytest.raises(TypeError, match="wight"):
        sd.restore(BLURRED, KERNEL, "generator", wight=1)


def test_out_of_memory_is_our_own_error(monkeypatch):
    """Torch's out-of-memory in a restoration names the image size and a cure."""

    def greedy(y, k, stop):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes")

    monkeypatch.setattr(restoration.registry, "load", lambda *_: greedy)
    with pytest.raises(OutOfMemoryError, match=r"image of 94 x 94 pixels; crop the image"):
        sd.restore(BLURRED, KERNEL, device="cpu")


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.ones((4, 5)), "this one has 4 x 5; pad it with a row or column of zeros"),
        (np.ones((3, 3, 2)), "a kernel has 2 axes, this one has 3"),
        (np.full((3, 3), np.nan), "finite values only"),
        (-np.ones((3, 3)), "needs a positive value"),
        (np.ones((3, 3), complex), "kernel of type complex128 does not hold"),
    ],
)
def test_kernel_that_is_none_is_refused(kernel, message):
    """A kernel of even size, several planes, NaN or no mass is refused with a reason."""
    with pytest.raises(ImageError, match=re.escape(message)):
        prepare_kernel(kernel)


def test_a_result_that_is_not_finite_is_an_error(monkeypatch):
    """A restoration that leaves the finite numbers fails; nothing is returned."""
    monkeypatch.setattr(restoration.registry, "load", lambda *_: lambda y, k, stop: y / 0)
    with pytest.raises(DeblurError, match="infinite or NaN; choose a weight nearer"):
        sd.restore(BLURRED, KERNEL, device="cpu")


@pytest.mark.parametrize("method", registry.RESTORATIONS)
def test_a_restoration_can_be_stopped(method):
    """With a stop that is set it ends at once, with an image, and the record says so."""
    stop = threading.Event()
    stop.set()
    config = RestoreConfig(restoration=method, device="cpu")
    result = restoration.run_restoration(BLURRED, KERNEL, config, stop=stop)
    assert result.record.status == "stopped"
    assert np.isfinite(result.sharp).all()
    assert result.sharp.shape == BLURRED.shape
    assert result.record.seconds < 60


def test_a_restoration_is_recorded():
    """The record has settings, kernel and image, and repeats the restoration."""
    config = RestoreConfig(restoration="sparse", weight=0.01, device="cpu")
    first = restoration.run_restoration(BLURRED, KERNEL, config)
    assert first.record.kernel["shape"] == [7, 7]
    assert first.record.status == "finished"
    again = restoration.run_restoration(BLURRED, KERNEL, first.record.config)
    np.testing.assert_array_equal(first.sharp, again.sharp)


def test_kernel_is_scaled_to_sum_to_one():
    """Any positive multiple of a PSF is the same PSF; negative values are cut."""
    k = prepare_kernel(np.array([[-3, 0, 0], [0, 5, 0], [0, 5, 0]]))
    assert k.dtype == np.float32
    np.testing.assert_array_equal(k, [[0, 0, 0], [0, 0.5, 0], [0, 0.5, 0]])


@pytest.mark.parametrize("method", NOISE_METHODS)
def test_noise_scales_with_the_image(method):
    """sigma is in the image's own values: a thousandfold image has a thousandfold sigma."""
    noisy = TRUTH + 0.03 * np.random.default_rng(0).standard_normal(TRUTH.shape)
    small = sd.estimate_noise(noisy, method)
    assert small == pytest.approx(0.03, rel=0.35)
    assert sd.estimate_noise(1000 * noisy, method) == pytest.approx(1000 * small, rel=0.1)


def test_noise_of_a_tiny_image_is_refused():
    """Noise needs at least 8 x 8 pixels; an unknown method lists the known."""
    with pytest.raises(ImageError, match="at least 8 x 8 pixels"):
        sd.estimate_noise(np.ones((7, 20)) * np.arange(20))
    with pytest.raises(ConfigError, match="method must be one of zoran_weiss, wavelet"):
        sd.estimate_noise(TRUTH, "guess")
