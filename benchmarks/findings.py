"""What results files come to, in a paragraph and one small table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.frame import CONFIGURATION, RESULT, figures, markdown, settings_of
from napari_selfdeblur.run.record import RunRecord

__all__ = ["TITLES", "findings", "number"]

TITLES = {"levin": "Levin et al. 2009", "lai": "Lai et al. 2016"}

Line = dict[str, Any]


def number(value: Any, digits: int) -> str | None:
    """Return `value` with so many decimals, None where there is no number."""
    return None if pd.isna(value) else f"{value:.{digits}f}"


def findings(
    table: pd.DataFrame, rows: Sequence[Mapping[str, Any]], records: Sequence[RunRecord]
) -> list[str]:
    """Return the paragraph on what was found, and its table where images were measured.

    Parameters
    ----------
    table : DataFrame
        See `frame`.
    rows : sequence of dict
        Rows of every kind, for what was found on speed.
    records : sequence of RunRecord
        Single runs.
    """
    sentences, lines = [], []
    datasets = dict.fromkeys(table["dataset"]) if len(table) else ()
    for dataset in datasets:
        results = table[(table.dataset == dataset) & (table.output == RESULT)]
        largest = _largest(results)
        sentences += _sentences(dataset, results, largest)
        lines += _small_table(dataset, largest)
    sentences += [*_single(records), *_speed(rows)]
    parts = [" ".join(sentences) or "Nothing was measured."]
    return [*parts, markdown(lines)] if lines else parts


def _largest(results: pd.DataFrame) -> list[Line]:
    """Return the figures of each configuration on the most images, of one seed each."""
    lines: list[Line] = figures(results, [*CONFIGURATION, "kind", "own", "preset"]).to_dict(
        "records"
    )
    most = max(line["images"] for line in lines)
    chosen: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line["images"] == most:
            chosen.setdefault((line["method"], line["settings"]), line)
    return sorted(chosen.values(), key=lambda line: (line["kind"] == "known", line["seconds"]))


def _small_table(dataset: str, largest: Sequence[Line]) -> list[dict[str, Any]]:
    title = TITLES.get(dataset, dataset)
    first = largest[0]
    named = {"data": title, "configuration": "the blurred images", "what it is": None}
    lines = [_cells(named, {"images": first["images"], "psnr": first["blurred"]})]
    for line in largest:
        settings = line["method"] if line["kind"] == "known" else line["settings"]
        what = "restoration only" if line["kind"] == "known" else line["method"]
        lines.append(_cells({"data": title, "configuration": settings, "what it is": what}, line))
    if not pd.isna(first["authors"]):
        named = {"configuration": "published images", "what it is": "SelfDeblur, its authors"}
        shown = {"images": first["images"], "psnr": first["authors"]}
        lines.append(_cells({"data": title} | named, shown))
    return lines


def _cells(named: Line, line: Line) -> Line:
    return named | {
        "images": line["images"],
        "mean PSNR, dB": number(line["psnr"], 2),
        "worst": number(line.get("worst"), 2),
        "error ratio > 3": number(line.get("failed_3"), 0),
        "s each": number(line.get("seconds"), 1),
    }


def _sentences(dataset: str, results: pd.DataFrame, largest: Sequence[Line]) -> list[str]:
    first, blind = largest[0], [line for line in largest if line["kind"] != "known"]
    own_wide = [line for line in blind if not line["own"]]
    each = (
        f" (themselves {first['blurred']:.2f} dB on average)"
        if not pd.isna(first["blurred"])
        else ""
    )
    images = f"{first['images']} blurred image{'s' * (first['images'] > 1)}"
    said = [f"On {images} of the {TITLES.get(dataset, dataset)} data{each}:"]
    if blind:
        told = [f"`{b['settings']}` gives {b['psnr']:.2f} (worst {b['worst']:.2f})" for b in blind]
        known = [line for line in largest if line["kind"] == "known"]
        told += [f"a {k['method']} restoration {k['psnr']:.2f}" for k in known]
        said.append(_joined(told) + " dB.")
    if combined := [f"`{b['preset']}`" for b in own_wide if "combined" in b["method"]]:
        verb = "is" if len(combined) == 1 else "are"
        said.append(
            f"{_joined(combined)} {verb} an edge-based estimate and networks combined, "
            "not the paper's method."
        )
    return [*said, *_of_paper(results), *_seeds(results)]


def _of_paper(results: pd.DataFrame) -> list[str]:
    """Say how the paper's own configurations did, and on how much."""
    own = results[results.own]
    if own.empty:
        return []
    said = []
    for settings, group in own.groupby("settings", sort=False):
        means = group.groupby("method", sort=False).psnr.mean().sort_values(ascending=False)
        count = group.groupby("method").test.nunique().max()
        told = [f"{method} {number(mean, 2)} dB" for method, mean in means.items()]
        said.append(f"with `{settings}` on {count} of them {_joined(told)}")
    return [f"The paper's own methods: {'; '.join(said)}."]


def _seeds(results: pd.DataFrame) -> list[str]:
    """Say how far the seeds of one configuration lie apart."""
    said = []
    for (method, settings), group in results.groupby(["method", "settings"], sort=False):
        by_test = group.groupby("test").psnr.agg(["count", "min", "max"])
        several = by_test[by_test["count"] > 1]
        if len(several) and group.seed.nunique() > 1:
            apart = (several["max"] - several["min"]).astype(float)
            said.append(
                f"Of `{settings}`, {group.seed.nunique()} seeds on {len(several)} images lie "
                f"{apart.mean():.2f} dB apart on average, {apart.max():.2f} at most."
            )
    return said


def _single(records: Iterable[RunRecord]) -> list[str]:
    told = [
        f"`{settings_of(r.config)}` on {r.image.get('name')} {r.evaluation.psnr_sharp:.2f} dB"
        for r in records
        if r.evaluation is not None
    ]
    return [f"Single runs: {_joined(told)}."] if told else []


def _speed(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    runs = [row for row in rows if row["kind"] == "speed" and row.get("method") == "run"]
    rated = [row for row in runs if row.get("ratio")]
    told = [
        f"{row['seconds']:.1f} s for `{row['network']}` (1/{1 / row['ratio']:.0f})" for row in rated
    ]
    if not told:
        return []
    return [
        f"A whole run on {rated[0]['image']} pixels, {rated[0]['device']}, takes "
        f"{_joined(told)}; in brackets its share of 5000 plain steps of the full network."
    ]


def _joined(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]
