"""Image files of any bytes: the right pixels, or an error of ours that names the file."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import psutil
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from napari_selfdeblur.errors import (
    DeblurError,
    DeblurWarning,
    ImageError,
    OutOfMemoryError,
)
from napari_selfdeblur.io.files import read_image, read_kernel, write_tiff

GREY = np.random.default_rng(0).integers(0, 200, (16, 24)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 200, (16, 24, 3)).astype(np.uint8)
DEEP = COLOUR.astype(np.uint16) * 300
INKS = np.dstack([255 - COLOUR, np.zeros_like(GREY)])
REDS = np.stack([np.arange(256) * 257, np.zeros(256), np.zeros(256)]).astype(np.uint16)


def tiff(image: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def picture(image: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(image)
    drawn.save(file, kind, **options)
    return file.getvalue()


def ppm(image: NDArray[Any], largest: int) -> bytes:
    return b"P6 24 16 %d\n" % largest + image.astype(">u2" if largest > 255 else "u1").tobytes()


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = number
    return exif


def read(path: Path, contents: bytes) -> Any:
    path.write_bytes(contents)
    return read_image(path)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd", "packbits", "lzma", "jpeg2000"])
@pytest.mark.parametrize("image", [GREY, COLOUR, DEEP], ids=["grey", "colour", "16-bit colour"])
def test_compressed_tiff(tmp_path: Path, compression: str, image: NDArray[Any]) -> None:
    """What ImageJ, Photoshop and microscopes write is read as it is."""
    kind = "rgb" if image.ndim == 3 else "minisblack"
    file = read(tmp_path / "a.tif", tiff(image, photometric=kind, compression=compression))
    np.testing.assert_array_equal(file.array, image)
    assert file.rgb == (image.ndim == 3)


LOSSY = np.kron(COLOUR[::8, ::8], np.ones((8, 8, 1), np.uint8))  # blocks that JPEG keeps
JPEG = {"photometric": "ycbcr", "compression": "jpeg", "compressionargs": {"level": 100}}
JPEG["subsampling"] = (1, 1)
CONVERTED: dict[str, tuple[bytes, NDArray[Any]]] = {
    "TIFF palette": (tiff(GREY, photometric="palette", colormap=REDS), np.dstack([GREY, 0 * GREY])),
    "PNG palette": (picture(Image.fromarray(COLOUR[..., 0]).convert("P"), "PNG"), COLOUR[..., :1]),
    "TIFF CMYK": (tiff(INKS, photometric="separated"), COLOUR),
    "JPEG CMYK": (picture(Image.fromarray(LOSSY).convert("CMYK"), "JPEG", quality=100), LOSSY),
    "TIFF YCbCr": (tiff(np.asarray(Image.fromarray(LOSSY).convert("YCbCr")), **JPEG), LOSSY),
    "TIFF 16-bit": (tiff(DEEP, photometric="rgb"), DEEP),
    "PNG 16-bit": (imagecodecs.png_encode(DEEP), DEEP),
    "JPEG 2000 16-bit": (imagecodecs.jpeg2k_encode(DEEP, level=0), DEEP),
    "PPM": (ppm(COLOUR, 255), COLOUR),
}


@pytest.mark.parametrize("kind", CONVERTED)
def test_every_colour_is_rgb(tmp_path: Path, kind: str) -> None:
    """Palettes, inks and luma with chroma are read as the colours they stand for."""
    contents, expected = CONVERTED[kind]
    file = read(tmp_path / "a", contents)
    assert file.rgb
    assert file.array.dtype == expected.dtype
    np.testing.assert_allclose(
        file.array[..., : expected.shape[-1]].astype(int), expected.astype(int), atol=3
    )


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (tiff(COLOUR, photometric="cielab"), "is in CIELAB colour; convert it to RGB"),
        (picture(Image.new("LAB", (24, 16)), "TIFF"), "is in CIELAB colour; convert it to RGB"),
        (tiff(INKS.astype(np.uint16), photometric="separated"), "SEPARATED.*convert it to RGB"),
        (ppm(DEEP, 65535), "is 16-bit colour, .*; convert it to TIFF"),
        (ppm(DEEP // 20, 4095), "is 16-bit colour, .*; convert it to TIFF"),
        (b"", "is no image; give a TIFF, PNG or JPEG file"),
        (b"words, not an image", "is no image"),
        (b"II*\0", "cannot be read"),
        (tiff(np.zeros((5, 16, 24), np.uint8)), "is a stack"),
        (tiff(np.zeros((2, 9, 9, 3), np.uint8), photometric="rgb"), "is a stack"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, contents: bytes, message: str) -> None:
    """What cannot be read rightly is refused by name, with the remedy."""
    path = tmp_path / "a.tif"
    with pytest.raises(ImageError, match=message) as caught:
        read(path, contents)
    assert str(path) in str(caught.value)


def test_measured_indices_are_kept(tmp_path: Path) -> None:
    """A colour table that ImageJ wrote is for the display: the indices are the image."""
    file = read(tmp_path / "a.tif", tiff(GREY, imagej=True, colormap=REDS))
    np.testing.assert_array_equal(file.array, GREY)


@pytest.mark.parametrize("number", range(1, 9))
def test_orientation_is_alike_in_tiff_and_png(tmp_path: Path, number: int) -> None:
    """An image is turned upright in every format, and its pixel size with it."""
    stored = tiff(
        GREY,
        extratags=[(274, "H", 1, number, False)],
        resolution=(10, 20),
        resolutionunit=3,
    )
    turned = read(tmp_path / "a.tif", stored)
    other = read(tmp_path / "a.png", picture(GREY, "PNG", exif=oriented(number)))
    np.testing.assert_array_equal(turned.array, other.array)
    deep = imagecodecs.png_encode(DEEP)
    assert read(tmp_path / "b.png", deep).array.shape == DEEP.shape
    assert turned.array.shape == ((24, 16) if number > 4 else (16, 24))
    assert turned.pixel_size == ((0.1, 0.05) if number > 4 else (0.05, 0.1))


@pytest.mark.parametrize(
    "description",
    [
        '{"shape": [16, 24], "pixel_size": [0, 0]}',
        '{"shape": [16, 24], "pixel_size": [-1, 1]}',
        '{"shape": [16, 24], "pixel_size": [1, NaN]}',
        '{"shape": [16, 24], "pixel_size": [1e999, 1]}',
        '{"shape": [16, 24], "pixel_size": "x"}',
        '{"shape": [16, 24], "pixel_size": [1, 1], "unit": [3]}',
        '{"shape": [1',
        '<?xml version="1.0"?><OME><Image><Pixels PhysicalSizeX="a"/></Image></OME>',
    ],
)
def test_a_malformed_pixel_size_is_ignored(tmp_path: Path, description: str) -> None:
    """Good pixels are read whatever the description says; what is wrong in it is a warning."""
    with pytest.warns(DeblurWarning, match="is ignored, it is malformed"):
        file = read(tmp_path / "a.tif", tiff(GREY, description=description, metadata=None))
    np.testing.assert_array_equal(file.array, GREY)
    assert (file.pixel_size, file.unit) == (None, None)


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e300])
@pytest.mark.parametrize("unit", ["um", "inch", "pixel", "line\nimages=9", "\N{MICRO SIGN}m", ""])
def test_an_extreme_pixel_size_never_loses_the_image(
    tmp_path: Path, size: float, unit: str
) -> None:
    """An image is written whatever its pixel size; a size that TIFF cannot hold is left out."""
    for array in (GREY, GREY.astype(np.float64)):  # as ImageJ's file, and as a plain one
        write_tiff(tmp_path / "a.tif", array, (size, size), unit)
        file = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(file.array, array)
        assert file.pixel_size is None or file.pixel_size == pytest.approx((size, size), rel=1e-6)


def test_the_size_is_checked_before_the_pixels_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too large an image is refused by the file's header, with the need and a remedy."""

    files = {"a.tif": tiff(GREY), "a.png": picture(GREY, "PNG")}

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the pixels were read")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fail)
    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr(Image.Image, "tobytes", fail)
    little = psutil.virtual_memory()._replace(available=700)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    for name, contents in files.items():
        with pytest.raises(OutOfMemoryError, match=r"16 x 24 pixels needs .* GiB.*; cut out"):
            read(tmp_path / name, contents)


def test_the_caller_is_asked_before_the_pixels_are_read(tmp_path: Path) -> None:
    """A run that cannot fit is refused by the upright shape in the header."""
    (tmp_path / "a.tif").write_bytes(tiff(GREY, extratags=[(274, "H", 1, 6, False)]))
    shapes: list[tuple[int, int]] = []
    read_image(tmp_path / "a.tif", shapes.append)
    assert shapes == [(24, 16)]


def test_an_impossible_size_is_no_memory_taken(tmp_path: Path) -> None:
    """A header that claims more than its file can hold is refused as damaged."""
    stored = bytearray(tiff(GREY, metadata=None))
    at = stored.index(b"\x00\x01\x04\x00") if b"\x00\x01\x04\x00" in stored else 0
    stored[at + 8 : at + 12] = (2**30).to_bytes(4, "little")  # ImageWidth
    with pytest.raises(ImageError):
        read(tmp_path / "a.tif", bytes(stored))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would be waited for without end, a folder has no pixels."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        for reader in (read_image, read_kernel):
            with pytest.raises(ImageError, match="name one image file"):
                reader(path)


WHOLE = {
    "plain.tif": tiff(GREY),
    "imagej.tif": tiff(GREY.astype(np.uint16), imagej=True, metadata={"unit": "um"}),
    "ome.ome.tif": tiff(GREY, ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.2}),
    "lzw.tif": tiff(COLOUR, photometric="rgb", compression="lzw", predictor=True),
    "tiled.tif": tiff(np.tile(GREY, (2, 2)), tile=(16, 16), compression="deflate"),
    "cmyk.tif": tiff(INKS, photometric="separated"),
    "a.png": picture(GREY, "PNG"),
    "deep.png": imagecodecs.png_encode(DEEP),
    "a.jpg": picture(COLOUR, "JPEG", exif=oriented(6)),
    "a.ppm": ppm(COLOUR, 255),
    "a.gif": picture(GREY, "GIF"),
    "a.jp2": imagecodecs.jpeg2k_encode(GREY),
}


def reads_or_refuses(path: Path, contents: bytes) -> None:
    with warnings.catch_warnings(action="ignore", category=DeblurWarning):
        try:
            file = read(path, contents)
        except DeblurError as error:
            message = str(error)
        else:
            message = f"{path}: an image"
            assert file.array.ndim == 2 + file.rgb
            assert file.array.size
    assert message.startswith(str(path))


@pytest.mark.parametrize("name", WHOLE)
def test_truncated_files(tmp_path: Path, name: str) -> None:
    """A file cut off anywhere is read as far as its format allows, or refused."""
    contents = WHOLE[name]
    for length in np.linspace(0, len(contents) - 1, 12).astype(int):
        reads_or_refuses(tmp_path / name, contents[:length])


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_files(tmp_path: Path, name: str, changes: list[tuple[float, int]]) -> None:
    """Bytes changed anywhere, most of them in the header, give an image or our error."""
    contents = bytearray(WHOLE[name])
    for where, value in changes:
        contents[int(where**2 * (len(contents) - 1))] = value
    reads_or_refuses(tmp_path / name, bytes(contents))


@settings(max_examples=60)
@given(
    magic=st.sampled_from([b"", b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"P6 "]),
    rest=st.binary(max_size=200),
)
def test_any_bytes(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    """Bytes that begin as some format does and go on anyhow are refused, or read."""
    reads_or_refuses(tmp_path / "a.tif", magic + rest)
