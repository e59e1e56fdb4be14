"""Files of any name: read and written under it, or refused by it."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_selfdeblur.cli import main
from napari_selfdeblur.cli.options import option
from napari_selfdeblur.errors import DeblurError, ImageError
from napari_selfdeblur.io.files import read_image, write_tiff
from napari_selfdeblur.io.writing import write_text

NAMES = {
    "mathematics": "$x$",
    "half mathematics": r"$\frac{",
    "line break": "a\nb",
    "tabulator and bell": "a\tb\a",
    "Chinese": "\u7ec6\u80de",
    "right to left": "\u05d0\u05d1",
    "emoji": "\N{MICROSCOPE}",
    "combining": unicodedata.normalize("NFD", "\u00e4\u00f6"),
    "spaces": "  a b  ",
    "option": "--help",
    "format": "%s{0}{",
    "quotes": "'\"`",
    "markup": "[bold]a[bold]",
    "dots": "...a..b.",
    "colour code": "\x1b[31ma",
    "long": "n" * 230,
    "long and wide": "\u7ec6" * 76,
}
if sys.platform == "linux":  # where a name is bytes
    NAMES["not UTF-8"] = os.fsdecode(b"a\xff\xfeb")

CHEAP = {"solvers": "joint", "restoration": "none", "kernel_size": 3, "iterations": 1}
CHEAP |= {"channels": 4, "skip_channels": 2, "code_channels": 2, "scales": 1, "device": "cpu"}
OPTIONS = [word for field, value in CHEAP.items() for word in (option(field), str(value))]


@pytest.mark.parametrize("kind", NAMES)
def test_an_image_is_deblurred_whatever_its_name(
    kind: str,
    tmp_path: Path,
    field: NDArray[np.uint16],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every result is there, complete, under the image's own name, and nothing beside it."""
    stem, out = NAMES[kind], tmp_path / "out"
    source = tmp_path / f"{stem}.tif"
    write_tiff(source, field)
    assert main(["run", str(source), "-o", str(out), *OPTIONS]) == 0, capsys.readouterr().err
    ends = ["deblurred.tif", "kernel.tif", "panel.png", "record.json"]
    assert sorted(os.listdir(out)) == sorted(f"{stem}_{end}" for end in ends)
    record = json.loads((out / f"{stem}_record.json").read_text(encoding="utf-8"))
    assert record["image"]["name"] == source.name.encode("utf-8", "replace").decode()
    assert read_image(out / f"{stem}_deblurred.tif").array.shape == field.shape
    assert "warning: the picture" not in capsys.readouterr().err


@settings(max_examples=100)
@given(name=st.text(st.characters(exclude_characters="/\0", exclude_categories=[]), min_size=1))
def test_any_name_is_written_and_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """An image is read back from any name that the system takes; any other is refused by name."""
    folder = tmp_path_factory.getbasetemp() / "names"
    folder.mkdir(exist_ok=True)
    path, image = folder / name, np.eye(5, dtype=np.float32)
    try:
        write_tiff(path, image)
    except DeblurError:
        with pytest.raises(ImageError):
            read_image(path)
    else:
        np.testing.assert_array_equal(read_image(path).array, image)
        write_text(path, "text")
        with pytest.raises(ImageError, match="is no image"):
            read_image(path)
        path.unlink()
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["n" * 300, "n" * 256, "a\0b", "no/such/folder", "\udcff\ud800"])
def test_an_impossible_name_is_refused(name: str, tmp_path: Path) -> None:
    """A name that no file can have is our error, when read and when written."""
    with pytest.raises(DeblurError):
        read_image(tmp_path / name)
    with pytest.raises(DeblurError):
        write_tiff(tmp_path / name, np.eye(5, dtype=np.float32))
    assert os.listdir(tmp_path) == []
