"""Blind deconvolution of one image by deep priors (SelfDeblur), for napari and Python.

Names are imported on first use, so that importing the package loads neither torch nor napari.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "DeblurResult": "workflow",
    "Progress": "numerics.progress",
    "RunRecord": "records",
    "SelfDeblurConfig": "config",
    "deblur": "workflow",
    "deblur_layer": "_napari.script",
    "iter_deblur": "workflow",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
