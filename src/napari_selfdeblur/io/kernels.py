"""Kernels given by a user: what can be used as a point spread function."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import as_array

__all__ = ["prepare_kernel", "prepare_kernels"]


def prepare_kernel(kernel: ArrayLike) -> NDArray[np.float32]:
    """Check a kernel, cut its negative values and scale it to sum to 1.

    Parameters
    ----------
    kernel : array_like, (kh, kw) or (kh, kw, 3 or 4)
        Point spread function of odd size; of a colour image the channels are averaged.

    Returns
    -------
    ndarray of float32, (kh, kw)

    Raises
    ------
    ImageError
        If it is masked, or not one plane of odd size with finite values, some of them positive.
    """
    k = as_array(kernel, "kernel", "buif")
    if k.ndim == 3 and k.shape[-1] in (3, 4):
        k = k[..., :3].mean(axis=-1)
    if k.ndim != 2:
        raise ImageError(f"a kernel has 2 axes, this one has {k.ndim}; pick one plane")
    if k.shape[0] % 2 == 0 or k.shape[1] % 2 == 0:
        raise ImageError(
            "a kernel has an odd number of rows and columns, this one has "
            f"{k.shape[0]} x {k.shape[1]}; pad it with a row or column of zeros"
        )
    k = k.astype(np.float64)
    if not np.isfinite(k).all():
        raise ImageError("a kernel holds finite values only; replace NaN and infinity")
    k = np.maximum(k, 0)
    if not k.any():
        raise ImageError("a kernel needs a positive value, this one has none")
    k /= k.max()  # before the sum: it may overflow
    return np.asarray(k / k.sum(), dtype=np.float32)


def prepare_kernels(kernels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Prepare each of several kernels (..., kh, kw) by `prepare_kernel`.

    One that is all zero stays so, unless all are: a run of a stack leaves it where it found none.
    """
    each = kernels.reshape(-1, *kernels.shape[-2:])
    some = bool(each.any())
    prepared = [k if some and not k.any() else prepare_kernel(k) for k in each]
    return np.stack(prepared).reshape(kernels.shape).astype(np.float32)
