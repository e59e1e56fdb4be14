"""Any number of estimates of one blurred image, made into one.

Each kernel restores the image with one common setting, and three quantities of `assess` judge
the result: the likelihood of the spectrum, the residual beyond the noise, and its whiteness.
None of them decides alone: each gives a penalty that saturates, so that a quantity misled by an
image cannot outweigh the others. The kernels near the best one are averaged, and the average
replaces it where it is judged better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage.registration import phase_cross_correlation

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.numerics.assess import Assessment, assess, measure
from napari_selfdeblur.numerics.nonblind.hyper_laplacian import hyper_laplacian

__all__ = ["Candidate", "Fused", "fuse"]

Plane = NDArray[np.float32]
Shift = tuple[float, float]

# Weight of each quantity, and the difference at which half of it is given.
_SCALES = {"spectrum": (1.0, 0.3), "excess": (1.0, 0.3), "whiteness": (0.1, 0.1)}
_COST_SCALE = 0.1  # an estimate that costs this much more has 1/e of the weight
_UNLIKE, _ALIKE = 0.6, 0.9  # correlations of kernels that disagree, and that agree
_KEPT_MASS = 0.999  # of the kernel, in the support returned
_COMPARED = 40  # iterations of a restoration that is only to be compared


class Candidate(NamedTuple):
    """One estimate: kernel (kh, kw) with odd sides, its source, own image (H, W) or None."""

    kernel: Plane
    source: str
    sharp: Plane | None = None


@dataclass(frozen=True, slots=True)
class Fused:
    """What several estimates give together.

    Attributes
    ----------
    kernel : ndarray of float32, (kh, kw)
        Odd sides, sum 1, centroid at the central pixel.
    restored : ndarray of float32, (H, W)
        The blurred image restored with `kernel`, in [0, 1].
    sharp : ndarray of float32, (H, W)
        `restored` mixed with the own images of the estimates that agree with it.
    weights : dict of str to float
        Share of each source in the kernel; they sum to 1.
    agreement : float
        Share of the estimates whose kernels correlate with the result's by 0.9 or more.
    assessment : Assessment
        Of `restored` and `kernel`.
    """

    kernel: Plane
    restored: Plane
    sharp: Plane
    weights: dict[str, float]
    agreement: float
    assessment: Assessment


def fuse(
    y: Plane,
    candidates: Sequence[Candidate],
    sigma: float,
    *,
    restore: Callable[[Plane], Plane],
    own_share: float = 0.25,
    kernel_size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
) -> Fused:
    """Return one estimate made of any number of them, in whatever order they come.

    Parameters
    ----------
    y : ndarray, (H, W)
        Blurred image in [0, 1].
    candidates : sequence of Candidate
        At least one; kernels may differ in size, and lie shifted against each other.
    sigma : float
        Noise standard deviation of y.
    restore : callable
        Returns y restored with a kernel; called once, with the kernel that is returned.
    own_share : float
        Largest share in [0, 1] of the estimates' own images in `sharp`.
    kernel_size : (int, int), optional
        Least sides of the kernel returned; it is larger where a smaller support would cut it.
        The largest sides among the candidates by default.
    device : torch.device or str
        Where the estimates are compared.

    Raises
    ------
    ImageError
        If there is no candidate, or a kernel has an even side or no positive sum.
    """
    _check(candidates)
    least = kernel_size or tuple(max(c.kernel.shape[i] for c in candidates) for i in (0, 1))
    kernels = _padded([c.kernel for c in candidates])
    share = np.ones(1)
    if len(candidates) > 1:
        share = _shares(y, kernels, sigma, device)
    k = np.tensordot(share, _registered(kernels, int(np.argmax(share)))[0], 1)
    kernel = _cropped(k, (least[0], least[1]))
    restored = np.clip(restore(kernel), 0, 1).astype(np.float32)
    alike = np.array([_correlation(kernel, c.kernel) for c in candidates])
    agreement = float(np.mean(alike >= _ALIKE))
    weights = dict.fromkeys((c.source for c in candidates), 0.0)
    for c, w in zip(candidates, share, strict=True):
        weights[c.source] += float(w)
    sharp = _mixed(restored, kernel, candidates, own_share * _ramp(alike))
    found = assess(restored, kernel, y, sigma, agreement=agreement if len(candidates) > 2 else None)
    return Fused(kernel, restored, sharp, weights, agreement, found)


def costs(measures: Sequence[dict[str, float]]) -> NDArray[np.float64]:
    """Return what speaks against each estimate of one image, 0 for one that is best in all.

    sum_i w_i d_i / (d_i + c_i), where d_i is how much worse quantity i is than its best.
    """
    total = np.zeros(len(measures))
    for name, (weight, scale) in _SCALES.items():
        worse = np.array([_quantity(m, name) for m in measures])
        worse -= worse.min()
        total += weight * worse / (worse + scale)
    return total


def _quantity(measures: dict[str, float], name: str) -> float:
    # A residual below the noise is no merit.
    return (
        max(float(np.log(max(measures["residual"], 1e-6))), 0.0)
        if name == "excess"
        else measures[name]
    )


def _shares(
    y: Plane, kernels: list[NDArray[np.float64]], sigma: float, device: torch.device | str
) -> NDArray[np.float64]:
    """Return the share of each kernel: all to the best, or spread over those near to it."""
    target = torch.from_numpy(np.ascontiguousarray(y, dtype=np.float32)).to(device)

    def measured(k: NDArray[np.float64]) -> dict[str, float]:
        k = _cropped(k, (3, 3))
        x = hyper_laplacian(
            target, torch.from_numpy(k).to(device), sigma=sigma, iterations=_COMPARED
        )
        return measure(x.clamp(0, 1).cpu().numpy(), k, y, sigma)

    found = [measured(k) for k in kernels]
    cost = costs(found)
    best = int(np.argmin(cost))
    moved, alike = _registered(kernels, best)
    share = np.exp(-(cost - cost[best]) / _COST_SCALE) * _ramp(alike)
    share /= share.sum()
    with_mean = costs([*found, measured(np.tensordot(share, moved, 1))])
    alone = np.zeros(len(kernels))
    alone[best] = 1
    return share if with_mean[-1] < with_mean[:-1].min() else alone


def _registered(
    kernels: list[NDArray[np.float64]], reference: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return kernels moved onto one of them, sum 1, and their correlations with it."""
    fixed = kernels[reference]
    moved = []
    for i, k in enumerate(kernels):
        if i != reference:
            # Cubic: linear interpolation would blur the kernel.
            k = ndimage.shift(k, _shift_between(fixed, k), order=3).clip(0)
        moved.append(k / k.sum())
    norm = np.linalg.norm(fixed)
    alike = [float((k * fixed).sum() / (np.linalg.norm(k) * norm)) for k in moved]
    return np.stack(moved), np.array(alike)


def _shift_between(fixed: NDArray[np.floating], k: NDArray[np.floating]) -> Shift:
    """Return the shift (rows, columns), to 1/20 pixel, that moves `k` onto `fixed`."""
    shift = phase_cross_correlation(fixed, k, upsample_factor=20, normalization=None)[0]
    return float(shift[0]), float(shift[1])


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the largest normalised correlation of two kernels over whole-pixel shifts."""
    product = fftconvolve(a.astype(np.float64), b[::-1, ::-1].astype(np.float64))
    return float(product.max() / (np.linalg.norm(a) * np.linalg.norm(b)))


def _ramp(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip((alike - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1))


def _padded(kernels: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float64]]:
    """Return kernels with sum 1, centred to half a pixel, on one odd support that holds them."""
    side = 2 * max(max(k.shape) for k in kernels) + 1
    result = []
    for k in kernels:
        big = np.zeros((side, side))
        top, left = ((side - n) // 2 for n in k.shape)
        big[top : top + k.shape[0], left : left + k.shape[1]] = k / k.sum()
        result.append(np.roll(big, _to_centre(big), axis=(0, 1)))
    return result


def _to_centre(k: NDArray[np.float64]) -> tuple[int, int]:
    middle = ndimage.center_of_mass(k)
    rows, columns = (n // 2 - round(float(c)) for n, c in zip(k.shape, middle, strict=True))
    return rows, columns


def _cropped(k: NDArray[np.float64], least: tuple[int, int]) -> Plane:
    """Return k centred on the smallest odd support of at least `least` that keeps 99.9 %."""
    k = np.roll(k, _to_centre(k), axis=(0, 1))
    row, column = (n // 2 for n in k.shape)
    a, b = (min(n // 2, m) for n, m in zip(least, (row, column), strict=True))
    while k[row - a : row + a + 1, column - b : column + b + 1].sum() < _KEPT_MASS * k.sum():
        a, b = min(a + 1, row), min(b + 1, column)
    k = k[row - a : row + a + 1, column - b : column + b + 1]
    return np.asarray(k / k.sum(), dtype=np.float32)


def _mixed(
    restored: Plane, kernel: Plane, candidates: Sequence[Candidate], share: NDArray[np.float64]
) -> Plane:
    """Return `restored` with its shares of the estimates' own images, registered to it."""
    total = np.zeros(restored.shape)
    own = [(c, s) for c, s in zip(candidates, share, strict=True) if c.sharp is not None and s > 0]
    if not own:
        return restored
    for c, s in own:
        side = max(max(kernel.shape), max(c.kernel.shape))
        fixed, k = (
            np.pad(q, [((side - n) // 2,) * 2 for n in q.shape]) for q in (kernel, c.kernel)
        )
        # A kernel moved one way moves its image the other way.
        back = tuple(-d for d in _shift_between(fixed, k))
        total += s * (ndimage.shift(c.sharp, back, order=3, mode="nearest") - restored)
    # Several own images share what one alone would have.
    return np.clip(restored + total / len(own), 0, 1).astype(np.float32)


def _check(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise ImageError("there is no estimate to fuse; run at least one solver")
    for c in candidates:
        if c.kernel.ndim != 2 or not all(n % 2 for n in c.kernel.shape) or not c.kernel.sum() > 0:
            raise ImageError(
                f"the kernel of {c.source!r} must be 2-D with odd sides and a positive sum, got "
                f"shape {c.kernel.shape}; pad it or estimate it again"
            )
