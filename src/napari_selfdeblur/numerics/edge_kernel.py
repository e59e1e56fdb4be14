"""A blur kernel estimated from the strongest edges of an image, without networks.

Coarse to fine, a sharp image of few strong edges and the kernel that blurs those edges into
the image are estimated in turn, after Xu and Jia, "Two-phase kernel estimation for robust
motion deblurring", ECCV 2010, Xu, Zheng and Jia, "Unnatural L0 sparse representation for
natural image deblurring", CVPR 2013, and Pan et al., "Deblurring text images via
L0-regularized intensity and gradient prior", CVPR 2014.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label, sum_labels
from skimage.transform import resize
from torch import Tensor

from napari_selfdeblur.errors import ConfigError, ImageError
from napari_selfdeblur.numerics.centring import centring_shift
from napari_selfdeblur.numerics.kernel_fit import fit_kernel
from napari_selfdeblur.numerics.l0_prior import L0Prior, gradients
from napari_selfdeblur.numerics.stop import stop_point

__all__ = [
    "checked_image",
    "cleaned_kernel",
    "edge_kernel",
    "first_smoothing",
    "refined_kernel",
    "smoothed",
]

Plane = NDArray[np.float32]

_NOISY = 0.006  # sigma above which an image is smoothed before its kernel is estimated
_ROUNDS = 5
_SMALLEST = 3  # sides of the coarsest kernel, in pixels
_WEIGHT = 0.08  # lambda of the first round, over the square of the contrast
_DECAY, _LEAST = 1.1, 0.1  # of lambda, each round; and the fraction it ends at
_WEAK = 0.05  # entries of the kernel below this part of its maximum are noise
_ISLAND = 0.1  # so are separate pieces of less than this mass


def edge_kernel(
    y: Tensor, kernel_size: tuple[int, int], *, strength: float = 1.0, intensities: float = 0.0
) -> Tensor:
    """Estimate the blur kernel of an image by its strongest edges.

    A pyramid by sqrt(2), from a kernel of 3 pixels up to `kernel_size`. On each scale, five
    rounds of: x for this k (`L0Prior`); k for this x (`fit_kernel`), without its weak
    entries and stray islands, centred. lambda is 0.08 `strength` times the squared contrast
    (99 % quantile of the gradient where the kernel is 3 pixels wide) and falls by 1.1 a round.

    The images are on the device of `y`. The pyramid is made, and the kernel itself is solved
    for and cleaned, on the CPU: a few hundred numbers, in float64, which MPS does not have.

    Parameters
    ----------
    y : Tensor, (H, W)
        Blurred image, larger than the kernel both ways; of any offset and scale.
    kernel_size : (int, int)
        Sides of the kernel, odd and at least 3.
    strength : float
        How few edges are taken, > 0. More helps against noise and texture, less where edges
        are faint; twice or half of it often gives a different kernel.
    intensities : float
        How few pixels differ from the background, over how few edges there are, >= 0. It helps
        much where objects stand apart on a plain background (filaments, spots, text; 3 to 30),
        and misleads elsewhere.

    Returns
    -------
    Tensor of float32, (kh, kw)
        The PSF: >= 0, sums to 1, centroid at the central pixel; on the device of `y`.

    Raises
    ------
    ConfigError
        If `kernel_size`, `strength` or `intensities` is outside its range.
    ImageError
        If the image is not 2-D and finite, is flat, or not larger than the kernel.
    """
    image = checked_image(y, kernel_size)
    if not (math.isfinite(strength) and strength > 0):
        raise ConfigError(f"strength must be a number greater than 0, got {strength!r}; try 1.0")
    if not (math.isfinite(intensities) and intensities >= 0):
        raise ConfigError(f"intensities must be a number of at least 0, got {intensities!r}; try 0")
    k: Plane | None = None
    weight = least = 0.0
    for scaled, size in _pyramid(image, kernel_size):
        plane = torch.from_numpy(scaled).to(y.device)
        if k is None:
            weight = strength * _WEIGHT * _contrast(plane) ** 2
            least = _LEAST * weight
            k = _delta_kernel(size)
        else:
            k = cleaned_kernel(_resized(k, size), k)
        model = L0Prior(plane, size, intensities=intensities)
        for _ in range(_ROUNDS):
            stop_point()
            x = model.sharp(torch.from_numpy(k).to(y.device), weight)
            k = cleaned_kernel(fit_kernel(x, plane, size).numpy(), k)
            weight = max(weight / _DECAY, least)
    assert k is not None  # a pyramid has at least one scale
    return torch.from_numpy(k).to(y.device)


def refined_kernel(y: Tensor, k: Tensor, *, rounds: int = 8) -> Tensor:
    """Improve an initial kernel by the strongest edges of the image.

    `rounds` rounds of `edge_kernel` on its finest scale, with the lambda they end at.

    Parameters
    ----------
    y : Tensor, (H, W)
        Blurred image, larger than the kernel both ways; of any offset and scale.
    k : Tensor of float32, (kh, kw)
        Initial kernel, >= 0 and not zero everywhere, of odd sides of at least 3.
    rounds : int
        At least 0.

    Returns
    -------
    Tensor of float32, (kh, kw)
        The PSF: >= 0, sums to 1, centroid at the central pixel; on the device of `y`.

    Raises
    ------
    ConfigError
        If the sides of `k` are outside their range.
    ImageError
        If the image is not 2-D and finite, is flat, or not larger than the kernel.
    """
    size = (k.shape[0], k.shape[1])
    image = checked_image(y, size)
    coarsest, _ = next(_pyramid(image, size))
    weight = _LEAST * _WEIGHT * _contrast(torch.from_numpy(coarsest)) ** 2
    plane = torch.from_numpy(image).to(y.device)
    model = L0Prior(plane, size)
    refined = cleaned_kernel(k.detach().cpu().numpy())
    for _ in range(rounds):
        stop_point()
        x = model.sharp(torch.from_numpy(refined).to(y.device), weight)
        refined = cleaned_kernel(fit_kernel(x, plane, size).numpy(), refined)
    return torch.from_numpy(refined).to(y.device)


def first_smoothing(noise: float) -> float:
    """Return the smoothing of an image of so much noise where only one is tried, in pixels."""
    return 0.0 if noise < _NOISY else 1.0


def smoothed(y: Tensor, width: float) -> Tensor:
    """Return y (H, W) blurred by a Gaussian of `width` pixels."""
    if not width:
        return y
    return torch.from_numpy(gaussian_filter(y.cpu().numpy(), width)).to(y.device)


def _pyramid(image: Plane, kernel_size: tuple[int, int]) -> Iterator[tuple[Plane, tuple[int, int]]]:
    """Yield image and kernel size on each scale, from the coarsest up."""
    levels = math.floor(2 * math.log2(max(kernel_size) / _SMALLEST))
    for level in range(levels, 0, -1):
        scale = 2 ** (-level / 2)
        rows, columns = (max(round(scale * n), 2) for n in image.shape)
        kh, kw = (max(2 * round((scale * s - 1) / 2) + 1, _SMALLEST) for s in kernel_size)
        yield _resized(image, (rows, columns)), (kh, kw)
    yield image, kernel_size


def _resized(image: Plane, shape: tuple[int, int]) -> Plane:
    smaller = image.size > math.prod(shape)
    return np.asarray(resize(image, shape, order=1, anti_aliasing=smaller), dtype=np.float32)


def _contrast(plane: Tensor) -> float:
    """Return the 99 % quantile of the gradient's magnitude."""
    gy, gx = gradients(plane)
    magnitude = torch.hypot(gy, gx)[:-1, :-1]
    # torch.quantile is limited to 16 million numbers.
    return float(np.quantile(magnitude.cpu().numpy(), 0.99))


def _delta_kernel(size: tuple[int, int]) -> Plane:
    """Return the kernel that does not blur."""
    k = np.zeros(size, np.float32)
    k[size[0] // 2, size[1] // 2] = 1
    return k


def cleaned_kernel(k: NDArray[np.floating], previous: Plane | None = None) -> Plane:
    """Return `k` without weak entries and islands, centred, sum 1.

    If it is zero: `previous`, without which it is the kernel that does not blur.
    """
    if not k.max() > 0:
        return _delta_kernel((k.shape[0], k.shape[1])) if previous is None else previous
    k = np.where(k < _WEAK * k.max(), 0, k)
    labels, count = label(k, structure=np.ones((3, 3)))
    mass = sum_labels(k, labels, np.arange(count + 1))
    kept = mass >= _ISLAND * mass.sum()
    kept[mass.argmax()] = True
    k = np.where(kept[labels], k, 0)
    dy, dx = centring_shift(k)
    rows, columns = k.shape
    centred = np.zeros_like(k)
    centred[max(dy, 0) : rows + min(dy, 0), max(dx, 0) : columns + min(dx, 0)] = k[
        max(-dy, 0) : rows - max(dy, 0), max(-dx, 0) : columns - max(dx, 0)
    ]
    return np.asarray(centred / centred.sum(), dtype=np.float32)


def checked_image(y: Tensor, kernel_size: tuple[int, int]) -> Plane:
    """Return `y` scaled to [0, 1], on the CPU; raise what `edge_kernel` raises for y and size."""
    if len(kernel_size) != 2 or any(s < _SMALLEST or s % 2 == 0 for s in kernel_size):
        raise ConfigError(
            f"kernel_size must be two odd numbers of at least 3, got {kernel_size}; try (21, 21)"
        )
    image = y.detach().cpu().double().numpy()
    if image.ndim != 2 or not np.isfinite(image).all():
        raise ImageError(
            f"the image must be 2-D with finite pixels, got shape {image.shape}; "
            "pick one plane and fill NaN or infinite pixels first"
        )
    if any(n <= s for n, s in zip(image.shape, kernel_size, strict=True)):
        raise ImageError(
            f"the image of {image.shape} pixels must be larger than the kernel of {kernel_size}; "
            "take a larger image or a smaller kernel size"
        )
    spread = float(np.ptp(image))
    if spread == 0:
        raise ImageError("the image is flat: it has no edge to estimate a kernel from")
    return np.asarray((image - image.min()) / spread, dtype=np.float32)
