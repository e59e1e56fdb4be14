"""Blurred images whose truth is known, to try the method on: computed, always the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, fftshift
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.signal import fftconvolve
from scipy.special import expit
from skimage import data
from skimage.transform import resize

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.images import cast_like

__all__ = ["Sample", "blurred_microscopy_field", "motion_blurred_photograph"]

_MOTION_SUPPORT = 17
_MOTION_SEED = 3
_PSF_SUPPORT = 21
_FIELD_SEED = 11
_PIXEL_SIZE = 0.1  # micrometer
_SMALLEST, _LARGEST_PHOTOGRAPH, _LARGEST_FIELD = 64, 496, 1024


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A blurred image with its truth: `blurred` is `sharp` convolved with `kernel`, plus noise."""

    name: str  # title for a layer or a file
    sharp: NDArray[Any]  # (H, W); field of view, data type and units of `blurred`
    kernel: NDArray[np.float32]  # the PSF (kh, kw): odd sides, sum 1, centroid at the centre
    blurred: NDArray[Any]  # (H, W)
    scale: tuple[float, float]  # height and width of a pixel in `unit`
    unit: str  # ``pixel`` or ``micrometer``


def motion_blurred_photograph(size: int = 256) -> Sample:
    """Return a photograph blurred by camera shake: uint8 images and a kernel of 17 x 17 pixels.

    The photograph is scikit-image's ``camera``, reduced (by Lav Varshney, public domain, CC0).
    It is larger than the result by the kernel's support, so that the convolution needs no
    invented border. Noise: Gaussian, one grey level. `size` is height and width in pixels, 64 to
    496; outside it is a `ConfigError`.
    """
    _check_size(size, _LARGEST_PHOTOGRAPH)
    side = size + _MOTION_SUPPORT - 1
    scene = 255 * resize(data.camera() / 255.0, (side, side), anti_aliasing=True)
    rng = np.random.default_rng(_MOTION_SEED)
    kernel = _motion_kernel(rng)
    blurred = fftconvolve(scene, kernel, mode="valid")
    return Sample(
        name="motion-blurred photograph",
        sharp=cast_like(_centre(scene, size), np.uint8),
        kernel=kernel.astype(np.float32),
        blurred=cast_like(blurred + rng.normal(0, 1, blurred.shape), np.uint8),
        scale=(1.0, 1.0),
        unit="pixel",
    )


def blurred_microscopy_field(size: int = 256) -> Sample:
    """Return a simulated fluorescence image, taken through a slightly astigmatic, defocused lens.

    Filaments, nuclei and puncta over a weak background; a scalar widefield PSF (NA 0.9, 520 nm,
    0.1 micrometer pixels) with astigmatism and defocus; photon noise and read noise; an offset
    of 100 and a gain of 4 counts a photon, as of a camera; uint16 images and a kernel of 21 x 21
    pixels. `size` is height and width in pixels, 64 to 1024; outside it is a `ConfigError`.
    """
    _check_size(size, _LARGEST_FIELD)
    rng = np.random.default_rng(_FIELD_SEED)
    photons = _fluorescence(rng, size + _PSF_SUPPORT - 1)
    kernel = _astigmatic_psf()
    expected = np.maximum(fftconvolve(photons, kernel, mode="valid"), 0)
    observed = rng.poisson(expected) + rng.normal(0, 2, expected.shape)
    offset, gain = 100, 4
    return Sample(
        name="blurred microscopy field",
        sharp=cast_like(offset + gain * _centre(photons, size), np.uint16),
        kernel=kernel.astype(np.float32),
        blurred=cast_like(offset + gain * observed, np.uint16),
        scale=(_PIXEL_SIZE, _PIXEL_SIZE),
        unit="micrometer",
    )


def _motion_kernel(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the path of a smooth random walk (a low-passed random velocity), as a thin line."""
    velocity = gaussian_filter1d(rng.normal(size=(4000, 2)), 260, axis=0, mode="wrap")
    path = np.cumsum(velocity[:2000], axis=0)
    path -= path.mean(axis=0)
    middle = _MOTION_SUPPORT // 2
    path *= (middle - 2) / np.abs(path).max()
    line = np.zeros((_MOTION_SUPPORT, _MOTION_SUPPORT))
    _splat(line, middle + path, 1.0)
    kernel = gaussian_filter(line, 0.45, truncate=4)
    return np.asarray(kernel / kernel.sum())


def _astigmatic_psf() -> NDArray[np.float64]:
    """Return |F(pupil)|^2, the incoherent PSF of an aberrated circular pupil (scalar theory)."""
    aperture, wavelength, samples = 0.9, 0.52, 256
    frequency = np.fft.fftfreq(samples, _PIXEL_SIZE)
    v, u = np.meshgrid(frequency, frequency, indexing="ij")
    rho = np.hypot(u, v) * wavelength / aperture
    angle = np.arctan2(v, u)
    waves = 0.22 * rho**2 * np.cos(2 * (angle - 0.6)) + 0.18 * (2 * rho**2 - 1)
    pupil = (rho <= 1) * np.exp(2j * np.pi * waves)
    psf = _centre(fftshift(np.abs(fft2(pupil)) ** 2), _PSF_SUPPORT)
    return np.asarray(psf / psf.sum())


def _fluorescence(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Return the expected photons of each pixel: background, nuclei, filaments, puncta."""
    area = side**2 / 276**2
    field = np.full((side, side), 12.0)
    for _ in range(max(1, round(4 * area))):
        field += _nucleus(rng, side)
    lines = np.zeros_like(field)
    for _ in range(max(6, round(22 * area))):
        _splat(lines, _filament(rng, side), rng.uniform(0.6, 1.2) * 180)
    spots = np.zeros_like(field)
    count = round(70 * area)
    _splat(spots, rng.uniform(0, side - 1, (count, 2)), rng.uniform(800, 3000, count))
    return np.asarray(field + gaussian_filter(lines, 0.8) + gaussian_filter(spots, 0.9))


def _nucleus(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Return a soft ellipse with a mottled inside."""
    rows, columns = np.indices((side, side)) - rng.uniform(0, side, (2, 1, 1))
    turn, long, short = rng.uniform(0, np.pi), rng.uniform(22, 32), rng.uniform(15, 21)
    along = rows * np.cos(turn) + columns * np.sin(turn)
    across = columns * np.cos(turn) - rows * np.sin(turn)
    distance = np.hypot(along / long, across / short)
    texture = gaussian_filter(rng.normal(size=(side, side)), 2.5)
    texture = 1 + 0.25 * texture / texture.std()
    return np.asarray(120 * np.clip(texture, 0.2, None) * expit((1 - distance) * 22))


def _filament(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Return points a quarter of a pixel apart along a gently bending line."""
    steps = 1656  # 414 pixels: longer than the default field
    bends = gaussian_filter1d(rng.normal(0, 0.05, steps), 40)
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(bends)
    path = np.cumsum(np.stack([np.sin(direction), np.cos(direction)], axis=1), axis=0) / 4
    return np.asarray(path - path[steps // 2] + rng.uniform(0, side, 2))


def _splat(
    image: NDArray[np.float64],
    points: NDArray[np.float64],
    weights: float | NDArray[np.float64],
) -> None:
    """Add points to the image, each spread bilinearly over its four pixels."""
    corner = np.floor(points).astype(int)
    fraction = points - corner
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - fraction[:, 0]) * np.abs(1 - right - fraction[:, 1])
            row, column = corner[:, 0] + down, corner[:, 1] + right
            inside = (row >= 0) & (row < image.shape[0]) & (column >= 0)
            inside &= column < image.shape[1]
            values = (share * weights)[inside]
            np.add.at(image, (row[inside], column[inside]), values)


def _centre(image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the central square; of a PSF of even size, the one around its origin."""
    top, left = ((side - size + 1) // 2 for side in image.shape)
    return image[top : top + size, left : left + size]


def _check_size(size: int, largest: int) -> None:
    whole = isinstance(size, int) and not isinstance(size, bool)
    if not whole or not _SMALLEST <= size <= largest:
        raise ConfigError(
            f"size must be a whole number from {_SMALLEST} to {largest}, got {size!r}; try 256"
        )
