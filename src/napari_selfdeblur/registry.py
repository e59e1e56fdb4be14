"""Names of everything a user can choose, what each one is, and where its code is.

Adding a network, a solver or a restoration is one file and one entry here. The code is named
by its import path, so that reading the names (command line, panel) does not load torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from napari_selfdeblur.errors import ConfigError

__all__ = ["IMAGE_GENERATORS", "KERNEL_GENERATORS", "RESTORATIONS", "SOLVERS", "Entry", "load"]

_NUMERICS = "napari_selfdeblur.numerics"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose."""

    where: str  # ``package.module:name`` of its code
    title: str  # what it is, in a few words
    settings: tuple[str, ...] = ()  # fields that it has, and others of its kind may not


SOLVERS = {
    "edges": Entry(
        f"{_NUMERICS}.solvers.edges:EdgeSolver",
        "kernels by edges (L0 gradient) and by the power spectrum, without networks",
    ),
    "joint": Entry(
        f"{_NUMERICS}.solvers.networks:JointSolver",
        "SelfDeblur, both networks in one step (Algorithm 2 of the paper)",
        ("iterations",),
    ),
    "alternating": Entry(
        f"{_NUMERICS}.solvers.networks:AlternatingSolver",
        "SelfDeblur, kernel network and image network in turn (Algorithm 1)",
        ("iterations",),
    ),
}
IMAGE_GENERATORS = {
    "skip": Entry(f"{_NUMERICS}.networks.skip:SkipNet", "hourglass with skips"),
}
KERNEL_GENERATORS = {
    "fcn": Entry(f"{_NUMERICS}.networks.fcn:fcn", "fully connected, one hidden layer"),
    "fcn_shallow": Entry(f"{_NUMERICS}.networks.fcn:fcn_shallow", "no hidden layer (k-)"),
    "fcn_deep": Entry(f"{_NUMERICS}.networks.fcn:fcn_deep", "two hidden layers (k+)"),
    "skip": Entry(f"{_NUMERICS}.networks.skip:SkipKernel", "hourglass (Double-DIP)"),
}
RESTORATIONS = {
    "hyper_laplacian": Entry(
        f"{_NUMERICS}.nonblind.hyper_laplacian:hyper_laplacian",
        "hyper-Laplacian prior (Krishnan and Fergus 2009)",
        ("weight", "iterations"),
    ),
    "sparse": Entry(
        f"{_NUMERICS}.nonblind.sparse:sparse",
        "sparse prior on first and second derivatives (Levin 2011)",
        ("weight",),
    ),
    "saturated": Entry(
        f"{_NUMERICS}.nonblind.saturated:saturated",
        "for clipped highlights (Whyte 2014)",
        ("weight", "iterations"),
    ),
    "generator": Entry(
        f"{_NUMERICS}.nonblind.generator:generator",
        "SelfDeblur's image network with the kernel fixed",
        ("iterations",),
    ),
}


def load(name: str, entries: Mapping[str, Entry]) -> Any:
    """Import and return what is registered as `name`, or raise `ConfigError`."""
    if name not in entries:
        raise ConfigError(f"unknown name {name!r}; known: {', '.join(entries)}")
    module, attribute = entries[name].where.split(":")
    return getattr(import_module(module), attribute)
