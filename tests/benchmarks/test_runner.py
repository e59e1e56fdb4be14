import json
import os
from dataclasses import replace

import pytest

from benchmarks import worker
from benchmarks.__main__ import main
from benchmarks.images import find
from benchmarks.results import Results, row_key
from benchmarks.runner import pending, run
from benchmarks.task import Setup, Task
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, OutOfMemoryError

TINY = SelfDeblurConfig.preset("official").replace(kernel_size=5, iterations=2, channels=8)


def known(folder, method="hyper_laplacian"):
    tests = find("levin", folder)
    return [Task(kind="known", image=test, method=method, device="cpu") for test in tests]


def labels(done):
    return [f"{row['image']}_{row['kernel']}" for _, rows in done for row in rows]


def test_what_is_missing_is_measured_side_by_side_and_kept(levin_folder, tmp_path, monkeypatch):
    """Rows of two processes are written as they come; a second run measures the missing alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # what was asked for counts, not this
    tasks, path = known(levin_folder), tmp_path / "r.json"
    done = run(tasks, Results(path), jobs=2, threads=1, command="c")
    first = labels([next(done)])
    assert labels([(None, Results.read(path).rows)]) == first
    assert sorted(first + labels(done)) == [task.image.label for task in tasks]
    results = Results.read(path)
    assert {row["device"].partition(",")[0] for row in results.rows} == {"CPU (1 thread"}
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    before = path.read_bytes()
    assert list(run(tasks, Results.read(path))) == []
    assert path.read_bytes() == before
    gone = results.rows.pop(2)
    (again,) = pending(tasks, results)
    assert row_key(again.identities()[0]) == row_key(gone)


class Ending(float):
    """A number whose way to a worker process ends that process."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_process_that_ends_is_a_row(levin_folder, tmp_path):
    """Its task alone has failed, with the reason; the next run measures that one again."""
    tasks, results = known(levin_folder)[:3], Results(tmp_path / "r.json")
    ending = [tasks[0], replace(tasks[1], weight=Ending(0.01)), tasks[2]]
    statuses = [rows[0]["status"] for _, rows in run(ending, results, threads=1)]
    assert statuses == ["finished", "failed", "finished"]
    assert "the process ended abruptly" in results.rows[1]["reason"]
    sound = [tasks[0], replace(tasks[1], weight=0.01), tasks[2]]
    assert pending(sound, Results.read(results.path)) == [sound[1]]


def raising(monkeypatch, error):
    def measure(task):
        raise error

    monkeypatch.setattr("benchmarks.known.measure", measure)


def test_an_error_is_a_row(levin_folder, monkeypatch, tmp_path):
    """An image that cannot be read is a row with the reason; so is a lack of memory, for good."""
    task = known(levin_folder)[0]
    (levin_folder / "im1_kernel1_img.png").write_bytes(b"no picture")
    (row,) = worker.measured(task)
    assert row["status"] == "failed"
    assert row["reason"].startswith("ImageError: ")
    raising(monkeypatch, OutOfMemoryError("crop"))
    (short,) = worker.measured(task)
    assert (short["status"], short["reason"]) == ("out of memory", "crop")
    results = Results(tmp_path / "r.json", rows=[row])
    assert pending([task], results) == [task]
    assert results.add([short]) == [short | {"run": -1}]
    assert pending([task], results) == []
    assert len(results.rows) == 1


def test_older_rows_count_missing_settings_as_defaults(levin_folder):
    """Rows equal tasks with a setting's default, also under the names of version 0.1."""
    config = TINY.replace(solvers=("edges", "joint"))
    setup = (Setup("official", config),)
    (row,) = Task(kind="deblur", image=find("levin", levin_folder)[0], setups=setup).identities()
    old = {k: v for k, v in row["config"].items() if k not in ("solvers", "lr_decay")}
    old |= {"name": "official", "optimiser": "joint", "draft_first": True}
    assert row_key(row | {"config": old}) == row_key(row)
    assert row_key(row | {"config": old | {"gone": 1}}) != row_key(row)
    assert row_key(row | {"config": old | {"seed": 1}}) != row_key(row)


@pytest.mark.parametrize("options", [{"jobs": 0}, {"threads": 0}])
def test_counts_must_be_positive(levin_folder, tmp_path, options):
    """No process, or none of its threads, is an error that names the count."""
    with pytest.raises(ConfigError, match="must be at least 1, got 0; try 1"):
        next(run(known(levin_folder), Results(tmp_path / "r.json"), **options))


@pytest.mark.parametrize("text", ["not json", "[]", '{"format": "other"}'])
def test_other_files_are_refused(tmp_path, text):
    """A file that is no results file is never overwritten."""
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(DeblurError, match="choose another file"):
        Results.read(tmp_path / "r.json", missing_ok=True)


def test_command_line_runs_a_subset_with_changes(levin_folder, tmp_path, capfd):
    """`levin` runs the chosen images and seeds with the settings given, and records them."""
    output = tmp_path / "r.json"
    words = ["levin", str(levin_folder), "--images", "im2", "--kernels", "1", "--seeds", "0,3"]
    words += ["--preset", "official", "--set", "iterations=2", "--set", "channels=8"]
    words += ["--set", "lr_milestones=0.5", "--reference", "none", "--restorations", "none"]
    words += ["--device", "cpu", "--threads", "1", "-o", str(output)]
    assert main(words) == 0
    assert "[2/2] im2 kernel1 official seed 3: " in capfd.readouterr().err
    results = Results.read(output)
    assert [row["seed"] for row in results.rows] == [0, 3]
    row = results.rows[0]
    assert (row["config"]["iterations"], row["config"]["lr_milestones"]) == (2, [0.5])
    assert (row["preset"], row["config"]["kernel_size"]) == ("official", [17, 17])
    command = results.runs[0]["command"]
    assert command.startswith("python -m benchmarks levin levin --images im2 --kernels 1")
    assert command.endswith("-o r.json")
    assert main(words) == 0
    assert "2 of them in" in capfd.readouterr().err
    assert len(json.dumps(row)) < 2500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "iterations"], "--set is FIELD=VALUE, got 'iterations'"),
        (["--set", "velocity=1"], "velocity"),
        (["--preset", "best"], "preset must be one of"),
        (["--restorations", "magic"], "restoration must be one of"),
        (["--reference", "magic"], "restoration must be one of"),
        (["--seeds", "a"], "invalid _numbers value: 'a'"),
    ],
)
def test_wrong_arguments_say_what_is_right(levin_folder, tmp_path, capsys, words, message):
    """Each wrong argument is refused with exit status 2, before anything runs."""
    try:
        status = main(["levin", str(levin_folder), "-o", str(tmp_path / "r.json"), *words])
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()
