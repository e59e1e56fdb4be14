"""Result layers to files and back, through napari's own Save and Open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from typer.testing import CliRunner

import napari_selfdeblur as sd
from napari_selfdeblur._napari import writer
from napari_selfdeblur._napari.reader import get_reader
from napari_selfdeblur._napari.work import deblur_job, restore_job
from napari_selfdeblur.cli import app
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.io.files import read_image, write_tiff
from napari_selfdeblur.run.record import RunRecord

pytestmark = pytest.mark.usefixtures("plugins")
PLUGIN = "napari-selfdeblur"
PLACE = ("scale", "translate", "rotate", "shear")
LOOK = ("units", "axis_labels", "opacity", "blending", "gamma", "interpolation2d", "rgb")


@pytest.fixture
def source(viewer_model: ViewerModel, blurred: np.ndarray) -> Image:
    return viewer_model.add_image(
        blurred,
        name="Zellen, \u7d30\u80de",
        scale=(0.25, 0.5),
        units=("um", "um"),
        translate=(3, -7),
        rotate=30,
        axis_labels=("y", "x"),
        colormap="viridis",
        gamma=0.8,
    )


@pytest.fixture
def pair(qapp, viewer_model: ViewerModel, source: Image, config) -> tuple[Image, Image]:
    """The layers of a real run."""
    job = deblur_job(viewer_model, source, config, notify=False)
    job.run()
    return job.layers


def save(viewer: ViewerModel, layers: tuple[Image, ...], path: Path) -> list[str]:
    viewer.layers.selection = set(layers)
    return viewer.layers.save(str(path), selected=True, plugin=PLUGIN)


def assert_same(opened: Image, saved: Image) -> None:
    np.testing.assert_array_equal(opened.data, saved.data)
    assert opened.data.dtype == saved.data.dtype
    assert opened.name == saved.name
    for name in PLACE:
        np.testing.assert_allclose(getattr(opened, name), getattr(saved, name))
    for name in LOOK:
        assert getattr(opened, name) == getattr(saved, name), name
    assert opened.metadata == saved.metadata
    if not saved.rgb:
        assert opened.colormap.name == saved.colormap.name
        np.testing.assert_allclose(opened.contrast_limits, saved.contrast_limits)


@pytest.mark.parametrize("which", ["record", "images"])
def test_a_saved_pair_comes_back_as_it_was(viewer_model, pair, tmp_path, which: str) -> None:
    """Pixels, scale, units, names, place, look and record return, by the record or the images."""
    saved = save(viewer_model, pair, tmp_path / "Zellen.tif")
    names = ["Zellen_deblurred.tif", "Zellen_kernel.tif"]
    assert [Path(path).name for path in saved] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "Zellen_record.json"]
    chosen = saved if which == "images" else [str(tmp_path / "Zellen_record.json")]
    opened = ViewerModel().open(chosen, plugin=PLUGIN)
    assert len(opened) == 2
    for one, other in zip(opened, pair, strict=True):
        assert_same(one, other)


def test_the_record_opens_without_a_question(viewer_model, pair, tmp_path) -> None:
    """No other plugin opens records, so napari asks nobody; any other TIFF is still napari's."""
    save(viewer_model, pair, tmp_path / "cells.tif")
    opened = ViewerModel().open(str(tmp_path / "cells_record.json"), plugin=None)
    assert [layer.name for layer in opened] == [layer.name for layer in pair]
    write_tiff(tmp_path / "other.tif", np.eye(5))
    (other,) = ViewerModel().open(str(tmp_path / "other.tif"), plugin=None)
    assert other.source.reader_plugin == "napari"


def test_other_programs_read_pixels_and_pixel_size(viewer_model, pair, tmp_path) -> None:
    """The files are float32 TIFFs whose pixel size ImageJ finds."""
    for path, layer in zip(save(viewer_model, pair, tmp_path / "cells.tif"), pair, strict=True):
        with tifffile.TiffFile(path) as tif:
            assert tif.is_imagej
            np.testing.assert_array_equal(tif.asarray(), layer.data)
            assert tif.asarray().dtype == np.float32
        found = read_image(path)
        assert found.pixel_size == pytest.approx((0.25, 0.5))
        assert found.unit == "um"


def test_run_again_gives_the_same_bits(viewer_model, source, pair, tmp_path) -> None:
    """By the record of a reopened layer, and by the record's file on the command line."""
    save(viewer_model, pair, tmp_path / "cells.tif")
    sharp, kernel = ViewerModel().open(str(tmp_path / "cells_record.json"), plugin=PLUGIN)
    config = sd.SelfDeblurConfig.from_dict(sharp.metadata["selfdeblur"]["config"])
    again = sd.deblur(source.data, config=config)
    np.testing.assert_array_equal(again.sharp, sharp.data)
    np.testing.assert_array_equal(again.kernel, kernel.data)

    write_tiff(tmp_path / "blurred.tif", source.data)
    record, out = str(tmp_path / "cells_record.json"), tmp_path / "out"
    command = ["run", str(tmp_path / "blurred.tif"), "-o", str(out), "--config", record, "--quiet"]
    assert CliRunner().invoke(app, command).exit_code == 0
    np.testing.assert_array_equal(read_image(out / "blurred_deblurred.tif").array, sharp.data)
    np.testing.assert_array_equal(read_image(out / "blurred_kernel.tif").array, kernel.data)
    opened = ViewerModel().open(str(out / "blurred_record.json"), plugin=PLUGIN)
    assert [layer.name for layer in opened] == ["blurred_deblurred", "blurred_kernel"]
    assert opened[1].translate[1] > source.data.shape[1]
    assert opened[0].metadata["selfdeblur"]["config"] == config.to_dict()


def test_a_single_layer_is_saved_with_its_record(viewer_model, pair, tmp_path) -> None:
    """The kernel alone, to a name without suffix, returns as it was; so do both by its record."""
    kernel = pair[1]
    assert kernel.save(str(tmp_path / "my kernel"), plugin=PLUGIN) == [
        str(tmp_path / "my kernel.tif")
    ]
    record = tmp_path / "my kernel_record.json"
    facts = RunRecord.from_json(record.read_text(encoding="utf-8")).to_dict()
    assert facts == kernel.metadata["selfdeblur"]
    for path in (record, tmp_path / "my kernel.tif"):
        (opened,) = ViewerModel().open(str(path), plugin=PLUGIN)
        assert_same(opened, kernel)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_restoration_comes_back(viewer_model, tmp_path, dtype, channels: int) -> None:
    """RGB and RGBA keep their data type; lengths in two units become one in the TIFF's tags."""
    shape = (24, 32, channels)
    colour = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    layer = viewer_model.add_image(colour, rgb=True, scale=(1, 500), units=("um", "nm"))
    psf = np.full((3, 3), 1 / 9, np.float32)
    job = restore_job(viewer_model, layer, psf, RestoreConfig(device="cpu"), kernel_name="psf")
    job._notify = False
    job.run()
    restored = job.layers[0]
    (path,) = restored.save(str(tmp_path / "colour restored.tif"), plugin=PLUGIN)
    assert read_image(path).pixel_size == pytest.approx((1, 0.5))
    (opened,) = ViewerModel().open(path, plugin=PLUGIN)
    assert_same(opened, restored)
    assert opened.metadata["selfdeblur_part"] == "restored"


@pytest.mark.parametrize("scale", [(1e-12, 1e-12), (1e12, 1e12), (1, 1)])
def test_any_scale_is_kept(viewer_model, pair, tmp_path, scale) -> None:
    """Scales that TIFF's fractions cannot hold return all the same."""
    sharp = pair[0]
    sharp.scale = scale
    (path,) = sharp.save(str(tmp_path / "deblurred.tif"), plugin=PLUGIN)
    (opened,) = ViewerModel().open(path, plugin=PLUGIN)
    assert_same(opened, sharp)


@pytest.mark.parametrize("data", [np.eye(4), np.zeros((5, 4, 6), np.uint8)])
def test_other_images_are_saved_as_napari_does(viewer_model, tmp_path, data) -> None:
    """This plugin's writer leaves an image that is none of its results to napari's."""
    layer = viewer_model.add_image(data)
    (path,) = layer.save(str(tmp_path / "other.tif"), plugin=PLUGIN)
    np.testing.assert_array_equal(tifffile.imread(path), data)
    assert [each.name for each in tmp_path.iterdir()] == ["other.tif"]


def test_two_layers_that_are_no_pair_are_saved_apart(viewer_model, source, pair, tmp_path) -> None:
    """Each has its own file, named after its layer, and what is a result its own record."""
    source.name = "so/urce"
    saved = save(viewer_model, (source, pair[1]), tmp_path / "a.tif")
    names = ["a_so_urce.tif", f"a_{pair[1].name}.tif"]
    assert [Path(path).name for path in saved] == names
    assert len(list(tmp_path.iterdir())) == 3
    np.testing.assert_array_equal(tifffile.imread(saved[0]), source.data)
    (opened,) = ViewerModel().open(saved[1], plugin=PLUGIN)
    assert_same(opened, pair[1])


def test_results_of_two_runs_keep_their_own_records(viewer_model, pair, tmp_path) -> None:
    """An image and another run's kernel are no pair."""
    sharp, kernel = pair
    kernel.metadata["selfdeblur"] = {**kernel.metadata["selfdeblur"], "seconds": 0.5}
    saved = save(viewer_model, pair, tmp_path / "a.tif")  # in the order of the viewer's layers
    for path, layer in zip(saved, (kernel, sharp), strict=True):
        (opened,) = ViewerModel().open(path, plugin=PLUGIN)
        assert_same(opened, layer)
    assert sharp.metadata["selfdeblur"]["seconds"] != 0.5


def test_a_preview_is_saved_without_a_record(viewer_model, pair, tmp_path, monkeypatch) -> None:
    """While the run goes on there is no record, and the user is warned."""
    said: list[str] = []
    monkeypatch.setattr(writer, "show_warning", said.append)
    pair[0].metadata["selfdeblur"] = {"status": "running", "config": {}}
    pair[0].save(str(tmp_path / "preview.tif"), plugin=PLUGIN)
    assert [each.name for each in tmp_path.iterdir()] == ["preview.tif"]
    assert "saved without a record" in said[0]


def test_why_a_run_failed_does_not_spoil_its_record(viewer_model, pair, tmp_path) -> None:
    """The record beside a failed run's estimate can be run again."""
    facts = pair[0].metadata["selfdeblur"]
    pair[0].metadata["selfdeblur"] = facts | {"status": "failed", "reason": "no luck"}
    pair[0].save(str(tmp_path / "failed.tif"), plugin=PLUGIN)
    text = (tmp_path / "failed_record.json").read_text(encoding="utf-8")
    assert RunRecord.from_json(text).status == "failed"


def test_napari_s_own_save_keeps_the_pixels(viewer_model, pair, tmp_path) -> None:
    """Saved by napari, into a file each or into a folder, both images are what they were."""
    for layer in pair:
        (path,) = layer.save(str(tmp_path / f"{layer.name}.tif"), plugin="napari")
        np.testing.assert_array_equal(tifffile.imread(path), layer.data)
    viewer_model.layers.save(str(tmp_path / "folder"))
    for layer in viewer_model.layers:
        path = tmp_path / "folder" / f"{layer.name}.tif"
        np.testing.assert_array_equal(tifffile.imread(path), layer.data)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "3", '{"kernel": 1}', '{"config": {}}'])
def test_what_is_not_a_result_is_left_to_others(tmp_path, text: str | None) -> None:
    """Without a record beside it a TIFF is not claimed; nor is a JSON file that is no record."""
    image, record = tmp_path / "a_deblurred.tif", tmp_path / "a_record.json"
    write_tiff(image, np.eye(5))
    if text is not None:
        record.write_text(text)
    assert get_reader(str(image)) is None
    assert get_reader(str(record)) is None
    assert get_reader([str(image), str(image)]) is None


def test_the_blurred_image_beside_its_results_is_not_claimed(viewer_model, pair, tmp_path) -> None:
    """The record NAME_record.json belongs to the results and not to the image NAME.tif."""
    save(viewer_model, pair, tmp_path / "cells.tif")
    write_tiff(tmp_path / "cells.tif", np.eye(5))
    assert get_reader(str(tmp_path / "cells.tif")) is None
    assert get_reader(str(tmp_path / "cells_kernel.tif")) is not None


def test_notes_of_others_are_ignored(viewer_model, pair, tmp_path) -> None:
    """A TIFF with notes of another program opens by its pixel size; unknown units are pixels."""
    save(viewer_model, pair, tmp_path / "cells.tif")
    for info in ("[", "3", json.dumps({"selfdeblur": {"shell": "rm", "name": "mine"}})):
        write_tiff(
            tmp_path / "cells_kernel.tif", pair[1].data, (2, 3), "furlongs-of-old", info=info
        )
        (opened,) = ViewerModel().open(str(tmp_path / "cells_kernel.tif"), plugin=PLUGIN)
        np.testing.assert_array_equal(opened.data, pair[1].data)
        assert [str(unit) for unit in opened.units] == ["pixel", "pixel"]


def test_diagnostics_are_saved_with_the_result(viewer_model, source, tmp_path) -> None:
    """Residual and spread lie on the source, hidden; all four layers return by the record."""
    config = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=5, diagnostics=True)
    job = deblur_job(viewer_model, source, config.replace(device="cpu"), notify=False)
    job.run()
    layers = tuple(layer for layer in viewer_model.layers if layer is not source)
    parts = [layer.metadata["selfdeblur_part"] for layer in layers]
    assert sorted(parts) == ["deblurred", "kernel", "residual", "spread"]
    shown = dict(zip(parts, layers, strict=True))
    for part in ("residual", "spread"):
        layer = shown[part]
        assert layer.name == f"{source.name} {part}"
        assert not layer.visible
        np.testing.assert_allclose(layer.extent.world, source.extent.world)
        assert layer.units == source.units
        np.testing.assert_array_equal(layer.data, getattr(job.result, part))
    low, high = shown["residual"].contrast_limits
    assert low == -high
    assert shown["spread"].contrast_limits[0] == 0

    saved = save(viewer_model, layers, tmp_path / "cells.tif")
    assert {Path(path).name for path in saved} == {f"cells_{part}.tif" for part in parts}
    opened = ViewerModel().open(str(tmp_path / "cells_record.json"), plugin=PLUGIN)
    assert len(opened) == 4
    for layer in opened:
        part = layer.metadata["selfdeblur_part"]
        assert_same(layer, shown[part])
        assert layer.visible == shown[part].visible

    record = tmp_path / "cells_record.json"
    facts = json.loads(record.read_text(encoding="utf-8"))
    facts["config"]["diagnostics"] = False  # what then lies there is of an earlier run
    record.write_text(json.dumps(facts), encoding="utf-8")
    assert get_reader(str(tmp_path / "cells_spread.tif")) is None
    assert len(ViewerModel().open(str(record), plugin=PLUGIN)) == 2


def test_a_grid_of_kernels_returns_by_the_record(blurred, tmp_path) -> None:
    """The files of the command line open as what a run in the viewer leaves, where it lay."""
    write_tiff(tmp_path / "cells.tif", np.tile(blurred, (3, 3)), (0.5, 0.25), "um")
    settings = {"preset": "draft", "kernel-size": "5", "kernel-grid": "2x2", "device": "cpu"}
    asked = [word for name, value in settings.items() for word in (f"--{name}", value)]
    to = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(tmp_path / "cells.tif"), "-o", str(to), *asked])
    assert done.exit_code == 0, done.output
    record = to / "cells_record.json"
    opened = ViewerModel().open(str(record), plugin=PLUGIN)
    parts = [layer.metadata["selfdeblur_part"] for layer in opened]
    assert parts == ["deblurred", "kernel", "kernels", "blur_map"]
    assert [layer.visible for layer in opened] == [True, True, False, False]
    kernels, differences = opened[2:]
    assert differences.data.shape == (2, 2)
    written = tifffile.imread(to / "cells_kernels.tif")
    assert kernels.data.sum() == pytest.approx(written.sum())
    for layer in (kernels, differences):
        edges = layer.extent.world + np.outer([-0.5, 0.5], layer.scale)
        np.testing.assert_allclose(edges, [[-0.25, -0.125], [35.75, 23.875]], atol=1e-5)

    write_tiff(to / "cells_kernels.tif", written[:3], axes="ZYX")  # of another run
    assert len(ViewerModel().open(str(record), plugin=PLUGIN)) == 2


@pytest.mark.parametrize("chosen", [slice(1, 3), slice(1, None), slice(2, 3)])
def test_a_grid_of_kernels_is_saved_with_the_result(blurred, tmp_path, chosen: slice) -> None:
    """With image and kernel, all layers, or the image alone, for the record to bring back."""
    viewer = ViewerModel()
    layer = viewer.add_image(np.tile(blurred, (3, 3)), name="cells", scale=(0.5, 0.25))
    config = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=5, kernel_grid=(2, 2))
    job = deblur_job(viewer, layer, config.replace(device="cpu"), notify=False)
    job.run()
    layers = list(viewer.layers)
    assert [each.name for each in layers[1:3]] == ["cells kernel", "cells deblurred"]
    save(viewer, tuple(layers[chosen]), tmp_path / "cells.tif")
    written = tifffile.imread(tmp_path / "cells_kernels.tif")
    kernels = job.result.kernels
    np.testing.assert_array_equal(written, kernels.reshape(4, *kernels.shape[-2:]))
    assert not (tmp_path / "cells_blur_map.tif").exists()
    again = ViewerModel()
    again.open(str(tmp_path / "cells_record.json"), plugin=PLUGIN)
    for old, new in zip(layers[-2:], list(again.layers)[-2:], strict=True):
        np.testing.assert_array_equal(new.data, old.data)
        np.testing.assert_allclose(new.extent.world, old.extent.world)
        assert new.metadata == old.metadata
        assert new.visible == old.visible
    save(again, tuple(again.layers), tmp_path / "again.tif")
    assert list(tmp_path.glob("again*_kernels.tif"))


def test_a_plane_of_a_stack_has_its_diagnostics_in_its_place(viewer_model, blurred) -> None:
    """They have the axes of the stack, and lie where the plane does."""
    stack = np.stack([blurred[::-1], blurred])
    layer = viewer_model.add_image(stack, name="stack", scale=(2, 0.5, 0.5))
    viewer_model.dims.set_point(0, 2)
    config = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=5, diagnostics=True)
    job = deblur_job(viewer_model, layer, config.replace(device="cpu"), notify=False)
    job.run()
    sharp, residual = (viewer_model.layers[f"stack {part}"] for part in ("deblurred", "residual"))
    assert residual.data.shape == sharp.data.shape == (1, 24, 32)
    np.testing.assert_allclose(residual.extent.world, sharp.extent.world)
