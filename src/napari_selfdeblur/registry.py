"""Names of everything a user can choose, and where each one lives.

Adding a network or a restoration is one file and one line here. The values are
import paths, so that reading the names (command line, widget) does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_selfdeblur.errors import ConfigError

__all__ = ["IMAGE_GENERATORS", "KERNEL_GENERATORS", "OPTIMISERS", "RESTORATIONS", "check", "load"]

_NUMERICS = "napari_selfdeblur.numerics"

IMAGE_GENERATORS = {"skip": f"{_NUMERICS}.networks.skip:skip_image_generator"}
KERNEL_GENERATORS = {
    "fcn": f"{_NUMERICS}.networks.fcn:fcn",
    "fcn_shallow": f"{_NUMERICS}.networks.fcn:fcn_shallow",
    "fcn_deep": f"{_NUMERICS}.networks.fcn:fcn_deep",
    "skip": f"{_NUMERICS}.networks.skip_kernel:skip_kernel",
}
OPTIMISERS = {
    "joint": f"{_NUMERICS}.solvers.networks:JointOptimiser",
    "alternating": f"{_NUMERICS}.solvers.networks:AlternatingOptimiser",
    "classical": f"{_NUMERICS}.solvers.edges:EdgeSolver",
}
RESTORATIONS = {
    "hyper_laplacian": f"{_NUMERICS}.nonblind.hyper_laplacian:hyper_laplacian",
    "sparse": f"{_NUMERICS}.nonblind.sparse:sparse",
    "saturated": f"{_NUMERICS}.nonblind.saturated:saturated",
    "generator": f"{_NUMERICS}.nonblind.generator:generator",
}


def check(field: str, name: str, registry: dict[str, str]) -> None:
    """Raise `ConfigError` listing the known names when `name` is not one of them."""
    if name not in registry:
        raise ConfigError(f"{field} must be one of {', '.join(registry)}, got {name!r}")


def load(field: str, name: str, registry: dict[str, str]) -> Any:
    """Import and return the object registered as `name`."""
    check(field, name, registry)
    module, attribute = registry[name].split(":")
    return getattr(import_module(module), attribute)
