"""What a batch finds in its output from before: whatever it is, used rightly or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_selfdeblur.cli import main
from tests.hostile.json_values import JSON

IMAGES = ("a", "series")
OUTPUTS_OWN = ("out/frames/settings.json", "out.zarr/zarr.json")
"""Notes on the output as a whole, which is refused with a wrong one; a frame is done again."""
FILES = [
    "out/frames/settings.json",
    "out/frames/a/frame.json",
    "out/frames/series/T1.json",
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, a kernel, and a finished batch of them."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "in").mkdir()
    rng = np.random.default_rng(0)
    tifffile.imwrite(folder / "in" / "a.tif", rng.integers(0, 999, (12, 13)).astype(np.uint16))
    series = rng.integers(0, 999, (2, 12, 13)).astype(np.uint16)
    tifffile.imwrite(folder / "in" / "series.tif", series, ome=True, metadata={"axes": "TYX"})
    tifffile.imwrite(folder / "k.tif", np.full((3, 3), 1 / 9, np.float32))
    for out in ("out", "out.zarr"):
        assert batch(folder, out) == 0
    return folder


def batch(folder: Path, out: str) -> int:
    words = ["batch", str(folder / "in"), "-o", str(folder / out), "--quiet"]
    quick = ["--kernel", str(folder / "k.tif"), "--iterations", "2", "--device", "cpu"]
    return main([*words, *quick])


def results(out: Path) -> dict[str, Any]:
    if not out.suffix:
        paths = sorted(out.glob("*_deblurred.tif"))
        return {path.name: tifffile.imread(path).tolist() for path in paths}
    return {name: zarr.open_array(out / name / "0", mode="r")[:].tolist() for name in IMAGES}


def again(folder: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the batch with one file replaced, check how it ends, and put all back."""
    out = folder / name.partition("/")[0]
    before = results(out)
    shutil.copytree(out, folder / "kept")
    try:
        (folder / name).write_bytes(content)
        status = batch(folder, out.name)
        errors = capsys.readouterr().err
        if name in OUTPUTS_OWN and status:
            assert status == 2
            assert "choose another output" in errors
        else:
            assert status == 0, errors
            assert errors == ""
            assert results(out) == before
    finally:
        shutil.rmtree(out)
        (folder / "kept").rename(out)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=30)
@given(name=st.sampled_from(FILES), content=st.binary(max_size=30) | JSON.map(encoded))
@example(name=FILES[1], content=b"")
@example(name=FILES[0], content=b"[]")
def test_any_content(
    done: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    """A note of what is done may hold anything: the results stay right."""
    again(done, name, content, capsys)


@settings(max_examples=40)
@given(name=st.sampled_from(FILES), value=JSON, data=st.data())
def test_any_value(
    done: Path, capsys: pytest.CaptureFixture[str], name: str, value: Any, data: st.DataObject
) -> None:
    """The same with one of its values replaced, or taken away."""
    values = json.loads((done / name).read_text())
    field = data.draw(st.sampled_from(sorted(values)))
    changed = values | {field: value}
    if data.draw(st.booleans()):
        del changed[field]
    again(done, name, encoded(changed), capsys)


@pytest.mark.parametrize("content", [b"", b'{"attributes": 3}'])
@pytest.mark.parametrize("name", ["zarr.json", "a/frames/frame/zarr.json", "series/zarr.json"])
def test_a_group_of_an_ome_zarr(
    done: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    """The same in an OME-Zarr, whose groups' attributes hold the notes."""
    again(done, f"out.zarr/{name}", content, capsys)
