"""The command line: what it writes, what it says, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari_selfdeblur.numerics.progress import Estimate, Progress
from numpy.typing import NDArray
from PIL import Image

from napari_selfdeblur import restoration
from napari_selfdeblur.cli import main
from napari_selfdeblur.cli.options import kernel_size, parse_roi
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError
from napari_selfdeblur.io import samples
from napari_selfdeblur.io.files import read_image, read_kernel, write_tiff
from napari_selfdeblur.run import run as workflow
from napari_selfdeblur.run.record import RunRecord

FILES = ["photo_deblurred.tif", "photo_kernel.tif", "photo_panel.png", "photo_record.json"]
FILES_RESTORED = "photo_restored.tif"
QUICK = ["--kernel-size", "5", "--iterations", "2", "--device", "cpu"]


def _scene(*shape: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return (rng.integers(0, 2, shape) * 120 + rng.integers(20, 100, shape)).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(_scene(40, 48)).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "results"


def _run(photo: Path, out: Path, *more: str) -> int:
    return main(["run", str(photo), "-o", str(out), *QUICK, *more])


def _record(out: Path) -> RunRecord:
    return RunRecord.from_json((out / "photo_record.json").read_text(encoding="utf-8"))


def test_run_writes_its_four_files(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run makes its folder and writes image, kernel, record and panel, and says where."""
    assert _run(photo, out) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES
    sharp, kernel = read_image(out / FILES[0]).array, read_image(out / FILES[1]).array
    assert (sharp.shape, sharp.dtype) == ((40, 48), np.float32)
    assert (kernel.shape, kernel.dtype) == ((5, 5), np.float32)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    record = _record(out)
    assert (record.status, record.iterations, len(record.losses)) == ("finished", 2, 2)
    assert record.image["name"] == "photo.png"
    printed = capsys.readouterr()
    assert all(str(out / name) in printed.out for name in FILES)
    assert "step 2/2  loss" in printed.err


def test_options_reach_the_configuration(photo: Path, out: Path) -> None:
    """Every option of the run is in the record's settings."""
    options = "--kernel-size 5x7 --preset paper --seed 9 --optimiser alternating --device cpu"
    more = "--kernel-generator fcn_shallow --tv-weight 1e-3 --precision float32"
    args = f"{options} {more} --runtime reference --iterations 1 --roi 4:40,0:40 -q".split()
    assert main(["run", str(photo), "-o", str(out), *args]) == 0
    expected = SelfDeblurConfig.preset("paper").replace(
        kernel_size=(5, 7),
        seed=9,
        optimiser="alternating",
        kernel_generator="fcn_shallow",
        tv_weight=1e-3,
        precision="float32",
        runtime="reference",
        iterations=1,
        device="cpu",
    )
    assert _record(out).config == expected


def test_the_command_line_and_python_agree(photo: Path, out: Path) -> None:
    """The same run by command line and by Python gives the same image and kernel."""
    assert _run(photo, out, "--seed", "3", "-q") == 0
    result = workflow.deblur(_scene(40, 48), 5, iterations=2, device="cpu", seed=3)
    np.testing.assert_array_equal(read_image(out / FILES[0]).array, result.sharp)
    np.testing.assert_array_equal(read_image(out / FILES[1]).array, result.kernel)


def test_roi_is_cropped_and_recorded(photo: Path, out: Path) -> None:
    """Only the region is deblurred, and the record says which it was."""
    assert _run(photo, out, "--roi", "2:40,6:46", "-q") == 0
    assert read_image(out / FILES[0]).array.shape == (38, 40)
    assert _record(out).image["roi"] == [[2, 40], [6, 46]]


def test_input_dtype_pixel_size_and_colour_are_kept(tmp_path: Path, out: Path) -> None:
    """With --dtype input a 16-bit colour TIFF comes out as one, its pixel size on both images."""
    path = tmp_path / "photo.tif"
    write_tiff(path, _scene(40, 40, 3).astype(np.uint16) * 100, (0.2, 0.1), "um", rgb=True)
    assert _run(path, out, "--dtype", "input", "-q") == 0
    sharp, kernel = read_image(out / FILES[0]), read_image(out / FILES[1])
    assert (sharp.array.shape, sharp.array.dtype) == ((40, 40, 3), np.uint16)
    assert sharp.rgb
    for file in (sharp, kernel):
        assert (file.pixel_size, file.unit) == (pytest.approx((0.2, 0.1)), "um")


def test_json_and_quiet(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json and --quiet standard output is one JSON object, standard error is empty."""
    assert _run(photo, out, "--json", "--quiet") == 0
    printed = capsys.readouterr()
    values = json.loads(printed.out)
    assert printed.err == ""
    assert (values["status"], values["iterations"]) == ("finished", 2)
    assert Path(values["outputs"]["kernel"]) == out / "photo_kernel.tif"
    assert values["loss"] == _record(out).losses[-1]


def test_quiet_says_nothing(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet run that succeeds prints nothing at all."""
    assert _run(photo, out, "-q") == 0
    assert tuple(capsys.readouterr()) == ("", "")


def test_trace_against_the_truth(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a truth, PSNR before and after are reported, and the trace has every N-th step."""
    truth = photo.with_name("truth.tif")
    write_tiff(truth, _scene(40, 48) // 2)
    more = ["--truth", str(truth), "--trace", "2", "--iterations", "5", "--json"]
    assert _run(photo, out, *more) == 0
    evaluation, losses = _record(out).evaluation, _record(out).losses
    assert evaluation is not None
    assert [point.iteration for point in evaluation.trace] == [2, 4, 5]
    assert [point.loss for point in evaluation.trace] == [losses[1], losses[3], losses[4]]
    assert evaluation.trace[-1].psnr == evaluation.psnr_sharp
    assert json.loads(capsys.readouterr().out)["psnr_sharp"] == evaluation.psnr_sharp


def test_the_demo_gains(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo writes its panel and prints PSNR before and after."""
    assert main(["demo", "-o", str(out), "--iterations", "1", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "PSNR before" in printed
    assert "PSNR after" in printed
    assert (out / "demo_panel.png").stat().st_size > 10_000


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    """Info names version, devices and presets, as text and as JSON."""
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert "cpu" in values["devices"]
    for word in (values["napari-selfdeblur"], *values["devices"], *values["presets"]):
        assert word in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--kernel-size", "20"], "kernel_size must be odd, got 20; try 21"),
        (["--kernel-size", "big"], "odd whole number"),
        (["--preset", "best"], "preset must be one of draft"),
        (["--iterations", "0"], "iterations must be"),
        (["--iterations", "many"], "valid integer"),
        (["--device", "gpu"], "device must be one of"),
        (["--tv-weight", "some"], "tv_weight must be"),
        (["--roi", "1,2,3,4"], "--roi is Y0:Y1,X0:X1"),
        (["--roi", "0:99,0:48"], "not a region of an image of 40 rows and 48 columns"),
        (["--trace", "2"], "give --truth too"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_wrong_arguments(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    """A wrong argument is exit status 2, named on standard error, with nothing written."""
    assert _run(photo, out, *args) == 2
    printed = capsys.readouterr()
    assert message.lower() in " ".join(printed.err.split()).lower()
    assert printed.out == ""
    assert not out.exists()


def test_wrong_arguments_are_told_before_torch_is_loaded(photo: Path, out: Path) -> None:
    """Neither help nor a wrong setting waits for torch, napari or matplotlib."""
    script = (
        "import sys; from napari_selfdeblur.cli import main; "
        f"codes = [main(['--help']), main(['run', {str(photo)!r}, '-o', {str(out)!r}, "
        "'--kernel-size', '4'])]; "
        "print(codes, sorted({'torch', 'napari', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("[0, 2] []\n")


def _missing(photo: Path) -> None:
    photo.unlink()


def _constant(photo: Path) -> None:
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(photo)


def _small(photo: Path) -> None:
    Image.fromarray(_scene(4, 4)).save(photo)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_missing, "no such file"), (_constant, "constant"), (_small, "smaller than the kernel")],
)
def test_failures_are_one_line(
    photo: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    """A run that fails is exit status 1 and one line of reason."""
    spoil(photo)
    assert _run(photo, out) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert printed.out == ""


def test_an_unwritable_folder_is_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operating system's refusal is reported like any other failure."""
    (tmp_path / "file").touch()
    assert _run(photo, tmp_path / "file" / "below") == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_inputs_are_never_replaced(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output that would replace an input is refused before the run."""
    truth = tmp_path / "photo_deblurred.tif"
    write_tiff(truth, _scene(40, 48))
    before = truth.read_bytes()
    assert _run(photo, tmp_path, "--truth", str(truth)) == 1
    assert "would be replaced" in capsys.readouterr().err
    assert truth.read_bytes() == before


def _diverge(estimate: Estimate | None) -> Callable[..., Any]:
    def deblur(*args: object, **options: object) -> None:
        raise DivergedError("the loss became nan at step 3 of 9", estimate)

    return deblur


def test_a_diverged_run_keeps_its_last_good_estimate(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the loss becomes NaN the estimate before is saved, so marked, and the status is 1."""
    kernel = np.full((5, 5), 1 / 25, np.float32)
    sharp = _scene(40, 48).astype(np.float32)
    estimate = Estimate(sharp, kernel, 2, True, (0.5, 0.25))
    monkeypatch.setattr(workflow, "deblur", _diverge(estimate))
    assert _run(photo, out) == 1
    assert sorted(path.name for path in out.iterdir()) == FILES
    np.testing.assert_array_equal(read_image(out / FILES[0]).array, sharp)
    np.testing.assert_allclose(read_kernel(out / FILES[1]), kernel)
    record = _record(out)
    assert (record.status, record.iterations, record.losses) == ("diverged", 2, (0.5, 0.25))
    message = capsys.readouterr().err
    assert "became nan at step 3" in message
    assert f"estimate of step 2 was saved in {out / FILES[0]}" in message


def test_a_run_that_diverged_at_once_has_nothing_to_save(
    photo: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any good estimate no file is written."""
    monkeypatch.setattr(workflow, "deblur", _diverge(None))
    assert _run(photo, out) == 1
    assert list(out.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one child process")
def test_interrupt_keeps_the_estimate_so_far(photo: Path, out: Path) -> None:
    """Ctrl-C ends a long run with its files saved, status "stopped" and exit status 0."""
    args = ["run", str(photo), "-o", str(out), *QUICK, "--iterations", "100000"]
    script = (
        "import os, signal, sys\n"
        "from napari_selfdeblur.cli import main\n"
        "from napari_selfdeblur.cli.terminal import Terminal\n"
        "def interrupt(self, progress):\n"
        "    if progress.iteration == 3:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "Terminal._line = interrupt\n"
        f"sys.exit(main({args!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == FILES
    record = _record(out)
    assert record.status == "stopped"
    assert 3 <= record.iterations <= 5
    assert f"stopped at step {record.iterations} of 100000" in done.stderr
    assert 'status "stopped"' in done.stderr


def test_interrupts_are_handled_during_the_run_alone() -> None:
    """The first Ctrl-C sets the event, the second interrupts, and the old handler comes back."""
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_interrupt() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_signals_alone() -> None:
    """Outside the main thread, where signals cannot be handled, a run still works."""
    seen = []

    def use() -> None:
        with stopped_by_interrupt() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [False]


def test_progress_without_a_terminal_is_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets a line for each tenth of the run, whatever its length."""
    with Terminal().progress() as show:
        for step in range(1, 237):
            show(Progress(step, 236, 0.5, step * 60.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "step 236/236  loss 5.000e-01  3:56:00 elapsed, 00:00 left"


@pytest.mark.parametrize(
    ("text", "size"), [("21", 21), ("21x17", (21, 17)), ("auto", "auto"), ("3.5", "3.5")]
)
def test_kernel_size_text(text: str, size: object) -> None:
    """One number is a square, two are rows x columns, anything else is left to be refused."""
    assert kernel_size(text) == size


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("1:5,2:8", (slice(1, 5), slice(2, 8))),
        (":5,2:", (slice(0, 5), slice(2, 9))),
        (" 0 : 7 , 0 : 9 ", (slice(0, 7), slice(0, 9))),
    ],
)
def test_roi_text(text: str, region: tuple[slice, slice]) -> None:
    """A region is rows, then columns; an end left out is the image's."""
    assert parse_roi(text, (7, 9, 3)) == region


def test_a_perfect_input_has_infinite_psnr(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image that is its own truth is reported in strict JSON too."""
    assert _run(photo, out, "--truth", str(photo), "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["psnr_blurred"] is None
    assert np.isfinite(values["psnr_sharp"])


@pytest.fixture
def blurred(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return the paths of a blurred image, its kernel and its truth."""
    truth = samples.motion_blurred_photograph(size=64)
    paths = (tmp_path / "photo.png", tmp_path / "psf.tif", tmp_path / "truth.png")
    Image.fromarray(truth.blurred).save(paths[0])
    write_tiff(paths[1], truth.kernel * 50)
    Image.fromarray(truth.sharp).save(paths[2])
    return paths


def test_restore_with_a_known_kernel(
    blurred: tuple[Path, Path, Path], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Restoring with the true kernel writes image and panel, and gains PSNR."""
    image, kernel, truth = map(str, blurred)
    args = ["restore", image, kernel, "-o", str(out), "--method", "hyper_laplacian"]
    more = ["--truth", truth, "--json", "--dtype", "input", "--device", "cpu"]
    assert main([*args, *more]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["psnr_sharp"] > values["psnr_blurred"] + 2
    assert sorted(path.name for path in out.iterdir()) == ["photo_restored.png", FILES_RESTORED]
    stored = read_image(out / FILES_RESTORED).array
    assert (stored.shape, stored.dtype) == ((64, 64), np.uint8)


def test_restore_agrees_with_python(blurred: tuple[Path, Path, Path], out: Path) -> None:
    """The command and the function give the same image, weight included."""
    image, kernel, _ = blurred
    args = ["restore", str(image), str(kernel), "-o", str(out), "--device", "cpu"]
    assert main([*args, "--weight", "0.01", "--roi", "0:48,8:64", "-q"]) == 0
    expected = restoration.restore(
        read_image(image).array[:48, 8:], read_kernel(kernel), weight=0.01, device="cpu"
    )
    np.testing.assert_array_equal(read_image(out / FILES_RESTORED).array, expected)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (["--method", "magic"], 2, "method must be one of"),
        (["--weight", "-1"], 2, "weight"),
        (["--roi", "0:9,0:9"], 1, "smaller"),
    ],
)
def test_restore_refuses(
    blurred: tuple[Path, Path, Path],
    out: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    status: int,
    message: str,
) -> None:
    """An unknown method or a bad weight is a wrong argument, a too small image a failure."""
    args = ["restore", str(blurred[0]), str(blurred[1]), "-o", str(out), *change]
    assert main(args) == status
    assert message in capsys.readouterr().err
