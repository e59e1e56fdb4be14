"""What runs return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.errors import DivergedError
from napari_selfdeblur.run.record import RestoreRecord, RunRecord

__all__ = ["DeblurResult", "RestoreResult"]


@dataclass(frozen=True, slots=True, eq=False)
class DeblurResult:
    """What a blind run returns.

    Attributes
    ----------
    sharp : ndarray of float32
        The deblurred image, in the source's shape and value range.
    kernel : ndarray of float32, (kh, kw)
        The point spread function that the image was made with: >= 0, sums to 1, centroid at
        the central pixel.
    record : RunRecord
        How both were made.
    residual : ndarray of float32, (H, W), or None
        With the setting `diagnostics`: y - k * x, blurred image less the sharp one blurred again,
        in the image's units; of a colour image that of its luma, or of the channel that the
        kernel is found in. 0 within half a kernel of the border, where it is not defined.
    spread : ndarray of float32, (H, W), or None
        With `diagnostics`: the standard deviation over restorations with the plausible kernels,
        in the image's units; of a colour image that of the same plane. None where the run was
        stopped, or had fewer than two of them.
    kernels : ndarray of float32, (rows, columns, kh, kw), or None
        Of a run with a `kernel_grid` the kernel of each cell, row by row: >= 0, summing to 1,
        registered to `kernel`, which is that of the whole image.

    Raises
    ------
    DivergedError
        If a value is not finite.
    """

    sharp: NDArray[np.float32]
    kernel: NDArray[np.float32]
    record: RunRecord
    residual: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None
    kernels: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        _check_finite(self.sharp, self.kernel, *([] if self.kernels is None else [self.kernels]))


@dataclass(frozen=True, slots=True, eq=False)
class RestoreResult:
    """What a restoration with a known kernel returns.

    Attributes
    ----------
    sharp : ndarray of float32
        The restored image, in the source's shape and value range.
    record : RestoreRecord
        How it was made.

    Raises
    ------
    DivergedError
        If a value is not finite.
    """

    sharp: NDArray[np.float32]
    record: RestoreRecord

    def __post_init__(self) -> None:
        _check_finite(self.sharp)


def _check_finite(*arrays: NDArray[np.float32]) -> None:
    if not all(np.isfinite(each).all() for each in arrays):
        raise DivergedError(
            "the result became infinite or NaN; choose settings nearer to the defaults, or "
            "rescale the image"
        )
