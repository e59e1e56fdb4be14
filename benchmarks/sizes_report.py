"""Rows of the benchmarks of large frames, stacks and batches as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.frame import markdown, number

_FRAMES = """\
Each frame, 16 bit, motion kernel of known size, noise of 1 %, is deblurred in a process of its
own. The peak is on top of what the process held before; PSNR is that of the central 1024 x
1024 pixels, and *untiled* that of the restoration without tiles, with the same kernel. *Seam*
is the difference of the two over the range, more than four kernels from the border of the
frame: its root mean square, what 99.9 % of the pixels are within, and the largest."""
_BATCH = """\
The same frames, preset `draft`, kernel size given: by one process of one thread, then by
processes of one thread each on a Dask cluster on the same machine, with their start; busy is
what else the machine did just before."""
_SERIES = """\
One 16-bit series, a kernel for each channel, their size given, run by `deblur_stack`, by the button
of the panel in napari and by the command; identical: every pixel and every kernel, bit for bit."""
_VARYING = """\
Photographs whose blur varies over the frame, kernels of 17 x 17 pixels, their size given, noise
0.5 %: restored with the kernel estimated from the whole image, with those of a grid's cells, and
with the true kernels in the places of these. In the last blur the kernel is the same everywhere.
Cells: how many keep a kernel of their own."""

Row = Mapping[str, Any]


def sections(rows: Iterable[Row]) -> list[str]:
    """Return the paragraphs of the report on sizes, none where there are no rows of them."""
    kinds: dict[str, list[Row]] = {k: [] for k in ("frames", "series", "batch", "varying")}
    for row in rows:
        if row["kind"] in kinds and row["status"] == "finished":
            kinds[row["kind"]].append(row)
    parts = ["## Large images", _FRAMES, markdown(map(_frame, kinds["frames"]))]
    stacks = ["## Stacks", _SERIES, markdown(map(_one_series, kinds["series"]))]
    many = ["## Many images", _BATCH, markdown(map(_batch, kinds["batch"]))]
    varying = ["## Blur that varies", _VARYING, markdown(map(_one_varying, kinds["varying"]))]
    shown = (("frames", parts), ("series", stacks), ("batch", many), ("varying", varying))
    return [part for kind, paragraphs in shown if kinds[kind] for part in paragraphs]


def _one_series(row: Row) -> dict[str, Any]:
    ways = row["ways"]
    found = ways["script"]["kernel_similarity"]
    return {
        "series": row["image"],
        "kernels": row["kernel"],
        "preset": row["preset"],
        "similarity to the true kernels": ", ".join(f"{each:.2f}" for each in found),
        **{f"{name.replace('_', ' ')}, s": number(way["seconds"], 0) for name, way in ways.items()},
        "identical": "yes" if row["identical"] else "no",
    }


def _one_varying(row: Row) -> dict[str, Any]:
    own = sum(cell["kernel"] == "own" for cell in row["cells"])
    return {
        "photograph": row["image"],
        "half": row["category"],
        "blur": row["kernel"],
        "blurred, dB": number(row["psnr_blurred"], 2),
        "one kernel": number(row["psnr_one"], 2),
        "grid": number(row["psnr"], 2),
        "true kernels": number(row["psnr_true"], 2),
        "cells": f"{own} of {len(row['cells'])}",
        "score": number(row["score"], 2),
        "s": number(row["seconds"], 0),
    }


def _frame(row: Row) -> dict[str, Any]:
    seams = [row.get(name) for name in ("seam_rms", "seam_999", "seam_max")]
    return {
        "frame": row["image"],
        "kernel": row["kernel"],
        "preset": row["preset"],
        "device": row["device"],
        "s": number(row["seconds"], 0),
        "s a megapixel": number(row["seconds_per_megapixel"], 1),
        "peak, GB": number(row["peak"] / 1e9, 2),
        "blurred, dB": number(row["psnr_blurred"], 2),
        "result, dB": number(row["psnr"], 2),
        "untiled, dB": number(row.get("untiled_psnr"), 2) or "-",
        "seam: RMS, 99.9 %, max": ", ".join(f"{each:.1e}" for each in seams if each) or "-",
    }


def _batch(row: Row) -> dict[str, Any]:
    alone, shared = row["in_process"], row["on_workers"]
    return {
        "frames": row["image"],
        "preset": row["preset"],
        "one process, s": number(alone["seconds"], 0),
        f"{row['workers']} workers, s": number(shared["seconds"], 0),
        "speed-up": number(row["speed_up"], 2),
        "identical": "yes" if row["identical"] else "no",
        "busy, %": f"{alone['busy_before_percent']:.0f}, {shared['busy_before_percent']:.0f}",
    }
