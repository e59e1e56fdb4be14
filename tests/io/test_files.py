"""Images and kernels from files, and into files with their pixel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.files import read_image, read_kernel, write_tiff
from napari_selfdeblur.io.pixel_size import normalised_unit
from napari_selfdeblur.io.writing import replacing, write_text


def _values(dtype: str, *shape: int) -> NDArray[Any]:
    rng = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 3), (9, 12, 4), (9, 4), (9, 3)])
@pytest.mark.parametrize("size", [None, (0.25, 0.1)])
def test_tiff_round_trip(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], size: tuple[float, float] | None
) -> None:
    """What is written is read back: values, data type, colour, pixel size and unit."""
    image, rgb = _values(dtype, *shape), len(shape) == 3
    unit = None if size is None else "um"
    path = tmp_path / "image.tif"
    write_tiff(path, image, size, unit, rgb)
    file = read_image(path)
    np.testing.assert_array_equal(file.array, image)
    assert file.array.dtype == image.dtype
    assert file.rgb is rgb
    assert file.unit == unit
    assert file.pixel_size == (None if size is None else pytest.approx(size, rel=1e-6))


@pytest.mark.parametrize(
    ("dtype", "rgb"), [("uint8", False), ("uint16", False), ("float32", False), ("uint8", True)]
)
def test_imagej_reads_its_types(tmp_path: Path, dtype: str, rgb: bool) -> None:
    """Where ImageJ knows the type, the file says it is ImageJ's and in which unit."""
    path = tmp_path / "image.tif"
    write_tiff(path, _values(dtype, *((9, 12, 3) if rgb else (9, 12))), (0.5, 0.25), "nm", rgb)
    with tifffile.TiffFile(path) as tif:
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["unit"] == "nm"
        assert tif.pages.first.tags["XResolution"].value == (4, 1)
        assert tif.pages.first.tags["YResolution"].value == (2, 1)


@pytest.mark.parametrize(("dtype", "rgb"), [("float32", True), ("float64", False)])
def test_other_readers_get_standard_resolution(tmp_path: Path, dtype: str, rgb: bool) -> None:
    """A file that is not ImageJ's has its resolution in pixels per centimetre."""
    path = tmp_path / "image.tif"
    write_tiff(path, _values(dtype, *((9, 12, 3) if rgb else (9, 12))), (2.0, 4.0), "um", rgb)
    with tifffile.TiffFile(path) as tif:
        tags = tif.pages.first.tags
        assert tif.imagej_metadata is None
        assert tags["ResolutionUnit"].value == 3
        assert tags["XResolution"].value == (2500, 1)
        assert tags["YResolution"].value == (5000, 1)


def test_pixel_size_from_ome(tmp_path: Path) -> None:
    """OME's physical size is the pixel size, micrometres unless it says otherwise."""
    path = tmp_path / "image.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3}
    tifffile.imwrite(path, _values("uint16", 8, 9), ome=True, metadata=metadata)
    file = read_image(path)
    assert (file.pixel_size, file.unit) == ((0.3, 0.2), "um")


def test_pixel_size_from_plain_tags(tmp_path: Path) -> None:
    """Plain TIFF resolution becomes a pixel size in the file's own unit."""
    path = tmp_path / "image.tif"
    tifffile.imwrite(
        path, _values("uint8", 8, 9), resolution=(300, 150), resolutionunit=2, metadata=None
    )
    file = read_image(path)
    assert file.pixel_size == pytest.approx((1 / 150, 1 / 300))
    assert file.unit == "inch"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("micron", "um"),
        ("\N{MICRO SIGN}m", "um"),
        ("\N{GREEK SMALL LETTER MU}m", "um"),
        ("\\u00B5m", "um"),
        ("nm", "nm"),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_units_have_one_spelling(written: str | None, read: str | None) -> None:
    """Every spelling of the micrometre is um, and a pixel is no unit."""
    assert normalised_unit(written) == read


def test_planar_and_singleton_axes(tmp_path: Path) -> None:
    """Planar colour becomes channels last, and axes of one element are dropped."""
    planar, single = tmp_path / "planar.tif", tmp_path / "single.tif"
    colour = _values("uint8", 3, 8, 9)
    tifffile.imwrite(planar, colour, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(single, colour[:1, None], imagej=True, metadata={"axes": "ZCYX"})
    file = read_image(planar)
    assert file.rgb
    np.testing.assert_array_equal(file.array, np.moveaxis(colour, 0, -1))
    np.testing.assert_array_equal(read_image(single).array, colour[0])


def test_minimum_is_white(tmp_path: Path) -> None:
    """An image stored with zero as white is read with larger values brighter."""
    image, path = _values("uint8", 8, 9), tmp_path / "image.tif"
    tifffile.imwrite(path, image, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path).array, 255 - image)


def test_pyramid_levels_are_not_a_stack(tmp_path: Path) -> None:
    """Of an image with reduced copies of itself the full one is read."""
    image, path = _values("uint8", 64, 48), tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, subifds=1)
        tif.write(image[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(path).array, image)


@pytest.mark.parametrize(
    ("mode", "dtype", "shape"),
    [
        ("L", "uint8", (6, 8)),
        ("RGB", "uint8", (6, 8, 3)),
        ("RGBA", "uint8", (6, 8, 4)),
        ("I;16", "uint16", (6, 8)),
    ],
)
def test_png_keeps_its_depth(tmp_path: Path, mode: str, dtype: str, shape: tuple[int, ...]) -> None:
    """Grey, colour, alpha and 16-bit PNG are read as stored."""
    image, path = _values(dtype, *shape), tmp_path / "image.png"
    image[0, 0] = np.iinfo(dtype).max
    picture = Image.fromarray(image)
    assert picture.mode == mode
    picture.save(path)
    file = read_image(path)
    np.testing.assert_array_equal(file.array, image)
    assert (file.array.dtype, file.rgb, file.pixel_size) == (np.dtype(dtype), len(shape) == 3, None)


def test_indexed_png_becomes_colour(tmp_path: Path) -> None:
    """Palette indices are no brightness: the colours they stand for are read."""
    path = tmp_path / "image.png"
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(path)
    file = read_image(path)
    assert file.rgb
    assert file.array[0].tolist() == [[10, 20, 30], [200, 100, 50]]


def test_jpeg_is_turned_upright(tmp_path: Path) -> None:
    """A photograph taken with the camera on its side is read upright."""
    image, path = np.zeros((16, 32, 3), np.uint8), tmp_path / "image.jpg"
    image[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's top is at the right
    Image.fromarray(image).save(path, exif=exif, quality=100)
    array = read_image(path).array
    assert array.shape == (32, 16, 3)
    assert array[:14].min() > 240
    assert array[18:].max() < 15


def _deep_colour_ppm(path: Path) -> None:
    path.write_bytes(b"P6 2 2 4095\n" + bytes(24))


def _stack(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((5, 8, 9), np.uint8), imagej=True, metadata={"axes": "ZYX"})


def _two_sizes(path: Path) -> None:
    with tifffile.TiffWriter(path) as tif:
        tif.write(np.zeros((8, 9), np.uint8))
        tif.write(np.zeros((6, 7), np.uint8))


def _truncated(path: Path) -> None:
    Image.fromarray(_values("uint8", 64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:1000])


def _animation(path: Path) -> None:
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", None, "no such file"),
        ("a.png", Path.mkdir, "is a folder"),
        ("a.png", Path.touch, "is no image"),
        ("a.txt", lambda path: path.write_text("words"), "is no image"),
        ("a.tif", lambda path: path.write_text("words"), "is no image"),
        ("a.tif", lambda path: path.write_bytes(b"II*\0words"), "cannot be read"),
        ("a.png", _truncated, "cannot be read"),
        ("a.ppm", _deep_colour_ppm, "convert it to TIFF"),
        ("a.png", _animation, "holds 2 frames"),
        ("a.tif", _stack, r"stack of shape \(5, 8, 9\) \(axes ZYX\)"),
        ("a.tif", _two_sizes, "holds 2 images"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, name: str, make: Any, message: str) -> None:
    """Whatever cannot be read is one error, with the path, the reason and what to do."""
    path = tmp_path / name
    if make is not None:
        make(path)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_kernel_is_a_density(tmp_path: Path) -> None:
    """A kernel file of any type gives a float32 kernel >= 0 that sums to 1, turned nowhere."""
    stored = np.zeros((5, 3), np.float32)
    stored[0, 2], stored[3, 1], stored[4, 0] = 6, 2, -1
    path = tmp_path / "kernel.tif"
    write_tiff(path, stored)
    kernel = read_kernel(path)
    expected = np.zeros((5, 3), np.float32)
    expected[0, 2], expected[3, 1] = 0.75, 0.25
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, expected)


def test_colour_kernel_is_averaged(tmp_path: Path) -> None:
    """A kernel drawn as a colour picture is its grey mean."""
    path = tmp_path / "kernel.png"
    drawn = np.zeros((3, 3, 4), np.uint8)
    drawn[1, 1, 0], drawn[1, 2], drawn[..., 3] = 90, 30, 255
    Image.fromarray(drawn).save(path)
    kernel = read_kernel(path)
    np.testing.assert_allclose(kernel[1], [0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.zeros((3, 3)), "none"),
        (np.full((3, 3), -1.0), "none"),
        (np.full((3, 3), np.nan), "finite"),
        (np.ones((4, 3)), "4 x 3"),
    ],
)
def test_wrong_kernels_are_refused(
    tmp_path: Path, kernel: NDArray[np.float64], message: str
) -> None:
    """A kernel that is empty, not finite or even-sided is refused."""
    write_tiff(tmp_path / "kernel.tif", kernel)
    with pytest.raises(ImageError, match=message):
        read_kernel(tmp_path / "kernel.tif")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """An error half-way leaves what was there, and no half-written file beside it."""
    path = tmp_path / "record.json"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]
    assert path.read_text() == "old"
