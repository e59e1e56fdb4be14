import json
import statistics
from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.__main__ import main
from benchmarks.frame import AUTHORS_LEVIN_PSNR, PUBLISHED, config_of, frame, method_of
from benchmarks.report import render
from benchmarks.results import FORMAT, Results, read_json
from benchmarks.trace import draw, traced_rows
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

ROOT = Path(__file__).parents[2]
STORED = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
FAST = SelfDeblurConfig.preset("fast").replace(kernel_size=21, iterations=300)
OFFICIAL = SelfDeblurConfig.preset("official").replace(kernel_size=21, iterations=500)


def row(kernel, psnr, *, ratio=None, preset="official", config=OFFICIAL, **more):
    sharp = {"psnr": psnr, "ssim": 0.9}
    if ratio is not None:
        sharp |= {"error_ratio_sum_of_squares": ratio, "error_ratio_spectral": ratio**0.5}
    named = {"kind": "deblur", "dataset": "levin", "image": "im1", "kernel": kernel}
    named |= {"category": None, "preset": preset, "seed": config.seed, "config": config.to_dict()}
    run = {"device": "a device", "status": "finished", "verdict": {"credible": True}}
    run |= {"seconds": 10.0, "blurred": {"psnr": 23.0, "ssim": 0.7}, "restorations": {}}
    return named | run | {"sharp": sharp, "run": 0} | more


def fast(kernel, psnr, **more):
    return row(kernel, psnr, preset="fast", config=more.pop("config", FAST), **more)


def known(kernel, psnr):
    return row(kernel, psnr, kind="known", method="sparse", weight=None) | {"config": None}


def written(tmp_path, rows, name="r.json"):
    run = {"command": "python -m benchmarks levin levin", "date": "2026-01-01T00:00:00+00:00"}
    run |= {"version": "0", "versions": {"torch": "2"}, "machine": "Linux", "threads": None}
    Results(tmp_path / name, [run], rows).write()
    return tmp_path / name


def cells(text, *start):
    """The cells of the first table row that begins with `start`."""
    for line in text.splitlines():
        found = [cell.strip() for cell in line.strip("|").split("|")]
        if tuple(found[: len(start)]) == start:
            return found
    raise AssertionError(f"no row {start}")


def section(text, heading):
    return text.partition(f"### {heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]


COMBINED = "edge-based estimate and networks combined"


def test_means_medians_and_worst_are_right(tmp_path):
    """The table shows mean, median and worst PSNR with its image."""
    values = [30.0, 31.0, 35.5]
    rows = [fast(f"kernel{i}", psnr) for i, psnr in enumerate(values, start=1)]
    text = render([written(tmp_path, rows)])
    found = cells(section(text, "Kernel estimated"), COMBINED, "fast, 300 steps", "0")
    mean = f"{statistics.fmean(values):.2f}"
    assert found[3:8] == ["the result", "3", mean, "31.00", "30.00 (im1_kernel1)"]


def test_failures_are_counted_above_two_and_three(tmp_path):
    """Ratios above 2 and above 3 are counted; a run without an image counts for both."""
    rows = [row(f"kernel{i}", 30.0, ratio=r) for i, r in enumerate((1.0, 2.0, 2.5, 3.5), start=1)]
    rows.append(row("kernel5", 0.0, status="diverged", reason="nan", verdict=None, sharp=None))
    text = render([written(tmp_path, rows)])
    found = cells(section(text, "Kernel estimated"), "SelfDeblur (joint)")
    assert found[4] == "4 of 5"
    spectral = statistics.fmean(r**0.5 for r in (1, 2, 2.5, 3.5))
    assert found[9:13] == [f"{spectral:.4f}", "2.250", "3", "2"]
    assert "nan" in cells(text, "im1_kernel5")


def test_without_ratios_no_failure_is_claimed(tmp_path):
    """Where no error ratio was taken, failures are unknown, not zero."""
    text = render([written(tmp_path, [row("kernel1", 30.0)])])
    found = cells(section(text, "Kernel estimated"), "SelfDeblur (joint)")
    assert found[9:13] == ["-"] * 4


def test_only_the_papers_configurations_stand_beside_the_published(tmp_path):
    """Under the paper's methods stand official rows and published ones, and `fast` does not."""
    rows = [row("kernel1", 30.0), row("kernel4", 31.0), fast("kernel1", 35.0)]
    text = render([written(tmp_path, rows)])
    beside = section(text, "The paper's methods")
    measured = cells(beside, "SelfDeblur (joint)", "measured here, official, 500 steps, seed 0")
    assert measured[2:4] == ["2", "30.50"]
    authors = statistics.fmean(AUTHORS_LEVIN_PSNR["im1"][i] for i in (0, 3))
    assert cells(beside, "SelfDeblur (joint)", "its authors' images of these, 5000 steps")[3] == (
        f"{authors:.2f}"
    )
    for published in PUBLISHED[PUBLISHED.dataset == "levin"].itertuples():
        assert cells(beside, published.method, published.source)[3] == f"{published.psnr:.2f}"
    assert "fast" not in beside
    assert f"`fast, 300 steps`: an {COMBINED}, not the paper's method" in text


@pytest.mark.parametrize(
    ("preset", "changes", "method", "own"),
    [
        ("official", {"iterations": 9, "seed": 3}, "SelfDeblur (joint)", True),
        ("paper", {}, "SelfDeblur (joint)", True),
        ("official_colour", {}, "SelfDeblur (joint)", True),
        ("official", {"loss_switch": 0.1}, "SelfDeblur (joint)", True),
        ("official", {"solvers": "alternating"}, "SelfDeblur-A", True),
        ("official", {"kernel_generator": "fcn_shallow"}, "SelfDeblur_k-", True),
        ("official", {"kernel_generator": "fcn_deep"}, "SelfDeblur_k+", True),
        ("official", {"kernel_generator": "skip"}, "Double-DIP", True),
        ("official", {"channels": 64}, "networks (joint), own settings", False),
        ("official", {"restoration": "sparse"}, "networks (joint), own settings", False),
        ("fast", {}, COMBINED, False),
        ("fast", {"solvers": "joint"}, "networks (joint), own settings", False),
        ("draft", {}, "edge-based estimate", False),
    ],
)
def test_a_configuration_has_the_papers_name_or_its_own(preset, changes, method, own):
    """The paper's names are for its own configurations, with whatever steps, alone."""
    config = SelfDeblurConfig.preset(preset).replace(**{"kernel_size": 21, **changes})
    assert method_of(config) == (method, own)


def test_the_report_opens_with_what_was_found(tmp_path):
    """A paragraph and a small table with the same numbers come before every wide table."""
    rows = [fast("kernel1", 33.0, ratio=4.0), fast("kernel2", 34.0, ratio=1.0)]
    rows += [known("kernel1", 36.0), known("kernel2", 35.0), row("kernel1", 28.0)]
    opening = render([written(tmp_path, rows)]).partition("\n## Levin")[0]
    assert "On 2 blurred images of Levin et al. 2009 (themselves 23.00 dB on average)" in opening
    assert "`fast, 300 steps` gives 33.50 (worst 33.00)" in opening
    assert "as `official, 500 steps` on 1 of them: SelfDeblur (joint) 28.00 dB." in opening
    found = cells(opening, "Levin et al. 2009", "fast, 300 steps", COMBINED)
    assert found[3:] == ["r", "2", "33.50", "33.00", "1", "10.0"]
    assert cells(opening, "Levin et al. 2009", "known kernel, sparse")[5] == "35.50"
    assert max(line.count("|") for line in opening.splitlines()) <= 10


def test_the_page_says_if_no_gpu_was_used(tmp_path):
    """It says so until one row was measured on one."""
    on_cpu = row("kernel1", 28.0) | {"device": "CPU (1 thread, x86_64)"}
    on_gpu = row("kernel2", 28.0) | {"device": "NVIDIA H100 (cuda:0)"}
    assert "Not measured on a GPU." in render([written(tmp_path, [on_cpu])])
    assert "Not measured on a GPU." not in render([written(tmp_path, [on_cpu, on_gpu])])


def test_runs_with_a_trace_have_their_course(tmp_path):
    """A line for each step measured, a dash where a run was not; runs without one are left out."""
    stored = read_json(ROOT / "benchmarks" / "results" / "run_im1_kernel1_official_1000.json")
    for name, steps in (("a", (10, 20)), ("b", (20, 30)), ("c", ())):
        points = [{"iteration": n, "seconds": 1.0, "loss": 0.1, "psnr": n + 0.5} for n in steps]
        stored["image"]["name"] = f"{name}.png"
        stored["evaluation"]["trace"] = points
        (tmp_path / f"{name}.json").write_text(json.dumps(stored))
    page = render([tmp_path / f"{name}.json" for name in "abc"])
    (head,) = (line for line in page.splitlines() if line.startswith("| step"))
    assert [cell.split(",")[0].strip() for cell in head.split("|")[2:-1]] == ["a.png", "b.png"]
    lines = [line.split("|")[1:-1] for line in page.splitlines() if ".50 " in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["10", "10.50", "-"],
        ["20", "20.50", "20.50"],
        ["30", "-", "30.50"],
    ]


def test_seeds_are_told_apart(tmp_path):
    """Each seed of a configuration is a line; how far they lie apart is said."""
    rows = [fast("kernel1", 30.0), fast("kernel2", 31.0)]
    rows.append(fast("kernel1", 29.0, config=FAST.replace(seed=1)))
    text = render([written(tmp_path, rows)])
    table = section(text, "Kernel estimated")
    assert cells(table, COMBINED, "fast, 300 steps", "0")[4:6] == ["2", "30.50"]
    assert cells(table, COMBINED, "fast, 300 steps", "1")[4:6] == ["1", "29.00"]
    assert "2 seeds on 1 images lie 1.00 dB apart on average, 1.00 at most" in text


def test_settings_and_devices_are_told_apart():
    """Another step count, a changed setting and another device are configurations of their own."""
    other = FAST.replace(lr_image=0.02, iterations=9)
    rows = [fast("kernel1", 30.0), fast("kernel1", 31.0, config=other)]
    rows += [fast("kernel1", 30.0), fast("kernel1", 30.0, device="another")]
    table = frame(rows)
    assert [*table.settings[:2]] == ["fast, 300 steps", "fast, 9 steps, lr_image=0.02"]
    assert [*table.device] == ["a device"] * 3 + ["another"]


def test_files_are_told_apart(tmp_path):
    """The same configuration measured again, into another file, is a line of its own."""
    files = [written(tmp_path, [fast("kernel1", 30.0)], "old.json")]
    files.append(written(tmp_path, [fast("kernel1", 31.0)], "new.json"))
    opening = render(files).partition("\n## Levin")[0]
    lines = [line for line in opening.splitlines() if "| fast, 300 steps" in line]
    assert ["old" in lines[0], "new" in lines[1]] == [True, True]
    assert ["30.00" in lines[0], "31.00" in lines[1]] == [True, True]


def test_lai_has_its_categories(tmp_path):
    """Means are given by category, beside the published averages."""
    rows = [
        row("kernel_01", psnr, dataset="lai", image=f"{name}_01", category=name)
        for name, psnr in (("manmade", 20.0), ("text", 24.0))
    ]
    text = render([written(tmp_path, rows)])
    table = section(text, "By category")
    assert cells(table, "manmade", "SelfDeblur (joint)")[6] == "20.00"
    assert cells(table, "text", "SelfDeblur (joint)")[6] == "24.00"
    assert cells(text, "SelfDeblur (joint)", "Ren et al. 2020")[3] == "20.97"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_settings_are_known(path):
    """The settings of every stored row, version 0.1 included, are read by this version."""
    values = read_json(path)
    if values.get("format") == FORMAT:
        for stored in Results.read(path).rows:
            assert config_of(stored) or not stored.get("config")
    else:
        assert SelfDeblurConfig.from_dict(values["config"])


def test_the_page_is_that_of_the_stored_results():
    """docs/benchmarks.md is what `report` makes of benchmarks/results, not edited by hand."""
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    command = page.partition("Generated by `")[2].partition("`")[0]
    figure = ROOT / "docs" / "images" / "trace.png"
    assert page == render(STORED, [str(figure)], ROOT / "docs", command)


def traced(kernel="kernel1", config=OFFICIAL, **more):
    points = [
        {"iteration": i, "seconds": i / 10, "loss": 1 / i, "psnr": 20.0 + i, "kernel_mse": 1 / i}
        for i in (1, 2, 3)
    ]
    return row(kernel, 23.0, config=config, trace=points, **more)


def test_trace_is_drawn(tmp_path):
    """The picture of two traced runs is written, with both hues of its curves in it."""
    other = traced(config=OFFICIAL.replace(solvers="alternating"))
    runs = traced_rows([traced(), other, traced("kernel2"), row("kernel3", 30.0)])
    assert [label for label, _ in runs] == [
        "SelfDeblur (joint), official, 500 steps",
        "SelfDeblur-A, official, 500 steps",
    ]
    draw(tmp_path / "t.png", runs)
    picture = imread(tmp_path / "t.png")[..., :3]
    red, green, blue = (picture[..., i] for i in range(3))
    assert ((blue - red) > 0.3).sum() > 100
    assert ((red - green) > 0.3).sum() > 100


def test_trace_needs_a_traced_run(tmp_path):
    """Without a trace, or without its images, the error says what to do."""
    with pytest.raises(DeblurError, match="run the benchmark with --trace 100"):
        traced_rows([row("kernel1", 30.0)])
    with pytest.raises(DeblurError, match="name the folder given to --store"):
        draw(tmp_path / "t.png", traced_rows([traced(stored="x.npz")]), tmp_path)


def test_the_old_trace_is_drawn_from_the_command_line(tmp_path):
    """`trace` draws Figure 3 of a stored run of version 0.1 with its images below."""
    results = ROOT / "benchmarks" / "results"
    words = ["trace", str(results / "photograph_joint.json"), "-o", str(tmp_path / "t.png")]
    assert main([*words, "--store", str(results / "photograph_joint_snapshots")]) == 0
    assert imread(tmp_path / "t.png").shape[:2] == (840, 1350)
