"""Rows of results files that belong together, and what their numbers come to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_selfdeblur.benchmarks.published import METHODS
from napari_selfdeblur.benchmarks.results import row_key
from napari_selfdeblur.config import PRESETS, SelfDeblurConfig

__all__ = ["FAILURES", "Group", "Summary", "case_label", "group_rows", "image_of", "summarise"]

FAILURES = (2.0, 3.0)
"""Error ratios (sums of squares) above which a result counts as failed (Levin et al. 2009)."""

_Head = tuple[str, str, str, str, str]  # the fields of a Group, but for its rows
_OF_A_CASE = ("seed", "kernel_size", "device")
_NAMED = ("name", "optimiser", "kernel_generator", "iterations", *_OF_A_CASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one method with one set of settings on one device.

    Attributes
    ----------
    dataset, method : str
        Which data, and the paper's name of what ran.
    settings : str
        Preset, steps, and what differs from the preset.
    device : str
        Where it ran.
    peers : str
        Equal for groups that differ in optimiser and kernel generator alone.
    rows : tuple of dict
        In order of image, kernel and seed.
    """

    dataset: str
    method: str
    settings: str
    device: str
    peers: str
    rows: tuple[Mapping[str, Any], ...]

    @property
    def cases(self) -> tuple[str, ...]:
        """Name of each row's case, with its seed where it has one."""
        return tuple(case_label(row) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one kind of image over the rows of a group.

    Attributes
    ----------
    count : int
        Images there are.
    mean, median, worst : float or None
        PSNR; None where there is no image.
    worst_case : str
        Which one it is.
    ssim, spectral, sum_of_squares : float or None
        Means of SSIM and of both error ratios.
    failures : tuple of int, or None
        Rows with an error ratio (sum of squares) above each of `FAILURES`, or without an
        image; None where no ratio was taken.
    seconds : float or None
        Mean.
    """

    count: int
    mean: float | None
    median: float | None
    worst: float | None
    worst_case: str
    ssim: float | None
    spectral: float | None
    sum_of_squares: float | None
    failures: tuple[int, ...] | None
    seconds: float | None


def case_label(row: Mapping[str, Any]) -> str:
    """Return the row's image, kernel and, but for 0, seed."""
    seed = f" (seed {row['seed']})" if row.get("seed") else ""
    return f"{row['image']}_{row['kernel']}{seed}"


def group_rows(rows: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Return the groups of `rows`, in the order they first appear; doubles are left out."""
    gathered: dict[_Head, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        same_case = gathered.setdefault(_head(row), {})
        same_case.setdefault(row_key(row), row)
    groups = []
    for head, members in gathered.items():
        order = sorted(members.values(), key=lambda r: (r["image"], r["kernel"], r.get("seed", 0)))
        groups.append(Group(*head, tuple(order)))
    return groups


def _head(row: Mapping[str, Any]) -> _Head:
    device = str(row.get("device") or "")
    if row["kind"] == "known":
        weight = "default weight" if row["weight"] is None else f"weight {row['weight']:g}"
        method = f"known kernel, {row['method']}"
        return row["dataset"], method, weight, device, "known"
    config = row["config"]
    pair = (config["optimiser"], config["kernel_generator"])
    method = METHODS.get(pair, f"{pair[0]}, {pair[1]} kernel")
    if config["image_generator"] != "skip":
        method += f", {config['image_generator']} image"
    changed = _changes(config)
    settings = ", ".join([config["name"], f"{config['iterations']} steps", *changed])
    return row["dataset"], method, settings, device, json.dumps([settings, device])


def _changes(config: Mapping[str, Any]) -> list[str]:
    """Return what differs from the preset, as ``field=value``."""
    preset = config["name"]
    base = SelfDeblurConfig.preset(preset) if preset in PRESETS else SelfDeblurConfig()
    usual = base.to_dict()
    return [
        f"{field}={value}"
        for field, value in config.items()
        if field not in (*_NAMED, "image_generator") and usual.get(field) != value
    ]


def summarise(
    group: Group, restoration: str | None = None, rows: Sequence[Mapping[str, Any]] | None = None
) -> Summary:
    """Return the figures of a group's results, or of one restoration with their kernels.

    Parameters
    ----------
    group : Group
        With its rows.
    restoration : str, optional
        Name of the restoration.
    rows : sequence of dict, optional
        Some of the group's rows, such as one category.
    """
    chosen = group.rows if rows is None else rows
    found = [image_of(row, restoration) for row in chosen]
    there = [
        (row, image)
        for row, image in zip(chosen, found, strict=True)
        if image is not None and image["psnr"] is not None
    ]
    psnr = [image["psnr"] for _, image in there]
    worst = min(there, key=lambda pair: pair[1]["psnr"], default=None)
    name = "error_ratio_sum_of_squares"
    ratios: list[float] = [image[name] for _, image in there if name in image]
    rated = len(ratios) == len(there)
    missing = len(chosen) - len(there)
    timed = [row if restoration is None else image for row, image in there]
    return Summary(
        count=len(there),
        mean=_mean(psnr),
        median=statistics.median(psnr) if psnr else None,
        worst=min(psnr, default=None),
        worst_case=case_label(worst[0]) if worst else "",
        ssim=_mean([image["ssim"] for _, image in there]),
        spectral=_mean([i["error_ratio_spectral"] for _, i in there]) if rated else None,
        sum_of_squares=_mean(ratios) if rated else None,
        failures=(
            tuple(sum(r > limit for r in ratios) + missing for limit in FAILURES) if rated else None
        ),
        seconds=_mean([item["seconds"] for item in timed]),
    )


def image_of(row: Mapping[str, Any], restoration: str | None = None) -> Mapping[str, Any] | None:
    """Return the measures of the row's result or of a restoration; None where it has none."""
    found = row if restoration is None else row.get("restorations", {})
    image = found.get(restoration or "sharp")
    return image if isinstance(image, Mapping) else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
