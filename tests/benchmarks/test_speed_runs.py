import dataclasses
import json
from types import SimpleNamespace

import pytest
from napari_selfdeblur.numerics.progress import Progress
from typer.testing import CliRunner

from napari_selfdeblur.benchmarks.cli import app
from napari_selfdeblur.benchmarks.results import Results
from napari_selfdeblur.benchmarks.speed import measure, runner, whole
from napari_selfdeblur.benchmarks.speed.tasks import WHOLE_PRESETS, SpeedTask, plan
from napari_selfdeblur.compare.ground_truth import Reference
from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DivergedError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.run.run import deblur

SMALL = {"channels": 8, "skip_channels": 4, "scales": 2}
LEVELS = ("24", "26", "28", "30", "32")
KEYS = {"seconds", "psnr", "trace", "seconds_to", "reference_step", "ratio"}


def run_tasks(*sizes, **options):
    """The tasks of whole runs alone, on the CPU."""
    chosen = {"steps": 2, "device": "cpu", "precisions": ("float32",), "measurements": ("run",)}
    return plan(sizes, [5], **chosen | options)


def tiny():
    """The task of 64 x 64 with narrow networks, three steps of each but the draft."""
    (task,) = run_tasks(64, changes=SMALL, run_steps=3)
    configs = [c if c.name == "draft" else c.replace(iterations=3) for c in task.configs]
    return dataclasses.replace(task, configs=tuple(configs))


@pytest.fixture(scope="module")
def measured():
    task = tiny()
    return task, measure.measure_speed(task)


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="benchmark")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_presets_as_they_are_and_the_full_network_shortened():
    """Each fast preset is run unchanged, then the full network plainly and optimised."""
    (task,) = run_tasks(255, precisions=("float32", "bfloat16"), run_steps=7)
    given = {"device": "cpu", "kernel_size": 17}
    *presets, plain, optimised = task.configs
    assert presets == [SelfDeblurConfig.preset(name).replace(**given) for name in WHOLE_PRESETS]
    full = SelfDeblurConfig.preset("official").replace(**given, iterations=7)
    assert plain == full.replace(runtime="reference", precision="float32")
    assert optimised == full.replace(precision="bfloat16")
    assert set(WHOLE_PRESETS) == {"draft", "fast", "quality"} & set(PRESETS)


def test_settings_change_the_networks_alone():
    """A changed setting, be it of the schedule, reaches every network and not the draft."""
    changes = {"optimiser": "alternating", "loss_switch": 0.5}
    task = run_tasks(64, changes=changes, measurements=("step", "run"))[-1]
    draft, *networks = task.configs
    assert draft.optimiser == "classical"
    assert {(c.optimiser, c.loss_switch) for c in networks} == {("alternating", 0.5)}


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [((512, 255, 128), 255), ((512, 256, 128), 128), ((32, 496), 496), ((63, 497), None)],
)
def test_one_size_is_run(sizes, chosen):
    """255 where it is asked for, else the smallest that the photograph can have."""
    assert [task.size for task in run_tasks(*sizes)] == ([] if chosen is None else [chosen])


def test_sizes_and_kernel_are_the_photograph_s():
    """The smallest and the largest size planned are the sample's, and so is the kernel."""
    for size, beyond in ((64, 63), (496, 497)):
        (task,) = run_tasks(size)
        sample = motion_blurred_photograph(size)
        assert {config.kernel_size for config in task.configs} == {sample.kernel.shape}
        with pytest.raises(ConfigError, match="size must be a whole number from 64 to 496"):
            motion_blurred_photograph(beyond)


def test_rows_are_complete(measured):
    """Every path has all measures; of those that are no whole preset the ratio is None."""
    task, rows = measured
    assert [row["network"] for row in rows] == [*WHOLE_PRESETS, "official", "official"]
    assert [row["path"] for row in rows[-2:]] == ["plain float32", "optimised, float32"]
    for row in rows:
        assert row["status"] == "finished"
        assert set(row) >= KEYS
        assert row["reference_step"] == rows[0]["reference_step"] > 0
        seconds = [second for second, _ in row["trace"]]
        assert seconds == sorted(seconds)
        assert 0 < seconds[-1] <= row["seconds"]
        # The last preview is the result.
        assert row["trace"][-1][1] == row["psnr"]
    assert SpeedTask.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_the_ratio_is_to_5000_plain_steps(measured):
    """A preset's ratio is its time over 5000 steps of the plain full network."""
    for row in measured[1]:
        if row["network"] == "official":
            assert row["ratio"] is None
        else:
            expected = row["seconds"] / (5000 * row["reference_step"])
            assert row["ratio"] == pytest.approx(expected, rel=1e-4)


def test_plain_steps_before_and_after_the_runs(monkeypatch):
    """R is 5000 times the median of ten steps, five before the first run and five after."""
    order = []
    seconds = iter([9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 9.0, 6.0, 7.0, 8.0, 9.0, 9.0])

    def step(run, device):
        order.append("step")
        return next(seconds)

    def watched(sample, config):
        order.append(config.name)
        return {"status": "finished", "seconds": 55.0}

    monkeypatch.setattr(measure, "_step_seconds", step)
    monkeypatch.setattr(measure, "watched_run", watched)
    task = tiny()
    rows = measure.measure_speed(task)
    assert order == ["step"] * 7 + [config.name for config in task.configs] + ["step"] * 7
    assert {row["reference_step"] for row in rows} == {5.5}
    assert rows[0]["ratio"] == 55.0 / (5000 * 5.5)


def test_a_preset_goes_without_a_plain_step_that_does_not_fit(no_memory_for_official):
    """Without memory for the plain step it is skipped, and the others have no ratio."""
    rows = measure.measure_speed(tiny())
    assert [row["status"] for row in rows[-2:]] == ["skipped", "skipped"]
    assert "the plain step needs about 1000000000.0 GB" in rows[-2]["reason"]
    for row in rows[:-2]:
        assert row["status"] == "finished"
        assert row["reference_step"] is row["ratio"] is None


def test_the_psnr_is_of_the_result(measured):
    """The PSNR of a row is that of the image which `deblur` returns."""
    sample = motion_blurred_photograph(64)
    result = deblur(sample.blurred, config=measured[0].configs[0])
    found = Reference(sample.sharp, sample.blurred).psnr(result.sharp)
    assert measured[1][0]["psnr"] == pytest.approx(found, rel=1e-5)


@pytest.fixture
def scripted(monkeypatch):
    """A run of five previews by a clock of its own: a step takes 1 s, measuring it 100 s."""
    now = 0.0
    values = (25.0, 23.0, 29.0, None, 27.0)

    def run(image, *, config, preview_steps):
        nonlocal now
        for i, value in enumerate(values, start=1):
            now += 1
            yield Progress(i, 5, 0.0, 0.0, sharp=value)
        now += 10
        return SimpleNamespace(sharp=31.0)

    def psnr(self, image):
        nonlocal now
        now += 100
        return image

    monkeypatch.setattr(whole, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(whole, "iter_deblur", run)
    monkeypatch.setattr(whole.Reference, "psnr", psnr)
    config = SelfDeblurConfig.preset("fast")
    return whole.watched_run(motion_blurred_photograph(64), config)


def test_measuring_takes_no_time_of_the_run(scripted):
    """Seconds are those inside the run; those spent on the PSNR are left out of all of them."""
    assert scripted["trace"] == [(1, 25.0), (2, 23.0), (3, 29.0), (5, 27.0)]
    assert scripted["seconds"] == 15
    assert scripted["psnr"] == 31.0


def test_a_level_is_reached_at_its_first_preview(scripted):
    """The first preview at or above a level counts, whatever comes later; else there is none."""
    found = [scripted["seconds_to"][level] for level in LEVELS]
    assert found == [1, 3, 3, None, None]


@pytest.mark.parametrize(("preset", "every"), [("draft", 1), ("fast", 25), ("official", 25)])
def test_previews_are_due_every_25_steps(monkeypatch, preset, every):
    """A network shows every 25th step, a draft each kernel it tries."""
    asked = []

    def run(image, *, config, preview_steps):
        asked.append(preview_steps)
        yield Progress(1, 1, 0.0, 0.0)
        return SimpleNamespace(sharp=image)

    monkeypatch.setattr(whole, "iter_deblur", run)
    whole.watched_run(motion_blurred_photograph(64), SelfDeblurConfig.preset(preset))
    assert asked == [every]


def test_a_run_that_diverges_is_a_result(monkeypatch):
    """Its row says why, and the other paths are still run."""

    def run(image, *, config, preview_steps):
        yield Progress(1, 5, 0.0, 0.0)
        raise DivergedError("the loss became nan")

    monkeypatch.setattr(whole, "iter_deblur", run)
    rows = measure.measure_speed(tiny())
    assert {(row["status"], row["reason"]) for row in rows} == {("diverged", "the loss became nan")}


def test_the_report_shows_whole_runs(tmp_path, measured):
    """Each run is a line: its share of R, its PSNR, dashes for levels never reached."""
    _, (draft, *others) = measured
    draft = draft | {"seconds": 2.0, "ratio": 1 / 42.3, "reference_step": 0.0512, "psnr": 27.5}
    draft |= {"seconds_to": dict.fromkeys(LEVELS) | {"26": 1.25}}
    skipped = others.pop() | {"status": "skipped", "reason": "too large"}
    results = Results(tmp_path / "r.json", rows=[draft, *others, skipped])
    results.write()
    invoke("report", results.path, "-o", tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    section = text.partition("### Whole runs, CPU")[2]
    assert (
        "| draft, optimised, auto | 64 x 64 | 17 x 17 | 4 | 2.0 | 1/42.3 (plain step 51.2 ms) "
        "| 27.50 | 1.2 | - | - | - |\n"
    ) in section
    psnr, seconds = f"{others[-1]['psnr']:.2f}", f"{others[-1]['seconds']:.1f}"
    plain = f"| official, plain float32 | 64 x 64 | 17 x 17 | 3 | {seconds} | - | {psnr} |"
    assert plain in section
    assert "| 3 | - | skipped: too large |  |" in section
    assert "R is the time of 5000 plain steps of the full network" in section
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines[: 2 + len(measured[1])]} == {12}


def test_the_command_line_says_what_came_out(tmp_path, monkeypatch, measured):
    """The full network has the steps asked for, and the outcome is seconds and PSNR."""
    asked = []

    def worker(words, *, input, **options):
        asked.append(SpeedTask.from_dict(json.loads(input)))
        return SimpleNamespace(returncode=0, stdout=json.dumps({"rows": measured[1]}))

    monkeypatch.setattr(runner.subprocess, "run", worker)
    words = ["speed", "--device", "cpu", "--sizes", "64", "--measure", "run", "--run-steps", "7"]
    said = invoke(*words, "-o", tmp_path / "r.json").stderr
    (task,) = asked
    assert [config.iterations for config in task.configs[-2:]] == [7, 7]
    row = measured[1][0]
    outcome = f"draft optimised, auto {row['seconds']:.1f} s, {row['psnr']:.2f} dB; "
    assert f"[1/1] run, 64 x 64, kernel 17 x 17: {outcome}" in said


def test_wrong_run_steps_say_what_is_right(tmp_path):
    """At least one step."""
    with pytest.raises(ConfigError, match="run_steps must be whole numbers of at least 1"):
        invoke("speed", "--device", "cpu", "-o", tmp_path / "r.json", "--run-steps", "0")
