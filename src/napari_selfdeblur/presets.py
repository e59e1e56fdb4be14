"""Named sets of settings. A new preset is one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings under one name."""

    title: str  # what it is, in one sentence
    values: dict[str, Any]  # what differs from the defaults: the public code's for grey images


_NARROW: dict[str, Any] = {
    "solvers": ("edges", "joint"),
    "lr_kernel": 3e-4,
    "channels": 64,
    "non_local": False,
    "restoration": "sparse",
    "restoration_share": 0.75,
}

PRESETS = {
    "draft": Preset(
        "Kernels by edges and the power spectrum, without networks: an answer in seconds.",
        {"solvers": ("edges",), "restoration": "sparse"},
    ),
    "fast": Preset(
        "The default: what draft does; then, where a doubt is left and there is little noise, "
        "networks of half width for 750 steps. The best kernels of both make the result.",
        {**_NARROW, "iterations": 750},
    ),
    "quality": Preset(
        "The same as fast with 1500 steps of the networks.", {**_NARROW, "iterations": 1500}
    ),
    "official": Preset("The schedule of the authors' public code, for grey images.", {}),
    "official_colour": Preset(
        "The schedule of the authors' public code, for colour images.",
        {"iterations": 2500, "lr_milestones": (0.64, 0.76, 0.88)},
    ),
    "paper": Preset(
        "The schedule of the paper: squared error and total variation.",
        {"loss": "mse", "tv_weight": "auto", "non_local": False},
    ),
}
