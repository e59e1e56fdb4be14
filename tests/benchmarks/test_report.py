import statistics

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from napari_selfdeblur.benchmarks.cli import app
from napari_selfdeblur.benchmarks.groups import group_rows, summarise
from napari_selfdeblur.benchmarks.published import AUTHORS_LEVIN_PSNR, PUBLISHED
from napari_selfdeblur.benchmarks.report import render
from napari_selfdeblur.benchmarks.results import Results
from napari_selfdeblur.benchmarks.trace_figure import draw, traced_rows
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError

FAST = SelfDeblurConfig.preset("fast").replace(iterations=300, device="cpu")


def row(kernel, psnr, *, ratio=None, config=FAST, dataset="levin", image="im1", **more):
    sharp = {"psnr": psnr, "ssim": 0.9}
    if ratio is not None:
        sharp |= {"error_ratio_sum_of_squares": ratio, "error_ratio_spectral": ratio**0.5}
    return {
        "kind": "deblur",
        "dataset": dataset,
        "image": image,
        "kernel": kernel,
        "category": None,
        "seed": config.seed,
        "config": config.to_dict(),
        "device": "a device",
        "status": "finished",
        "verdict": {"credible": True, "reasons": [], "measures": {}},
        "iterations": config.iterations,
        "seconds": 10.0,
        "blurred": {"psnr": 23.0, "ssim": 0.7},
        "restorations": {},
        "sharp": sharp,
        "run": 0,
    } | more


def results(tmp_path, rows, name="r.json"):
    header = {
        "command": "napari-selfdeblur benchmark levin levin",
        "date": "2026-01-01T00:00:00+00:00",
        "version": "0",
        "versions": {"torch": "2"},
        "machine": "Linux",
        "jobs": 1,
        "threads": None,
    }
    Results(tmp_path / name, [header], rows).write()
    return Results.read(tmp_path / name)


def cells(text, start):
    """The cells of the first table row that begins with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_means_medians_and_worst_are_right(tmp_path):
    """The table shows mean, median and worst PSNR with its case, over both files."""
    values = [30.0, 31.0, 35.5]
    files = [
        results(tmp_path, [row("kernel1", values[0]), row("kernel2", values[1])]),
        results(tmp_path, [row("kernel2", values[1]), row("kernel3", values[2])], "s.json"),
    ]
    found = cells(render(files), "SelfDeblur (joint) | fast, 300 steps")
    assert found[3] == "3"
    assert found[4] == f"{statistics.fmean(values):.2f}"
    assert found[5] == "31.00"
    assert found[6] == "30.00 (im1_kernel1)"
    assert found[-1] == "10.0"


def test_failures_are_counted_above_two_and_three(tmp_path):
    """Ratios above 2 and above 3 are counted; a run without an image counts for both."""
    rows = [row(f"kernel{i}", 30.0, ratio=r) for i, r in enumerate((1.0, 2.0, 2.5, 3.5), start=1)]
    lost = row("kernel5", 0.0, status="diverged", verdict=None)
    del lost["sharp"]
    (group,) = group_rows([*rows, lost])
    summary = summarise(group)
    assert summary.count == 4
    assert summary.failures == (3, 2)
    assert summary.sum_of_squares == pytest.approx(2.25)
    text = render([results(tmp_path, [*rows, lost])])
    found = cells(text, "SelfDeblur (joint) | fast")
    assert found[3] == "4 of 5"
    assert found[10:12] == ["3", "2"]
    assert "diverged" in cells(text, "im1_kernel5")


def test_without_ratios_no_failure_is_claimed():
    """Where no error ratio was taken, failures are unknown, not zero."""
    (group,) = group_rows([row("kernel1", 30.0)])
    assert summarise(group).failures is None


def test_published_rows_stand_beside(tmp_path):
    """Every published row of the data set is in the report, and the authors' own values."""
    text = render([results(tmp_path, [row("kernel1", 30.0), row("kernel4", 31.0)])])
    for published in PUBLISHED["levin"]:
        found = cells(text, f"{published.method} | {published.source}")
        assert found[2] == f"{published.psnr:.2f}"
    authors = statistics.fmean(AUTHORS_LEVIN_PSNR["im1"][i] for i in (0, 3))
    assert cells(text, "SelfDeblur (authors' images)")[4] == f"{authors:.2f}"
    assert "31.35" in cells(text, "im1_kernel4")


def test_groups_part_by_settings_not_by_seed(tmp_path):
    """Seeds of one method are one group; another step count, or another device, is its own."""
    rows = [row("kernel1", 30.0), row("kernel1", 31.0, config=FAST.replace(seed=1))]
    rows += [row("kernel1", 32.0, config=FAST.replace(iterations=9))]
    rows += [row("kernel1", 33.0, config=FAST.replace(lr_image=0.02), device="another")]
    groups = group_rows(rows)
    assert [len(group.rows) for group in groups] == [2, 1, 1]
    assert [group.settings for group in groups] == [
        "fast, 300 steps",
        "fast, 9 steps",
        "fast, 300 steps, lr_image=0.02",
    ]
    assert groups[0].cases == ("im1_kernel1", "im1_kernel1 (seed 1)")


def test_seeds_are_told_apart(tmp_path):
    """Where there is more than one, each seed has its own mean, and only then."""
    rows = [row("kernel1", 30.0), row("kernel2", 31.0)]
    assert "### By seed" not in render([results(tmp_path, rows)])
    rows.append(row("kernel1", 29.0, config=FAST.replace(seed=1)))
    text = render([results(tmp_path, rows)])
    of_seeds = text.split("### By seed")[1].split("###")[0]
    assert "| 0 | 2 | 30.50 |" in of_seeds
    assert "| 1 | 1 | 29.00 |" in of_seeds


@pytest.mark.parametrize(
    ("psnr", "said"),
    [
        (29.0, "SelfDeblur (joint) > SelfDeblur-A, stands."),
        (31.5, "does not stand: SelfDeblur-A lies above SelfDeblur (joint) by 1.50 dB."),
    ],
)
def test_the_ranking_is_compared_with_the_papers(tmp_path, psnr, said):
    """The report says whether the paper's order of methods stands, and where not."""
    other = row("kernel1", psnr, config=FAST.replace(optimiser="alternating"))
    assert said in render([results(tmp_path, [row("kernel1", 30.0), other])])


def test_unequal_conditions_are_not_ranked(tmp_path):
    """Methods on other captures or with other steps are not compared."""
    slower = FAST.replace(optimiser="alternating", iterations=600)
    elsewhere = FAST.replace(kernel_generator="fcn_deep")
    rows = [row("kernel1", 30.0), row("kernel1", 31.0, config=slower)]
    rows += [row("kernel2", 31.0, config=elsewhere)]
    assert "The paper's order" not in render([results(tmp_path, rows)])


def test_restorations_that_do_not_help_are_named(tmp_path):
    """The report counts where the restoration beats the result and names the rest."""
    good = {"sparse": {"psnr": 32.0, "ssim": 0.9, "seconds": 1.0}}
    bad = {"sparse": {"psnr": 30.75, "ssim": 0.9, "seconds": 1.0}}
    rows = [row("kernel1", 31.0, restorations=good), row("kernel2", 31.0, restorations=bad)]
    text = render([results(tmp_path, rows)])
    assert "beats the result on 1 of 2; not on im1_kernel2 (-0.25 dB)." in text


def test_lai_has_its_categories(tmp_path):
    """Means are given by category, beside the published averages."""
    rows = [
        row("kernel_01", psnr, dataset="lai", image=f"{name}_01", category=name)
        for name, psnr in (("manmade", 20.0), ("text", 24.0))
    ]
    text = render([results(tmp_path, rows)])
    assert "| method | settings | image | manmade | text |" in text
    assert "20.00 / 0.9000 | 24.00 / 0.9000" in text
    assert "20.97 | 0.7524" in text


def test_known_kernel_restorations_are_a_table(tmp_path):
    """Known-kernel rows are averaged by method."""
    known = [
        row(f"kernel{i}", 30.0 + i, kind="known", method="sparse", weight=None) for i in (1, 2)
    ]
    found = cells(render([results(tmp_path, known)]), "known kernel, sparse | default weight")
    assert found[2:5] == ["2", "31.50", "31.50"]


def traced(kernel="kernel1", config=FAST, **more):
    points = [
        {"iteration": i, "seconds": i / 10, "loss": 1 / i, "psnr": 20.0 + i, "kernel_mse": 1 / i}
        for i in (1, 2, 3)
    ]
    return row(kernel, 23.0, config=config, trace=points, **more)


def test_trace_is_drawn(tmp_path):
    """The picture of two traced runs is written, with both hues of its curves in it."""
    other = traced(config=FAST.replace(optimiser="alternating"))
    runs = traced_rows([results(tmp_path, [traced(), other, traced("kernel2")])])
    assert [label for label, _, _ in runs] == ["SelfDeblur (joint), fast", "SelfDeblur-A, fast"]
    draw(tmp_path / "t.png", runs)
    picture = imread(tmp_path / "t.png")[..., :3]
    red, green, blue = (picture[..., i] for i in range(3))
    assert ((blue - red) > 0.3).sum() > 100
    assert ((red - green) > 0.3).sum() > 100


def test_trace_needs_a_traced_run(tmp_path):
    """Without a trace, or without its images, the error says what to do."""
    with pytest.raises(DeblurError, match="run the benchmark with --trace 100"):
        traced_rows([results(tmp_path, [row("kernel1", 30.0)])])
    file = results(tmp_path, [traced(snapshots="gone/x.npz")])
    with pytest.raises(DeblurError, match="intermediate images are missing"):
        draw(tmp_path / "t.png", traced_rows([file]))


def test_from_command_line_to_report(levin_folder, tmp_path):
    """levin --trace, known, trace and report make results, picture and page in one go."""
    here = CliRunner()
    tiny = ["--set", "iterations=3", "--set", "channels=8", "--set", "kernel_size=5"]
    subset = [str(levin_folder), "--images", "1", "--kernels", "1", "--device", "cpu"]
    blind, known, page = (str(tmp_path / name) for name in ("b.json", "k.json", "page.md"))
    picture = str(tmp_path / "images" / "t.png")
    (tmp_path / "images").mkdir()
    for words in (
        ["levin", *subset, *tiny, "--trace", "1", "--snapshots", "-o", blind],
        ["known", *subset, "-o", known],
        ["trace", blind, "-o", picture],
        ["report", blind, known, "--figure", picture, "-o", page],
    ):
        done = here.invoke(app, words)
        assert done.exit_code == 0, done.output
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "from `b.json`, `k.json`" in text
    assert "](images/t.png)" in text
    assert "restored, hyper_laplacian" in text
    assert cells(text, "known kernel, sparse")[2] == "1"
    height, width = imread(picture).shape[:2]
    assert (width, height) == (1350, 840)
