"""Stacks on the command line: what is written of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_selfdeblur as sd
from napari_selfdeblur.cli import main
from napari_selfdeblur.errors import OutOfMemoryError
from napari_selfdeblur.io.file_stack import open_stack
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.io.samples import motion_blurred_photograph

PHOTO = motion_blurred_photograph(size=64).blurred[24:56, 16:52].copy()
SERIES = np.stack([PHOTO, PHOTO[::-1], 255 - PHOTO, PHOTO[:, ::-1]]).reshape(2, 2, 32, 36)
CONFIG = sd.SelfDeblurConfig(
    kernel_size=5, iterations=2, channels=4, scales=2, non_local=False, device="cpu"
)
OPTIONS = "--preset official --kernel-size 5 --iterations 2 --channels 4 --scales 2 --device cpu"
TINY = [*OPTIONS.split(), "--non-local", "false"]


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """An ImageJ hyperstack of two times and two channels."""
    path = tmp_path / "series.tif"
    metadata = {"axes": "TCYX", "unit": "um", "finterval": 2.5}
    tifffile.imwrite(path, SERIES, imagej=True, metadata=metadata, resolution=(4, 2))
    return path


def run(path: Path, *more: str, command: str = "run") -> int:
    settings = TINY if command == "run" else ["--device", "cpu"]
    return main([command, str(path), *more, "-o", str(path.parent / "out"), *settings, "-q"])


def pixels(path: Path) -> np.ndarray:
    stack = open_stack(path)
    if stack is None:
        return read_image(path).array
    return np.stack([stack[plane] for plane in stack.layout.planes]).reshape(stack.shape)


@pytest.mark.parametrize("kernels", ["one", "channel", "plane"])
def test_a_stack_is_written_as_a_stack(series: Path, kernels: str) -> None:
    """The files hold the numbers of `deblur_stack`, with axes and pixel size; the record all."""
    assert run(series, "--kernels", kernels) == 0
    out = series.parent / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        f"series_{end}" for end in ("deblurred.tif", "kernel.tif", "panel.png", "record.json")
    ]
    expected = sd.deblur_stack(SERIES, "TCYX", kernels, config=CONFIG)
    np.testing.assert_array_equal(pixels(out / "series_deblurred.tif"), expected.sharp)
    np.testing.assert_array_equal(pixels(out / "series_kernel.tif"), expected.kernels)
    layout = open_stack(out / "series_deblurred.tif").layout
    assert layout.axes == "TCYX"
    assert layout.scale == pytest.approx((2.5, None, 0.5, 0.25))
    assert layout.units[-1] == "um"
    record = sd.StackRecord.from_json((out / "series_record.json").read_text(encoding="utf-8"))
    assert (record.kernels, record.image["name"]) == (kernels, "series.tif")
    assert record.config == CONFIG
    assert "--kernels" in record.command


def test_chosen_planes_axes_and_region(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the planes named those rows and columns are deblurred; the report is JSON if asked."""
    more = ["--planes", "z=0:2,C=1", "--axes", "ZCYX", "--roi", "2:30,4:36", "--dtype", "input"]
    assert run(series, *more, "--json") == 0
    cropped = SERIES[:, 1:, 2:30, 4:36]
    expected = sd.deblur_stack(cropped, "ZCYX", config=CONFIG).sharp
    found = pixels(series.parent / "out" / "series_deblurred.tif")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(expected[:, 0]).astype(np.uint8))
    report = json.loads(capsys.readouterr().out)
    assert report["axes"] == "ZCYX"
    assert [each["index"] for each in report["planes"]] == [{"Z": 0, "C": 1}, {"Z": 1, "C": 1}]


def test_a_record_repeats_the_run(series: Path) -> None:
    """--config takes settings, kernels, planes and region of a stack's record."""
    assert run(series, "--kernels", "plane", "--planes", "T=1", "--roi", "0:30,0:30") == 0
    out = series.parent / "out"
    before = pixels(out / "series_deblurred.tif")
    record = out / "series_record.json"
    kept = record.rename(series.parent / "kept.json")
    again = series.parent / "again"
    assert main(["run", str(series), "-o", str(again), "--config", str(kept), "-q"]) == 0
    np.testing.assert_array_equal(pixels(again / "series_deblurred.tif"), before)


def test_a_record_repeats_the_run_with_the_plane_of_its_kernel(series: Path) -> None:
    """Also a plane that is not the one with most structure; other kernels come from others."""
    record = series.parent / "out" / "series_record.json"
    again = ["run", str(series), "-o", str(record.parent), "-q", "--config"]
    sources = []
    for place in ({"T": 0, "C": 0}, {"T": 1, "C": 0}):
        text = ",".join(f"{axis}={at}" for axis, at in place.items())
        assert run(series, "--kernel-from", text) == 0
        kept = record.rename(series.parent / "kept.json")
        assert json.loads(kept.read_text())["kernel_from"] == place
        assert main([*again, str(kept)]) == 0
        sources.append(json.loads(record.read_text())["estimates"][0]["image"]["index"] == place)
    assert sources == [True, True]
    assert main([*again, str(kept), "--kernels", "channel"]) == 0


def test_a_stack_is_restored_with_the_kernels_of_its_channels(series: Path) -> None:
    """`restore` takes the file of kernels that `run` wrote, or one kernel."""
    out = series.parent / "out"
    assert run(series, "--kernels", "channel") == 0
    kernels = out / "series_kernel.tif"
    assert run(series, str(kernels), "--method", "sparse", command="restore") == 0
    restored = pixels(out / "series_restored.tif")
    np.testing.assert_array_equal(restored, pixels(out / "series_deblurred.tif"))
    tifffile.imwrite(series.parent / "k.tif", np.ones((3, 3), np.float32))
    assert run(series, str(series.parent / "k.tif"), "--planes", "C=0", command="restore") == 0
    alone = sd.restore(SERIES[1, 0], np.ones((3, 3)), device="cpu")
    np.testing.assert_array_equal(pixels(out / "series_restored.tif")[1], alone)


def test_a_failing_plane_is_named(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flat plane stays blurred and is named on standard error; the exit status is 0."""
    flat = SERIES.copy()
    flat[0, 1] = 9
    tifffile.imwrite(series, flat, imagej=True, metadata={"axes": "TCYX"})
    words = ["run", str(series), "-o", str(series.parent / "out"), *TINY]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "plane T=0, C=1 stays blurred: is constant" in printed.err
    assert "3 of 4 planes" in printed.out
    found = pixels(series.parent / "out" / "series_deblurred.tif")
    np.testing.assert_array_equal(found[0, 1], flat[0, 1])


def test_a_restoration_that_cannot_go_on_saves_what_is_done(
    series: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a run does; the error says where."""
    from napari_selfdeblur.run import stack_planes

    real, calls = stack_planes.run_restoration, []

    def failing(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) > 1:
            raise OutOfMemoryError("no memory is left")
        return real(*args, **options)

    monkeypatch.setattr(stack_planes, "run_restoration", failing)
    kernel = series.parent / "k.tif"
    tifffile.imwrite(kernel, np.ones((3, 3), np.float32))
    assert run(series, str(kernel), command="restore") == 1
    kept = series.parent / "out" / "series_restored.tif"
    assert f"What was done before is saved in {kept}" in capsys.readouterr().err.replace("\n", " ")
    assert not np.array_equal(pixels(kept)[0, 0], SERIES[0, 0])
    np.testing.assert_array_equal(pixels(kept)[1, 1], SERIES[1, 1])


def test_a_stack_of_flat_planes_fails(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no plane can be deblurred the run has failed, and nothing is written."""
    tifffile.imwrite(series, np.ones((3, 32, 32), np.uint8), imagej=True)
    assert run(series) == 1
    assert "is constant" in capsys.readouterr().err
    assert not list((series.parent / "out").glob("*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--planes Z=0", "indices along T and C, got 'Z=0'; try T=0:2"),
        ("--planes T=x", "indices along T and C"),
        ("--planes T=7", "different indices of 0 to 1 along T"),
        ("--axes TYX", "axes must be 4 letters for series.tif"),
        ("--kernels two", "kernels must be one of one, channel, plane"),
        ("--kernel-from T=1", "add its index along C"),
        (
            "--kernel-from Z=1",
            "--kernel-from is one plane, an index along T and C, got 'Z=1'; try T=0",
        ),
        ("--kernel-from T=0:2,C=0", "--kernel-from is one plane, an index along T and C, got"),
        ("--kernel-from T=1:1,C=0", "--kernel-from is one plane, an index along T and C, got"),
        ("--kernel-from all", "--kernel-from is one plane, an index along T and C, got 'all'"),
        ("--axes TZYX --kernels channel", "needs a channel axis C"),
        ("--checkpoint c.st", "--truth and --checkpoint are for one plane"),
    ],
)
def test_what_does_not_fit_a_stack_is_refused(
    series: Path, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    """Wrong axes, planes and kernels are wrong arguments: exit status 2, the reason said."""
    assert run(series, *options.split()) == 2
    assert message in capsys.readouterr().err


def test_one_plane_has_no_stack_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is asked of a stack is refused of a file of one plane."""
    tifffile.imwrite(tmp_path / "one.tif", PHOTO)
    assert run(tmp_path / "one.tif", "--kernels", "plane") == 2
    assert "one.tif is one plane" in capsys.readouterr().err
