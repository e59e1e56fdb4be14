"""The layers of a run with a grid of kernels: where they lie, and what they show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari.grid_layers import grid_layers
from napari_selfdeblur._napari.layers import read_source
from napari_selfdeblur._napari.work import deblur_job
from napari_selfdeblur.config import SelfDeblurConfig

KERNELS = np.zeros((2, 3, 5, 5), np.float32)
KERNELS[:, :, 2, 2] = 1
CELLS = [{"correlation": 1 - 0.1 * index, "kernel": "own"} for index in range(6)]


@pytest.fixture
def layer(viewer_model: ViewerModel) -> Image:
    look = {"scale": (0.5, 0.25), "translate": (3, -2), "rotate": 30, "units": ("um", "um")}
    image = np.random.default_rng(0).random((40, 90), np.float32)
    return viewer_model.add_image(image, name="cells", **look)


def test_they_cover_the_image_whatever_its_place(viewer_model: ViewerModel, layer: Image) -> None:
    """Corners of their outermost pixels are the image's, rotated and scaled as it is."""
    source = read_source(layer, viewer_model)
    for each in grid_layers(source, KERNELS, CELLS, {}):
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            mine, other = (np.array(corner) * one.data.shape - 0.5 for one in (layer, each))
            np.testing.assert_allclose(
                each.data_to_world(other), layer.data_to_world(mine), atol=1e-6
            )
        assert each.units == layer.units
        assert not each.visible


def test_a_kernel_lies_in_the_middle_of_its_cell(viewer_model: ViewerModel, layer: Image) -> None:
    """Within half a pixel of the mosaic, as large as its cell allows."""
    kernels, _ = grid_layers(read_source(layer, viewer_model), KERNELS, CELLS, {})
    for row, column in np.argwhere(kernels.data > 0):
        place = layer.world_to_data(kernels.data_to_world((row, column)))
        within = (place + 0.5) / (20, 30) % 1
        size = np.divide((20, 30), np.divide(kernels.data.shape, (2, 3)))
        assert (np.abs(within - 0.5) * (20, 30) <= size / 2 + 1e-6).all()
    assert (kernels.data > 0).sum() == 6
    assert kernels.contrast_limits[1] == 1


def test_the_map_is_how_much_each_cell_differs(viewer_model: ViewerModel, layer: Image) -> None:
    """One minus the correlation with the kernel of the image, a pixel a cell."""
    _, differences = grid_layers(read_source(layer, viewer_model), KERNELS, CELLS, {"a": 1})
    np.testing.assert_allclose(differences.data, [[0, 0.1, 0.2], [0.3, 0.4, 0.5]], atol=1e-6)
    assert differences.contrast_limits == [0, 0.5]
    assert differences.metadata == {"selfdeblur": {"a": 1}, "selfdeblur_part": "blur_map"}


def test_a_run_with_a_grid_leaves_four_layers(
    monkeypatch: pytest.MonkeyPatch,
    fake_run: Any,
    viewer_model: ViewerModel,
    layer: Image,
    config: SelfDeblurConfig,
) -> None:
    """Those of every run, and these two above them; the selection stays."""
    plain = fake_run.result

    def with_cells(*args: Any) -> Any:
        result = plain(*args)
        return replace(result, kernels=KERNELS, record=replace(result.record, cells=tuple(CELLS)))

    monkeypatch.setattr(fake_run, "result", with_cells)
    fake_run.finish.set()
    job = deblur_job(viewer_model, layer, config)
    job.start()
    job.wait(60)
    assert [each.name for each in viewer_model.layers] == [
        "cells",
        "cells kernel",
        "cells deblurred",
        "cells kernels",
        "cells blur map",
    ]
    assert list(viewer_model.layers.selection) == [layer]
