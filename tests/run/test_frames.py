"""Frames larger than a tile: the kernel from a region, everything restored by tiles."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import takewhile
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import data

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.io import frames
from napari_selfdeblur.numerics import compression, noise, regions, tiles
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.record import RunRecord

SIDE = 5
KERNEL = np.zeros((SIDE, SIDE), np.float32)
KERNEL[2] = KERNEL[1, 4] = 1
KERNEL /= KERNEL.sum()
# Of the restorations the one of the fewest steps.
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(
    kernel_size=SIDE, device="cpu", restoration="saturated"
)


def scene(shape: tuple[int, int] = (150, 170)) -> NDArray[np.uint16]:
    """Return a photograph blurred by `KERNEL`, with noise of 0.5 %."""
    sharp = data.camera()[60::2, 120::2][: shape[0] + SIDE - 1, : shape[1] + SIDE - 1] / 255
    y = fftconvolve(sharp, KERNEL, mode="valid")
    y += np.random.default_rng(0).normal(0, 0.005, y.shape)
    return np.rint(y.clip(0, 1) * 50_000 + 1000).astype(np.uint16)


FRAME = scene()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of 150 x 170 pixels is large: blocks, regions and tiles are small."""
    monkeypatch.setattr(compression, "_SIDE", 64)
    monkeypatch.setattr(frames, "_BLOCK", 2**12)
    monkeypatch.setattr(noise, "_ALL", 2**14)
    monkeypatch.setattr(noise, "_SAMPLE_SIDE", 24)
    monkeypatch.setattr(regions, "_WHOLE", 2**14)
    monkeypatch.setattr(regions, "_WHOLE_NETWORKS", 2**14)
    monkeypatch.setattr(regions, "_BLOCK", 2 * regions._CELL)
    monkeypatch.setattr(regions, "_SIDE", 80)
    monkeypatch.setattr(regions, "_SIDE_NETWORKS", 80)
    monkeypatch.setattr(tiles, "_CORE", 80)


class Lazy:
    """An array that is read only in parts of at most `most` pixels, and counts the reads."""

    def __init__(self, array: NDArray[Any], most: int) -> None:
        self._array, self._most, self.reads = array, most, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        part = self._array[key]
        assert part.shape[0] * part.shape[1] <= self._most, f"{part.shape} read at once"
        self.reads += 1
        return part

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise AssertionError("the whole array was read")


def drive(run: Any) -> tuple[list[Any], Any]:
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            return events, end.value


@pytest.mark.parametrize("method", ["sparse", "saturated"])
def test_tiles_leave_no_seam(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By tiles, a restoration is within 1e-3 of the range (RMS) of one of the whole."""
    whole = sd.restore(FRAME, KERNEL, method, device="cpu").astype(np.float64)
    monkeypatch.setattr(tiles, "_CORE", 80)
    tiled = sd.restore(FRAME, KERNEL, method, device="cpu").astype(np.float64)
    off = (tiled - whole) / 50_000
    assert np.abs(off).max() > 0
    assert np.sqrt((off**2).mean()) < 1e-3
    # Where tiles meet there is no step.
    assert abs(off[:, 85:95].mean() - off[:, 75:85].mean()) < 3e-4


def test_a_deblurred_frame_has_its_shape_and_is_restored_everywhere(small_parts: None) -> None:
    """With the kernel of a region the whole frame becomes sharper, as from the whole frame."""
    result = sd.deblur(FRAME, config=DRAFT)
    whole = sd.deblur(FRAME[:80, :80], config=DRAFT)
    assert result.sharp.shape == FRAME.shape
    assert result.sharp.dtype == np.float32
    for rows in (slice(0, 50), slice(100, 150)):
        sharpness = [np.abs(np.diff(x[rows].astype(float))).mean() for x in (FRAME, result.sharp)]
        assert sharpness[1] > 1.2 * sharpness[0]
    similarity = (result.kernel * KERNEL).sum() / np.linalg.norm(result.kernel)
    assert similarity > 0.8 * np.linalg.norm(KERNEL)
    assert "region" not in whole.record.image
    assert whole.record.used.region == "whole"


def test_the_record_says_the_region_and_repeats_the_run(small_parts: None) -> None:
    """The region used is in it; the same settings, or those used, give the same numbers."""
    first = sd.deblur(FRAME, config=DRAFT)
    record = RunRecord.from_json(first.record.to_json())
    (top, bottom), (left, right) = record.image["region"]
    assert (bottom - top, right - left) == (80, 80)
    assert record.config.region == "auto"
    assert record.used.region == ((top, bottom), (left, right))
    for config in (record.config, record.used):
        again = sd.deblur(FRAME, config=config)
        np.testing.assert_array_equal(again.sharp, first.sharp)
        np.testing.assert_array_equal(again.kernel, first.kernel)


def test_a_given_region_is_the_one_used(small_parts: None) -> None:
    """Its kernel is that of a run on these rows and columns alone, with the frame's noise."""
    region = ((40, 120), (50, 150))
    result = sd.deblur(FRAME, config=DRAFT, region=region)
    assert result.record.image["region"] == [[40, 120], [50, 150]]
    assert result.record.used.region == region
    alone = sd.deblur(FRAME[40:120, 50:150], config=DRAFT)
    similarity = (result.kernel * alone.kernel).sum() / np.sqrt(
        (result.kernel**2).sum() * (alone.kernel**2).sum()
    )
    assert similarity > 0.9


def test_networks_run_on_the_region_alone(small_parts: None) -> None:
    """Their image has no share in a frame that they have not seen."""
    small = {"iterations": 2, "channels": 8, "scales": 2}
    config = DRAFT.replace(
        solvers=("edges", "joint"), adaptive=False, restoration_share=0.1, **small
    )
    events, result = drive(sd.iter_deblur(FRAME, config=config, preview_steps=1))
    shown = [event for event in events if event.stage == "joint" and event.sharp is not None]
    assert shown
    (top, bottom), (left, right) = result.record.image["region"]
    outside = np.ones(FRAME.shape, bool)
    outside[top:bottom, left:right] = False
    np.testing.assert_allclose(shown[-1].sharp[outside], FRAME[outside], atol=0.05)
    assert shown[-1].sharp.shape == result.sharp.shape == FRAME.shape
    assert [e["source"] for e in result.record.estimates] == ["edges", "joint"]


def test_each_tile_is_an_event_of_the_restoration(small_parts: None) -> None:
    """Steps are tiles; previews show those done, the last event has the result."""
    events, result = drive(sd.iter_deblur(FRAME, config=DRAFT, preview_steps=1))
    steps = [event for event in events if event.stage == "restore"]
    assert [event.iteration for event in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == steps[0].total == 4
    np.testing.assert_array_equal(steps[-1].sharp, result.sharp)
    blurred = [(np.abs(event.sharp - FRAME) < 1).mean() for event in steps]
    assert blurred[0] > 0.5
    assert sorted(blurred, reverse=True) == blurred


@pytest.mark.parametrize("method", ["saturated", "hyper_laplacian"])
def test_a_stop_between_tiles_keeps_those_done(method: str, small_parts: None) -> None:
    """The rest stays blurred, and the record says that the run was stopped."""
    stop = threading.Event()
    config = DRAFT.replace(restoration=method)
    for event in (run := sd.iter_deblur(FRAME, config=config, stop=stop)):
        if (event.stage, event.iteration) == ("restore", 1):
            stop.set()
            break
    events, result = drive(run)
    assert result.record.status == "stopped"
    assert len(events) == 1
    changed = np.abs(result.sharp - FRAME) > 1
    assert 0.1 < changed.mean() < 0.7


@pytest.mark.parametrize("kind", ["lazy", "dask", "memmap", "zarr"])
def test_a_frame_is_read_by_tile(kind: str, small_parts: None, tmp_path: Path) -> None:
    """Whatever holds it: the numbers are those of the array, no tile is exceeded."""
    image: Any = Lazy(FRAME, tiles.tile_shape(FRAME.shape, (SIDE, SIDE))[1] ** 2)
    if kind == "dask":
        image = da.from_array(image, chunks=(40, 50))
    if kind == "memmap":
        image = np.memmap(tmp_path / "a", np.uint16, "w+", shape=FRAME.shape)
        image[:] = FRAME
    if kind == "zarr":
        image = pytest.importorskip("zarr").create_array({}, data=FRAME, chunks=(64, 64))
    expected = sd.deblur(FRAME, config=DRAFT)
    found = sd.deblur(image, config=DRAFT)
    np.testing.assert_array_equal(found.sharp, expected.sharp)
    assert found.record.image == expected.record.image
    np.testing.assert_array_equal(
        sd.restore(image, KERNEL, "saturated", device="cpu"),
        sd.restore(FRAME, KERNEL, "saturated", device="cpu"),
    )
    assert sd.estimate_noise(image) == sd.estimate_noise(FRAME)


def test_reads_are_few(small_parts: None) -> None:
    """A restoration reads a frame four times in all, whatever its tiles.

    Margins aside, and one window, where the traces of a compression are looked for.
    """
    image = Lazy(FRAME, 2**16)
    sd.restore(image, KERNEL, "saturated", device="cpu")
    blocks, count = (
        len(list(frames.blocks(FRAME.shape))),
        len(list(tiles.tiles(FRAME.shape, (5, 5)))),
    )
    assert image.reads <= 3 * blocks + count + 36 + 1


def test_what_cannot_be_read_is_named(small_parts: None) -> None:
    """A store that fails half-way is an error of the image, with its reason."""

    class Broken(Lazy):
        def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
            if self.reads == 3:
                raise OSError("chunk 3 is corrupt")
            return super().__getitem__(key)

    with pytest.raises(ImageError, match=r"a Broken, cannot be read \(chunk 3 is corrupt\); load"):
        sd.deblur(Broken(FRAME, 2**16), config=DRAFT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_of_a_frame_is_that_of_a_sample(dtype: type, small_parts: None) -> None:
    """Windows spread over it tell the noise as well as all of it, in its own values."""
    rng = np.random.default_rng(0)
    y = (FRAME * 1.0 + rng.normal(0, 1500, FRAME.shape)).astype(dtype)
    low, high = (frame := frames.Frame.of(y, (1, 1))).value_range
    whole = noise.noise_sigma(frame.y) * (high - low)
    assert sd.estimate_noise(y) == pytest.approx(whole, rel=0.1)


def test_colour_frames_keep_their_chroma(small_parts: None) -> None:
    """Tiles restore the luma; grey in three channels equals the grey frame; alpha stays."""
    image = np.repeat((FRAME // 256).astype(np.uint8)[..., None], 4, axis=2)
    image[..., 3] = 77
    coloured = sd.restore(image, KERNEL, "saturated", device="cpu")
    grey = sd.restore(image[..., 0], KERNEL, "saturated", device="cpu")
    np.testing.assert_allclose(coloured[..., 1], grey, atol=0.1)
    assert (coloured[..., 3] == 77).all()


def test_clipped_pixels_are_bounds_in_every_tile(
    small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is clipped is known of the frame, also in a tile that has one clipped pixel or none."""
    clipped = np.minimum(FRAME.astype(np.float64) * 1.6, 50_000).astype(np.uint16)
    restored = sd.restore(clipped, KERNEL, "sparse", device="cpu")
    assert restored.max() > 51_000
    monkeypatch.setattr(tiles, "_CORE", 1024)
    whole = sd.restore(clipped, KERNEL, "sparse", device="cpu")
    assert np.sqrt((((restored - whole) / 50_000) ** 2).mean()) < 2e-3


def test_a_region_outside_the_image_is_refused() -> None:
    """With the image's size and what to do."""
    with pytest.raises(ConfigError, match="150 rows and 170 columns; choose one inside") as error:
        sd.deblur(FRAME, config=DRAFT, region=((200, 400), (0, 100)))
    assert error.value.field == "region"
    with pytest.raises(ConfigError, match="larger than the kernel of 5 x 5, got 4 x 100"):
        sd.deblur(FRAME, config=DRAFT, region=((0, 4), (0, 100)))


def test_a_region_needs_a_restoration() -> None:
    """Networks' own image is of the region alone: said where the settings are made."""
    with pytest.raises(
        ConfigError, match=r"region needs a restoration.*for example sparse"
    ) as error:
        sd.SelfDeblurConfig(region=((0, 64), (0, 64)))
    assert error.value.field == "region"


def test_a_checkpoint_of_a_frame_is_resumed(small_parts: None, tmp_path: Path) -> None:
    """Stopped among its edge-based estimates, the run ends with the numbers of one in one go."""
    file, stop = tmp_path / "run.pt", threading.Event()
    for event in sd.iter_deblur(FRAME, config=DRAFT, checkpoint=file, stop=stop):
        if event.iteration == 2:
            stop.set()
    assert file.exists()
    resumed = sd.deblur(FRAME, config=DRAFT, checkpoint=file)
    np.testing.assert_array_equal(resumed.sharp, sd.deblur(FRAME, config=DRAFT).sharp)


def test_the_region_grows_with_the_kernel_found(
    small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A size that is found makes the region some kernels wide, before the estimates."""
    monkeypatch.setattr(regions, "_SIDE", 70)
    monkeypatch.setattr(regions, "_KERNELS", 6)
    events, result = drive(sd.iter_deblur(FRAME, config=DRAFT.replace(kernel_size="auto")))
    assert events[0].stage == "size"
    side = max(result.record.used.kernel_size)
    (top, bottom), _ = result.record.image["region"]
    assert bottom - top == min(max(70, 6 * side), 150) > 70


def test_a_region_that_grows_to_all_of_the_image_is_none(small_parts: None) -> None:
    """The record names no region then, as of every image that is used whole."""
    plan = Plan.of(FRAME, DRAFT.replace(kernel_size="auto"))
    assert "region" in plan.source
    plan = plan.sized((31, 31))
    assert plan.config.region == "whole"
    assert "region" not in plan.source


def test_sizes_are_not_tried_again_in_the_larger_region(
    small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel found is short beside the largest size tried: larger ones are not needed."""
    monkeypatch.setattr(regions, "_KERNELS", 14)
    sharp = data.camera()[60::2, 120::2][:150, :180] / 255
    y = fftconvolve(sharp, np.full((1, 11), 1 / 11), mode="valid")
    run = sd.iter_deblur(y, config=DRAFT.replace(kernel_size="auto"))
    before = list(takewhile(lambda event: event.stage == "size", run))
    assert [event.iteration for event in before] == list(range(1, len(before) + 1))


def test_the_command_line_repeats_a_run_by_its_record(tmp_path: Path) -> None:
    """--region is in the record, and --config reads it."""
    tifffile = pytest.importorskip("tifffile")
    from napari_selfdeblur.cli import main

    tifffile.imwrite(tmp_path / "a.tif", FRAME)
    words = [str(tmp_path / "a.tif"), "--quiet", "--device", "cpu"]
    given = ["--preset", "draft", "--kernel-size", "5", "--region", "40:120,50:150"]
    assert main(["run", *words, *given, "-o", str(tmp_path / "one")]) == 0
    record = tmp_path / "one" / "a_record.json"
    assert json.loads(record.read_text())["config"]["region"] == [[40, 120], [50, 150]]
    assert main(["run", *words, "--config", str(record), "-o", str(tmp_path / "two")]) == 0
    one, two = (tifffile.imread(tmp_path / n / "a_deblurred.tif") for n in ("one", "two"))
    np.testing.assert_array_equal(one, two)


_BOUNDED = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
import napari_selfdeblur as sd
from napari_selfdeblur.run import restoration  # loads what a restoration needs
image = np.memmap(sys.argv[1], np.uint16, "r", shape=(2048, 2048))
sd.restore(image[:64, :64], np.ones((3, 3)), "saturated", iterations=1, device="cpu")
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = held + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sharp = sd.restore(image, np.ones((9, 9)), "saturated", iterations=2, device="cpu")
print(sharp.shape, float(sharp.mean()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_a_frame_fits_into_bounded_memory(tmp_path: Path) -> None:
    """2048 x 2048 pixels are restored with 400 MiB of address space, of which the result is 16."""
    file = tmp_path / "frame"
    np.tile(scene((128, 128)), (16, 16)).tofile(file)
    command = [sys.executable, "-c", _BOUNDED, str(file)]
    done = subprocess.run([*command, "400"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("(2048, 2048)"), done.stderr
