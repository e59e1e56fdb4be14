"""The files of residual and spread on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import napari_selfdeblur as sd
from napari_selfdeblur.cli import main
from napari_selfdeblur.errors import FileError
from napari_selfdeblur.io.files import read_image, write_tiff
from napari_selfdeblur.io.samples import motion_blurred_photograph

SETTINGS = ["--preset", "draft", "--kernel-size", "9", "--device", "cpu", "--quiet", "--json"]
ENDS = ["deblurred.tif", "kernel.tif", "panel.png", "record.json"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_tiff(
        tmp_path / "photo.tif",
        motion_blurred_photograph(size=64).blurred[:40, :40],
        (0.5, 0.25),
        "um",
    )
    return tmp_path / "photo.tif"


def names(out: Path) -> list[str]:
    return sorted(path.name.removeprefix("photo_") for path in out.iterdir())


def test_both_are_files_of_the_images_pixel_size(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They hold what Python has, as float32, and their names are among the outputs."""
    out = tmp_path / "out"
    assert main(["run", str(photo), "-o", str(out), *SETTINGS, "--diagnostics", "true"]) == 0
    assert names(out) == sorted([*ENDS, "residual.tif", "spread.tif"])
    config = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=9, device="cpu")
    result = sd.deblur(read_image(photo).array, config=config, diagnostics=True)
    outputs = json.loads(capsys.readouterr().out)["outputs"]
    for what, expected in (("residual", result.residual), ("spread", result.spread)):
        found = read_image(out / f"photo_{what}.tif")
        assert expected is not None
        np.testing.assert_array_equal(found.array, expected)
        assert found.array.dtype == np.float32
        assert found.pixel_size == pytest.approx((0.5, 0.25))
        assert outputs[what] == str(out / f"photo_{what}.tif")


def test_one_that_cannot_be_written_costs_nothing_else(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The results are there, a warning says why, and the command has done its work."""
    from napari_selfdeblur.cli import outputs

    def full(path: Path, *rest: object, **options: object) -> None:
        if "residual" in path.name:
            raise FileError("the disk is full; make room")
        write_tiff(path, *rest, **options)

    monkeypatch.setattr(outputs, "write_tiff", full)
    out = tmp_path / "out"
    assert main(["run", str(photo), "-o", str(out), *SETTINGS[:-2], "--diagnostics", "true"]) == 0
    assert names(out) == sorted([*ENDS, "spread.tif"])
    assert "the residual was not written: the disk is full" in capsys.readouterr().err
