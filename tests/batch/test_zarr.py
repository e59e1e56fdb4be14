"""OME-Zarr in and out: metadata that others read, a file for each plane, pyramids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr
from ome_zarr_models.v05 import Image

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.ome_zarr import Pyramid
from napari_selfdeblur.io.sources import open_parts

Run = Callable[..., tuple[int, dict[str, Any], str]]
Scene = Callable[..., NDArray[np.uint16]]


def layout(axes: str, *shape: int, dtype: str = "float32") -> Layout:
    return Layout(axes, shape, dtype, (None,) * len(axes), (None,) * len(axes))


def files(folder: Path) -> set[str]:
    """Return the names of all files that hold pixels."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.parent.name != "frames"
            and p.is_file() and p.name != "zarr.json"}  # fmt: skip


def test_a_batch_into_ome_zarr_is_a_batch_into_tiffs(
    run: Run, images: Path, tmp_path: Path
) -> None:
    """Each image is a group with the pixels, kernels and records that the TIFFs have."""
    out = tmp_path / "out.ome.zarr"
    assert run(images, "-o", out)[0] == run(images, "-o", tmp_path / "tiffs")[0] == 0
    root: Any = zarr.open_group(out, mode="r")
    series = root["series"]
    expected = tifffile.imread(tmp_path / "tiffs" / "series_deblurred.tif")
    np.testing.assert_array_equal(series["0"][:], expected)
    colour = tifffile.imread(tmp_path / "tiffs" / "colour_deblurred.tif")
    np.testing.assert_array_equal(np.moveaxis(root["colour"]["0"][:], 0, -1), colour)
    frame = series["frames"]["T1_C0"]
    assert frame["kernel"].shape == (3, 3)
    assert frame.attrs["napari-selfdeblur"]["record"]["image"]["plane"] == "T1_C0"
    assert (tmp_path / "out_summary.csv").exists()
    assert [part.part for part in open_parts(out)] == root["OME"].attrs["ome"]["series"]
    assert [name for name, _ in root.members()] != []  # each object is one of Zarr's: no warning


def test_others_read_what_is_written(run: Run, images: Path, tmp_path: Path) -> None:
    """The models of OME-Zarr 0.5 accept the metadata, and its reader finds axes and scale."""
    out = tmp_path / "out.ome.zarr"
    run(images / "series.ome.tif", "-o", out)  # one image: the store itself
    image = open_ome_zarr(zarr.open_group(out, mode="r"))
    assert isinstance(image, Image)
    (multiscale,) = image.attributes.ome.multiscales
    assert [(axis.name, axis.unit) for axis in multiscale.axes] == [
        ("t", "second"), ("c", None), ("y", "micrometer"), ("x", "micrometer"),
    ]  # fmt: skip
    (node,) = Reader(parse_url(out))()
    assert node.data[0].shape == (2, 2, 24, 24)
    assert node.metadata["coordinateTransformations"][0][0]["scale"] == [2.0, 1.0, 0.2, 0.1]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read(run: Run, tmp_path: Path, scene: Scene, version: str) -> None:
    """Planes, axes, scale and units of an image come back, whatever its version."""
    source = tmp_path / "in.ome.zarr"
    pixels = np.stack([scene(0), scene(1)])
    group = zarr.open_group(source, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("full", data=pixels, chunks=(1, 24, 24))
    axes = [
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    scale = [{"type": "scale", "scale": [0.5, 0.2, 0.1]}]
    datasets = [{"path": "full", "coordinateTransformations": scale}]
    multiscales = [{"version": version, "axes": axes, "datasets": datasets}]
    found = {"multiscales": multiscales}
    group.attrs.update(found if version == "0.4" else {"ome": {"version": version, **found}})
    assert run(source, "-o", tmp_path / "out")[0] == 0
    tifffile.imwrite(tmp_path / "in.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    assert run(tmp_path / "in.tif", "-o", tmp_path / "same")[0] == 0
    written, same = (
        tifffile.imread(tmp_path / name / "in_deblurred.tif") for name in ("out", "same")
    )
    np.testing.assert_array_equal(written, same)
    (result,) = open_parts(tmp_path / "out" / "in_deblurred.tif")
    assert (result.layout.axes, result.layout.scale) == ("ZYX", (0.5, 0.2, 0.1))
    assert result.layout.units == ("um", "um", "um")


def test_a_plate_is_refused(tmp_path: Path) -> None:
    """Its images can be named one by one."""
    group = zarr.open_group(tmp_path / "p.ome.zarr", mode="w")
    group.attrs["ome"] = {"version": "0.5", "plate": {}}
    with pytest.raises(ImageError, match=r"is a plate; name its images, such as p.ome.zarr/A/1/0"):
        open_parts(tmp_path / "p.ome.zarr")


def test_each_plane_is_a_file_of_its_own_in_each_level(tmp_path: Path) -> None:
    """So no two workers write one file: one chunk, or for a large plane one shard of chunks."""
    large = Pyramid(tmp_path, layout("CTYX", 2, 2, 1100, 300))
    large.create()
    before = files(tmp_path)
    large.write((1, 0), np.ones((1100, 300), np.float32))
    made = files(tmp_path) - before
    # The format's order is t before c; the levels end where the longer side is at most 256.
    assert made == {f"{level}/c/0/1/0/0" for level in range(4)}
    large.write((0, 1), np.ones((1100, 300), np.float32))
    assert files(tmp_path) - before - made == {f"{level}/c/1/0/0/0" for level in range(4)}
    np.testing.assert_array_equal(large.read((1, 0)), np.ones((1100, 300)))
    assert np.isnan(large.read((0, 0))).all()


def test_a_level_is_the_mean_of_two_by_two_pixels(tmp_path: Path) -> None:
    """A level sums to a quarter of the one before; its first pixel is half a pixel off."""
    pixels = np.random.default_rng(0).random((300, 280, 3)).astype(np.float32)
    pyramid = Pyramid(tmp_path, layout("YXS", 300, 280, 3))
    pyramid.create()
    pyramid.write((), pixels)
    np.testing.assert_array_equal(pyramid.read(()), pixels)
    half: Any = zarr.open_array(tmp_path / "1", mode="r")
    assert half.shape == (3, 150, 140)
    assert half[:].sum() == pytest.approx(pixels.sum() / 4, rel=1e-6)
    (multiscale,) = pyramid.metadata("image")["multiscales"]
    transforms = multiscale["datasets"][1]["coordinateTransformations"]
    assert transforms[0]["scale"] == [1.0, 2.0, 2.0]
    assert transforms[1]["translation"] == [0.0, 0.5, 0.5]


def test_colours_of_channels_have_no_place_in_ome_zarr(tmp_path: Path) -> None:
    """It has one channel axis: such an image is refused with what to do."""
    with pytest.raises(ImageError, match="choose a folder of TIFFs"):
        Pyramid(tmp_path, layout("CYXS", 2, 24, 24, 3))


def test_a_store_of_something_else_is_left_alone(run: Run, images: Path, tmp_path: Path) -> None:
    """What no batch made is neither written to nor deleted."""
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    for more in ([], ["--restart"]):
        status, _, error = run(images, "-o", tmp_path / "other.zarr", *more)
        assert status == 2
        assert "not as a batch wrote it; choose another output" in error


def test_a_restart_deletes_what_the_batch_wrote(run: Run, images: Path, tmp_path: Path) -> None:
    """All of it; groups, arrays and files of others stay, wherever they lie."""
    out = tmp_path / "out.ome.zarr"
    assert run(images, "-o", out)[0] == 0
    others = [out / each for each in ("mine", "2024", "series/labels", "series/frames/mine")]
    for group in others:
        zarr.open_group(group, mode="w").create_array("0", data=np.ones(2))
    notes = [out / each / "notes.txt" for each in (".", "a", "series/frames/T0_C0")]
    notes.append(out / "mine" / "b.partial")
    for path in notes:
        path.write_text("of others")
    kept = {path for each in others for path in each.rglob("*")} | {*others, *notes}
    words = [images / "colour.png", images / "slices.tif", "-o", out, "--restart"]
    assert run(*words)[1]["done_before"] == 0
    assert kept <= {*out.rglob("*")}
    again = {*out.rglob("*")} - kept - {path.parent for path in kept}
    again = {path.relative_to(out).parts[0] for path in again}
    assert again == {"zarr.json", "OME", "colour", "slices"}
    assert run(*words[:-1])[1]["done_before"] == 3


def test_a_restart_of_one_image_deletes_the_store(run: Run, images: Path, tmp_path: Path) -> None:
    """That image is the store: the next batch may be of several. What it has from others stays."""
    out = tmp_path / "out.ome.zarr"
    assert run(images / "a.tif", "-o", out)[0] == 0
    zarr.open_group(out / "labels", mode="w")
    assert run(images, "-o", out, "--restart")[0] == 0
    assert not (out / "0").exists()
    assert not (out / "frames").exists()
    assert (out / "labels" / "zarr.json").exists()


def test_an_image_of_others_in_the_store_is_refused(run: Run, images: Path, tmp_path: Path) -> None:
    """One that has the name of a new input, and its shape and type."""
    out = tmp_path / "out.ome.zarr"
    assert run(images / "slices.tif", images / "colour.png", "-o", out)[0] == 0
    pixels = np.full((24, 24), 7, np.float32)
    group = zarr.open_group(out / "a", mode="w")
    group.create_array("0", data=pixels)
    group.attrs["ome"] = {"version": "0.5"}
    status, _, error = run(images, "-o", out)
    assert status == 2
    assert f"no batch made {out / 'a'}; choose another output" in error
    np.testing.assert_array_equal(zarr.open_array(out / "a" / "0", mode="r")[:], pixels)
