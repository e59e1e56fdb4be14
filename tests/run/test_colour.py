"""Colour images: the luma restored and the blurred chroma put back, or each channel restored."""

import itertools

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.io.frames import Frame
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.run.survey import Survey

LUMA = np.array([0.299, 0.587, 0.114])
KERNEL = motion_blurred_photograph(size=64).kernel
SIDE = 96
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=KERNEL.shape, device="cpu")


def blurred(sharp, sigma=0.002):
    """Return an 8-bit image of a sharp one in [0, 1], and what of that lies inside of it."""
    planes = [fftconvolve(sharp[..., c], KERNEL, mode="valid") for c in range(3)]
    y = np.stack(planes, axis=-1)
    y += np.random.default_rng(0).normal(0, sigma, y.shape)
    a = KERNEL.shape[0] // 2
    return np.clip(np.rint(255 * y), 0, 255).astype(np.uint8), sharp[a:-a, a:-a]


def equiluminant():
    """Return squares of two colours of one luma, blurred; and the same sharp."""
    side = SIDE + KERNEL.shape[0] - 1
    rows = np.random.default_rng(3).random((side // 8 + 1, side // 8 + 1)) > 0.5
    mask = np.kron(rows, np.ones((8, 8)))[:side, :side, None]
    red = np.array([0.8, 0.3, 0.3])
    green = np.array([0.3, 0.0, 0.3])
    green[1] = (red @ LUMA - green @ LUMA) / LUMA[1]
    return blurred(mask * red + (1 - mask) * green)


def photograph():
    side = SIDE + KERNEL.shape[0] - 1
    return blurred(data.chelsea()[60 : 60 + side, 120 : 120 + side] / 255)


def psnr(image, truth):
    return -10 * np.log10(((np.asarray(image, float) / 255 - truth)[12:-12, 12:-12] ** 2).mean())


def test_each_channel_is_restored_by_itself():
    """A channel comes out as it does as a grey image; the alpha is untouched."""
    image, _ = photograph()
    alpha = np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1).astype(np.uint8)
    found = sd.restore(np.concatenate([image, alpha], -1), KERNEL, "sparse", colour="channels")
    for c in range(3):
        alone = sd.restore(image[..., c], KERNEL, "sparse", colour="channels")
        np.testing.assert_allclose(found[..., c], alone, atol=1e-3)
    np.testing.assert_array_equal(found[..., 3:], alpha)


def test_a_photograph_is_restored_better():
    """The chroma that luma leaves blurred is sharp too, which the PSNR of all channels shows."""
    image, truth = photograph()
    luma, channels = (
        psnr(sd.restore(image, KERNEL, "sparse", colour=each), truth)
        for each in ("luma", "channels")
    )
    assert luma > psnr(image, truth) + 1
    assert channels > luma + 0.5


def test_edges_of_equal_luma_stay_blurred_by_luma():
    """Where only the colour changes, luma has nothing to restore and channels has all."""
    image, truth = equiluminant()
    luma, channels = (
        psnr(sd.restore(image, KERNEL, "sparse", colour=each), truth)
        for each in ("luma", "channels")
    )
    assert abs(luma - psnr(image, truth)) < 0.5
    assert channels > luma + 5


def test_a_kernel_is_found_where_only_the_colour_changes():
    """A blind run takes the channel that shows the blur."""
    image, truth = equiluminant()
    result = sd.deblur(image, config=DRAFT, colour="channels")
    assert result.record.image["kernel_plane"] == "red"
    assert psnr(result.sharp, truth) > psnr(image, truth) + 3


def test_the_kernel_of_a_photograph_is_that_of_its_luma():
    """Its channels show hardly more structure, and have more noise."""
    image, _ = photograph()
    frame = Frame.of(image, (3, 3), channels=True)
    assert Survey.of(frame).with_most_structure().frame.weights == frame.weights
    other = Survey.of(Frame.of(equiluminant()[0], (3, 3), channels=True)).with_most_structure()
    assert other.frame.weights == (1.0, 0.0, 0.0)


def test_a_run_restores_all_channels_with_its_kernel():
    """Its kernel is that of the luma; the image is what a restoration with it gives."""
    image, events = photograph()[0][:64, :64], []
    result = sd.deblur(image, config=DRAFT, colour="channels", on_progress=events.append)
    plain = sd.deblur(image, config=DRAFT)
    np.testing.assert_array_equal(result.kernel, plain.kernel)
    again = sd.restore(image, result.kernel, DRAFT.restoration, colour="channels")
    np.testing.assert_allclose(result.sharp, again, atol=0.01)
    np.testing.assert_array_equal(events[-1].sharp, result.sharp)
    assert result.record.used.colour == "channels"
    assert result.record.image["kernel_plane"] == "luma"
    stages = [stage for stage, _ in itertools.groupby(events, key=lambda event: event.stage)]
    assert stages == ["edges", "fuse", "refine", "restore"]
    assert [(e.iteration, e.total) for e in events if e.stage == "restore"][-1] == (3, 3)


def test_a_networks_own_share_is_added_to_the_channels():
    """What its image adds to the luma is added to R, G and B alike."""
    image = photograph()[0][:64, :64]
    config = DRAFT.replace(
        solvers=("joint",), iterations=2, channels=8, skip_channels=4, colour="channels"
    )
    alone = sd.deblur(image, config=config).sharp
    mixed = sd.deblur(image, config=config.replace(restoration_share=0.5)).sharp
    inside = ((alone > 0) & (alone < 255) & (mixed > 0) & (mixed < 255)).all(axis=-1)
    change = (mixed - alone)[inside]
    np.testing.assert_allclose(change[:, 0], change[:, 1], atol=1e-3)
    np.testing.assert_allclose(change[:, 0], change[:, 2], atol=1e-3)


def test_grey_images_are_what_they_are():
    """The setting says nothing of an image without colour."""
    image, _ = photograph()
    one, other = (sd.restore(image[..., 0], KERNEL, colour=each) for each in ("luma", "channels"))
    np.testing.assert_array_equal(one, other)


def test_a_stack_of_colour_planes_is_restored_by_channel():
    """Planes that share a kernel have their channels restored with it."""
    image, _ = photograph()
    stack = np.stack([image, image[::-1]])
    found = sd.restore_stack(stack, KERNEL, "sparse", "ZYXS", colour="channels")
    alone = sd.restore(image, KERNEL, "sparse", colour="channels")
    np.testing.assert_allclose(found.sharp[0], np.rint(alone), atol=1)


def test_an_image_of_one_colour_is_refused():
    """No channel has contrast, so nothing shows the blur."""
    image = np.broadcast_to(np.array([200, 30, 90], np.uint8), (32, 32, 3))
    with pytest.raises(ImageError, match="constant"):
        sd.restore(image, KERNEL, colour="channels")


def test_channels_need_a_restoration():
    """A network's image is of one plane."""
    with pytest.raises(ConfigError, match="colour 'channels' needs a restoration") as error:
        sd.SelfDeblurConfig(colour="channels")
    assert error.value.field == "colour"
    assert RestoreConfig(colour="channels").options() == {}
