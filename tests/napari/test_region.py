"""The region taken from what the viewer shows, or from a shape."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_selfdeblur._napari.region import drawn_region, viewed_region
from napari_selfdeblur._napari.widget import DeblurWidget
from napari_selfdeblur.errors import ConfigError

pytestmark = pytest.mark.usefixtures("machine")
IMAGE = np.random.default_rng(0).random((60, 80))


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(IMAGE, name="cells", scale=(0.5, 2.0), translate=(100.0, -30.0))
    return viewer


def world(viewer: ViewerModel, *corners: tuple[float, float]) -> np.ndarray:
    return np.array([viewer.layers["cells"].data_to_world(corner) for corner in corners])


def test_a_rectangle_encloses_its_pixels(viewer: ViewerModel) -> None:
    """Positions are those of the image, whatever scale and translation both layers have."""
    corners = world(viewer, (9.5, 19.5), (9.5, 39.5), (29.5, 39.5), (29.5, 19.5))
    viewer.add_shapes([corners / 3], scale=(3, 3))
    assert drawn_region(viewer, viewer.layers["cells"]) == ((10, 30), (20, 40))


def test_the_selected_shape_counts(viewer: ViewerModel) -> None:
    """Of several shapes the selected one is taken, without a selection the last."""
    boxes = [
        world(viewer, (a, 0.5), (a, 9.5), (a + 10, 9.5), (a + 10, 0.5)) for a in (0.5, 20.5, 40.5)
    ]
    shapes = viewer.add_shapes(boxes)
    shapes.selected_data = set()
    assert drawn_region(viewer, viewer.layers["cells"])[0] == (41, 51)
    shapes.selected_data = {1}
    assert drawn_region(viewer, viewer.layers["cells"])[0] == (21, 31)


def test_a_rectangle_over_the_edge_is_cut(viewer: ViewerModel) -> None:
    """What lies outside the image is left out."""
    corners = world(viewer, (-20, -20), (-20, 7.5), (500, 7.5), (500, -20))
    viewer.add_shapes([corners])
    assert drawn_region(viewer, viewer.layers["cells"]) == ((0, 60), (0, 8))


def test_of_a_stack_the_last_two_axes_count() -> None:
    """A rectangle drawn over a series is one of rows and columns."""
    viewer = ViewerModel()
    viewer.add_image(np.stack([IMAGE, IMAGE]), name="series", scale=(1, 0.5, 0.5))
    viewer.add_shapes(
        [np.array([[1, 4.75, 4.75], [1, 4.75, 9.75], [1, 14.75, 9.75], [1, 14.75, 4.75]])]
    )
    assert drawn_region(viewer, viewer.layers["series"]) == ((10, 30), (10, 20))


def test_no_shape_or_one_elsewhere_is_an_error(viewer: ViewerModel) -> None:
    """The message says what to do."""
    with pytest.raises(ConfigError, match="draw a rectangle"):
        drawn_region(viewer, viewer.layers["cells"])
    viewer.add_shapes([np.array([[0, 0], [0, 5], [5, 5], [5, 0.0]]) - 1000])
    with pytest.raises(ConfigError, match="outside layer 'cells'") as raised:
        drawn_region(viewer, viewer.layers["cells"])
    assert raised.value.field == "region"


def test_the_view_is_what_the_camera_shows(viewer: ViewerModel) -> None:
    """A view of part of the image gives its rows and columns, a wider one the whole image."""
    layer = viewer.layers["cells"]
    viewer.canvas.size = (100, 200)
    viewer.scene.camera.center = tuple(layer.data_to_world((30, 40)))
    viewer.scene.camera.zoom = 10  # 10 x 20 units: 20 rows, 10 columns
    (top, bottom), (left, right) = viewed_region(viewer, layer)
    assert (bottom - top, right - left) == (pytest.approx(20, abs=1), pytest.approx(10, abs=1))
    assert (top + bottom) / 2 == pytest.approx(30.5, abs=1)
    viewer.scene.camera.zoom = 0.1
    assert viewed_region(viewer, layer) == ((0, 60), (0, 80))
    viewer.dims.ndisplay = 3
    with pytest.raises(ConfigError, match="2-D"):
        viewed_region(viewer, layer)


def test_a_transposed_view_has_the_same_rows_and_columns(viewer: ViewerModel) -> None:
    """Whichever axis is the vertical one; without rows and columns in view the reason is said."""
    layer = viewer.layers["cells"]
    viewer.canvas.size = (200, 100)
    viewer.dims.order = (1, 0)
    row, column = layer.data_to_world((30, 40))
    viewer.scene.camera.center = (column, row)
    viewer.scene.camera.zoom = 10  # 20 x 10 units: 10 columns, 20 rows
    (top, bottom), (left, right) = viewed_region(viewer, layer)
    assert (bottom - top, right - left) == (pytest.approx(20, abs=1), pytest.approx(10, abs=1))
    assert (top + bottom) / 2 == pytest.approx(30.5, abs=1)
    assert (left + right) / 2 == pytest.approx(40.5, abs=1)
    viewer.add_image(np.zeros((3, 60, 80)))
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(ConfigError, match="does not display rows and columns"):
        viewed_region(viewer, layer)


def test_the_buttons_fill_the_field(qtbot, viewer: ViewerModel) -> None:
    """A click shows the region in its field; where there is none the panel says why."""
    made = DeblurWidget(viewer)
    qtbot.addWidget(made.native)
    qtbot.waitUntil(lambda: made.devices is not None)
    made.region_buttons.shape.native.click()
    assert "draw a rectangle" in made.status.message.text()
    corners = world(viewer, (9.5, 19.5), (9.5, 59.5), (49.5, 59.5), (49.5, 19.5))
    viewer.add_shapes([corners])
    made.image.choose(viewer.layers["cells"])
    made.region_buttons.shape.native.click()
    assert made.form.read().region == ((10, 50), (20, 60))
