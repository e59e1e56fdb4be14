import statistics

import numpy as np
import pytest
import torch

from benchmarks import speed
from benchmarks.report import render
from benchmarks.results import Results, row_key
from benchmarks.speed import WHOLE_PRESETS, plan
from napari_selfdeblur import deblur
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
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
    everything = tasks("step", "memory", "run", sizes=(64,))
    keys = [row_key(row) for task in everything for row in task.identities()]
    assert len(set(keys)) == len(keys) == 4 + 4 + 5


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


def test_the_peak_of_memory_is_kept():
    """The peak counts what was held and is held no more."""
    device = torch.device("cpu")
    before = speed.held_memory(device)
    block = np.ones(100_000_000, np.uint8)
    del block
    assert speed.peak_memory(device) - before > 50_000_000
    assert speed.peak_memory(device) >= speed.held_memory(device)


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

    def whole(sample, config):
        order.append("run")
        return {"status": "finished", "seconds": 55.0}

    monkeypatch.setattr(speed, "_step_seconds", step)
    monkeypatch.setattr(speed, "whole_run", whole)
    rows = speed.measure(tasks("run", sizes=(64,))[0])
    assert order == ["step"] * 7 + ["run"] * 5 + ["step"] * 7
    assert {row["reference_step"] for row in rows} == {5.5}
    assert [row["ratio"] for row in rows] == [0.002] * 3 + [None] * 2


def test_a_run_that_diverges_is_a_result(monkeypatch):
    """Its row says why."""

    def run(image, *, config):
        raise DivergedError("the loss became nan")

    monkeypatch.setattr(speed, "deblur", run)
    row = speed.whole_run(motion_blurred_photograph(64), SelfDeblurConfig.preset("fast"))
    assert row == {"status": "diverged", "reason": "the loss became nan"}


def test_the_report_has_every_row(tmp_path):
    """Timed rows show their times, rows that were not measured the reason."""
    step = {"status": "finished", "seconds": [0.1, 0.2], "median": 0.15, "ratios": [0.4, 0.6]}
    step |= {"ratio": 0.5, "ratios_full": [], "ratio_full": None}
    run = {"status": "finished", "seconds": 2.0, "ratio": 1 / 42.3, "reference_step": 0.0512}
    run |= {"psnr": 27.5}
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
    shown = ["64 x 64", "17 x 17", "n", "p", "-", "2.0", "1/42.3", "51.2", "27.50"]
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
    with pytest.raises(ConfigError, match="measure must be some of step, memory, run"):
        tasks("luck")


def test_a_whole_run_is_that_of_deblur():
    """The PSNR of a run is its result's, up to shift."""
    config = SelfDeblurConfig.preset("official").replace(
        **SMALL, iterations=3, kernel_size=5, restoration="sparse", device="cpu"
    )
    sample = motion_blurred_photograph(64)
    row = speed.whole_run(sample, config)
    result = deblur(sample.blurred, config=config)
    assert row["psnr"] == psnr_up_to_shift(result.sharp / 255, sample.sharp / 255)
    assert row["seconds"] > 0
