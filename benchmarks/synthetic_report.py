"""Rows of images made on the spot as Markdown tables, one half of the scenes in each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.stats import mannwhitneyu

from benchmarks.cells import SCENES
from benchmarks.frame import config_of, markdown, number, settings_of

_NOTES = """\
Photographs of scikit-image's wheel and simulated microscopy (16 bits, offset, photons and read
noise), blurred and made noisy on the spot, 255 x 255 pixels. Their scenes are split: settings may
be fitted on the *tuning* half, the *checking* half shows what they are worth. PSNR in dB, up to
shift; noise in percent of the range; clipped images have 1.5 % of their pixels above white. A
*failure* is less than 0.2 dB above the blurred image, or more than 4.77 dB under the same
restoration with the *true kernel*. An image that was never blurred is *changed* where the result
is nearer to the truth neither than the image itself nor than 40 dB. Of *JPEG* the photographs
were compressed last, in the quality given. *Random* ones are other parts of photographs, at
another scale, and other fields, with kernel, size and noise drawn. The
area under the ROC curve is the chance that a good result has a higher score than a failure: 1 is
perfect, 0.5 is chance. Never blurred images are in their own table alone."""
_LOSSLESS = "not compressed"
_GROUP = ["half", "settings", "kernel size", "seed", "file"]


def sections(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paragraphs of the report on these images, none where there are no rows of them."""
    table = _frame(rows)
    parts = ["## Images made on the spot", _NOTES] if len(table) else []
    for (half, *words), group in table.groupby(_GROUP, sort=False):
        settings, size, seed, file = words
        parts.append(f"### The {half} half: {settings}, kernel size {size}, seed {seed}, {file}")
        blurred, sharp = group[group.blur != "none"], group[group.blur == "none"]
        if len(blurred):
            parts += [markdown(_by(blurred)), *_verdict(blurred)]
        if len(sharp):
            parts += ["Never blurred:", markdown(_never_blurred(sharp))]
        parts.append(markdown(map(_cell, group.to_dict("records"))))
    return parts


def sentences(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what each configuration came to on each half, a sentence for each."""
    table, said = _frame(rows), []
    for (half, settings, size, *_), group in table[table.blur != "none"].groupby(
        _GROUP, sort=False
    ):
        images = "images" if (group.quality == _LOSSLESS).all() else "JPEG files"
        images = "images drawn at random," if group.view.all() else images
        said.append(
            f"On {len(group)} {images} made on the spot ({half} half, themselves "
            f"{group.psnr_blurred.mean():.2f} dB on average) `{settings}`, kernel size {size}, "
            f"gives {group.psnr.mean():.2f} dB, the true kernel {group.psnr_true.mean():.2f}; "
            f"failures: {group.bad.sum()}, called credible: {(group.bad & group.credible).sum()}."
        )
    return said


def roc_area(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Return the chance that one of `good` is above one of `bad`, ties half; None if one is empty.

    The area under the receiver operating characteristic, by the sum of ranks.
    """
    if not len(good) or not len(bad):
        return None
    return float(mannwhitneyu(good, bad).statistic) / (len(good) * len(bad))


def _frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    lines = [_line(row) for row in rows if row["kind"] == "synthetic"]
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=[*_GROUP, "blur"])


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a line; a measurement without an image is a failure that nobody believes."""
    config = config_of(row)
    settings = row["preset"]
    if config is not None:  # the size has a column of its own
        settings = settings_of(config.replace(kernel_size=3), row["preset"])
    line = {"half": row["category"], "settings": settings, "seed": row["seed"]}
    line |= {"kernel size": "auto" if row.get("size_asked") == "auto" else "given"}
    names = ("psnr", "psnr_blurred", "psnr_true", "score", "kernel_similarity", "seconds")
    line |= {name: float("nan") if row.get(name) is None else row[name] for name in names}
    bad = row.get("failure", row.get("changed", True))
    line |= {"bad": bad, "credible": bool(row.get("credible")), "file": row.get("file", "")}
    kind, _, noise = row["kernel"].partition(", noise ")
    line |= {"blur": kind.partition(" ")[0], "noise": noise.partition(",")[0]}
    line |= {"clipped": "clipped" if row.get("clipped") else "not clipped"}
    quality = row.get("quality")
    line |= {"view": not any(row["image"] in names for names in SCENES.values())}
    line |= {"quality": _LOSSLESS if quality is None else f"JPEG {quality}"}
    return line | {"row": row}


def _by(table: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """Yield the figures of all cells, then by noise, by kind of kernel, and by what differs."""
    groups = [("all", table), *((f"noise {key}", group) for key, group in table.groupby("noise"))]
    groups += table.groupby("blur")
    for name in ("clipped", "quality"):
        groups += table.groupby(name) if table[name].nunique() > 1 else []
    for title, group in groups:
        psnr, bad, credible = group.psnr, group.bad, group.credible
        yield {
            "cells": title,
            "number": len(group),
            "blurred": number(group.psnr_blurred.mean(), 2),
            "mean PSNR": number(psnr.mean(), 2),
            "median": number(psnr.median(), 2),
            "worst": number(psnr.min(), 2),
            "true kernel": number(group.psnr_true.mean(), 2),
            "failures": bad.sum(),
            "failures called credible": (bad & credible).sum(),
            "good called doubtful": (~bad & ~credible).sum(),
            "s, median": number(group.seconds.median(), 1),
        }


def _verdict(table: pd.DataFrame) -> list[str]:
    """Return the confusion table of the verdict, and how far the score can be trusted."""
    lines = [
        {
            "result": title,
            "called credible": (table.credible & chosen).sum(),
            "called doubtful": (~table.credible & chosen).sum(),
        }
        for title, chosen in (("good", ~table.bad), ("failure", table.bad))
    ]
    scored = table[table.score.notna()]
    area = number(roc_area(scored[~scored.bad].score, scored[scored.bad].score), 2) or "-"
    hard = (table.psnr_true < table.psnr_blurred + 0.2).sum()
    return [
        markdown(lines),
        f"Area under the score's ROC curve: {area}. Images that the true kernel does not improve "
        f"by 0.2 dB either: {hard}.",
    ]


def _never_blurred(table: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for noise, group in table.groupby("noise"):
        yield {
            "noise": noise,
            "number": len(group),
            "the image": number(group.psnr_blurred.mean(), 2),
            "mean PSNR": number(group.psnr.mean(), 2),
            "changed": group.bad.sum(),
            "changed and called credible": (group.bad & group.credible).sum(),
        }


def _cell(line: Mapping[str, Any]) -> dict[str, Any]:
    row = line["row"]
    bad = "changed" if line["blur"] == "none" else "failure"
    return {
        "scene": row["image"],
        "blur": row["kernel"],
        "blurred": number(line["psnr_blurred"], 2),
        "result": number(line["psnr"], 2),
        "true kernel": number(line["psnr_true"], 2),
        "kernel similarity": number(line["kernel_similarity"], 2),
        "size": "{} x {}".format(*row["size_used"]) if row.get("size_used") else None,
        "outcome": bad if line["bad"] else "good",
        "score": number(line["score"], 2),
        "verdict": "; ".join(row.get("reasons") or ()) or row.get("reason") or "credible",
        "s": number(line["seconds"], 0),
    }
