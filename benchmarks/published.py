"""Published results on the two data sets, and which measured rows may stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from napari_selfdeblur.config import OUTSIDE_PRESETS, SelfDeblurConfig


class Published(NamedTuple):
    """Means over a whole data set, as published by `source`; the ratio is of spectral norms."""

    method: str
    source: str
    psnr: float
    ssim: float
    error_ratio: float | None = None


_PAPER = "Ren et al. 2020"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "levin": (
        Published("known kernel, sparse prior", _PAPER, 34.53, 0.9492, 1.0),
        Published("SelfDeblur (joint)", _PAPER, 33.07, 0.9313, 1.1968),
        Published("SelfDeblur, restored with its kernel", _PAPER, 33.32, 0.9438, 1.2509),
        Published("SelfDeblur-A", _PAPER, 30.53, 0.8748),
        Published("SelfDeblur_k-", _PAPER, 28.37, 0.8396),
        Published("SelfDeblur_k+", _PAPER, 30.92, 0.8889),
        Published("Double-DIP", _PAPER, 21.51, 0.5256),
        Published("Sun et al. 2013, restored", _PAPER, 32.99, 0.9330, 1.2847),
        Published("Zuo et al. 2016, restored", _PAPER, 32.66, 0.9332, 1.2500),
        Published("Pan et al. (dark channel), restored", _PAPER, 32.69, 0.9284, 1.2555),
        Published("Xu and Jia, restored", _PAPER, 31.67, 0.9163, 1.4898),
        Published("Levin et al. 2011, restored", _PAPER, 30.80, 0.9092, 1.7724),
        Published("Cho and Lee, restored", _PAPER, 30.57, 0.8966, 1.7113),
        Published("Krishnan et al. 2011, restored", _PAPER, 29.88, 0.8666, 2.4523),
        Published("SelfDeblur's public code, rerun", "a third party", 33.78, 0.9336),
        Published("Deblur-INR", "NeurIPS 2024", 33.74, 0.938, 1.185),
        Published("the blurred images themselves", "a third party", 23.25, 0.699),
    ),
    "lai": (
        Published("SelfDeblur (joint)", _PAPER, 20.97, 0.7524),
        Published("SelfDeblur, restored with its kernel", _PAPER, 21.13, 0.7319),
    ),
}
"""Means of 32 captures (Levin et al. 2009) and of 100 (Lai et al. 2016)."""

AUTHORS_LEVIN_PSNR: dict[str, tuple[float, ...]] = {
    "im1": (32.83, 33.65, 32.78, 31.35, 32.59, 33.78, 32.56, 32.62),
    "im2": (33.05, 33.29, 31.27, 32.00, 32.51, 32.40, 32.42, 32.61),
}
"""PSNR of SelfDeblur's images that its authors published, kernels 1 to 8, 5000 steps."""

METHODS = {
    ("joint", "fcn"): "SelfDeblur (joint)",
    ("joint", "fcn_deep"): "SelfDeblur_k+",
    ("alternating", "fcn"): "SelfDeblur-A",
    ("joint", "fcn_shallow"): "SelfDeblur_k-",
    ("joint", "skip"): "Double-DIP",
}
"""The paper's name of each pair of solver and kernel network, in its order: the best first."""

_OWN_PRESETS = ("official", "official_colour", "paper")
_SHORTENED = OUTSIDE_PRESETS | {"iterations", "solvers", "kernel_generator"}
_AUTHORS_LAI = {"loss_switch": 0.1}  # the authors' code for the data of Lai et al.


def method_of(config: SelfDeblurConfig) -> tuple[str, bool]:
    """Return what a configuration is, and whether it is the paper's or its public code's own.

    Own are the presets of the paper and of the public code, with any number of steps, and their
    variants of Tables 1 and 2. Everything else is this package's and has no name of the paper's.
    """
    if config.solvers == ("edges",):
        return "edge-based estimate", False
    if "edges" in config.solvers:
        return "edge-based estimate and networks combined", False
    name = METHODS.get((config.solvers[0], config.kernel_generator))
    if len(config.solvers) == 1 and name is not None and _is_own(config):
        return name, True
    return f"networks ({', '.join(config.solvers)}), own settings", False


def _is_own(config: SelfDeblurConfig) -> bool:
    bases = [SelfDeblurConfig.preset(name) for name in _OWN_PRESETS]
    bases += [base.replace(**_AUTHORS_LAI) for base in bases]
    own = config.to_dict().items()
    return any({f for f, v in own if base.to_dict()[f] != v} <= _SHORTENED for base in bases)


def authors_psnr(row: Mapping[str, Any]) -> float | None:
    """Return the PSNR that the authors' own image of a row's test image has, where published."""
    values = AUTHORS_LEVIN_PSNR.get(row["image"]) if row["dataset"] == "levin" else None
    number = int(row["kernel"].removeprefix("kernel")) if values else 0
    return values[number - 1] if values and number <= len(values) else None
