"""The two estimates of a run, a classical draft and the networks' own, and what becomes of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.io.images import PreparedImage
from napari_selfdeblur.numerics.assess import judge
from napari_selfdeblur.numerics.progress import Progress
from napari_selfdeblur.numerics.solvers.edges import EdgeSolver
from napari_selfdeblur.numerics.solvers.networks import Stop, iterate
from napari_selfdeblur.restoration import restore_plane

__all__ = ["Final", "draft_kernel", "draft_share", "final", "laid_on"]

Plane = NDArray[np.float32]

_SHARPER = 1.06  # detail of the draft's image over the networks' that gives it the whole share
_RINGING = 0.8  # under this ratio, the networks' image has its detail from ringing
_ELSEWHERE = 0.1  # mass of one kernel outside the other's support; more is another kernel


class Final(NamedTuple):
    """What a run ends with: image (H, W) in [0, 1], kernel, and whose estimate that is.

    `kept` is ``networks``, ``draft`` or ``both``.
    """

    sharp: Plane
    kernel: Plane
    kept: str


def draft_kernel(
    prepared: PreparedImage, config: SelfDeblurConfig, stop: Stop | None
) -> Generator[Progress, None, Plane]:
    """Yield classical estimates as step 0 of a run, and return the kernel of the best."""
    classical = config.replace(**PRESETS["draft"], draft_first=False)
    for progress in iterate(EdgeSolver(prepared.y, classical), stop=stop, preview_steps=1):
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
        Kernel of the draft, if there is one.
    config : SelfDeblurConfig
        Its `restoration` and `restoration_share` are used.
    device : torch.device
        Where to restore.
    """
    if config.restoration is None:
        return Final(sharp, kernel, "networks")

    restored = partial(restore_plane, y, method=config.restoration, device=str(device))
    own, kept = restored(kernel), "networks"
    if draft is not None:
        drafted = restored(draft)
        shift, moved = laid_on(draft, kernel)
        share = draft_share(own, drafted, y, kernel, moved)
        if share is None:
            return Final(drafted, draft, "draft")
        if share > 0:
            kernel = _between(kernel, moved, share)
            own = _between(own, ndimage.shift(drafted, -shift, order=3, mode="nearest"), share)
            kept = "both" if share < 1 else "draft"
    # The generator's image and a restoration err differently.
    return Final(_between(sharp, own, config.restoration_share), kernel, kept)


def draft_share(own: Plane, drafted: Plane, y: Plane, kernel: Plane, draft: Plane) -> float | None:
    """Return the draft's share in the result, 0 to 1; None where the networks have failed.

    Two estimates made so differently that agree are averaged. The networks tend to leave some
    blur in their image and in exchange make the kernel too thin, and a draft with more detail
    gets up to the whole share. Where they do not agree the draft has missed faint parts of the
    kernel, unless it is the networks' image that rings.

    Parameters
    ----------
    own, drafted : ndarray, (H, W)
        y restored with the networks' kernel and with the draft's.
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    kernel, draft : ndarray, (kh, kw)
        Those kernels, laid on each other.
    """
    credible = judge(own, kernel, y).credible
    if credible != judge(drafted, draft, y).credible:
        return 0.0 if credible else None
    rows, columns = (min(s, (n - 2) // 2) for s, n in zip(kernel.shape, y.shape, strict=True))
    inner = slice(rows, y.shape[0] - rows), slice(columns, y.shape[1] - columns)
    gain = _detail(drafted[inner]) / max(_detail(own[inner]), 1e-12)
    if gain < _RINGING:
        return None
    if _elsewhere(kernel, draft) > _ELSEWHERE:
        return 0.0
    return 0.5 + 0.5 * float(np.clip((gain - 1) / (_SHARPER - 1), 0, 1))


def laid_on(draft: Plane, kernel: Plane) -> tuple[NDArray[np.floating], Plane]:
    """Return the shift (rows, columns) that lays `draft` on `kernel`, and the draft there.

    An image restored with the draft moves by as much the other way.
    """
    shift = phase_cross_correlation(kernel, draft, upsample_factor=20, normalization=None)[0]
    # Linear interpolation would blur it.
    moved = ndimage.shift(draft, shift, order=3).clip(0)
    if not moved.sum() > 0.5:  # off its support
        return np.zeros(2), draft
    return shift, (moved / moved.sum()).astype(np.float32)


def _detail(image: Plane) -> float:
    """Return the mean of |D x|^0.8, the sparse prior's measure of an image's gradients."""
    return sum(float(np.mean(np.abs(np.diff(image, axis=axis)) ** 0.8)) for axis in (0, 1))


def _between(a: Plane, b: Plane, share: float) -> Plane:
    return np.asarray(a + np.float32(share) * (b - a), dtype=np.float32)


def _elsewhere(kernel: Plane, draft: Plane) -> float:
    """Return the mass of `kernel` more than two pixels outside of the support of `draft`."""
    square = np.ones((5, 5), dtype=bool)
    # A draft has no entries below 0.05 of its maximum; moved, it has faint ripples.
    near = ndimage.binary_dilation(draft > 0.03 * draft.max(), square)
    return float(kernel[~near].sum())
