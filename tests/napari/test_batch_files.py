"""What a batch writes into a folder, opened in napari."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_selfdeblur._napari.earlier_runs import settings_in
from napari_selfdeblur.cli import main
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.io.files import write_tiff

pytestmark = pytest.mark.usefixtures("plugins")
PLUGIN = "napari-selfdeblur"


@pytest.fixture
def out(tmp_path: Path, blurred: np.ndarray) -> Path:
    """The folder of a batch: a series of two channels, one plane of which fails, and an image."""
    series = np.stack([blurred, blurred[::-1], 255 - blurred, blurred]).astype(np.float32)
    series[3, 5, 5] = np.nan
    steps = {"PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25, "TimeIncrement": 30.0}
    tifffile.imwrite(
        tmp_path / "s.ome.tif",
        series.reshape(2, 2, 24, 32),
        ome=True,
        metadata={"axes": "TCYX", **steps},
    )
    write_tiff(tmp_path / "a.tif", blurred, (0.5, 0.25), "um")
    write_tiff(tmp_path / "k.tif", np.full((3, 5), 1 / 15, np.float32))
    words = ["batch", str(tmp_path / "s.ome.tif"), str(tmp_path / "a.tif"), "-q"]
    words += ["-o", str(tmp_path / "out"), "--kernel", str(tmp_path / "k.tif")]
    assert main([*words, "--iterations", "2", "--device", "cpu"]) == 1  # of the plane that fails
    return tmp_path / "out"


def test_an_image_of_several_planes_opens_by_its_record(out: Path) -> None:
    """Image and kernel, with the axes, scale and units of the input and the records of planes."""
    sharp, kernel = ViewerModel().open(str(out / "s_record.json"), plugin=PLUGIN)
    written = tifffile.imread(out / "s_deblurred.tif")
    np.testing.assert_array_equal(sharp.data, written)
    assert np.isfinite(sharp.contrast_limits).all()
    assert (sharp.name, kernel.name) == ("s_deblurred", "s_kernel")
    for layer in (sharp, kernel):
        assert layer.axis_labels == ("t", "c", "y", "x")
        np.testing.assert_allclose(layer.scale, (30, 1, 0.5, 0.25))
        assert [str(unit) for unit in layer.units[2:]] == ["micrometer"] * 2
    assert kernel.data.shape == (2, 2, 3, 5)
    assert kernel.translate[-1] > 0.25 * 32
    assert kernel.colormap.name == "inferno"
    record = sharp.metadata["selfdeblur"]
    assert [each["plane"] for each in record["planes"]] == ["T0_C0", "T0_C1", "T1_C0"]
    assert record["planes"][0]["config"]["iterations"] == 2


def test_its_images_open_alone_and_are_saved_with_the_record(out: Path, tmp_path: Path) -> None:
    """As those of a single run do."""
    viewer = ViewerModel()
    (kernel,) = viewer.open(str(out / "s_kernel.tif"), plugin=PLUGIN)
    assert kernel.metadata["selfdeblur_part"] == "kernel"
    kernel.save(str(tmp_path / "again_kernel.tif"), plugin=PLUGIN)
    (again,) = viewer.open(str(tmp_path / "again_kernel_record.json"), plugin=PLUGIN)
    np.testing.assert_array_equal(again.data, kernel.data)
    assert again.metadata == kernel.metadata


def test_an_image_of_one_plane_opens_as_that_of_a_restoration(out: Path) -> None:
    """Its record is the plane's own."""
    sharp, kernel = ViewerModel().open(str(out / "a_record.json"), plugin=PLUGIN)
    assert sharp.metadata["selfdeblur"]["config"]["iterations"] == 2
    assert kernel.translate[-1] > 0.25 * 32


def test_a_record_cannot_be_run_again_as_one(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is of many runs; the message says so, also where an image beside it is chosen."""
    words = ["run", str(tmp_path / "a.tif"), "-o", str(tmp_path / "new")]
    assert main([*words, "--config", str(out / "s_record.json")]) == 2
    assert "is the record of a batch; give that of a run" in capsys.readouterr().err
    for name in ("s_record.json", "s_kernel.tif"):
        with pytest.raises(DeblurError, match="is the record of a batch; give that of a run"):
            settings_in(out / name)
