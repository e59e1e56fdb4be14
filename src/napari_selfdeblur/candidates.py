"""The two estimates of a run, a classical draft and the networks' own, and what becomes of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.images import PreparedImage
from napari_selfdeblur.numerics.draft import ClassicalOptimiser
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian, objective
from napari_selfdeblur.numerics.optimise import Stop, iterate
from napari_selfdeblur.numerics.progress import Progress
from napari_selfdeblur.numerics.verdict import judge
from napari_selfdeblur.restoration import restore_plane

__all__ = ["Final", "credibility", "draft_kernel", "final"]

Plane = NDArray[np.float32]

_COMPARED = 40  # iterations of a restoration that is only to be compared


class Final(NamedTuple):
    """What a run ends with: image (H, W) in [0, 1], kernel, and which estimate that is."""

    sharp: Plane
    kernel: Plane
    kept: str


def draft_kernel(
    prepared: PreparedImage, config: SelfDeblurConfig, stop: Stop | None
) -> Generator[Progress, None, Plane]:
    """Yield classical estimates as step 0 of a run, and return the kernel of the best."""
    classical = config.replace(**PRESETS["draft"], draft_first=False)
    for progress in iterate(ClassicalOptimiser(prepared.y, classical), stop=stop, preview_steps=1):
        assert progress.sharp is not None
        assert progress.kernel is not None
        sharp, kernel = prepared.restore_range(progress.sharp), progress.kernel
        yield replace(progress, iteration=0, total=config.iterations, sharp=sharp, last=False)
    return kernel


def final(
    y: Plane,
    sharp: Plane,
    kernel: Plane,
    draft: Plane | None,
    config: SelfDeblurConfig,
    device: torch.device,
) -> Final:
    """Return what a run ends with.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    sharp, kernel : ndarray
        The networks' estimate.
    draft : ndarray or None
        Kernel of the draft; kept where it is the more credible of the two.
    config : SelfDeblurConfig
        Its `restoration` and `restoration_share` are used.
    device : torch.device
        Where to restore.
    """
    if draft is not None and credibility(y, draft) < credibility(y, kernel):
        method = config.restoration or PRESETS["draft"]["restoration"]
        return Final(restore_plane(y, draft, method, device=str(device)), draft, "draft")
    if config.restoration is None:
        return Final(sharp, kernel, "networks")
    classical = restore_plane(y, kernel, config.restoration, device=str(device))
    mixed = sharp + np.float32(config.restoration_share) * (classical - sharp)
    return Final(mixed, kernel, "networks")


def credibility(y: Plane, kernel: Plane) -> tuple[bool, float]:
    """Return how credible a kernel is, as a value to sort by: the smallest is the best.

    First whether the restored image or the kernel shows a sign of failure; then the objective
    of the hyper-Laplacian restoration. The objective alone would prefer no blur at all, which
    is such a sign; the sparsity of the restored image alone prefers the draft, which was
    chosen by it.
    """
    plane, k = torch.from_numpy(y), torch.from_numpy(kernel)
    x = hyper_laplacian(plane, k, iterations=_COMPARED)
    return not judge(x.numpy(), kernel, y).credible, objective(x, plane, k)
