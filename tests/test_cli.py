"""The command line: what it writes, what it prints, and its exit status."""

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
import tifffile
import typer
from numpy.typing import NDArray
from PIL import Image

import napari_selfdeblur as sd
from napari_selfdeblur import api
from napari_selfdeblur.cli import app, main
from napari_selfdeblur.cli.arguments import parse_roi
from napari_selfdeblur.cli.options import option
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, DivergedError
from napari_selfdeblur.io import figures, samples
from napari_selfdeblur.io.files import read_image, read_kernel, write_tiff
from napari_selfdeblur.run import restoration
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.record import RestoreRecord, RunRecord
from napari_selfdeblur.run.result import DeblurResult, RestoreResult

FILES = ["photo_deblurred.tif", "photo_kernel.tif", "photo_panel.png", "photo_record.json"]
RESTORED = ["photo_restored.json", "photo_restored.png", "photo_restored.tif"]
# The networks alone: the quickest way through every command.
TINY = {"kernel_size": 5, "iterations": 2, "device": "cpu", "solvers": "joint", "channels": 8}
QUICK = [word for field, value in TINY.items() for word in (option(field), str(value))]
QUICK += ["--restoration", "none"]


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


def _names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_run_writes_its_four_files(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run makes its folder and writes image, kernel, record and panel, and says where."""
    assert _run(photo, out) == 0
    assert _names(out) == FILES
    sharp, kernel = read_image(out / FILES[0]).array, read_image(out / FILES[1]).array
    assert (sharp.shape, sharp.dtype) == ((40, 48), np.float32)
    assert (kernel.shape, kernel.dtype) == ((5, 5), np.float32)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    record = _record(out)
    assert (record.status, record.iterations, len(record.losses)) == ("finished", 2, 2)
    assert record.image["name"] == "photo.png"
    printed = capsys.readouterr()
    assert all(str(out / name) in printed.out for name in FILES)
    assert "joint 2/2  loss" in printed.err


def test_results_of_an_ome_tiff_are_named_without_both_endings(tmp_path: Path, out: Path) -> None:
    """Of one plane and of a stack, of every command, as of a TIFF."""
    kernel = str(tmp_path / "k.tif")
    write_tiff(Path(kernel), np.ones((3, 3), np.float32))
    for name, shape in (("cells", (16, 18)), ("series", (2, 16, 18))):
        image = str(tmp_path / f"{name}.ome.tif")
        tifffile.imwrite(image, _scene(*shape), metadata={"axes": "TYX"[-len(shape) :]})
        where, quick = ["-o", str(out / name), "-q"], ["--device", "cpu", "--iterations", "2"]
        assert main(["run", image, *where, *QUICK]) == 0
        assert main(["restore", image, kernel, *where, *quick]) == 0
        assert main(["batch", image, *where, "--kernel", kernel, *quick]) == 0
        names = {path.name.partition("_")[0] for path in (out / name).glob("*_*")}
        assert names == {name}
        ends = {path.name.partition("_")[2] for path in (out / name).glob("*_*")}
        assert {"deblurred.tif", "kernel.tif", "record.json", "restored.tif"} <= ends


@pytest.mark.parametrize(
    ("command", "settings"), [("run", SelfDeblurConfig), ("restore", RestoreConfig)]
)
def test_every_setting_has_an_option(command: str, settings: Any) -> None:
    """Each field is an option with its help, its rule and a default: there is no other list."""
    commands = typer.main.get_command(app)
    options = {name: each for each in commands.commands[command].params for name in each.opts}
    for field, kind in settings.kinds().items():
        made = options[option(field)]
        assert kind.help in made.help
        assert kind.allowed[1:] in made.help
        assert isinstance(made.show_default, str)


def test_options_reach_the_configuration(photo: Path, out: Path) -> None:
    """Options and --set are in the record's settings, over the preset's."""
    options = "--kernel-size 5x7 --preset paper --seed 9 --device cpu --solvers alternating"
    more = "--kernel-generator fcn_shallow --tv-weight 1e-3 --set channels=8 --set scales=2"
    args = f"{options} {more} --lr-milestones 0.5,0.75 --iterations 1 --roi 4:40,0:40 -q".split()
    assert main(["run", str(photo), "-o", str(out), *args]) == 0
    expected = SelfDeblurConfig.preset("paper").replace(
        kernel_size=(5, 7),
        seed=9,
        solvers="alternating",
        kernel_generator="fcn_shallow",
        tv_weight=1e-3,
        channels=8,
        scales=2,
        lr_milestones=(0.5, 0.75),
        iterations=1,
        device="cpu",
    )
    assert _record(out).config == expected


def test_the_command_line_and_python_agree(photo: Path, out: Path) -> None:
    """The same run by command line and by Python gives the same image and kernel."""
    assert _run(photo, out, "--seed", "3", "-q") == 0
    config = SelfDeblurConfig.preset("fast").replace(**TINY, restoration=None, seed=3)
    result = sd.deblur(_scene(40, 48), config=config)
    np.testing.assert_array_equal(read_image(out / FILES[0]).array, result.sharp)
    np.testing.assert_array_equal(read_image(out / FILES[1]).array, result.kernel)


def test_a_run_is_repeated_from_its_record(photo: Path, out: Path, tmp_path: Path) -> None:
    """--config gives the same settings, region, and for the same image the same bits."""
    assert _run(photo, out, "--seed", "3", "--roi", "2:40,6:46", "-q") == 0
    again, record = tmp_path / "again", str(out / "photo_record.json")
    assert main(["run", str(photo), "-o", str(again), "--config", record, "-q"]) == 0
    assert _record(again).config == _record(out).config
    assert _record(again).image == _record(out).image
    for name in FILES[:2]:
        np.testing.assert_array_equal(read_image(again / name).array, read_image(out / name).array)


def test_options_override_the_record(photo: Path, out: Path, tmp_path: Path) -> None:
    """Beside --config, an option changes its own setting alone, and --roi the region."""
    assert _run(photo, out, "--roi", "2:40,6:46", "-q") == 0
    more = ["--config", str(out / "photo_record.json"), "--seed", "4", "--roi", "0:40,0:40"]
    assert main(["run", str(photo), "-o", str(tmp_path / "again"), "-q", *more]) == 0
    again = _record(tmp_path / "again")
    assert again.config == _record(out).config.replace(seed=4)
    assert again.image["roi"] == [[0, 40], [0, 40]]


def test_roi_is_cropped_and_recorded(photo: Path, out: Path) -> None:
    """Only the region is deblurred, and the record says which it was."""
    assert _run(photo, out, "--roi", "2:40,6:46", "-q") == 0
    assert read_image(out / FILES[0]).array.shape == (38, 40)
    record = _record(out)
    assert record.image["roi"] == [[2, 40], [6, 46]]
    assert "--roi 2:40,6:46" in (record.command or "")
    assert str(out) not in (record.command or "")


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
    assert values["verdict"]["credible"] in (True, False)


def test_quiet_prints_nothing(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_perfect_input_has_infinite_psnr(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image that is its own truth is reported in strict JSON too."""
    assert _run(photo, out, "--truth", str(photo), "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["psnr_blurred"] is None
    assert np.isfinite(values["psnr_sharp"])


def test_a_doubtful_result_is_done_and_says_so(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result that is not credible is saved with exit status 0 and a warning with its reasons."""
    verdict = {"credible": False, "score": 0.1, "reasons": ["it rings"], "advice": ["try a seed"]}
    monkeypatch.setattr(api, "deblur", lambda *args, **options: _result(verdict=verdict))
    assert _run(photo, out) == 0
    assert capsys.readouterr().err == ("warning: the result may be wrong: it rings; try a seed\n")


def test_the_demo_gains(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After six steps, of which most is the edge-based estimate, the demo has gained PSNR."""
    assert main(["demo", "-o", str(out), "--iterations", "6", "--device", "cpu", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["psnr_sharp"] > values["psnr_blurred"] + 1
    assert (out / "demo_panel.png").stat().st_size > 10_000


def test_info_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Info names version, devices and everything there is to choose, as text and as JSON."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"napari-selfdeblur {sd.__version__}\n"
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values.pop("version") == sd.__version__
    assert {"cpu"} <= values["devices"].keys()
    assert {"fast", "paper"} <= values["presets"].keys()
    assert {"hyper_laplacian", "sparse"} <= values["restorations"].keys()
    for names in values.values():
        assert all(f"  {name} " in text and title in text for name, title in names.items())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--kernel-size", "20"], "error: --kernel-size must be odd, got 20; try 21"),
        (["--kernel-size", "big"], "--kernel-size must be an odd whole number"),
        (["--set", "scales=0"], "error: --set scales must be a whole number"),
        (["--set", "scale=2"], "unknown setting 'scale'; known: adaptive, channels"),
        (["--set", "scales"], "--set is FIELD=VALUE, got 'scales'"),
        (["--set", "iterations=3"], "iterations is given twice, by --iterations and by --set"),
        (["--preset", "best"], "error: preset must be one of draft"),
        (["--iterations", "0"], "error: --iterations must be"),
        (["--iterations", "many"], "--iterations must be a whole number"),
        (["--device", "gpu"], "--device must be one of"),
        (["--tv-weight", "some"], "--tv-weight must be"),
        (["--roi", "1,2,3,4"], "--roi is Y0:Y1,X0:X1"),
        (["--roi", "0:99,0:48"], "not a region of an image of 40 rows and 48 columns"),
        (["--trace", "2"], "give --truth too"),
        (["--config", "photo.png"], "--config"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_wrong_arguments(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    """A wrong argument is exit status 2, the option named on standard error, nothing written."""
    assert _run(photo, out, *args) == 2
    printed = capsys.readouterr()
    assert message in " ".join(printed.err.split())
    assert printed.out == ""
    assert not out.exists()


def test_a_preset_and_a_record_exclude_each_other(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two sources of all settings are refused, and so is a record that is none."""
    assert _run(photo, out, "--preset", "fast", "--config", str(photo)) == 2
    assert "--preset and --config exclude each other" in capsys.readouterr().err
    photo.with_name("list.json").write_text("[1]")
    for record in (photo, photo.with_name("list.json")):
        assert _run(photo, out, "--config", str(record)) == 2
        assert f"error: --config {record}: " in capsys.readouterr().err


def test_wrong_arguments_are_reported_before_torch_is_loaded(photo: Path, out: Path) -> None:
    """Neither help nor a wrong setting waits for torch, napari or matplotlib."""
    script = (
        "import sys; from napari_selfdeblur.cli import main; "
        f"codes = [main(['run', '--help']), main(['run', {str(photo)!r}, '-o', {str(out)!r}, "
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


def _result(status: str = "finished", verdict: dict[str, Any] | None = None) -> DeblurResult:
    config = SelfDeblurConfig(kernel_size=5)
    record = RunRecord(
        config=config, used=config, device="CPU", seconds=1.0, iterations=2, status=status,
        losses=(0.5, 0.25), image={"shape": [40, 48]}, verdict=verdict,
    )  # fmt: skip
    return DeblurResult(_scene(40, 48).astype(np.float32), np.full((5, 5), 0.04, "f4"), record)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_run_that_fails_keeps_what_it_had_reached(
    photo: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: str,
) -> None:
    """The result that an error carries is saved with its record, and the status is 1."""

    def deblur(*args: object, **options: object) -> None:
        error = DivergedError("the loss became nan at step 3 of 9")
        error.result = _result(status)
        raise error

    monkeypatch.setattr(api, "deblur", deblur)
    assert _run(photo, out) == 1
    assert _names(out) == FILES
    np.testing.assert_array_equal(read_image(out / FILES[0]).array, _scene(40, 48))
    record = _record(out)
    assert (record.status, record.losses) == (status, (0.5, 0.25))
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "became nan at step 3" in message
    assert f"saved in {out / FILES[0]}" in message


def test_a_run_that_fails_at_once_has_nothing_to_save(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any estimate no file is written."""

    def deblur(*args: object, **options: object) -> None:
        raise DeblurError("out of luck")

    monkeypatch.setattr(api, "deblur", deblur)
    assert _run(photo, out) == 1
    assert _names(out) == []
    assert capsys.readouterr().err == "error: out of luck\n"


def test_a_diverged_run_is_saved(photo: Path, out: Path) -> None:
    """A run whose loss leaves the finite numbers leaves its last good estimate, so marked."""
    assert _run(photo, out, "--lr-image", "1e30", "--iterations", "9", "-q") == 1
    assert _names(out) == FILES
    assert _record(out).status == "diverged"
    assert np.isfinite(read_image(out / FILES[0]).array).all()


def test_a_failing_picture_costs_nothing_else(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the panel cannot be drawn the results are there, with a warning and exit status 0."""

    def fail(*args: object, **options: object) -> None:
        raise ValueError("no font\nat all")

    monkeypatch.setattr(figures, "save_panel", fail)
    assert _run(photo, out, "--json") == 0
    printed = capsys.readouterr()
    assert "warning: the picture photo_panel.png was not drawn: no font at all\n" in printed.err
    assert _names(out) == [name for name in FILES if "panel" not in name]
    assert json.loads(printed.out)["outputs"].keys() == {"deblurred", "kernel", "record"}


@pytest.mark.parametrize(("solvers", "count"), [("joint", 2), ("edges", 0)])
def test_the_picture_has_the_losses_of_networks(
    photo: Path, out: Path, monkeypatch: pytest.MonkeyPatch, solvers: str, count: int
) -> None:
    """Kernels by edges are estimated one by one: they have no course."""
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "save_panel", lambda *_, **options: drawn.append(options))
    assert _run(photo, out, "--solvers", solvers, "--restoration", "sparse") == 0
    assert [len(options["losses"]) for options in drawn] == [count]


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
    assert _names(out) == FILES
    record = _record(out)
    assert record.status == "stopped"
    assert 3 <= record.iterations <= 5
    assert f"stopped after {record.iterations} steps" in done.stderr
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
    stops = []

    def use() -> None:
        with stopped_by_interrupt() as stop:
            stops.append(stop.is_set())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert stops == [False]


def test_progress_without_a_terminal_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets at most five lines of each stage, whatever its length."""
    with Terminal().progress() as show:
        show(Progress("edges", 1, 1, 0.5, 2.0, None))
        for step in range(1, 237):
            show(Progress("joint", step, 236, 0.5, step * 60.0, 9.0, part=(2, 3)))
        show(Progress("fuse", 1, 1, float("nan"), 3.0, 0.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7
    assert lines[0] == "edges 1/1  loss 5.000e-01  0:00:02 elapsed"
    assert lines[5] == "plane 2/3, joint 236/236  loss 5.000e-01  3:56:00 elapsed, 0:00:09 left"
    assert lines[6] == "fuse 1/1  0:00:03 elapsed, 0:00:00 left"


class _Stream:
    """A terminal that can be closed."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text, self.closed = "", False

    def write(self, text: str) -> int:
        if self.closed:
            raise OSError("closed")
        self.text += text
        return len(text)

    def flush(self) -> None:
        if self.closed:
            raise OSError("closed")

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar_that_outlives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows stage, step, loss and times; one that is closed meanwhile breaks nothing."""
    stream = _Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Terminal().progress() as show:
        for step in range(1, 4):
            show(Progress("joint", step, 3, 0.5, 61.0, 9.0))
    assert "joint" in stream.text
    assert "loss 5.000e-01  0:01:01 elapsed, 0:00:09 left" in stream.text
    with Terminal().progress() as show:
        stream.closed = True
        show(Progress("joint", 1, 3, 0.5, 61.0, 9.0))
    Terminal().note("unheard")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_closed_standard_error_does_not_matter(photo: Path, out: Path) -> None:
    """A run started without standard error is done all the same."""
    words = [sys.executable, "-m", "napari_selfdeblur.cli", "run", str(photo), "-o", str(out)]
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *words, *QUICK], capture_output=True)
    assert done.returncode == 0
    assert _names(out) == FILES


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


@pytest.mark.parametrize("text", ["1:1,0:9", "5:1,0:9", "0:8,0:9", "a:b,c:d", ""])
def test_other_regions_are_refused(text: str) -> None:
    """A region that is empty, outside the image or no region is refused."""
    with pytest.raises(ConfigError, match="--roi"):
        parse_roi(text, (7, 9))


@pytest.fixture
def blurred(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return the paths of a blurred image, its kernel and its truth."""
    truth = samples.motion_blurred_photograph(size=64)
    paths = (tmp_path / "photo.png", tmp_path / "psf.tif", tmp_path / "truth.png")
    Image.fromarray(truth.blurred).save(paths[0])
    write_tiff(paths[1], truth.kernel * 50)
    Image.fromarray(truth.sharp).save(paths[2])
    return paths


@pytest.mark.parametrize("name", ["--method", "--restoration"])
def test_restore_with_a_known_kernel(
    blurred: tuple[Path, Path, Path], out: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Restoring with the true kernel writes image, record and panel, and gains PSNR."""
    image, kernel, truth = map(str, blurred)
    args = ["restore", image, kernel, "-o", str(out), name, "sparse", "--truth", truth]
    assert main([*args, "--json", "--dtype", "input", "--device", "cpu"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["psnr_sharp"] > values["psnr_blurred"] + 2
    assert _names(out) == RESTORED
    assert values["outputs"].keys() == {"restored", "record", "panel"}
    stored = read_image(out / RESTORED[2]).array
    assert (stored.shape, stored.dtype) == ((64, 64), np.uint8)
    record = RestoreRecord.from_json((out / RESTORED[0]).read_text(encoding="utf-8"))
    assert record.config == RestoreConfig(restoration="sparse", device="cpu")
    assert record.image["name"] == "photo.png"


def test_restore_shows_its_progress(
    blurred: tuple[Path, Path, Path], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiles, or the steps of a network, go to standard error as those of `run`; not if quiet."""
    image, kernel, _ = map(str, blurred)
    args = ["restore", image, kernel, "-o", str(out), "--device", "cpu"]
    assert main(args) == 0
    assert "restore 1/1  " in capsys.readouterr().err
    assert main([*args, "--method", "generator", "--iterations", "2"]) == 0
    printed = capsys.readouterr()
    assert "restore 1/2  loss " in printed.err
    assert "restore 2/2  loss " in printed.err
    assert "loss" not in printed.out
    assert main([*args, "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_restore_agrees_with_python(blurred: tuple[Path, Path, Path], out: Path) -> None:
    """The command and the function give the same image, weight included."""
    image, kernel, _ = blurred
    args = ["restore", str(image), str(kernel), "-o", str(out), "--device", "cpu"]
    assert main([*args, "--weight", "0.01", "--roi", "0:48,8:64", "-q"]) == 0
    expected = sd.restore(
        read_image(image).array[:48, 8:], read_kernel(kernel), weight=0.01, device="cpu"
    )
    np.testing.assert_array_equal(read_image(out / RESTORED[2]).array, expected)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (["--method", "magic"], 2, "error: --method must be one of"),
        (["--weight", "-1"], 2, "error: --weight must be"),
        (
            ["--method", "sparse", "--iterations", "3"],
            2,
            "error: restoration 'sparse' has no iterations",
        ),
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


def test_a_stopped_restoration_says_so(
    blurred: tuple[Path, Path, Path],
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C ends a restoration with the image so far, marked in its record and on the screen."""
    real = restoration.run_restoration

    def interrupted(*args: Any, **options: Any) -> RestoreResult:
        signal.raise_signal(signal.SIGINT)
        return real(*args, **options)

    monkeypatch.setattr(restoration, "run_restoration", interrupted)
    args = ["restore", str(blurred[0]), str(blurred[1]), "-o", str(out), "--device", "cpu"]
    assert main([*args, "--method", "generator", "--iterations", "100000"]) == 0
    assert "stopped early" in capsys.readouterr().err
    record = RestoreRecord.from_json((out / RESTORED[0]).read_text(encoding="utf-8"))
    assert record.status == "stopped"
