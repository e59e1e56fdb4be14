"""What results files come to, in a paragraph and one small table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks import synthetic_report
from benchmarks.frame import CONFIGURATION, RESULT, figures, markdown, number, settings_of
from napari_selfdeblur.run.record import RunRecord

TITLES = {"levin": "Levin et al. 2009", "lai": "Lai et al. 2016"}

Line = dict[str, Any]


def findings(
    table: pd.DataFrame, rows: Sequence[Mapping[str, Any]], records: Iterable[RunRecord]
) -> list[str]:
    """Return the paragraph on what was found, and its table where images were measured.

    `table` is that of `frame`, `rows` are those of every kind, `records` of single runs.
    """
    sentences, lines = [], []
    results = table[table.output == RESULT] if len(table) else table
    for dataset, own in results.groupby("dataset", sort=False) if len(table) else ():
        title, shown = TITLES.get(dataset, dataset), _shown(own)
        sentences += _sentences(title, own, shown)
        lines += [{"data": title} | line for line in _small_table(shown)]
    single = [
        f"`{settings_of(record.config)}` on {record.image.get('name')} "
        f"{record.evaluation.psnr_sharp:.2f} dB"
        for record in records
        if record.evaluation is not None
    ]
    sentences += [f"Single runs: {_joined(single)}."] if single else []
    sentences += [*synthetic_report.sentences(rows), *_speed(rows)]
    parts = [" ".join(sentences) or "Nothing was measured."]
    return [*parts, markdown(lines)] if lines else parts


def _shown(results: pd.DataFrame) -> list[Line]:
    """Return the figures that the small table has: of each configuration its lowest seed's.

    The paper's own configurations are there where they were measured on all images.
    """
    lines: list[Line] = figures(results, [*CONFIGURATION, "kind", "own"]).to_dict("records")
    lowest = results.groupby(["method", "settings"]).seed.min()
    most = max(line["images"] for line in lines)
    shown = [
        line
        for line in lines
        if line["seed"] == lowest[line["method"], line["settings"]]
        and (line["images"] == most or not line["own"])
    ]
    return sorted(shown, key=lambda line: (line["kind"] == "known", line["seconds"]))


def _small_table(shown: Sequence[Line]) -> Iterable[Line]:
    first = max(shown, key=lambda line: line["images"])
    given = {"images": first["images"], "psnr": first["blurred"]}
    lines: list[tuple[str, str | None, Line]] = [("the blurred images", None, given)]
    for line in shown:
        if line["kind"] == "known":
            lines.append((line["method"], "restoration only", line))
        else:
            lines.append((line["settings"], line["method"], line))
    if not pd.isna(first["authors"]):
        published = {"images": first["images"], "psnr": first["authors"]}
        lines.append(("published images, 5000 steps", "SelfDeblur (joint), its authors", published))
    for configuration, what, line in lines:
        yield {
            "configuration": configuration,
            "what it is": what,
            "file": line.get("file"),
            "images": line["images"],
            "mean PSNR, dB": number(line["psnr"], 2),
            "worst": number(line.get("worst"), 2),
            "error ratio > 3": number(line.get("failed_3"), 0),
            "s each": number(line.get("seconds"), 1),
        }


def _sentences(title: str, results: pd.DataFrame, shown: Sequence[Line]) -> list[str]:
    first = max(shown, key=lambda line: line["images"])
    blind = [line for line in shown if line["kind"] != "known"]
    known = [line for line in shown if line["kind"] == "known"]
    told = [
        f"`{b['settings']}` gives {number(b['psnr'], 2)} (worst {number(b['worst'], 2)}"
        + f", {b['images']} of them)" * (b["images"] < first["images"])
        + ")" * (b["images"] == first["images"])
        for b in blind
    ]
    told += [f"a {k['method']} restoration {k['psnr']:.2f}" for k in known]
    said = [
        f"On {first['images']} blurred image{'s' * (first['images'] > 1)} of {title} (themselves "
        f"{number(first['blurred'], 2)} dB on average) {_joined(told)} dB."
    ]
    if combined := [f"`{b['settings']}`" for b in blind if "combined" in b["method"]]:
        said.append(
            f"{_joined(combined)}: an edge-based estimate and networks combined, not the paper's "
            "method."
        )
    means = results[results.own].groupby(["settings", "method"], sort=False).psnr.agg("mean")
    for settings, group in means.groupby("settings", sort=False):
        count = results[results.settings == settings].groupby("method").test.nunique().max()
        own = [f"{m} {number(v, 2)}" for (_, m), v in group.sort_values(ascending=False).items()]
        said.append(f"The paper's methods as `{settings}` on {count} of them: {_joined(own)} dB.")
    return said + _seeds(results)


def _seeds(results: pd.DataFrame) -> list[str]:
    """Say how far the seeds of one configuration lie apart."""
    said = []
    single = results.drop_duplicates(["method", "settings", "test", "seed"])
    for settings, group in single.groupby("settings", sort=False):
        by_test = group.groupby(["method", "test"]).psnr.agg(["count", "min", "max"])
        several = by_test[by_test["count"] > 1]
        if len(several) and group.seed.nunique() > 1:
            apart = (several["max"] - several["min"]).astype(float)
            said.append(
                f"Of `{settings}`, {group.seed.nunique()} seeds on {len(several)} images lie "
                f"{apart.mean():.2f} dB apart on average, {apart.max():.2f} at most."
            )
    return said


def _speed(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    rated = [row for row in rows if row["kind"] == "speed" and row.get("ratio")]
    rated = [row for row in rated if row["method"] == "run"]
    if not rated:
        return []
    told = [f"{r['seconds']:.1f} s for `{r['network']}` (1/{1 / r['ratio']:.0f})" for r in rated]
    return [
        f"A whole run on {rated[0]['image']} pixels, {rated[0]['device']}, takes {_joined(told)}; "
        "in brackets its share of 5000 plain steps of the full network."
    ]


def _joined(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]
