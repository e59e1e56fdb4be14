"""The benchmark of the verdict: its kinds, what it measures, and its part of the report."""

import numpy as np
import pytest

from benchmarks import verdict_report
from benchmarks.__main__ import main
from benchmarks.cells import SCENES
from benchmarks.results import Results
from benchmarks.task import Setup
from benchmarks.verdict import CUT, KINDS, _made, measure, tasks
from napari_selfdeblur.config import SelfDeblurConfig

DRAFT = Setup("draft", SelfDeblurConfig.preset("draft").replace(device="cpu"))


def task_of(what, scene="coffee"):
    found = [t for t in tasks("tuning", DRAFT) if (t.image.kernel, t.image.image) == (what, scene)]
    return found[0]


def row_of(what, score, good, **more):
    row = {"kind": "verdict", "dataset": "verdict", "image": "coffee", "kernel": what}
    row |= {"category": "checking", "preset": "draft", "seed": 0, "config": {}, "file": "a"}
    reasons = [] if score >= 0.5 else ["it looks wrong"]
    row |= {"score": score, "credible": score >= 0.5, "good": good, "reasons": reasons}
    return row | {"status": "finished"} | more


def test_every_kind_is_made_of_every_scene():
    """A half has each scene once of each kind; sizes that are wrong are far from the right one."""
    for half, scenes in SCENES.items():
        found = tasks(half, DRAFT)
        assert len({(t.image.image, t.image.kernel) for t in found}) == len(KINDS) * len(scenes)
    right, small, large = (
        task_of(what).setups[0].config.sides[0]
        for what in ("right size", "size far too small", "size far too large")
    )
    assert 2 * small < right < large / 1.5


def test_few_steps_are_those_of_networks_by_themselves():
    """They have a row of the kind's own settings beside the others of the preset."""
    config = task_of("few steps").setups[0].config
    assert (config.solvers, config.iterations) == (("joint",), 40)
    assert config.sides == task_of("right size").setups[0].config.sides


@pytest.mark.parametrize("what", ["right size", "blur varying over the frame", "never blurred"])
def test_images_have_their_truth(what):
    """They are of one size, and the sharp image lies where the blurred one does."""
    truth, known = _made("tuning", "coffee", what)
    assert truth.blurred.shape == truth.sharp.shape == (CUT, CUT)
    difference = np.abs(truth.plane(truth.blurred) - truth.sharp).mean()
    assert difference < (0.005 if what == "never blurred" else 0.1)
    if known is not None:
        assert np.abs(truth.plane(known) - truth.sharp).mean() < difference


def test_restorations_are_judged_by_the_truth_and_by_the_verdict():
    """With the true kernel the result is good and credible, with a wrong one neither."""
    (true,), (wrong,) = (measure(task_of(f"{k} kernel, restored")) for k in ("true", "wrong"))
    assert true["good"]
    assert true["credible"]
    assert true["psnr"] == true["psnr_true"]
    assert not wrong["good"]
    assert not wrong["credible"]
    assert wrong["score"] < true["score"]


def test_curves_begin_at_nothing_and_end_at_all():
    """A score that separates good from bad passes through the corner; the shares never fall."""
    bad, good = verdict_report.roc([0.8, 0.9], [0.1, 0.2])
    assert (bad[0], good[0], bad[-1], good[-1]) == (0, 0, 1, 1)
    assert (0, 1) in zip(bad, good, strict=True)
    bad, good = verdict_report.roc([0.5, 0.7, 0.2], [0.6, 0.2])
    assert bad == sorted(bad)
    assert good == sorted(good)


def test_the_report_has_the_table_and_the_picture(tmp_path):
    """Rows are counted by kind; images that were never blurred are in no sum and no curve."""
    rows = [row_of("right size", 0.9, True), row_of("right size", 0.3, True)]
    rows += [row_of("pure noise", 0.6, False), row_of("never blurred", 0.1, True)]
    text = "\n".join(verdict_report.sections(rows))
    lines = [[cell.strip() for cell in line.split("|")[1:6]] for line in text.splitlines()]
    assert ["right size", "1", "1", "0", "0"] in lines
    assert ["pure noise", "0", "0", "1", "0"] in lines
    assert ["all but never blurred", "1", "1", "1", "0"] in lines
    assert "ROC curve: 0.5" in text
    assert verdict_report.sections([]) == []

    results = Results(tmp_path / "a.json")
    results.add(rows[:1] + rows[2:])
    results.write()
    page = tmp_path / "docs" / "page.md"
    assert main(["report", str(results.path), "-o", str(page)]) == 0
    assert verdict_report.FIGURE in page.read_text(encoding="utf-8")
    assert (page.parent / verdict_report.FIGURE).read_bytes().startswith(b"\x89PNG")
