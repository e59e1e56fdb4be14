"""What results files come to, in a paragraph and one small table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks import speed_report, synthetic_report
from benchmarks.frame import CONFIGURATION, RESULT, figures, joined, markdown, number, settings_of
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
    sentences += [f"Single runs: {joined(single)}."] if single else []
    sentences += [*synthetic_report.sentences(rows), *speed_report.sentences(rows)]
    parts = [" ".join(sentences) or "Nothing was measured."]
    return [*parts, markdown(lines)] if lines else parts


def _shown(results: pd.DataFrame) -> list[Line]:
    """Return the figures that the small table has: of each configuration its lowest seed's.

    The paper's own configurations are there where they were measured on all images.
    """
    lines = figures(results, [*CONFIGURATION, "kind", "own"])
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
    lines: list[Line] = [{"settings": "the blurred images", "psnr": first["blurred"]}]
    for line in shown:
        known = line["kind"] == "known"
        named = {"settings": line["method"], "method": "restoration only"} if known else {}
        lines.append(line | named)
    if not pd.isna(first["authors"]):
        named = {"settings": "published images, 5000 steps"}
        named["method"] = "SelfDeblur (joint), its authors"
        lines.append(named | {"psnr": first["authors"]})
    for line in lines:
        yield {
            "configuration": line["settings"],
            "what it is": line.get("method"),
            "file": line.get("file"),
            "images": line.get("images", first["images"]),
            "mean PSNR, dB": number(line["psnr"], 2),
            "worst": number(line.get("worst"), 2),
            "error ratio > 3": number(line.get("failed_3"), 0),
            "s each": number(line.get("seconds"), 1),
        }


def _sentences(title: str, results: pd.DataFrame, shown: Sequence[Line]) -> list[str]:
    first = max(shown, key=lambda line: line["images"])
    found, combined = [], []
    for line in shown:
        if line["kind"] == "known":
            found.append(f"a {line['method']} restoration {line['psnr']:.2f}")
            continue
        some = f", {line['images']} of them" * (line["images"] < first["images"])
        worst = number(line["worst"], 2)
        found.append(f"`{line['settings']}` gives {number(line['psnr'], 2)} (worst {worst}{some})")
        combined += [f"`{line['settings']}`"] * ("combined" in line["method"])
    said = [
        f"On {first['images']} blurred image{'s' * (first['images'] > 1)} of {title} (themselves "
        f"{number(first['blurred'], 2)} dB on average) {joined(found)} dB."
    ]
    if combined:
        what = "an edge-based estimate and networks combined, not the paper's method"
        said.append(f"{joined(combined)}: {what}.")
    for settings, group in results[results.own].groupby("settings", sort=False):
        methods = group.groupby("method", sort=False)
        means = methods.psnr.mean().sort_values(ascending=False)
        own = joined([f"{method} {number(mean, 2)}" for method, mean in means.items()])
        count = methods.test.nunique().max()
        said.append(f"The paper's methods as `{settings}` on {count} of them: {own} dB.")
    return said + _seeds(results)


def _seeds(results: pd.DataFrame) -> list[str]:
    """Say how far the seeds of one configuration lie apart."""
    said = []
    single = results.drop_duplicates(["method", "settings", "test", "seed"])
    for settings, group in single.groupby("settings", sort=False):
        by_test = group.groupby(["method", "test"]).psnr.agg(["count", "min", "max"])
        several = by_test[by_test["count"] > 1]
        if len(several) and group.seed.nunique() > 1:
            apart = several["max"] - several["min"]
            said.append(
                f"Of `{settings}`, {group.seed.nunique()} seeds on {len(several)} images lie "
                f"{apart.mean():.2f} dB apart on average, {apart.max():.2f} at most."
            )
    return said
