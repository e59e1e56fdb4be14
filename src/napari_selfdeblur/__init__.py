"""Blind deconvolution of one image by deep priors (SelfDeblur), for napari and Python.

Names are imported on first use, so that importing the package loads neither torch nor napari.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_selfdeblur._version import __version__

if TYPE_CHECKING:
    from napari_selfdeblur._napari.script import deblur_layer
    from napari_selfdeblur.api import deblur, estimate_noise, iter_deblur, restore
    from napari_selfdeblur.config import SelfDeblurConfig
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.record import RunRecord
    from napari_selfdeblur.run.result import DeblurResult
    from napari_selfdeblur.run.stack_record import StackRecord, StackResult
    from napari_selfdeblur.stacks import deblur_stack, iter_deblur_stack, restore_stack

__all__ = [
    "DeblurResult",
    "Progress",
    "RunRecord",
    "SelfDeblurConfig",
    "StackRecord",
    "StackResult",
    "__version__",
    "deblur",
    "deblur_layer",
    "deblur_stack",
    "estimate_noise",
    "iter_deblur",
    "iter_deblur_stack",
    "restore",
    "restore_stack",
]

_HOME = {
    "DeblurResult": "run.result",
    "Progress": "run.events",
    "RunRecord": "run.record",
    "SelfDeblurConfig": "config",
    "StackRecord": "run.stack_record",
    "StackResult": "run.stack_record",
    "deblur": "api",
    "deblur_layer": "_napari.script",
    "deblur_stack": "stacks",
    "estimate_noise": "api",
    "iter_deblur": "api",
    "iter_deblur_stack": "stacks",
    "restore": "api",
    "restore_stack": "stacks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
