import json

import pytest
from typer.testing import CliRunner

from napari_selfdeblur.benchmarks import levin, measure
from napari_selfdeblur.benchmarks.cli import app
from napari_selfdeblur.benchmarks.results import Results, row_key
from napari_selfdeblur.benchmarks.runner import run
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.benchmarks.worker import answer
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, DivergedError, ImageError

TINY = SelfDeblurConfig.preset("fast").replace(
    kernel_size=5, iterations=2, channels=8, skip_channels=4, device="cpu", precision="float32"
)


def tasks_of(folder, config=TINY, **options):
    return [
        Task(kind="deblur", case=case, config=config, device="cpu", **options)
        for case in levin.find(folder)
    ]


def ran(finished):
    return [f"{f.row['image']}_{f.row['kernel']}" for f in finished]


def test_second_run_does_nothing(levin_folder, tmp_path):
    """What the results file has is not measured again, and the file stays as it is."""
    tasks, path = tasks_of(levin_folder), tmp_path / "r.json"
    first = list(run(tasks, Results(path)))
    assert [(f.done, f.total) for f in first] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = path.read_bytes()
    assert list(run(tasks, Results.read(path))) == []
    assert path.read_bytes() == before


def test_only_a_missing_row_is_measured(levin_folder, tmp_path):
    """After one row is taken out, exactly that one is measured, to the same numbers."""
    tasks, path = tasks_of(levin_folder), tmp_path / "r.json"
    list(run(tasks, Results(path)))
    results = Results.read(path)
    gone = results.rows.pop(2)
    results.write()
    again = list(run(tasks, Results.read(path)))
    assert ran(again) == ["im2_kernel1"]
    assert again[0].row["sharp"] == gone["sharp"]
    read = Results.read(path)
    assert len(read.rows) == 4
    assert [row["run"] for row in read.rows] == [0, 0, 0, 1]
    assert len(read.runs) == 2


def test_each_row_is_on_disk_before_the_next_begins(levin_folder, tmp_path):
    """Giving up after the first row keeps it; the next run measures the rest."""
    tasks, path = tasks_of(levin_folder), tmp_path / "r.json"
    rows = run(tasks, Results(path))
    next(rows)
    assert len(Results.read(path).rows) == 1
    rows.close()
    assert ran(run(tasks, Results.read(path))) == ["im1_kernel2", "im2_kernel1", "im2_kernel2"]


def test_other_settings_are_other_rows(levin_folder, tmp_path):
    """Another seed, or any other setting, is measured beside what is there."""
    path = tmp_path / "r.json"
    list(run(tasks_of(levin_folder)[:1], Results(path)))
    other = tasks_of(levin_folder, TINY.replace(seed=1))[:1]
    assert len(list(run(other, Results.read(path)))) == 1
    assert [row["seed"] for row in Results.read(path).rows] == [0, 1]


def test_side_by_side_measures_the_same(levin_folder, tmp_path):
    """Two processes give the rows that this one gives; their threads are set for them alone."""
    tasks = tasks_of(levin_folder)[:2]
    here = {row_key(f.row): f.row["sharp"] for f in run(tasks, Results(tmp_path / "1.json"))}
    results = Results(tmp_path / "2.json")
    there = {row_key(f.row): f.row["sharp"] for f in run(tasks, results, jobs=2, threads=1)}
    assert there.keys() == here.keys()
    for key, quality in here.items():
        assert there[key] == pytest.approx(quality, rel=1e-3)
    assert {row["device"] for row in results.rows} == {results.rows[0]["device"]}
    assert "(1 thread" in results.rows[0]["device"]


def test_an_error_in_a_process_is_raised_here(levin_folder, tmp_path):
    """A capture that cannot be read ends the run with its own error, naming the case."""
    tasks = tasks_of(levin_folder)[:1]
    (levin_folder / "im1_kernel1_img.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"im1_kernel1: .*is no image"):
        list(run(tasks, Results(tmp_path / "r.json"), jobs=1, threads=1))


def test_a_task_travels_as_json(levin_folder):
    """A task read back from its JSON is the same task; a worker answers with its row."""
    task = tasks_of(levin_folder)[0]
    line = json.dumps(task.to_dict())
    assert Task.from_dict(json.loads(line)) == task
    reply = answer(line)
    assert row_key(reply["row"]) == row_key(task.identity())


def test_divergence_is_a_result(levin_folder, monkeypatch):
    """A run whose loss diverges gives a row that says so, and the benchmark goes on."""

    def diverging(*args, **options):
        yield from ()
        raise DivergedError("the loss became nan")

    monkeypatch.setattr("napari_selfdeblur.run.run.iter_deblur", diverging)
    row = measure.measure(tasks_of(levin_folder)[0])
    assert row["status"] == "diverged"
    assert "sharp" not in row
    json.dumps(row, allow_nan=False)


def test_rows_hold_no_losses_and_no_paths(levin_folder, tmp_path):
    """A row is compact and says nothing of the folder the data lies in."""
    list(run(tasks_of(levin_folder)[:1], Results(tmp_path / "r.json"), command="benchmark"))
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    row = Results.read(tmp_path / "r.json").rows[0]
    assert "losses" not in row
    assert "trace" not in row
    assert len(json.dumps(row)) < 2500


def test_older_rows_count_missing_settings_as_defaults(levin_folder):
    """A row written before a setting existed equals a task with that setting's default."""
    task = tasks_of(levin_folder)[0]
    row = task.identity()
    del row["config"]["lr_decay"]
    assert row_key(row) == row_key(task.identity())
    row["config"]["gone"] = 1
    assert row_key(row) != row_key(task.identity())


@pytest.mark.parametrize("options", [{"jobs": 0}, {"threads": 0}])
def test_counts_must_be_positive(levin_folder, tmp_path, options):
    """No process, or none of its threads, is an error that names the count."""
    with pytest.raises(ConfigError, match="must be at least 1, got 0; try 1"):
        next(run(tasks_of(levin_folder), Results(tmp_path / "r.json"), **options))


@pytest.mark.parametrize("text", ["not json", "[]", '{"format": "other"}'])
def test_other_files_are_refused(tmp_path, text):
    """A file that is no results file is never overwritten."""
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(DeblurError, match="choose another file"):
        Results.read(tmp_path / "r.json", missing_ok=True)


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="benchmark")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_command_line_runs_a_subset_with_changes(levin_folder, tmp_path):
    """`levin` runs the chosen captures and seeds with the settings given, and records them."""
    output = tmp_path / "r.json"
    words = ["levin", levin_folder, "--images", "im2", "--kernels", "1", "--seeds", "0,3"]
    words += ["--set", "iterations=2", "--set", "channels=8", "--set", "lr_milestones=[0.5]"]
    words += ["--reference", "none", "--restorations", "none", "--device", "cpu", "-o", output]
    done = invoke(*words)
    assert done.exit_code == 0
    assert "[2/2] im2 kernel1 seed 3" in done.stderr
    results = Results.read(output)
    assert [row["seed"] for row in results.rows] == [0, 3]
    config = results.rows[0]["config"]
    assert (config["iterations"], config["lr_milestones"]) == (2, [0.5])
    assert config["kernel_size"] == [17, 17]
    command = results.runs[0]["command"]
    assert command.startswith("benchmark levin levin --output r.json --images im2 --kernels 1")
    assert str(tmp_path) not in command
    assert "2 of them in" in invoke(*words).stderr


def test_command_line_runs_lai(lai_folder, tmp_path):
    """`lai` runs the chosen captures at the authors' kernel sizes, with their category."""
    words = ["lai", lai_folder, "--images", "text_02", "--kernels", "1", "--device", "cpu"]
    words += ["--set", "iterations=2", "--set", "channels=8", "--restorations", "none"]
    invoke(*words, "--reference", "none", "-o", tmp_path / "r.json")
    (row,) = Results.read(tmp_path / "r.json").rows
    assert (row["dataset"], row["category"]) == ("lai", "text")
    assert row["config"]["kernel_size"] == [31, 31]
    assert row["sharp"]["psnr"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "iterations"], "--set is FIELD=VALUE, got 'iterations'"),
        (["--set", "speed=1"], "unknown setting speed"),
        (["--seeds", "a"], "--seeds are whole numbers, got 'a'"),
        (["--preset", "best"], "preset must be one of"),
        (["--restorations", "magic"], "restoration must be one of"),
        (["--reference", "magic"], "reference must be one of"),
        (["--snapshots"], "--snapshots needs --trace"),
    ],
)
def test_wrong_arguments_say_what_is_right(levin_folder, tmp_path, words, message):
    """Each wrong argument is an error of settings, before anything runs."""
    with pytest.raises(ConfigError, match=message):
        invoke("levin", levin_folder, "-o", tmp_path / "r.json", *words)
    assert not (tmp_path / "r.json").exists()
