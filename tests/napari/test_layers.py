"""What a run reads from a layer, and the two layers it makes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_selfdeblur._napari.layers import ResultLayers, read_source
from napari_selfdeblur.errors import ImageError

KERNEL = np.full((5, 3), 1 / 15, np.float32)


def corners(layer: Image) -> np.ndarray:
    """The four corners of a layer in world coordinates."""
    height, width = layer.data.shape[:2]
    ends = [(r, c) for r in (-0.5, height - 0.5) for c in (-0.5, width - 0.5)]
    return np.array([layer.data_to_world(end) for end in ends])


def test_the_image_is_a_copy(blurred: np.ndarray) -> None:
    """What is done to the layer after reading does not reach the run."""
    layer = Image(blurred.copy())
    source = read_source(layer)
    layer.data[:] = 0
    np.testing.assert_array_equal(source.image, blurred)


def test_the_full_resolution_of_a_pyramid_is_read(blurred: np.ndarray) -> None:
    """Of a multiscale layer the finest level is taken."""
    layer = Image([blurred, blurred[::2, ::2]], multiscale=True)
    np.testing.assert_array_equal(read_source(layer).image, blurred)


def test_a_lazy_image_is_left_where_it_is(blurred: np.ndarray) -> None:
    """A dask layer is read by the run, piece by piece; what lies in memory is copied."""
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.from_array(blurred, chunks=8)
    source = read_source(Image(lazy))
    assert source.image is lazy
    copied = read_source(Image(blurred)).image
    assert not np.shares_memory(copied, blurred)


def test_colour_is_the_layer_s_word(blurred: np.ndarray) -> None:
    """Whether the last axis is colour comes from the layer and is not guessed."""
    assert read_source(Image(np.stack([blurred] * 3, -1), rgb=True)).rgb
    assert not read_source(Image(blurred[:, :3])).rgb


def test_a_stack_in_no_viewer_is_refused() -> None:
    """Of a layer of three dimensions the viewer says which plane is read."""
    with pytest.raises(ImageError, match="'stack' is in no viewer"):
        read_source(Image(np.zeros((4, 8, 8)), name="stack"))


def test_other_layers_are_refused() -> None:
    """Only image layers can be deblurred."""
    with pytest.raises(ImageError, match="not an image layer"):
        read_source(Points(np.zeros((1, 2))))


def test_results_lie_where_the_source_lies(viewer_model: ViewerModel, blurred: np.ndarray) -> None:
    """Both layers carry the source's scale, units and axis labels, the image its position too."""
    layer = viewer_model.add_image(
        blurred,
        name="cells",
        scale=(0.5, 0.25),
        translate=(3, -4),
        rotate=20,
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    layers = ResultLayers(viewer_model, read_source(layer), "cells deblurred")
    layers.show(blurred.astype(np.float32), KERNEL)
    assert layers.sharp is not None
    assert layers.kernel is not None
    for result in (layers.sharp, layers.kernel):
        np.testing.assert_allclose(result.scale, layer.scale)
        np.testing.assert_allclose(result.rotate, layer.rotate)
        assert result.units == layer.units
        assert result.axis_labels == layer.axis_labels
        assert result.data.dtype == np.float32
    np.testing.assert_allclose(corners(layers.sharp), corners(layer))
    assert (layers.sharp.name, layers.kernel.name) == ("cells deblurred", "cells kernel")


def test_a_result_looks_like_its_source(viewer_model: ViewerModel, blurred: np.ndarray) -> None:
    """Colormap, limits, gamma, opacity, blending, interpolation and rendering are the source's.

    The kernel shares what does not depend on the values.
    """
    shown = {
        "colormap": "green",
        "contrast_limits": [10, 200],
        "gamma": 0.7,
        "opacity": 0.6,
        "blending": "additive",
        "interpolation2d": "cubic",
        "interpolation3d": "nearest",
        "rendering": "iso",
        "iso_threshold": 90.0,
        "attenuation": 0.1,
        "projection_mode": "mean",
    }
    layer = viewer_model.add_image(blurred, name="cells", **shown)
    layers = ResultLayers(viewer_model, read_source(layer), "cells deblurred")
    layers.show(blurred.astype(np.float32), KERNEL)
    assert layers.sharp is not None
    assert layers.kernel is not None
    for name in shown:
        assert getattr(layers.sharp, name) == getattr(layer, name)
    assert (layers.kernel.opacity, layers.kernel.blending) == (0.6, "additive")


@pytest.mark.parametrize("rotate", [0, 30, 180])
def test_the_kernel_covers_nothing_of_the_image(
    viewer_model: ViewerModel, blurred: np.ndarray, rotate: float
) -> None:
    """In the image's own axes the kernel begins right of the image's last column."""
    layer = viewer_model.add_image(
        blurred, scale=(2, 3), translate=(5, 7), rotate=rotate, affine=np.diag([0.5, 2, 1])
    )
    layers = ResultLayers(viewer_model, read_source(layer), "cells deblurred")
    layers.show(blurred.astype(np.float32), KERNEL)
    assert layers.kernel is not None
    in_image = np.array([layer.world_to_data(corner) for corner in corners(layers.kernel)])
    assert in_image[:, 1].min() > blurred.shape[1] - 0.5
    np.testing.assert_allclose(np.ptp(in_image, axis=0), KERNEL.shape)


def test_previews_change_the_layers_in_place(
    viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """A second estimate shows in the same two layers; the kernel's display ends at its maximum."""
    layers = ResultLayers(viewer_model, read_source(viewer_model.add_image(blurred)), "result")
    layers.show(blurred.astype(np.float32), KERNEL)
    first = layers.sharp, layers.kernel
    delta = np.zeros_like(KERNEL)
    delta[2, 1] = 1
    layers.show(np.ones(blurred.shape, np.float32), delta)
    assert (layers.sharp, layers.kernel) == first
    assert len(viewer_model.layers) == 3
    assert layers.sharp is not None
    assert layers.sharp.data.max() == 1
    assert layers.kernel is not None
    assert layers.kernel.contrast_limits == [0, 1]


def test_the_user_s_selection_is_kept(viewer_model: ViewerModel, blurred: np.ndarray) -> None:
    """New result layers do not take the selection away."""
    layer = viewer_model.add_image(blurred)
    layers = ResultLayers(viewer_model, read_source(layer), "cells deblurred")
    layers.show(blurred.astype(np.float32), KERNEL)
    assert list(viewer_model.layers.selection) == [layer]


def test_a_deleted_layer_comes_back_with_the_result(
    viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """A preview leaves a deleted layer away; the final result shows it again."""
    layers = ResultLayers(viewer_model, read_source(viewer_model.add_image(blurred)), "result")
    sharp = blurred.astype(np.float32)
    layers.show(sharp, KERNEL)
    viewer_model.layers.remove(layers.sharp)
    layers.show(sharp, KERNEL)
    assert len(viewer_model.layers) == 2
    kept = layers.kernel
    layers.finish(sharp, KERNEL, {"status": "finished"})
    final = (layers.sharp, layers.kernel)
    assert final[1] is kept
    assert all(layer in viewer_model.layers for layer in final)
    assert all(layer.metadata["selfdeblur"] == {"status": "finished"} for layer in final)


def test_a_colour_result_is_a_colour_layer(viewer_model: ViewerModel, blurred: np.ndarray) -> None:
    """The deblurred layer of an RGB layer is RGB, its kernel grey."""
    colour = np.stack([blurred] * 3, -1) / np.float32(255)
    source = read_source(viewer_model.add_image(colour, rgb=True))
    layers = ResultLayers(viewer_model, source, "result")
    layers.show(colour, KERNEL)
    assert layers.sharp is not None
    assert layers.kernel is not None
    assert layers.sharp.rgb
    assert not layers.kernel.rgb


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_colour_result_has_its_source_s_dtype(viewer_model: ViewerModel, dtype: type) -> None:
    """napari displays colour by the dtype's range, so a result keeps it, rounded and clipped."""
    colour = np.full((6, 8, 3), 1, dtype)
    source = read_source(viewer_model.add_image(colour, rgb=True))
    layers = ResultLayers(viewer_model, source, "result")
    sharp = np.full(colour.shape, 0.75, np.float32)
    layers.show(sharp, KERNEL)
    assert layers.sharp is not None
    assert layers.sharp.data.dtype == dtype
    expected = sharp if dtype is np.float32 else np.ones(colour.shape)
    np.testing.assert_array_equal(layers.sharp.data, expected)


def camera(viewer: ViewerModel) -> tuple[float, ...]:
    return (*viewer.scene.camera.center, viewer.scene.camera.zoom)


def in_view(viewer: ViewerModel, layer: Image) -> bool:
    """Whether all four corners of a layer lie inside the canvas."""
    half = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    away = np.abs(corners(layer) - np.array(viewer.scene.camera.center[-2:]))
    return bool((away <= half).all())


def test_the_kernel_is_in_view(viewer_model: ViewerModel, blurred: np.ndarray) -> None:
    """A kernel beside an image that fills the view is seen without a reset of the view."""
    layer = viewer_model.add_image(blurred[:, :20], scale=(2, 3))
    viewer_model.canvas.size = (400, 400)
    viewer_model.reset_view(margin=0)
    layers = ResultLayers(viewer_model, read_source(layer), "result")
    layers.show(blurred[:, :20].astype(np.float32), KERNEL)
    assert layers.kernel is not None
    assert in_view(viewer_model, layers.kernel)


@pytest.mark.parametrize("moved", [True, False])
def test_the_user_s_view_is_kept(
    viewer_model: ViewerModel, blurred: np.ndarray, moved: bool
) -> None:
    """The view stays where the user moved it during the run, and where the kernel lies in it."""
    layer = viewer_model.add_image(blurred)
    viewer_model.canvas.size = (400, 400)
    viewer_model.scene.camera.zoom = 4
    layers = ResultLayers(viewer_model, read_source(layer), "result")
    if moved:
        viewer_model.scene.camera.zoom = 40
    before = camera(viewer_model)
    layers.show(blurred.astype(np.float32), KERNEL)
    assert camera(viewer_model) == before


@pytest.mark.parametrize(("size", "moves"), [((200, 80), False), ((80, 200), True)])
def test_a_kernel_in_a_transposed_view_is_in_view(
    viewer_model: ViewerModel, blurred: np.ndarray, size: tuple[int, int], moves: bool
) -> None:
    """With the columns downwards the kernel lies below the image: it needs a high canvas."""
    layer = viewer_model.add_image(blurred)
    viewer_model.canvas.size = size
    viewer_model.dims.order = (1, 0)
    viewer_model.scene.camera.center = (20, 12)
    viewer_model.scene.camera.zoom = 3
    before = camera(viewer_model)
    ResultLayers(viewer_model, read_source(layer), "result").show(
        blurred.astype(np.float32), KERNEL
    )
    assert (camera(viewer_model) != before) == moves


def test_without_a_kernel_there_is_one_layer(
    viewer_model: ViewerModel, blurred: np.ndarray
) -> None:
    """A restoration has no kernel of its own to show."""
    layer = viewer_model.add_image(blurred, name="cells")
    layers = ResultLayers(viewer_model, read_source(layer), "cells restored")
    layers.finish(blurred.astype(np.float32), None, {})
    assert [each.name for each in viewer_model.layers] == ["cells", "cells restored"]
