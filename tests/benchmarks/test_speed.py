import json
import os
import statistics

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_selfdeblur.benchmarks.cli import app
from napari_selfdeblur.benchmarks.results import Results, row_key
from napari_selfdeblur.benchmarks.speed import measure, runner, startup
from napari_selfdeblur.benchmarks.speed.memory import held_memory, peak_memory
from napari_selfdeblur.benchmarks.speed.runner import pending, run
from napari_selfdeblur.benchmarks.speed.tasks import SpeedTask, plan
from napari_selfdeblur.benchmarks.worker import answer
from napari_selfdeblur.errors import ConfigError, DeblurError, DeviceError

SMALL = {"channels": 8, "skip_channels": 4, "scales": 2}


def tasks(*measurements, **options):
    """The tasks of a tiny benchmark: 48 x 48, kernel of 5 x 5, two timed steps."""
    chosen = {"steps": 2, "device": "cpu", "precisions": ("float32",), "changes": SMALL}
    return plan([48], [5], measurements=measurements, **chosen | options)


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="benchmark")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def of(rows, **wanted):
    """The one row with these values."""
    (found,) = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
    return found


def test_steps_of_all_paths_are_timed_in_turn():
    """Every path has the steps asked for, and ratios turn by turn to both plain paths."""
    (task,) = tasks("step")
    rows = measure.measure_speed(task)
    assert [(row["network"], row["path"]) for row in rows] == [
        (network, path)
        for network in ("official", "fast")
        for path in ("plain float32", "optimised, float32")
    ]
    full = of(rows, network="official", path="plain float32")["seconds"]
    for row in rows:
        own = of(rows, network=row["network"], path="plain float32")["seconds"]
        assert len(row["seconds"]) == 2
        assert row["median"] == pytest.approx(statistics.median(row["seconds"]), rel=1e-5)
        for suffix, base in (("", own), ("_full", full)):
            pairs = [a / b for a, b in zip(row["seconds"], base, strict=True)]
            assert row["ratios" + suffix] == pytest.approx(pairs, rel=1e-4)
            median = statistics.median(row["ratios" + suffix])
            assert row["ratio" + suffix] == pytest.approx(median, rel=1e-5)


def test_the_plain_path_is_the_reference():
    """Beside each plain path stand those that differ in runtime and precision alone."""
    (task,) = tasks("step", precisions=("float32", "bfloat16"))
    for plain, *others in (task.configs[:3], task.configs[3:]):
        assert (plain.runtime, plain.precision) == ("reference", "float32")
        for other, precision in zip(others, ("float32", "bfloat16"), strict=True):
            assert other == plain.replace(runtime="optimised", precision=precision)
    assert task.configs[0].non_local
    assert not task.configs[3].non_local


def test_precisions_are_those_of_the_device(monkeypatch):
    """bfloat16 is timed exactly where the runtime takes it."""

    def refuse(config):
        raise DeviceError("no bfloat16")

    assert measure.precisions_of("cpu")[0] == "float32"
    monkeypatch.setattr(measure.Runtime, "of", refuse)
    assert measure.precisions_of("cpu") == ("float32",)
    monkeypatch.setattr(measure.Runtime, "of", lambda config: None)
    assert measure.precisions_of("cpu") == ("float32", "bfloat16")


def test_a_path_that_does_not_fit_is_left_out(no_memory_for_official):
    """The row says what is needed and what there is; the other network is still timed."""
    (task,) = tasks("step")
    rows = measure.measure_speed(task)
    assert [row["status"] for row in rows] == ["skipped", "skipped", "finished", "finished"]
    assert "the plain step needs about 1000000000.0 GB, of which" in rows[1]["reason"]
    assert rows[3]["ratios_full"] == []
    assert rows[3]["ratio_full"] is None
    assert len(rows[3]["ratios"]) == 2
    (row,) = measure.measure_speed(tasks("memory")[0])
    assert row["status"] == "skipped"


def test_a_preview_is_compared_with_none(monkeypatch):
    """Runs with previews show some, and the ratio is the median of the pairs'."""
    monkeypatch.setattr(measure, "_PREVIEW_SPAN", 0.05)
    monkeypatch.setattr(measure, "_PREVIEW_PAIRS", 3)
    monkeypatch.setattr(measure, "PREVIEW_SECONDS", 0.0)
    (row,) = measure.measure_speed(tasks("preview")[0])
    assert row["previews"] == [row["steps"]] * 3
    pairs = [a / b for a, b in zip(row["seconds_with"], row["seconds_without"], strict=True)]
    assert row["ratios"] == pytest.approx(pairs, rel=1e-4)
    assert row["ratio"] == pytest.approx(statistics.median(pairs), rel=1e-4)
    assert row["network"] == "fast"


def test_the_peak_of_memory_is_kept():
    """The peak counts what was held and is held no more."""
    device = torch.device("cpu")
    before = held_memory(device)
    block = np.ones(100_000_000, np.uint8)
    del block
    assert peak_memory(device) - before > 50_000_000
    assert peak_memory(device) >= held_memory(device)


def test_import_time_is_the_median_difference(monkeypatch):
    """What the import adds is the median of the differences, the first pair left out."""
    times = iter([9.0, 99.0, 10.0, 13.0, 20.0, 21.0, 30.0, 35.0])
    monkeypatch.setattr(startup, "_milliseconds", lambda code: next(times))
    row = startup.measure_import(pairs=3)
    assert row == {
        "bare_ms": [10.0, 20.0, 30.0],
        "import_ms": [13.0, 21.0, 35.0],
        "over_bare_ms": 3.0,
    }


def test_profile_shares_are_parts_of_a_whole():
    """Operators come largest first, their shares sum to 1 at most, convolutions among them."""
    task = tasks(profile=True)[0]
    (row,) = measure.measure_speed(task)
    shares = [operator["share"] for operator in row["operators"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1 + 1e-4
    assert any("conv" in operator["name"] for operator in row["operators"])


def test_a_task_travels_as_json():
    """A task read back from its JSON is the same task, and each measurement is another one."""
    everything = tasks("import", "step", "memory", "preview", profile=True)
    assert [SpeedTask.from_dict(json.loads(json.dumps(t.to_dict()))) for t in everything] == (
        everything
    )
    keys = [row_key(row) for task in everything for row in task.identities()]
    assert len(set(keys)) == len(keys) == 1 + 4 + 4 + 1 + 2


def test_command_line_measures_resumes_and_reports(tmp_path):
    """A second call measures only what the first one did not; the report shows every row."""
    output = tmp_path / "r.json"
    words = ["speed", "--device", "cpu", "--sizes", "48", "--kernels", "5", "--steps", "2"]
    for name, value in SMALL.items():
        words += ["--set", f"{name}={value}"]
    words += ["--threads", "1", "-o", output]
    assert (
        "[1/1] step, 48 x 48, kernel 5 x 5: official plain"
        in invoke(*words, "--measure", "step").stderr
    )
    first = Results.read(output)
    invoke(*words, "--measure", "import,step")
    second = Results.read(output)
    assert second.rows[: len(first.rows)] == first.rows
    (added,) = second.rows[len(first.rows) :]
    assert added["method"] == "import"
    assert len(added["bare_ms"]) == len(added["import_ms"]) == 15
    assert [run["device"] for run in second.runs] == ["cpu", "cpu"]
    assert second.runs[0]["command"].startswith("benchmark speed --output r.json --device cpu")
    assert {row["device"].partition(",")[0] for row in first.rows} == {"CPU (1 thread"}
    report = tmp_path / "r.md"
    invoke("report", output, "-o", report)
    text = report.read_text(encoding="utf-8")
    for row in first.rows:
        start = f"| 48 x 48 | 5 x 5 | {row['network']} | {row['path']} | "
        assert f"{start}{1000 * row['median']:.1f} | {row['ratio']:.3f} (" in text
    assert f"| {added['over_bare_ms']:.1f} | 15 |" in text
    assert "error of the restoration" not in text


def test_memory_is_measured_in_a_fresh_process(tmp_path):
    """The row holds a peak and its prediction, untouched by what this process holds."""
    block = np.ones(600_000_000, np.uint8)
    results = Results(tmp_path / "r.json")
    ((_, (row,)),) = list(run(tasks("memory")[-1:], results, threads=1))
    assert block[-1] == 1
    assert 0 < row["peak"] < block.nbytes
    assert row["ratio"] == pytest.approx(row["predicted"] / row["peak"], rel=1e-4)
    assert Results.read(results.path).rows == [row]


class Ended:
    """A process that has ended."""

    def __init__(self, returncode=0, stdout=""):
        self.returncode, self.stdout = returncode, stdout


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Ended(-9), "the system ended the process"),
        (Ended(stdout='{"error": "OutOfMemoryError", "message": "crop"}'), "crop"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_lack_of_memory_is_a_result(tmp_path, monkeypatch, ended, reason):
    """A process out of memory gives rows that say so; they count as measured, and are shown."""
    monkeypatch.setattr(runner.subprocess, "run", lambda *args, **options: ended)
    results, todo = Results(tmp_path / "r.json"), tasks("step", "memory")
    list(run(todo, results))
    assert {(row["status"], row["reason"]) for row in results.rows} == {("out of memory", reason)}
    assert pending(todo, results) == []
    invoke("report", results.path, "-o", tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text(encoding="utf-8").count(f"out of memory: {reason}") == 8


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (Ended(3), "memory, 48 x 48, kernel 5 x 5, official plain float32 ended with status 3"),
        (Ended(stdout='{"error": "DeviceError", "message": "gone"}'), "plain float32: gone"),
    ],
)
def test_an_error_in_a_process_is_raised_here(tmp_path, monkeypatch, ended, message):
    """Whatever else ends a process ends the benchmark; the rows before it are kept."""
    monkeypatch.setattr(runner.subprocess, "run", lambda *args, **options: ended)
    results = Results(tmp_path / "r.json")
    with pytest.raises(DeblurError, match=message):
        list(run(tasks("memory"), results))
    assert results.rows == []


def test_a_worker_answers_with_all_rows():
    """The answer to a task holds a row for each of its paths."""
    (task,) = tasks("step")
    reply = answer(json.dumps(task.to_dict()))
    assert [row_key(row) for row in reply["rows"]] == [row_key(r) for r in task.identities()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "big"], "--sizes are whole numbers, got 'big'"),
        (["--kernels", ""], "--kernels are whole numbers, got ''"),
        (["--kernels", "4"], "kernel_size must be odd, got 4; try 5"),
        (["--steps", "0"], "steps must be whole numbers of at least 1"),
        (["--measure", "luck"], "measure must be some of import, step, memory, preview"),
        (["--set", "precision=bfloat16"], "the benchmark sets precision itself"),
        (["--threads", "0"], "threads must be at least 1, got 0; try 1"),
    ],
)
def test_wrong_arguments_say_what_is_right(tmp_path, words, message):
    """Each wrong argument is an error of settings, before anything runs."""
    with pytest.raises(ConfigError, match=message):
        invoke("speed", "--device", "cpu", "-o", tmp_path / "r.json", *words)
    assert not (tmp_path / "r.json").exists()
