import statistics
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import speed
from benchmarks.report import render
from benchmarks.results import Results, row_key
from benchmarks.speed_plan import WHOLE_PRESETS, plan
from napari_selfdeblur import Progress
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeviceError, DivergedError
from napari_selfdeblur.io.samples import motion_blurred_photograph

SMALL = {"channels": 8, "skip_channels": 4, "scales": 2}


def tasks(*measurements, sizes=(48,), **options):
    """The tasks of a tiny benchmark: 48 x 48, kernel of 5 x 5, two timed steps."""
    chosen = {"steps": 2, "device": "cpu", "precisions": ("float32",), "changes": SMALL}
    return plan(sizes, [5], measurements=measurements, **chosen | options)


def of(rows, **wanted):
    """The one row with these values."""
    (found,) = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
    return found


def test_steps_of_all_paths_are_timed_in_turn():
    """Every path has the steps asked for, and ratios turn by turn to both plain paths."""
    rows = speed.measure(tasks("step")[0])
    full = of(rows, network="official", path="plain float32")["seconds"]
    assert len(rows) == 4
    for row in rows:
        own = of(rows, network=row["network"], path="plain float32")["seconds"]
        assert row["median"] == pytest.approx(statistics.median(row["seconds"]), rel=1e-5)
        for suffix, base in (("", own), ("_full", full)):
            pairs = [a / b for a, b in zip(row["seconds"], base, strict=True)]
            assert len(pairs) == 2
            assert row["ratios" + suffix] == pytest.approx(pairs, rel=1e-4)
            assert row["ratio" + suffix] == pytest.approx(statistics.median(pairs), rel=1e-4)


def test_the_plain_path_is_the_reference():
    """Beside each plain path stand those that differ in runtime and precision alone."""
    (task,) = tasks("step", precisions=("float32", "bfloat16"))
    configs = [setup.config for setup in task.setups]
    for plain, *others in (configs[:3], configs[3:]):
        assert (plain.runtime, plain.precision) == ("reference", "float32")
        for other, precision in zip(others, ("float32", "bfloat16"), strict=True):
            assert other == plain.replace(runtime="optimised", precision=precision)
    assert configs[0].non_local
    assert not configs[3].non_local


def test_each_measurement_is_a_row_of_its_own():
    """No two rows of a benchmark are known by the same settings."""
    everything = tasks("import", "step", "memory", "preview", "run", sizes=(64,))
    keys = [row_key(row) for task in everything for row in task.identities()]
    assert len(set(keys)) == len(keys) == 1 + 4 + 4 + 1 + 5


def test_precisions_are_those_of_the_device(monkeypatch):
    """bfloat16 is timed exactly where the runtime takes it."""

    def refuse(config):
        raise DeviceError("no bfloat16")

    monkeypatch.setattr(speed.runtime.Runtime, "of", refuse)
    assert speed.precisions_of("cpu") == ("float32",)
    monkeypatch.setattr(speed.runtime.Runtime, "of", lambda config: None)
    assert speed.precisions_of("cpu") == ("float32", "bfloat16")


def test_a_path_that_does_not_fit_is_left_out(monkeypatch):
    """The row says what is needed and what there is; the other network is still timed."""
    real = speed.runtime.estimate_memory

    def estimate(config, shape):
        return 10**18 if config.non_local else real(config, shape)

    monkeypatch.setattr(speed.runtime, "estimate_memory", estimate)
    rows = speed.measure(tasks("step")[0])
    assert [row["status"] for row in rows] == ["skipped", "skipped", "finished", "finished"]
    assert "needs about 1000000000.0 GB, of which" in rows[0]["reason"]
    assert (rows[3]["ratios_full"], rows[3]["ratio_full"]) == ([], None)
    assert len(rows[3]["ratios"]) == 2


def test_a_preview_is_compared_with_none(monkeypatch):
    """Runs with previews show some, and the ratio is the median of the pairs'."""
    monkeypatch.setattr(speed, "_PREVIEW_SPAN", 0.05)
    monkeypatch.setattr(speed, "_PREVIEW_PAIRS", 2)
    monkeypatch.setattr(speed, "PREVIEW_SECONDS", 1e-9)
    (row,) = speed.measure(tasks("preview", changes=SMALL | {"solvers": "joint"})[0])
    assert row["previews"] == [row["steps"]] * 2
    pairs = [a / b for a, b in zip(row["seconds_with"], row["seconds_without"], strict=True)]
    assert row["ratios"] == pytest.approx(pairs, rel=1e-4)
    assert row["ratio"] == pytest.approx(statistics.median(pairs), rel=1e-4)


def test_the_peak_of_memory_is_kept():
    """The peak counts what was held and is held no more."""
    device = torch.device("cpu")
    before = speed.held_memory(device)
    block = np.ones(100_000_000, np.uint8)
    del block
    assert speed.peak_memory(device) - before > 50_000_000
    assert speed.peak_memory(device) >= speed.held_memory(device)


def test_import_time_is_the_median_difference(monkeypatch):
    """What the import adds is the median of the differences, the first pair left out."""
    times = iter([9.0, 99.0, 10.0, 13.0, 20.0, 21.0, 30.0, 35.0])
    monkeypatch.setattr(speed, "_process_ms", lambda code: next(times))
    row = speed.import_time(pairs=3)
    assert row["bare_ms"], row["import_ms"] == ([10.0, 20.0, 30.0], [13.0, 21.0, 35.0])
    assert row["over_bare_ms"] == 3.0


def test_whole_runs_are_the_presets_and_the_full_network_shortened():
    """Each fast preset is run unchanged, then the full network plainly and optimised."""
    (task,) = tasks("run", sizes=(255,), changes={}, run_steps=7)
    *presets, plain, optimised = [setup.config for setup in task.setups]
    given = {"device": "cpu", "kernel_size": 17}
    assert presets == [SelfDeblurConfig.preset(name).replace(**given) for name in WHOLE_PRESETS]
    full = SelfDeblurConfig.preset("official").replace(**given, iterations=7)
    assert plain == full.replace(runtime="reference", precision="float32")
    assert optimised == full.replace(precision="float32")


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [((512, 255, 128), 255), ((512, 256, 128), 128), ((32, 496), 496), ((63, 497), None)],
)
def test_one_size_is_run(sizes, chosen):
    """255 where it is asked for, else the smallest that the photograph can have."""
    assert [task.size for task in tasks("run", sizes=sizes)] == ([chosen] if chosen else [])


def test_plain_steps_before_and_after_the_runs(monkeypatch):
    """R is 5000 times the median of ten steps, five before the first run and five after."""
    order = []
    seconds = iter([9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 9.0, 6.0, 7.0, 8.0, 9.0, 9.0])

    def step(solver, device):
        order.append("step")
        return next(seconds)

    def watched(sample, config):
        order.append("run")
        return {"status": "finished", "seconds": 55.0}

    monkeypatch.setattr(speed, "_step_seconds", step)
    monkeypatch.setattr(speed, "watched_run", watched)
    rows = speed.measure(tasks("run", sizes=(64,))[0])
    assert order == ["step"] * 7 + ["run"] * 5 + ["step"] * 7
    assert {row["reference_step"] for row in rows} == {5.5}
    assert [row["ratio"] for row in rows] == [0.002] * 3 + [None] * 2


@pytest.fixture
def scripted(monkeypatch):
    """A run of five previews by a clock of its own: a step takes 1 s, measuring it 100 s."""
    now = 0.0

    def run(image, *, config, preview_steps):
        nonlocal now
        for i, value in enumerate((25.0, 23.0, 29.0, None, 27.0), start=1):
            now += 1
            yield Progress("joint", i, 5, 0.0, 0.0, sharp=value and np.float64(value))
        now += 10
        return SimpleNamespace(sharp=np.float64(31.0))

    def psnr(image, sharp):
        nonlocal now
        now += 100
        return image * 255

    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(speed, "iter_deblur", run)
    monkeypatch.setattr(speed, "psnr_up_to_shift", psnr)
    return speed.watched_run(motion_blurred_photograph(64), SelfDeblurConfig.preset("fast"))


def test_measuring_takes_no_time_of_the_run(scripted):
    """Seconds are those inside the run; those spent on the PSNR are left out of all of them."""
    assert scripted["trace"] == [(1, 25.0), (2, 23.0), (3, 29.0), (5, 27.0)]
    assert (scripted["seconds"], scripted["psnr"]) == (15, 31.0)


def test_a_level_is_reached_at_its_first_preview(scripted):
    """The first preview at or above a level counts, whatever comes later; else there is none."""
    assert scripted["seconds_to"] == {"24": 1, "26": 3, "28": 3, "30": None, "32": None}


def test_a_run_that_diverges_is_a_result(monkeypatch):
    """Its row says why."""

    def run(image, *, config, preview_steps):
        yield Progress("joint", 1, 5, 0.0, 0.0)
        raise DivergedError("the loss became nan")

    monkeypatch.setattr(speed, "iter_deblur", run)
    row = speed.watched_run(motion_blurred_photograph(64), SelfDeblurConfig.preset("fast"))
    assert row == {"status": "diverged", "reason": "the loss became nan"}


def test_the_report_has_every_row(tmp_path):
    """Timed rows show their times, rows that were not measured the reason."""
    step = {"status": "finished", "seconds": [0.1, 0.2], "median": 0.15, "ratios": [0.4, 0.6]}
    step |= {"ratio": 0.5, "ratios_full": [], "ratio_full": None}
    run = {"status": "finished", "seconds": 2.0, "ratio": 1 / 42.3, "reference_step": 0.0512}
    run |= {"psnr": 27.5, "seconds_to": {"26": 1.25, "30": None}}
    rows = []
    for measured, task in zip((step, run), tasks("step", "run", sizes=(64,)), strict=True):
        named = {"device": "a device", "network": "n", "path": "p"}
        first, second, *_ = task.identities()
        rows += [first | named | measured]
        rows += [second | {"device": "a device", "status": "skipped", "reason": "too large"}]
    Results(tmp_path / "r.json", rows=rows).write()
    text = render([tmp_path / "r.json"])
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    shown = ["64 x 64", "5 x 5", "n", "p", "150.0", "0.500 (0.400 to 0.600)", "-", "2"]
    assert any(line[: len(shown)] == shown for line in lines)
    shown = ["64 x 64", "17 x 17", "n", "p", "-", "2.0", "1/42.3", "51.2", "27.50", "1.2", "-"]
    assert any(line[: len(shown)] == shown for line in lines)
    assert text.count("skipped: too large") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "must be at least 1"),
        ({"run_steps": 0}, "must be at least 1"),
        ({"sizes": ()}, "must be at least 1"),
        ({"changes": {"precision": "bfloat16"}}, "the benchmark sets precision itself"),
    ],
)
def test_wrong_values_say_what_is_right(options, message):
    """Each wrong value is an error of settings, before anything runs."""
    with pytest.raises(ConfigError, match=message):
        tasks("step", **options)
    with pytest.raises(ConfigError, match="measure must be some of import, step, memory"):
        tasks("luck")


def test_a_whole_run_ends_with_its_result():
    """The last preview is the result, at a time inside the run."""
    config = SelfDeblurConfig.preset("official").replace(
        **SMALL, iterations=3, kernel_size=5, restoration="sparse", device="cpu"
    )
    row = speed.watched_run(motion_blurred_photograph(64), config)
    seconds, psnr = row["trace"][-1]
    assert psnr == row["psnr"]
    assert 0 < seconds <= row["seconds"]
