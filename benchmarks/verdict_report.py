"""Rows of the verdict's benchmark: a confusion table by kind of result, and ROC curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.frame import markdown, number
from benchmarks.synthetic_report import roc_area
from napari_selfdeblur.io.writing import replacing

FIGURE = "images/verdict_roc.png"
"""The picture of the ROC curves, from the report's folder."""
_NOTES = """\
Good results and deliberately bad ones, on the scenes of the images made on the spot, 192 x 192
pixels with noise of 0.2 %: a blind run with the right size of the kernel, with a third and with
three times of it, with noise of 8 %, of a blur that passes over into another one from left to
right, of an image that was never blurred, of noise alone; 40 steps of networks by themselves; and
restorations with the true and with a wrong kernel. *Good* is what is no failure by the truth, as
above; of noise alone nothing is. The verdict on a restoration, and on the networks, has no other
estimates to go by. An image that was never blurred comes back as it is and is called doubtful on
purpose, since its kernel is a point; it is left out of the sums and of the curves."""
_SHARP = "never blurred"
_GROUP = ["half", "settings", "seed", "file"]
_STYLES = {"tuning": "--", "checking": "-"}

Row = Mapping[str, Any]


def sections(rows: Iterable[Row]) -> list[str]:
    """Return the paragraphs of the report on the verdict, none where there are no rows of it."""
    table = _frame(rows)
    parts = ["## The verdict", _NOTES] if len(table) else []
    for (half, settings, seed, file), group in table.groupby(_GROUP, sort=False):
        judged = group[group.what != _SHARP]
        area = number(roc_area(judged[judged.good].score, judged[~judged.good].score), 2) or "-"
        lines = [_line(what, part) for what, part in group.groupby("what", sort=False)]
        lines.append(_line(f"all but {_SHARP}", judged))
        parts.append(f"### The verdict, {half} half: {settings}, seed {seed}, {file}")
        parts += [markdown(lines), f"Area under the score's ROC curve: {area}."]
    if len(table):
        parts.append(f"![Share of good results kept against share of bad ones kept]({FIGURE})")
    return parts


def draw(path: Path, rows: Iterable[Row]) -> None:
    """Draw the ROC curves of each half (PNG), with the place of the verdict on them."""
    figure = Figure(figsize=(5.0, 4.6), facecolor="white", layout="constrained")
    axes, table = figure.add_subplot(), _frame(rows)
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for (half, settings, *_), group in table[table.what != _SHARP].groupby(_GROUP, sort=False):
        good, bad = group[group.good], group[~group.good]
        if not len(good) or not len(bad):
            continue
        area = roc_area(good.score, bad.score)
        label = f"{settings}, {half} half: area {area:.2f}"
        (line,) = axes.plot(*roc(good.score, bad.score), _STYLES.get(str(half), ":"), label=label)
        place = bad.credible.mean(), good.credible.mean()
        axes.plot(*place, "o", color=line.get_color())
    axes.set_xlabel("bad results called credible, share")
    axes.set_ylabel("good results called credible, share")
    axes.set_title("The score at every threshold; dots: the verdict", loc="left", size=10)
    axes.set_aspect("equal")
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


def roc(good: Sequence[float], bad: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the shares of `bad` and of `good` that reach each threshold, falling from infinity."""
    thresholds = [np.inf, *sorted({*good, *bad}, reverse=True)]
    shares = [[float(np.mean(np.asarray(s) >= t)) for t in thresholds] for s in (bad, good)]
    return shares[0], shares[1]


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    lines = []
    for row in rows:
        if row["kind"] == "verdict":
            lines.append(
                {
                    "half": row["category"],
                    "settings": row["preset"],
                    "seed": row.get("seed", 0),
                    "file": row.get("file", ""),
                    "what": row["kernel"],
                    "good": bool(row.get("good")),
                    "credible": bool(row.get("credible")),
                    "score": 0.0 if row.get("score") is None else row["score"],
                    "reasons": row.get("reasons") or (),
                }
            )
    return pd.DataFrame(lines, columns=None if lines else [*_GROUP, "what"])


def _line(what: str, group: pd.DataFrame) -> dict[str, Any]:
    reasons = Counter(reason for each in group.reasons for reason in each).most_common(1)
    counts = {
        f"{'good' if good else 'bad'}, {'credible' if credible else 'doubtful'}": int(
            ((group.good == good) & (group.credible == credible)).sum()
        )
        for good in (True, False)
        for credible in (True, False)
    }
    said = f"{reasons[0][0]} ({reasons[0][1]})" if reasons else "-"
    mean = number(group.score.mean(), 2)
    return {"kind": what, **counts, "mean score": mean, "said most often": said}
