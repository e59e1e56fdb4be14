"""How good a result is when the truth is known: up to shift, as on the data of Levin et al. 2009.

A blind method may shift the image one way and the kernel the other, so every measure is taken
at the shift that fits best. Images are grey, 2-D, with 1 as their peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import correlate
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_selfdeblur.compare.alignment import Alignment, Plane, align, grey_plane
from napari_selfdeblur.errors import ImageError

__all__ = [
    "Alignment",
    "Score",
    "align",
    "error_ratios",
    "kernel_similarity",
    "psnr",
    "psnr_up_to_shift",
    "score",
    "ssim",
]

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5


@dataclass(frozen=True, slots=True)
class Score:
    """Measures of one candidate at its best shift."""

    psnr: float  # peak signal-to-noise ratio in dB, peak 1
    ssim: float  # mean structural similarity, at most 1
    ssd: float  # sum of squared differences
    spectral_error: float  # largest singular value of the difference
    shift: tuple[float, float]  # see `Alignment`


def psnr(candidate: ArrayLike, truth: ArrayLike) -> float:
    """Return the peak signal-to-noise ratio in dB, with peak 1; infinite for equal images.

    Raises
    ------
    ImageError
        If the images are not 2-D, finite and of one shape.
    """
    first, second = _pair(candidate, truth)
    with np.errstate(divide="ignore"):  # equal images
        return float(peak_signal_noise_ratio(second, first, data_range=1.0))


def ssim(candidate: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean structural similarity (Wang et al. 2004) with peak 1.

    Window of 11 x 11 pixels, Gaussian of sigma 1.5, C1 = 0.01^2, C2 = 0.03^2; averaged where the
    window lies inside the image.

    Raises
    ------
    ImageError
        If the images are not 2-D, finite, of one shape and at least as large as the window.
    """
    first, second = _pair(candidate, truth)
    if min(first.shape) < _SSIM_WINDOW:
        raise ImageError(
            f"SSIM needs at least {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels, got {first.shape}; "
            "take off a smaller margin"
        )
    return float(
        structural_similarity(
            first,
            second,
            gaussian_weights=True,
            sigma=_SSIM_SIGMA,
            use_sample_covariance=False,
            data_range=1.0,
        )
    )


def psnr_up_to_shift(
    candidate: ArrayLike, truth: ArrayLike, *, crop: int = 15, max_shift: float = 10.0
) -> float:
    """Return the PSNR in dB at the best shift; parameters and errors are those of `align`."""
    aligned = align(candidate, truth, crop=crop, max_shift=max_shift)
    return psnr(aligned.candidate_crop, aligned.truth_crop)


def score(
    candidate: ArrayLike, truth: ArrayLike, *, crop: int = 15, max_shift: float = 10.0
) -> Score:
    """Return every measure at the best shift; parameters and errors are those of `align`."""
    aligned = align(candidate, truth, crop=crop, max_shift=max_shift)
    error = aligned.candidate_crop - aligned.truth_crop
    return Score(
        psnr=psnr(aligned.candidate_crop, aligned.truth_crop),
        ssim=ssim(aligned.candidate_crop, aligned.truth_crop),
        ssd=float(np.sum(error**2)),
        spectral_error=float(np.linalg.norm(error, 2)),
        shift=aligned.shift,
    )


def error_ratios(result: Score, known_kernel: Score) -> dict[str, float]:
    """Return the errors of `result` over those of the restoration with the known kernel.

    ``sum_of_squares``, after Levin et al. 2009, where a success is at most 2 or 3, and
    ``spectral``, of the spectral norms, which the published tables of Ren et al. 2020 hold.

    Raises
    ------
    ImageError
        If the known-kernel restoration equals the truth, so that no ratio exists.
    """
    if known_kernel.ssd == 0:
        raise ImageError(
            "the known-kernel restoration has no error to divide by; restore the blurred image "
            "instead of passing the truth"
        )
    return {
        "sum_of_squares": result.ssd / known_kernel.ssd,
        "spectral": result.spectral_error / known_kernel.spectral_error,
    }


def kernel_similarity(first: ArrayLike, second: ArrayLike, *, rotation: bool = False) -> float:
    """Return the greatest normalised cross-correlation of two kernels over all shifts.

    max over s of sum_t first(t) second(t + s) / (|first| |second|), zero outside their supports
    (Hu and Yang, "Good regions to deblur", ECCV 2012). At most 1, which only shifted and scaled
    copies of one kernel reach. With `rotation`, `second` is tried rotated by 180 degrees too, for
    kernels stored as the filter that correlates instead of the PSF.

    Raises
    ------
    ImageError
        If a kernel is not 2-D, not finite, or zero everywhere.
    """
    k1, k2 = grey_plane(first, "first kernel"), grey_plane(second, "second kernel")
    size = float(np.linalg.norm(k1) * np.linalg.norm(k2))
    if size == 0:
        raise ImageError("a kernel is zero everywhere; pass one with a positive sum")
    candidates = (k2, k2[::-1, ::-1]) if rotation else (k2,)
    return min(1.0, max(float(correlate(k1, k).max()) for k in candidates) / size)


def _pair(candidate: ArrayLike, truth: ArrayLike) -> tuple[Plane, Plane]:
    first, second = grey_plane(candidate, "candidate"), grey_plane(truth, "truth")
    if first.shape != second.shape:
        raise ImageError(
            f"the candidate {first.shape} and the truth {second.shape} differ in shape; "
            "crop them to the same field"
        )
    return first, second
