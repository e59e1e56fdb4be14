"""The command `batch`: what it writes, names, refuses and resumes."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import napari_selfdeblur as sd
from napari_selfdeblur.cli import main
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import FileError
from napari_selfdeblur.io.files import read_image, read_kernel
from napari_selfdeblur.numerics.solvers import edges
from napari_selfdeblur.run import batch_frame, batch_summary
from napari_selfdeblur.run.batch import iter_batch, prepare_batch, store_at
from napari_selfdeblur.run.batch_frame import FrameReport, Work
from napari_selfdeblur.run.record import RunRecord

Run = Callable[..., tuple[int, dict[str, Any], str]]
States = Callable[[dict[str, Any]], dict[str, str]]
Scene = Callable[..., NDArray[np.uint16]]
ALL = {
    "a", "colour", "slices Z0", "slices Z1",
    "series T0_C0", "series T0_C1", "series T1_C0", "series T1_C1",
}  # fmt: skip


def sums(folder: Path) -> dict[str, str]:
    """Return the hash of every file of pixels in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tif"))
    }


def test_every_plane_of_every_input_is_restored_by_itself(
    run: Run, images: Path, kernel: Path, tmp_path: Path, states: States
) -> None:
    """The results are those of `restore`, plane by plane, with axes, scale and units."""
    status, values, _ = run(images, "-o", tmp_path / "out")
    assert status == 0
    assert states(values) == dict.fromkeys(ALL, "done")
    series = tifffile.imread(images / "series.ome.tif")
    with tifffile.TiffFile(tmp_path / "out" / "series_deblurred.tif") as tif:
        assert tif.series[0].axes == "TCYX"
        assert 'TimeIncrement="2.0"' in (tif.ome_metadata or "")
        assert 'PhysicalSizeY="0.2"' in (tif.ome_metadata or "")
        written = tif.asarray()
    expected = sd.restore(series[1, 0], tifffile.imread(kernel), iterations=2, device="cpu")
    np.testing.assert_array_equal(written[1, 0], expected)
    single = read_image(tmp_path / "out" / "a_deblurred.tif")
    assert (single.pixel_size, single.unit) == ((0.2, 0.1), "um")
    assert tifffile.imread(tmp_path / "out" / "colour_deblurred.tif").shape == (24, 24, 3)
    assert tifffile.imread(tmp_path / "out" / "series_kernel.tif").shape == (2, 2, 3, 3)
    records = json.loads((tmp_path / "out" / "series_record.json").read_text())["planes"]
    assert [record["plane"] for record in records] == ["T0_C0", "T0_C1", "T1_C0", "T1_C1"]


@pytest.mark.parametrize("words", [["--weight", "0.01"], ["--set", "weight=0.01"]])
def test_the_weight_of_a_restoration(
    run: Run, images: Path, kernel: Path, tmp_path: Path, words: list[str]
) -> None:
    """It is that of `restore`, and means nothing without a kernel."""
    assert run(images / "a.tif", "-o", tmp_path / "out", *words)[0] == 0
    written = tifffile.imread(tmp_path / "out" / "a_deblurred.tif")
    a, k = tifffile.imread(images / "a.tif"), tifffile.imread(kernel)
    expected = sd.restore(a, k, iterations=2, weight=0.01, device="cpu")
    np.testing.assert_array_equal(written, expected)
    assert (expected != sd.restore(a, k, iterations=2, device="cpu")).any()


def test_a_weight_without_a_kernel_is_refused(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preset's restorations follow the noise; the message says what the weight is for."""
    assert main(["batch", str(images), "-o", str(tmp_path / "out"), "--weight", "0.01"]) == 2
    assert "--weight is for a restoration with --kernel" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_help_has_the_defaults_with_and_without_a_kernel(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the preset fast, and where they differ those of `restore`."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["batch", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    fast, known = sd.SelfDeblurConfig.preset("fast"), RestoreConfig()
    both = f"{fast.restoration} in fast; {known.restoration} with --kernel"
    assert f"[default: ({both})]" in text
    assert f"[default: ({fast.iterations} steps in fast; auto with --kernel)]" in text
    assert "[default: (auto with --kernel)]" in text


def test_a_blind_batch_is_a_run_of_each(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scene: Scene
) -> None:
    """Without a kernel each frame is a run of its own; its record repeats it."""
    settings = {"kernel_size": 3, "iterations": 2, "channels": 4, "scales": 1, "device": "cpu"}
    words = [f"--set={name}={value}" for name, value in settings.items()]
    out = tmp_path / "out"
    args = ["batch", str(images / "a.tif"), "-o", str(out), "--preset", "official", *words]
    assert main([*args, "--json"]) == 0
    (frame,) = json.loads(capsys.readouterr().out)["frames"]
    config = sd.SelfDeblurConfig.preset("official").replace(**settings)
    alone = sd.deblur(scene(0), config=config)
    np.testing.assert_array_equal(tifffile.imread(out / "a_deblurred.tif"), alone.sharp)
    np.testing.assert_array_equal(tifffile.imread(out / "a_kernel.tif"), alone.kernel)
    record = RunRecord.from_json((out / "a_record.json").read_text())
    assert record.config == config
    assert record.verdict == alone.record.verdict
    assert (frame["credible"], frame["kernel_size"]) == (record.verdict["credible"], "3 x 3")


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_the_kernels_of_a_grid_are_kept(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    out: str,
) -> None:
    """Damaged ones are made again like any other result."""
    few = [0.5, 1.0, 2.0]  # kernels of the image and of each cell: seconds
    monkeypatch.setattr(edges, "trials", lambda size, _: [edges.Trial(size, s) for s in few])
    blocks = np.random.default_rng(0).integers(0, 2, (8, 14)).astype(np.float32)
    blurred = ndimage.uniform_filter(np.kron(blocks, np.ones((6, 6), np.float32)), 5)
    tifffile.imwrite(tmp_path / "wide.tif", blurred)
    words = ["batch", str(tmp_path / "wide.tif"), "-o", str(tmp_path / out), "--preset", "draft"]
    words += ["--kernel-size", "7", "--kernel-grid", "1x2", "--device", "cpu", "--json"]
    kept = tmp_path / out / ("wide_kernels.tif" if out == "out" else "frames/frame/kernels")

    def kernels() -> NDArray[np.float32]:
        found = tifffile.imread(kept) if kept.is_file() else zarr.open_array(kept, mode="r")[:]
        return np.asarray(found).reshape(2, *found.shape[-2:])

    assert main(words) == 0
    first = kernels()
    np.testing.assert_allclose(first.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert first.max() < 0.5  # no point: the blur was found
    if kept.is_file():
        kept.write_bytes(b"II*\0")
    else:
        zarr.open_array(kept, mode="r+")[:] = 0
    capsys.readouterr()
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["done_before"] == 0
    np.testing.assert_array_equal(kernels(), first)


def test_kernels_of_another_run_stay(run: Run, images: Path, tmp_path: Path) -> None:
    """A file named as the kernels of a grid are is neither deleted nor taken for a result."""
    other = tmp_path / "out" / "a_kernels.tif"
    other.parent.mkdir()
    other.write_bytes(b"of another run")
    run(images / "a.tif", "-o", tmp_path / "out")
    status, values, _ = run(images / "a.tif", "-o", tmp_path / "out")
    assert (status, values["done_before"]) == (0, 1)
    assert other.read_bytes() == b"of another run"


def test_the_summary_is_a_table_of_all(run: Run, images: Path, tmp_path: Path) -> None:
    """summary.csv has a line for each frame, as the JSON has."""
    _, values, _ = run(images, "-o", tmp_path / "out")
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["plane"] for row in rows] == [each["plane"] for each in values["frames"]]
    assert {row["status"] for row in rows} == {"done"}


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_the_summary_keeps_frames_of_earlier_batches(
    run: Run, images: Path, tmp_path: Path, scene: Scene, out: str
) -> None:
    """Image by image, plane by plane; of what failed only what failed now."""
    series = np.stack([scene(seed) for seed in range(11)])
    tifffile.imwrite(tmp_path / "long.tif", series, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "text.tif").write_text("no image")
    nan = np.stack([scene(0), np.full((24, 24), np.nan)]).astype(np.float32)
    tifffile.imwrite(tmp_path / "nan.tif", nan)
    assert run(tmp_path / "long.tif", tmp_path / "text.tif", images, "-o", tmp_path / out)[0] == 1
    _, values, _ = run(tmp_path / "nan.tif", tmp_path / "empty.tif", "-o", tmp_path / out)
    with Path(values["summary"]).open(newline="") as file:
        rows = [(row["output"], row["plane"], row["status"]) for row in csv.DictReader(file)]
    assert rows == [
        *(("long", f"T{t}", "done") for t in range(11)),
        ("a", "", "done"),
        ("colour", "", "done"),
        *(("series", f"T{t}_C{c}", "done") for t in range(2) for c in range(2)),
        *(("slices", f"Z{z}", "done") for z in range(2)),
        ("nan", "Q0", "done"),
        ("nan", "Q1", "failed"),
        ("", "", "failed"),
    ]


def test_a_summary_that_cannot_be_written_is_a_warning(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results are there all the same."""

    def full(*_: object) -> None:
        raise FileError("no space")

    monkeypatch.setattr(batch_summary, "write_text", full)
    status, values, error = run(images / "a.tif", "-o", tmp_path / "out")
    assert (status, values["done"]) == (0, 1)
    assert "warning: the summary was not written: no space" in error


def bad_inputs(folder: Path, good: NDArray[np.uint16]) -> dict[str, str]:
    """Write inputs that cannot be deblurred; return a part of each one's reason."""
    tifffile.imwrite(folder / "whole.tif", good)
    raw = (folder / "whole.tif").read_bytes()
    (folder / "truncated.tif").write_bytes(raw[: len(raw) // 2])
    tifffile.imwrite(folder / "pages.tif", np.stack([good, good]))
    raw = (folder / "pages.tif").read_bytes()
    (folder / "pages.tif").write_bytes(raw[:-300])
    (folder / "text.tif").write_text("no image")
    (folder / "empty.tif").touch()
    nan = good.astype(np.float32)
    nan[3, 3] = np.nan
    tifffile.imwrite(folder / "nan.tif", nan)
    tifffile.imwrite(folder / "pixel.tif", good[:1, :1])
    tifffile.imwrite(folder / "five.tif", np.zeros((2, 2, 2, 24, 24), np.uint8))
    return {
        "truncated.tif": "cannot be read",
        "pages.tif": "cut off",
        "text.tif": "is no image",
        "empty.tif": "is no image",
        "nan.tif": "1 values of the image are NaN",
        "pixel.tif": "smaller than the kernel",
        "five.tif": "axes QQQYX",
        "missing.tif": "no such file",
        "no*.png": "no such file",
    }


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_bad_inputs_are_named_and_the_rest_is_done(
    run: Run, tmp_path: Path, out: str, scene: Scene
) -> None:
    """Each has its reason, the good one its result, and the exit status is 1."""
    folder = tmp_path / "in"
    folder.mkdir()
    reasons = bad_inputs(folder, scene(0))
    status, values, _ = run(folder, tmp_path / "missing.tif", "no*.png", "-o", tmp_path / out)
    assert status == 1
    failed = {each["input"]: each["reason"] for each in values["frames"] if each["reason"]}
    assert failed.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in failed[name]
    assert (values["done"], values["failed"]) == (1, len(reasons))


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_a_batch_without_an_image_leaves_nothing_in_the_way(
    run: Run, tmp_path: Path, out: str, scene: Scene
) -> None:
    """Of the next one into the same output."""
    unfinished, image = tmp_path / "a.zarr", tmp_path / "a.tif"
    unfinished.mkdir()
    assert run(unfinished, "-o", tmp_path / out)[0] == 1
    tifffile.imwrite(image, scene(0))
    status, values, _ = run(image, "-o", tmp_path / out)
    assert (status, values["done"]) == (0, 1)


def test_an_input_without_permission_is_named(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system refuses to open is one failed input."""
    real = Path.open

    def opened(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "a.tif":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    status, values, _ = run(images / "a.tif", images / "slices.tif", "-o", tmp_path / "out")
    assert status == 1
    (failed,) = (each for each in values["frames"] if each["status"] == "failed")
    assert (failed["input"], "Permission denied" in failed["reason"]) == ("a.tif", True)


def test_a_plane_that_fails_leaves_the_others(run: Run, tmp_path: Path, scene: Scene) -> None:
    """In the stack it is NaN; in the record and the summary it is missing and named."""
    bad = np.stack([scene(0), scene(1)]).astype(np.float32)
    bad[1, 2, 2] = np.nan
    tifffile.imwrite(tmp_path / "b.tif", bad)
    status, values, _ = run(tmp_path / "b.tif", "-o", tmp_path / "out")
    assert (status, values["done"], values["failed"]) == (1, 1, 1)
    written = tifffile.imread(tmp_path / "out" / "b_deblurred.tif")
    assert np.isfinite(written[0]).all()
    assert np.isnan(written[1]).all()


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_what_is_done_is_not_done_again(
    images: Path, kernel: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch stopped after three frames is completed by the same one: none is made twice."""
    made = []
    real = batch_frame.run_restoration

    def counted(image: Any, *args: Any, **options: Any) -> Any:
        made.append(hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest())
        return real(image, *args, **options)

    monkeypatch.setattr(batch_frame, "run_restoration", counted)
    work = Work(RestoreConfig(iterations=2, device="cpu"), read_kernel(kernel))

    def some(most: int) -> list[FrameReport]:
        store, stop, reports = store_at(tmp_path / out), threading.Event(), []
        for event in iter_batch(prepare_batch(sorted(images.iterdir()), store, work), stop=stop):
            assert isinstance(event, FrameReport)
            reports.append(event)
            if len(reports) == most:
                stop.set()
        return reports

    assert [each.resumed for each in some(3)] == [False] * 3
    assert sorted(each.resumed for each in some(99)) == [False] * 5 + [True] * 3
    assert len(set(made)) == 7  # one plane of the series is the grey TIFF's
    assert len(made) == 8
    assert [each.resumed for each in some(99)] == [True] * 8
    assert len(made) == 8


def test_what_was_damaged_is_made_again(run: Run, images: Path, tmp_path: Path) -> None:
    """Results that were deleted, cut or changed since are found by their hash."""
    out = tmp_path / "out"
    run(images, "-o", out)
    before = sums(out)
    (out / "a_deblurred.tif").write_bytes(b"II*\0")
    (out / "colour_kernel.tif").unlink()
    other = tifffile.imread(out / "slices_deblurred.tif")
    other[1] += 1
    tifffile.imwrite(out / "slices_deblurred.tif", other, metadata={"axes": "ZYX"})
    status, values, _ = run(images, "-o", out)
    assert (status, values["done_before"]) == (0, 5)
    after = sums(out)
    # An OME-TIFF has an identifier of its own each time.
    renewed = {"slices_deblurred.tif", "slices_kernel.tif"}
    assert {name for name in before if before[name] != after[name]} == renewed
    again = tifffile.imread(out / "slices_deblurred.tif")
    np.testing.assert_array_equal(again[0], other[0])
    np.testing.assert_array_equal(again[1], other[1] - 1)


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_other_settings_are_refused(run: Run, images: Path, tmp_path: Path, out: str) -> None:
    """Nothing is mixed: the setting is named, with the remedy; --restart makes all again."""
    assert run(images / "a.tif", "-o", tmp_path / out)[0] == 0
    status, values, error = run(images / "a.tif", "-o", tmp_path / out, "--dtype", "input")
    assert (status, values) == (2, {})
    assert "dtype was float32, now input" in error
    assert "choose another output, or give --restart" in error
    words = [images / "a.tif", "-o", tmp_path / out, "--dtype", "input", "--restart"]
    assert run(*words)[1]["done_before"] == 0


def test_a_folder_frames_of_something_else_is_left_alone(
    run: Run, images: Path, tmp_path: Path
) -> None:
    """What no batch made is neither written to nor deleted; an empty one, or unfinished, is."""
    frames = tmp_path / "out" / "frames"
    frames.mkdir(parents=True)
    (frames / "0001.png").write_bytes(b"of a video")
    for more in ([], ["--restart"]):
        status, _, error = run(images, "-o", tmp_path / "out", *more)
        assert status == 2
        assert f"{frames} has files, but no settings.json of a batch; choose another" in error
        assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["0001.png"]
    (frames / "0001.png").rename(frames / ".1-ab.part")  # as a killed batch leaves it
    assert run(images / "a.tif", "-o", tmp_path / "out")[0] == 0


def test_a_restart_deletes_what_the_batch_wrote(run: Run, images: Path, tmp_path: Path) -> None:
    """Results of inputs that are no longer named go; files of others stay, wherever they lie."""
    out = tmp_path / "out"
    (images / "text.tif").write_text("no image")
    run(images, "-o", out)
    others = [out / name for name in ("notes.txt", "text_deblurred.tif", "a_kernels.tif")]
    others += [out / "frames" / "notes.txt", out / "frames" / "a" / "notes.txt"]
    for path in others:
        path.write_bytes(b"of others")
    words = [images / "colour.png", "-o", out, "--restart"]
    assert run(*words)[1]["done_before"] == 0
    assert {path.read_bytes() for path in others} == {b"of others"}
    written = {path.relative_to(out).as_posix() for path in out.rglob("*.*") if path not in others}
    ends = ("deblurred.tif", "kernel.tif", "record.json")
    assert written == {
        "summary.csv", "frames/settings.json", "frames/colour/frame.json",
        *(f"colour_{end}" for end in ends),
    }  # fmt: skip
    assert run(*words[:-1])[1]["done_before"] == 1


def test_a_restart_leaves_what_a_stopped_batch_had_not_yet_replaced(
    run: Run, images: Path, kernel: Path, tmp_path: Path
) -> None:
    """The planes of a stack that are done lie apart: its file is still that of another run."""
    work = Work(RestoreConfig(iterations=2, device="cpu"), read_kernel(kernel))
    batch = prepare_batch([images / "slices.tif"], store_at(tmp_path / "out"), work)
    next(iter_batch(batch))
    assert (tmp_path / "out" / "frames" / "slices" / "Z0.json").exists()
    other = tmp_path / "out" / "slices_deblurred.tif"
    other.write_bytes(b"of another run")
    assert run(images / "a.tif", "-o", tmp_path / "out", "--restart")[0] == 0
    assert other.read_bytes() == b"of another run"
    assert not (tmp_path / "out" / "frames" / "slices").exists()


@pytest.mark.parametrize("out", ["out", "out.ome.zarr"])
def test_another_source_is_refused(
    run: Run, images: Path, tmp_path: Path, out: str, scene: Scene
) -> None:
    """An image that changed since it was deblurred is named; one that was only copied goes on."""
    words = [images / "a.tif", "-o", tmp_path / out]
    assert run(*words)[0] == 0
    os.utime(images / "a.tif", (1, 1))
    assert run(*words)[1]["done_before"] == 1
    tifffile.imwrite(images / "a.tif", scene(7))
    status, _, error = run(*words)
    assert status == 2
    assert "a.tif has changed since it was deblurred; choose another output" in error


def test_inputs_of_one_stem_have_results_of_their_own(
    run: Run, images: Path, tmp_path: Path, scene: Scene
) -> None:
    """A second a is a-2, also where only capitals differ."""
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "other" / "a.tif", scene(8))
    Image.fromarray((scene(9) >> 8).astype(np.uint8)).save(tmp_path / "other" / "A.png")
    words = [images / "a.tif", tmp_path / "other" / "a.tif", tmp_path / "other" / "A.png"]
    _, values, _ = run(*words, "-o", tmp_path / "out")
    assert [each["output"] for each in values["frames"]] == ["a", "a-2", "A-3"]
    written = sums(tmp_path / "out")
    assert len({written[f"{name}_deblurred.tif"] for name in ("a", "a-2", "A-3")}) == 3


def test_several_images_of_one_file_are_several_inputs(
    run: Run, tmp_path: Path, scene: Scene
) -> None:
    """Each series of a TIFF has results of its own."""
    with tifffile.TiffWriter(tmp_path / "two.tif") as tif:
        tif.write(scene(0))
        tif.write(scene(1, 20))
    _, values, _ = run(tmp_path / "two.tif", "-o", tmp_path / "out")
    assert [each["output"] for each in values["frames"]] == ["two_0", "two_1"]
    assert tifffile.imread(tmp_path / "out" / "two_1_deblurred.tif").shape == (20, 20)


def test_patterns_and_folders(
    run: Run, images: Path, tmp_path: Path, scene: Scene, states: States
) -> None:
    """A pattern is expanded, a file named twice is done once, folders in folders if asked for."""
    (images / "deep").mkdir()
    tifffile.imwrite(images / "deep" / "b.tif", scene(3))
    _, values, _ = run(images / "s*.tif", images / "slices.tif", "-o", tmp_path / "1")
    assert {each["input"] for each in values["frames"]} == {"series.ome.tif", "slices.tif"}
    assert "b" not in states(run(images, "-o", tmp_path / "2")[1])
    assert "b" in states(run(images, "-o", tmp_path / "3", "--recursive")[1])


def test_the_type_of_the_input_is_kept_if_asked_for(run: Run, images: Path, tmp_path: Path) -> None:
    """--dtype input writes 16 bits for 16 bits, the restored values rounded."""
    run(images / "series.ome.tif", "-o", tmp_path / "out", "--dtype", "input")
    run(images / "series.ome.tif", "-o", tmp_path / "float")
    written, exact = (
        tifffile.imread(tmp_path / out / "series_deblurred.tif") for out in ("out", "float")
    )
    assert written.dtype == np.uint16
    np.testing.assert_array_equal(written, np.rint(exact))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--workers", "2", "--scheduler", "tcp://x:1"], "exclude each other"),
        (["--preset", "draft"], "--preset is for"),
        (["--set", "channels=3"], "--channels is for"),
        (["--kernel-size", "20"], "--kernel-size must be"),
    ],
)
def test_wrong_arguments(
    run: Run, images: Path, tmp_path: Path, words: list[str], reason: str
) -> None:
    """They end with status 2 before anything is written."""
    status, values, error = run(images, "-o", tmp_path / "out", *words)
    assert (status, values) == (2, {})
    assert reason in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "output", "words"),
    [
        (".", "results.ome.zarr", []),
        ("*[fr]", "results.ome.zarr", []),
        ("**/*.tif", "results", []),
        ("*", "results", []),
        (".", "results", ["--recursive"]),
    ],
)
def test_the_output_may_lie_among_the_inputs(
    run: Run,
    tmp_path: Path,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    output: str,
    words: list[str],
) -> None:
    """What a folder or a pattern has there is no input: the same command goes on."""
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", scene(0))
    monkeypatch.chdir(tmp_path / "in")
    for before in (0, 1):
        status, values, _ = run(name, "-o", output, *words)
        assert (status, values["done"], values["done_before"]) == (0, 1, before)


@pytest.mark.parametrize("name", ["in", "in/*.tif", "in/a.tif"])
def test_an_output_that_holds_the_inputs_is_refused(
    run: Run, images: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Else the results of one batch would be inputs of the next."""
    monkeypatch.chdir(images.parent)
    status, _, error = run(name, "-o", images)
    assert status == 2
    assert "lies in the output; choose another output" in error


@pytest.mark.parametrize(
    ("missing", "words"),
    [("zarr", ["-o", "out.ome.zarr"]), ("distributed", ["-o", "out", "--workers", "2"])],
)
def test_without_the_extra(
    run: Run,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    words: list[str],
) -> None:
    """What needs it says how to install it; TIFFs in this process do not."""
    monkeypatch.chdir(tmp_path)
    for name in [*sys.modules]:
        if name.split(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    status, _, error = run(images / "a.tif", *words)
    assert status == 2
    assert 'pip install "napari-selfdeblur[batch]"' in error
    assert run(images / "a.tif", "-o", tmp_path / "tiffs")[0] == 0
