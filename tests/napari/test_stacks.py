"""Layers of more than two dimensions: the displayed plane, all planes, and their place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

import napari_selfdeblur as sd
from napari_selfdeblur._napari.kernel_choice import KernelChoice
from napari_selfdeblur._napari.layer_choice import LayerChoice
from napari_selfdeblur._napari.report import report_of
from napari_selfdeblur._napari.restore_widget import RestoreWidget
from napari_selfdeblur._napari.stack_source import axes_of
from napari_selfdeblur._napari.widget import DeblurWidget
from napari_selfdeblur._napari.work import restore_job
from napari_selfdeblur.cli import main
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurWarning, ImageError
from napari_selfdeblur.io.file_stack import open_stack
from napari_selfdeblur.io.files import write_tiff

PLACE = ("scale", "translate", "units", "axis_labels")
KERNEL = np.full((3, 5), 1 / 15, np.float32)


@pytest.fixture
def series(blurred: np.ndarray) -> np.ndarray:
    """Two times and two channels on the full scale: uint8, (2, 2, 24, 32)."""
    planes = [blurred, blurred[::-1], 255 - blurred, blurred[:, ::-1]]
    return np.stack(planes).reshape(2, 2, 24, 32)


@pytest.fixture
def layer(viewer_model: ViewerModel, series: np.ndarray) -> Image:
    return viewer_model.add_image(
        series,
        name="cells",
        scale=(30, 1, 0.5, 0.25),
        translate=(0, 0, 7, -3),
        units=("s", "pixel", "um", "um"),
        axis_labels=("t", "c", "y", "x"),
        colormap="green",
    )


def stand(viewer: ViewerModel, *index: float) -> None:
    viewer.dims.set_point(range(len(index)), index)


def test_the_displayed_plane_stays_in_its_place(viewer_model, layer, series, config) -> None:
    """The current plane's result is a layer of that one plane, where the viewer stands."""
    stand(viewer_model, 30, 1)
    sharp, kernel = sd.deblur_layer(viewer_model, layer, config=config, blocking=True)
    alone = sd.deblur(series[1, 1], config=config)
    np.testing.assert_array_equal(sharp.data, alone.sharp[None, None])
    np.testing.assert_array_equal(kernel.data, alone.kernel)
    for name in ("scale", "units", "axis_labels"):
        np.testing.assert_array_equal(getattr(sharp, name), getattr(layer, name))
    np.testing.assert_allclose(sharp.translate, (30, 1, 7, -3))
    assert sharp.metadata["selfdeblur"]["image"]["index"] == {"t": 1, "c": 1}
    assert kernel.axis_labels == ("y", "x")
    assert [str(unit) for unit in kernel.units] == ["micrometer"] * 2
    assert viewer_model.dims.current_step[:2] == (1, 1)


@pytest.mark.parametrize(("kernels", "lead"), [("one", ()), ("channel", (2,)), ("plane", (2, 2))])
def test_all_planes_have_the_numbers_of_the_api(
    viewer_model, layer, series, config, kernels: str, lead: tuple[int, ...]
) -> None:
    """Layers of all planes lie on the source, with what `deblur_stack` gives; so do kernels."""
    sharp, kernel = sd.deblur_layer(
        viewer_model, layer, planes="all", kernels=kernels, config=config, blocking=True
    )
    expected = sd.deblur_stack(series, "TCYX", kernels, config=config)
    np.testing.assert_array_equal(sharp.data, expected.sharp)
    np.testing.assert_array_equal(kernel.data, expected.kernels)
    assert kernel.data.shape[:-2] == lead
    for name in PLACE:
        np.testing.assert_array_equal(getattr(sharp, name), getattr(layer, name))
    np.testing.assert_allclose(kernel.scale, layer.scale[-kernel.ndim :])
    assert kernel.units == layer.units[-kernel.ndim :]
    assert kernel.axis_labels == layer.axis_labels[-kernel.ndim :]
    assert kernel.translate[-1] > -3 + 0.25 * 32
    assert sharp.colormap.name == "green"
    record = sd.StackRecord.from_dict(sharp.metadata["selfdeblur"])
    assert (record.status, record.image["name"]) == ("finished", "cells")


def test_a_kernel_for_each_channel_follows_its_slider(viewer_model, series, config) -> None:
    """With axes after the channel the kernels are displayed at every step of these."""
    layer = viewer_model.add_image(series, axis_labels=("c", "z", "y", "x"))
    _, kernel = sd.deblur_layer(
        viewer_model, layer, planes="all", kernels="channel", config=config, blocking=True
    )
    assert kernel.data.shape == (2, 2, 5, 5)
    np.testing.assert_array_equal(kernel.data[:, 0], kernel.data[:, 1])


def test_a_plane_through_a_volume_is_that_of_the_source(viewer_model, series, config) -> None:
    """All planes are depicted as the source is; one alone is no volume to cut."""
    layer = viewer_model.add_image(series[0], name="cells", depiction="plane")
    layer.plane.position = (1, 3, 4)
    layer.plane.thickness = 2
    job = restore_job(
        viewer_model, layer, KERNEL, RestoreConfig(device="cpu"), kernel_name="psf", planes="all"
    )
    job.run()
    assert job.layers[0].depiction == "plane"
    assert job.layers[0].plane == layer.plane
    one = restore_job(viewer_model, layer, KERNEL, RestoreConfig(device="cpu"), kernel_name="psf")
    one.run()
    assert one.layers[0].depiction == "volume"


@pytest.mark.parametrize("planes", ["current", "all"])
def test_a_series_of_colour_images(viewer_model, series, config, planes: str) -> None:
    """RGB planes stay RGB, in the source's data type."""
    colour = np.stack([series[:, 0], series[:, 1], series[:, 0]], -1)
    layer = viewer_model.add_image(colour, rgb=True, name="cells")
    sharp, _ = sd.deblur_layer(viewer_model, layer, planes=planes, config=config, blocking=True)
    assert sharp.rgb
    assert sharp.data.dtype == np.uint8
    assert sharp.data.shape == (2 if planes == "all" else 1, 24, 32, 3)
    assert not np.array_equal(sharp.data, colour[: len(sharp.data)])


@pytest.mark.parametrize("planes", ["current", "all"])
def test_a_pyramid_of_a_series(viewer_model, series, config, planes: str) -> None:
    """Of a multiscale stack the finest level is taken."""
    levels = [series[:, 0], series[:, 0, ::2, ::2]]
    layer = viewer_model.add_image(levels, multiscale=True, name="cells", scale=(1, 2, 2))
    stand(viewer_model, 1)
    sharp, _ = sd.deblur_layer(viewer_model, layer, planes=planes, config=config, blocking=True)
    expected = sd.deblur_stack(series[:, 0], "TYX", config=config).sharp
    if planes == "current":
        expected = sd.deblur(series[1, 0], config=config).sharp[None]
    np.testing.assert_array_equal(sharp.data, expected)


def test_only_the_displayed_plane_of_a_lazy_layer_is_read(viewer_model, series, config) -> None:
    """A run on the current plane of a dask layer computes no other plane."""
    read = []

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        read.append(block_info[0]["chunk-location"][0])
        return values

    lazy = dask.array.from_array(series[:, 0], chunks=(1, 24, 32))
    lazy = lazy.map_blocks(block, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    layer = viewer_model.add_image(lazy, contrast_limits=(0, 255), name="cells")
    stand(viewer_model, 1)
    read.clear()
    sd.deblur_layer(viewer_model, layer, config=config, blocking=True)
    assert set(read) == {1}


def test_what_is_not_displayed_as_a_plane_is_refused(viewer_model, layer, config) -> None:
    """In 3-D, with other axes in view, or beside the layer, no plane is the current one."""
    viewer_model.dims.ndisplay = 3
    with pytest.raises(ImageError, match="switch to the 2-D view"):
        sd.deblur_layer(viewer_model, layer, config=config)
    viewer_model.dims.ndisplay = 2
    viewer_model.dims.order = (1, 2, 0, 3)
    with pytest.raises(ImageError, match="last two axes"):
        sd.deblur_layer(viewer_model, layer, config=config)
    viewer_model.dims.order = (0, 1, 2, 3)
    viewer_model.add_image(np.zeros((9, 2, 24, 32)), scale=(30, 1, 1, 1))
    stand(viewer_model, 240, 0)
    with pytest.raises(ImageError, match="no plane where the viewer stands"):
        sd.deblur_layer(viewer_model, layer, config=config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planes": "some"}, "planes must be one of current, all, got 'some'"),
        ({"kernels": "two"}, "kernels must be one of one, channel, plane, got 'two'"),
        ({"planes": "all", "kernels": "channel"}, r"labelled c or channel.*axis_labels = "),
    ],
)
def test_wrong_choices_are_named(viewer_model, series, options, message: str) -> None:
    """A choice that is none, and a channel axis that is not labelled, are ConfigErrors."""
    layer = viewer_model.add_image(series, name="cells")
    with pytest.raises(ConfigError, match=message):
        sd.deblur_layer(viewer_model, layer, **options)


def test_axes_come_from_the_labels(series) -> None:
    """Time, depth and channel by their names in whatever case; any other axis has no meaning."""
    assert axes_of(Image(series, axis_labels=("Time", "Channel", "y", "x"))) == "TCYX"
    assert axes_of(Image(series, axis_labels=("c", "z", "y", "x"))) == "CZYX"
    assert set(axes_of(Image(series))[:2]).isdisjoint("TCZYXS")


def test_a_plane_that_fails_is_named_in_the_report(viewer_model, series, config) -> None:
    """A flat plane stays blurred, as panel and record say; the other planes' results are shown.

    One notification says how many they are.
    """
    series[1] = 7
    layer = viewer_model.add_image(series, name="cells")
    notification_manager.records.clear()
    with warnings.catch_warnings(action="default"), notification_manager:
        job = sd.deblur_layer(viewer_model, layer, planes="all", config=config)
        job.wait(60)
    (notified,) = notification_manager.records
    assert notified.message.startswith("cells: Finished after")
    assert "2 of 4 planes could not be deblurred." in notified.message
    sharp = job.layers[0]
    np.testing.assert_array_equal(sharp.data[1], series[1])
    states = [each["state"] for each in sharp.metadata["selfdeblur"]["planes"]]
    assert states == ["restored", "restored", "blurred", "blurred"]
    kind, lines = report_of(job)
    assert kind == "warning"
    assert "stays blurred: is constant" in lines[1]


def test_a_script_is_warned_of_planes_that_fail(viewer_model, series, config) -> None:
    """A call that waits for the end is without a notification."""
    series[1] = 7
    layer = viewer_model.add_image(series, name="cells")
    with pytest.warns(DeblurWarning, match="2 of 4 planes could not be deblurred: plane") as said:
        sd.deblur_layer(viewer_model, layer, planes="all", config=config, blocking=True)
    assert [each.filename for each in said] == [__file__]


def test_a_stop_midway_keeps_what_is_done(qtbot, viewer_model, layer, series, config) -> None:
    """Stopped in the estimate, the layer has that plane, the others blurred; the report counts."""
    job = sd.deblur_layer(viewer_model, layer, planes="all", config=config.replace(iterations=4000))
    qtbot.waitUntil(lambda: job.layers[0] is not None, timeout=30000)
    job.stop()
    job.wait(60)
    assert job.state == "stopped"
    assert (job.layers[0].data == series).all((-2, -1)).sum() == 3
    assert any("3 of 4 planes were not reached" in line for line in report_of(job)[1])


def test_restoring_all_planes(viewer_model, layer, series) -> None:
    """A known kernel restores every plane, in the source's place."""
    config = RestoreConfig(device="cpu")
    job = restore_job(viewer_model, layer, KERNEL, config, kernel_name="psf", planes="all")
    job.run()
    sharp, kernel = job.layers
    assert kernel is None
    for place in np.ndindex(2, 2):
        expected = sd.restore(series[place], KERNEL, device="cpu")
        np.testing.assert_array_equal(sharp.data[place], expected)
    for name in PLACE:
        np.testing.assert_array_equal(getattr(sharp, name), getattr(layer, name))
    assert sharp.metadata["selfdeblur"]["kernel"]["name"] == "psf"


@pytest.fixture
def made(qtbot, machine, viewer_model: ViewerModel) -> Callable[[type], Any]:
    def make(kind: type) -> Any:
        panel = kind(viewer_model)
        qtbot.addWidget(panel.native)
        panel.native.show()
        return panel

    return make


def press(qtbot, button: Any) -> None:
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("kind", [DeblurWidget, RestoreWidget])
def test_the_rows_are_there_for_stacks_alone(
    qtbot, viewer_model, layer, blurred, made, kind
) -> None:
    """Planes, and Kernel for where kernels are estimated, are in view while a stack is chosen."""
    panel = made(kind)
    panel.image.choose(layer)
    rows = [
        panel.form.fields[name].widget
        for name in ("planes", "kernels")[: 2 - (kind is RestoreWidget)]
    ]
    qtbot.waitUntil(lambda: all(row.visible for row in rows))
    panel.image.choose(viewer_model.add_image(blurred, name="flat"))
    qtbot.waitUntil(lambda: not any(row.visible for row in rows))


def test_a_run_of_all_planes_by_clicks(qtbot, viewer_model, layer, config, made) -> None:
    """The panel runs what its rows say, and names the plane while it does."""
    panel = made(DeblurWidget)
    panel.image.choose(layer)
    panel.form.show({name: getattr(config, name) for name in config.kinds()})
    panel.form.fields["planes"].widget.value = "all planes"
    panel.form.fields["kernels"].widget.value = "each channel"
    qtbot.waitUntil(lambda: panel.run_button.enabled)
    press(qtbot, panel.run_button)
    job, seen = panel.job, set()
    job.progressed.connect(lambda _: seen.add(panel.status.stage.text()))
    qtbot.waitUntil(lambda: not job.running, timeout=60000)
    assert job.state == "finished"
    assert any(" of 4" in text and "plane " in text for text in seen)
    assert viewer_model.layers["cells deblurred"].data.shape == layer.data.shape
    assert viewer_model.layers["cells kernel"].data.shape == (2, 5, 5)


def test_a_channel_axis_without_a_label_is_named_at_once(qtbot, viewer_model, series, made) -> None:
    """A kernel for each channel asks for the label before Run, at its row."""
    panel = made(DeblurWidget)
    panel.image.choose(viewer_model.add_image(series, name="plain"))
    panel.form.show({"kernel_size": (5, 5)})
    panel.form.fields["planes"].widget.value = "all planes"
    panel.form.fields["kernels"].widget.value = "each channel"
    qtbot.waitUntil(lambda: "labelled c" in panel.status.message.text())
    assert panel.form.marked == "kernels"
    assert not panel.run_button.enabled


@pytest.mark.parametrize(
    ("name", "value", "kernels", "text"),
    [
        ("diagnostics", True, "each plane", "choose Planes: current plane"),
        ("kernel_grid", (2, 2), "each channel", "choose Kernel for: each plane"),
    ],
)
def test_what_all_planes_cannot_have_is_named_at_once(
    qtbot, viewer_model, layer, made, name: str, value, kernels: str, text: str
) -> None:
    """Said before Run, at the setting, in the words of the panel's rows."""
    layer.data = np.tile(layer.data, (1, 1, 3, 3))
    panel = made(DeblurWidget)
    panel.image.choose(layer)
    panel.form.show({"kernel_size": (5, 5), name: value})
    qtbot.waitUntil(lambda: panel.run_button.enabled)
    panel.form.fields["kernels"].widget.value = kernels
    panel.form.fields["planes"].widget.value = "all planes"
    qtbot.waitUntil(lambda: text in panel.status.message.text())
    assert panel.status.message.text().startswith(panel.form.fields[name].kind.label)
    assert panel.form.marked == name
    assert not panel.run_button.enabled


def test_each_channel_is_restored_with_its_kernel(
    qtbot, viewer_model, layer, series, made, tmp_path
) -> None:
    """From a layer that follows the channel's slider, and from a file; else a plane's kernel."""
    kernels = np.stack([KERNEL, np.eye(3, 5, dtype=np.float32) / 3])
    psf = viewer_model.add_image(kernels, name="cells kernel", axis_labels=("c", "y", "x"))
    panel = made(RestoreWidget)
    panel.image.choose(layer)
    panel.form.show({"device": "cpu"})
    panel.form.fields["planes"].widget.value = "all planes"
    qtbot.waitUntil(lambda: panel.kernel_text.text() == "3 x 5 pixels, 2 kernels")
    expected = sd.restore_stack(series, kernels, axes="TCYX", device="cpu").sharp
    write_tiff(tmp_path / "psf.tif", kernels, axes="CYX")
    for file in (None, tmp_path / "psf.tif"):
        panel.kernel_choice.file.value = file
        qtbot.waitUntil(panel.check)
        press(qtbot, panel.run_button)
        job = panel.job
        qtbot.waitUntil(lambda job=job: not job.running)
        np.testing.assert_array_equal(job.layers[0].data, expected)
    panel.kernel_choice.file.value = None
    psf.data = np.stack([KERNEL] * 3)
    qtbot.waitUntil(lambda: "does not fit the planes" in panel.status.message.text())
    assert not panel.run_button.enabled
    panel.form.fields["planes"].widget.value = "current plane"
    qtbot.waitUntil(lambda: panel.kernel_text.text() == "3 x 5 pixels")
    assert panel.run_button.enabled


@pytest.mark.parametrize(
    ("axes", "lead", "fit"),
    [
        (("c", "y", "x"), (2,), (2,)),
        (("c", "z", "y", "x"), (2, 3), (4, 2, 3)),
        (("z", "y", "x"), (3,), (4, 2, 3)),
        (("t", "c", "z", "y", "x"), (4, 1, 1), (4, 2, 3)),
    ],
)
def test_kernels_are_for_the_planes_they_are_displayed_with(viewer_model, axes, lead, fit) -> None:
    """Aligned by the last axes, unless their one axis is labelled as the channels'."""
    image = viewer_model.add_image(
        np.zeros((4, 2, 3, 8, 8)), name="image", axis_labels=("t", "c", "z", "y", "x")
    )
    kernels = np.random.default_rng(0).random((*lead, 3, 3))
    viewer_model.add_image(kernels, name="psf", axis_labels=axes)
    found, name = KernelChoice(viewer_model).kernels(image)
    assert name == "psf"
    normed = kernels / kernels.sum((-2, -1), keepdims=True)
    np.testing.assert_allclose(found, np.broadcast_to(normed, (*fit, 3, 3)), rtol=1e-6)


def test_a_kernel_that_a_run_did_not_find_stays_zero(viewer_model) -> None:
    """Its plane stays blurred; where there is no kernel at all that is said."""
    image = viewer_model.add_image(np.zeros((2, 8, 8)), name="image")
    kernels = np.stack([np.ones((3, 3)), np.zeros((3, 3))])
    psf = viewer_model.add_image(kernels, name="psf")
    choice = KernelChoice(viewer_model)
    np.testing.assert_allclose(choice.kernels(image)[0], kernels / 9)
    psf.data = 0 * kernels
    with pytest.raises(ImageError, match="positive"):
        choice.kernels(image)


def test_an_edit_of_the_layer_is_seen_at_once(qtbot, viewer_model, series, made) -> None:
    """Labelled as the message says the layer can be run; other pixels are checked anew too."""
    panel = made(DeblurWidget)
    layer = viewer_model.add_image(series, name="plain")
    panel.form.show({"kernel_size": (5, 5)})
    panel.form.fields["planes"].widget.value = "all planes"
    panel.form.fields["kernels"].widget.value = "each channel"
    qtbot.waitUntil(lambda: "labelled c" in panel.status.message.text())
    layer.axis_labels = ("t", "c", "y", "x")
    qtbot.waitUntil(lambda: panel.run_button.enabled)
    layer.data = series[..., :4, :4]
    qtbot.waitUntil(lambda: "must fit into the image" in panel.status.message.text())
    layer.data = series
    qtbot.waitUntil(lambda: panel.run_button.enabled)


def test_a_layer_no_longer_chosen_is_not_followed(viewer_model, series) -> None:
    """Its edits reach the choice while it is chosen, and until the choice is released."""
    first, second = (viewer_model.add_image(series) for _ in range(2))
    choice, seen = LayerChoice(viewer_model, "Image", ""), []
    choice.edited.connect(lambda: seen.append(choice.layer))
    first.axis_labels = ("t", "c", "y", "x")
    assert seen == []
    second.axis_labels = ("t", "c", "y", "x")
    assert seen == [second]
    choice.choose(first)
    second.axis_labels = ("z", "c", "y", "x")
    choice.release()
    first.axis_labels = ("z", "c", "y", "x")
    assert seen == [second]


def test_the_cost_is_that_of_all_planes(viewer_model, layer, made) -> None:
    """Time and memory are asked for as many estimates and restorations as the rows say."""
    panel = made(DeblurWidget)
    panel.image.choose(layer)
    fields = panel.form.fields
    assert panel.rows.amount(layer).estimates == 1
    assert panel.rows.amount(layer).planes == 1
    fields["planes"].widget.value = "all planes"
    size = 4 * layer.data.size
    for text, estimates, restorations in (
        ("all planes", 1, 4),
        ("each channel", 2, 4),
        ("each plane", 4, 0),
    ):
        fields["kernels"].widget.value = text
        found = panel.rows.amount(layer)
        assert (found.planes, found.estimates, found.restorations) == (4, estimates, restorations)
        assert found.result == size


def test_a_stack_s_cost_in_words() -> None:
    """The number of planes stands before their size, and more planes take longer."""
    from napari_selfdeblur._napari.cost import Amount, find_cost

    config = SelfDeblurConfig.preset("draft").replace(device="cpu", kernel_size=13)
    found = find_cost(config, (64, 64), Amount(8, 1, 8, 8 * 4 * 64 * 64))
    assert found.text.startswith("8 planes of 64 x 64 px: about 0:")


def saved_and_opened(viewer: ViewerModel, layers: tuple[Image, ...], path: Path) -> list[Image]:
    viewer.layers.selection = set(layers)
    viewer.layers.save(str(path), selected=True, plugin="napari-selfdeblur")
    record = path.with_name(f"{path.stem}_record.json")
    opened: list[Image] = ViewerModel().open(str(record), plugin="napari-selfdeblur")
    return opened


@pytest.mark.parametrize(
    ("planes", "kernels", "labels"),
    [
        ("current", "one", ("t", "c", "y", "x")),
        ("all", "one", ("t", "z", "y", "x")),
        ("all", "channel", ("t", "c", "y", "x")),
        ("all", "plane", ("c", "t", "y", "x")),
        ("all", "one", ("-4", "-3", "-2", "-1")),
    ],
)
def test_saved_stacks_come_back_as_they_were(
    plugins, viewer_model, layer, config, tmp_path, planes: str, kernels: str, labels
) -> None:
    """Pixels, place, units, labels, look and record of stack layers return from their files."""
    layer.axis_labels = labels
    pair = sd.deblur_layer(
        viewer_model, layer, planes=planes, kernels=kernels, config=config, blocking=True
    )
    opened = saved_and_opened(viewer_model, pair, tmp_path / "cells.tif")
    for one, other in zip(opened, pair, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert one.data.dtype == other.data.dtype
        for name in ("scale", "translate", "contrast_limits"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name))
        for name in ("name", "units", "axis_labels", "metadata"):
            assert getattr(one, name) == getattr(other, name)
        assert one.colormap.name == other.colormap.name


def test_a_saved_colour_series_comes_back(plugins, viewer_model, series, config, tmp_path) -> None:
    """RGB planes are saved as such."""
    colour = np.stack([series[:, 0], series[:, 1], series[:, 0]], -1)
    layer = viewer_model.add_image(colour, rgb=True, name="cells")
    pair = sd.deblur_layer(viewer_model, layer, planes="all", config=config, blocking=True)
    opened = saved_and_opened(viewer_model, pair, tmp_path / "cells.tif")
    assert opened[0].rgb
    np.testing.assert_array_equal(opened[0].data, pair[0].data)


def test_imagej_finds_axes_and_steps(plugins, viewer_model, layer, config, tmp_path) -> None:
    """A saved series is a hyperstack with its axes, pixel size and seconds between frames."""
    pair = sd.deblur_layer(viewer_model, layer, planes="all", config=config, blocking=True)
    saved_and_opened(viewer_model, pair, tmp_path / "cells.tif")
    with tifffile.TiffFile(tmp_path / "cells_deblurred.tif") as tif:
        assert tif.series[0].axes == "TCYX"
        assert tif.imagej_metadata["finterval"] == pytest.approx(30)
    stack = open_stack(tmp_path / "cells_deblurred.tif")
    assert stack.layout.scale == pytest.approx((30, None, 0.5, 0.25))


def test_stacks_of_the_command_line_open(plugins, viewer_model, series, config, tmp_path) -> None:
    """What `run` writes of a stack opens with scale, labels and record, and the same numbers."""
    write_tiff(tmp_path / "s.tif", series, (0.5, 0.25), "um", axes="TCYX")
    words = "--kernel-size 5 --iterations 3 --channels 8 --non-local false --device cpu"
    preset = "--preset official --kernels channel -q"
    command = ["run", str(tmp_path / "s.tif"), "-o", str(tmp_path), *words.split(), *preset.split()]
    assert main(command) == 0
    opened = viewer_model.open(str(tmp_path / "s_record.json"), plugin="napari-selfdeblur")
    expected = sd.deblur_stack(series, "TCYX", "channel", config=config)
    np.testing.assert_array_equal(opened[0].data, expected.sharp)
    np.testing.assert_array_equal(opened[1].data, expected.kernels)
    assert opened[0].axis_labels == ("t", "c", "y", "x")
    assert opened[1].axis_labels == ("c", "y", "x")
    np.testing.assert_allclose(opened[0].scale[-2:], (0.5, 0.25))
    assert opened[1].translate[-1] > 0.25 * 32
    again = sd.deblur_layer(
        viewer_model,
        viewer_model.add_image(series, axis_labels=("t", "c", "y", "x"), name="again"),
        planes="all",
        kernels="channel",
        config=config,
        blocking=True,
    )
    np.testing.assert_array_equal(again[0].data, opened[0].data)
