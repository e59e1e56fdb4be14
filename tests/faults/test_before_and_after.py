"""What is known before a run is said before it; results come before anything optional."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import napari_selfdeblur as sd
from napari_selfdeblur import api
from napari_selfdeblur.cli import main
from napari_selfdeblur.compare.ground_truth import GroundTruth
from napari_selfdeblur.errors import ConfigError, DeblurWarning, DivergedError, FileError
from napari_selfdeblur.io.writing import check_writable
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.result import DeblurResult

SCENE = np.random.default_rng(1).integers(0, 200, (40, 48)).astype(np.uint8)
CONFIG = sd.SelfDeblurConfig.preset("official").replace(
    kernel_size=5, iterations=3, channels=2, skip_channels=2, scales=1, non_local=False,
    kernel_generator="fcn_shallow", device="cpu", precision="float32",
)  # fmt: skip
QUICK = [f"--set={n}={CONFIG.kind(n).text(getattr(CONFIG, n))}" for n in (
    "kernel_size", "iterations", "channels", "skip_channels", "scales", "non_local",
    "kernel_generator", "device", "precision",
)]  # fmt: skip
FILES = ["a_deblurred.tif", "a_kernel.tif", "a_panel.png", "a_record.json"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def run(photo: Path, out: Path, *more: str) -> int:
    return main(["run", str(photo), "-o", str(out), "--preset", "official", *QUICK, *more])


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def below_a_file(photo: Path) -> tuple[Path, list[str]]:
    return photo / "out", []


def a_long_name(photo: Path) -> tuple[Path, list[str]]:
    photo.rename(photo.with_name("a" * 245 + ".png"))
    return photo.with_name("out"), []


def an_output_that_is_a_folder(photo: Path) -> tuple[Path, list[str]]:
    photo.with_name("a_record.json").mkdir()
    return photo.parent, []


def a_checkpoint_in_no_folder(photo: Path) -> tuple[Path, list[str]]:
    return photo.with_name("out"), ["--checkpoint", str(photo.parent / "no" / "c.pt")]


def a_checkpoint_that_is_a_folder(photo: Path) -> tuple[Path, list[str]]:
    return photo.with_name("out"), ["--checkpoint", str(photo.parent)]


def a_checkpoint_in_place_of_a_result(photo: Path) -> tuple[Path, list[str]]:
    return photo.parent, ["--checkpoint", str(photo.parent / "a_kernel.tif")]


def a_truth_of_nan(photo: Path) -> tuple[Path, list[str]]:
    Image.fromarray(np.full(SCENE.shape, np.nan, np.float32)).save(photo.with_name("t.tif"))
    return photo.with_name("out"), ["--truth", str(photo.with_name("t.tif"))]


def a_truth_that_is_too_small(photo: Path) -> tuple[Path, list[str]]:
    Image.fromarray(SCENE[:20, :20]).save(photo.with_name("t.tif"))
    return photo.with_name("out"), ["--truth", str(photo.with_name("t.tif"))]


@pytest.mark.parametrize(
    "prepare",
    [
        below_a_file, a_long_name, an_output_that_is_a_folder, a_checkpoint_in_no_folder,
        a_checkpoint_that_is_a_folder, a_checkpoint_in_place_of_a_result, a_truth_of_nan,
        a_truth_that_is_too_small,
    ],
)  # fmt: skip
def test_what_stands_against_a_run_is_said_before_it(
    photo: Path, prepare: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, status 1 or 2, and not one step done."""
    out, more = prepare(photo)
    image = next(photo.parent.glob("a*.png"))
    before = sorted(photo.parent.rglob("*"))

    def start(*args: object, **options: object) -> None:
        raise AssertionError("the run began")

    monkeypatch.setattr("napari_selfdeblur.run.run._run", start)
    assert run(image, out, *more) in (1, 2)
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert [path for path in sorted(photo.parent.rglob("*")) if path != out] == before


def test_a_full_disk_is_noticed_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little space is refused with the file's name and what is needed."""
    check_writable(tmp_path / "a.tif", 10)
    full = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FileError, match=r"a.tif cannot be written: 8 MiB of space .*; free some"):
        check_writable(tmp_path / "a.tif", 2**23)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_noticed_before_the_run(tmp_path: Path) -> None:
    """A folder without permission to write is refused, and left as it is."""
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(FileError, match="Permission denied; choose another folder"):
            check_writable(tmp_path / "a.tif")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_each_write_can_fail_alone(
    photo: Path,
    tmp_path: Path,
    nth: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other results are there, the failing file is named, and the checkpoint is kept."""
    real, count, out = Path.replace, [0], tmp_path / "out"

    def replace(self: Path, target: Path) -> Path:
        if target.suffix != ".pt":
            count[0] += 1
            if count[0] == nth:
                raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    status = run(photo, out, "--checkpoint", str(tmp_path / "c.pt"))
    errors = capsys.readouterr().err
    lost = [name for name in FILES if name not in names(out)]
    if status:
        assert lost.pop(lost.index("a_panel.png"))  # the last one, and optional
    assert len(lost) == 1
    assert f"{lost[0]} cannot be written: No space left on device; free some space" in errors
    assert status == (0 if lost == ["a_panel.png"] else 1)
    assert (tmp_path / "c.pt").exists() == bool(status)


def test_a_failing_comparison_costs_nothing_else(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the truth cannot be compared after the run, everything but the PSNR is there."""
    Image.fromarray(SCENE).save(tmp_path / "t.png")
    real, calls = GroundTruth.psnr, [0]

    def psnr(self: GroundTruth, image: Any) -> float:
        calls[0] += 1
        if calls[0] > 1:
            raise MemoryError
        return real(self, image)

    monkeypatch.setattr(GroundTruth, "psnr", psnr)
    assert run(photo, tmp_path / "out", "--truth", str(tmp_path / "t.png")) == 0
    assert "warning: the result was not compared with the truth" in capsys.readouterr().err
    assert names(tmp_path / "out") == FILES


def test_a_run_goes_on_without_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be written is one warning, whatever the number of times."""

    def save(self: Checkpoint, states: object) -> None:
        raise FileError("no space")

    monkeypatch.setattr(Checkpoint, "save", save)
    monkeypatch.setattr("napari_selfdeblur.run.stages._CHECKPOINT_STEPS", 1)
    with pytest.warns(DeblurWarning, match="without a checkpoint: no space") as warned:
        result = sd.deblur(SCENE, config=CONFIG, checkpoint=tmp_path / "c.pt")
    assert len(warned) == 1
    np.testing.assert_array_equal(result.sharp, sd.deblur(SCENE, config=CONFIG).sharp)


def test_a_checkpoint_can_outlive_its_run(tmp_path: Path) -> None:
    """With keep_checkpoint the file of a finished run gives the same result once more."""
    options: dict[str, Any] = {"config": CONFIG, "checkpoint": tmp_path / "c.pt"}
    first = sd.deblur(SCENE, keep_checkpoint=True, **options)
    assert (tmp_path / "c.pt").exists()
    np.testing.assert_array_equal(sd.deblur(SCENE, **options).sharp, first.sharp)
    assert not (tmp_path / "c.pt").exists()


@pytest.mark.parametrize(
    "name", ["$x$", "$_{^", "日本語", "a\nb", "%d", "{}", "-", " ", "\udce9\udcff"]
)
def test_names_of_any_kind(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a file is called, all four results are written, and the record can be read."""
    path, out = tmp_path / f"{name}.png", tmp_path / "out"
    try:
        Image.fromarray(SCENE).save(path)
    except (OSError, UnicodeError):
        pytest.skip("the file system does not take this name")
    assert run(path, out) == 0
    assert len(names(out)) == 4
    record = next(out.glob("*_record.json")).read_text(encoding="utf-8")
    assert RunRecord.from_json(record).status == "finished"
    assert "was not drawn" not in capsys.readouterr().err


def test_warnings_and_logs_of_others_stay_off_the_screen(
    photo: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other packages' warnings are neither shown nor errors; filters are as before."""
    real, filters, show = api.deblur, list(warnings.filters), warnings.showwarning

    def noisy(*args: Any, **options: Any) -> DeblurResult:
        warnings.warn("from elsewhere", UserWarning, stacklevel=1)
        logging.getLogger("elsewhere").warning("from elsewhere")
        warnings.warn("of our own", DeblurWarning, stacklevel=1)
        return real(*args, **options)

    monkeypatch.setattr(api, "deblur", noisy)
    assert run(photo, tmp_path / "out") == 0
    errors = capfd.readouterr().err
    assert "warning: of our own\n" in errors
    assert "elsewhere" not in errors
    assert (warnings.filters, warnings.showwarning) == (filters, show)


def test_results_are_finite_or_the_run_fails() -> None:
    """No result holds NaN or infinity."""
    record = sd.deblur(SCENE, config=CONFIG).record
    for bad in (np.nan, np.inf):
        with pytest.raises(DivergedError, match="infinite or NaN"):
            DeblurResult(np.full((3, 3), bad, np.float32), np.ones((1, 1), np.float32), record)


@pytest.mark.parametrize("stop", [True, 1, "now", object(), type])
def test_a_stop_that_cannot_be_set_is_refused(stop: Any) -> None:
    """Both functions refuse it at the call, and say what to give."""
    with pytest.raises(ConfigError, match=r"stop must be a threading.Event"):
        sd.iter_deblur(SCENE, config=CONFIG, stop=stop)
    with pytest.raises(ConfigError, match=r"stop must be a threading.Event"):
        sd.restore(SCENE, np.ones((3, 3)), stop=stop)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_workers_end_with_the_benchmarks(tmp_path: Path) -> None:
    """A benchmark ended by SIGTERM leaves no process behind."""
    script = (
        "import os, signal, sys, time\n"
        "from multiprocessing import get_context\n"
        "from benchmarks.worker import begin\n"
        "def forever(path):\n"
        "    begin(1)\n"
        "    open(path, 'w').write(str(os.getpid()))\n"
        "    while True: sum(range(1000))\n"
        "if __name__ == '__main__':\n"
        "    worker = get_context('spawn').Process(target=forever, args=(sys.argv[1],))\n"
        "    worker.start()\n"
        "    path = sys.argv[1]\n"
        "    while not (os.path.exists(path) and open(path).read()): time.sleep(.05)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *sys.path])}
    words = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "pid")]
    # The worker holds the pipe's other end: reading it to the end waits for the worker's end.
    done = subprocess.run(words, stdout=subprocess.PIPE, timeout=60, env=environment)
    assert done.returncode == -15
    with suppress(psutil.NoSuchProcess):
        worker = psutil.Process(int((tmp_path / "pid").read_text()))
        # Its files are closed a moment before it has ended.
        deadline = time.monotonic() + 30
        while worker.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the worker goes on"
            time.sleep(0.05)
