"""Images made on the spot with a known truth: scene by kernel by noise, each always the same.

Scenes are photographs in scikit-image's wheel and simulated microscopy: anyone has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.signal import fftconvolve
from scipy.special import j1

from benchmarks.scenes import SIDE, SIMULATED, Plane, central, drawn, is_simulated, scene, view_of

_TUNING = "camera coffee chelsea brick immunohistochemistry filaments_1 spots_1 cells_1"
_CHECKING = "astronaut stereo_motorcycle coins gravel retina filaments_2 spots_2 cells_2"
SCENES = {"tuning": tuple(_TUNING.split()), "checking": tuple(_CHECKING.split())}
"""Scenes of each half, of one kind where they stand at one place: a person, things, an animal or
objects, a texture, tissue, three of microscopy. What is fitted on one half is shown on the other.
"""
_VIEWED = {
    "tuning": "camera coffee chelsea brick immunohistochemistry grass hubble_deep_field moon "
    "rocket cell page filaments spots cells",
    "checking": "astronaut stereo_motorcycle coins gravel retina filaments spots cells",
}
KERNELS = (
    *(("motion", size) for size in (9, 15, 21, 31, 45)),
    ("disk", 11),
    ("gaussian", 13),
    ("airy", 21),
)
"""Kinds of blur, and the side of the smallest support centred on the kernel's centroid."""
SHARP = ("none", 1)
"""The kernel of an image that was never blurred."""
NOISE = (0.0, 0.2, 1.0, 2.0, 4.0)
"""Standard deviations of the noise in percent of the range."""
QUALITIES = (90, 70)
"""Qualities of JPEG that photographs are compressed with."""
_COMPRESSED = (("motion", 15, 0.2), ("motion", 31, 1.0), ("disk", 11, 0.2))
_CLIPPED = 0.015  # share of the pixels above white
_EXPOSURE = 0.8  # of microscopy: the brightest blurred pixel without noise, of white
_OFFSET = 6000  # of microscopy, in counts of 65535: dark pixels with their noise stay above 0
_FINE = 8  # points along a pixel's side that a kernel is averaged over


@dataclass(frozen=True, slots=True)
class Cell:
    """One image: its scene, kind and side of the kernel, noise in percent, and exposure.

    A `clipped` image has 1.5 % of its pixels above white. One with a `quality` was a JPEG file.
    """

    half: str
    scene: str
    kind: str
    size: int
    noise: float
    clipped: bool = False
    quality: int | None = None

    @property
    def blur(self) -> str:
        """What happened to the scene, in one phrase; with the scene it names the cell."""
        kernel = self.kind if self.kind == SHARP[0] else f"{self.kind} {self.size}"
        blur = f"{kernel}, noise {self.noise:g} %" + ", clipped" * self.clipped
        return blur if self.quality is None else f"{blur}, JPEG {self.quality}"


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A blurred image (255, 255), 8 or 16 bits, with its sharp image and its kernel.

    `sharp` is in [0, 1], which are the values `black` and `white` of the blurred image: the
    limits of a photograph's format; offset and brightest pixel of a sharp simulated image.
    """

    blurred: NDArray[Any]
    sharp: Plane
    kernel: Plane
    black: float
    white: float

    def plane(self, image: ArrayLike) -> Plane:
        """Return an image in the blurred image's values as the plane that is compared."""
        values = np.asarray(image, dtype=np.float64)
        return np.clip((values - self.black) / (self.white - self.black), 0, 1)


def cells(half: str, selection: str) -> list[Cell]:
    """Return the cells of a half, every combination or a selection of them.

    The small one has each scene and each kernel three times, each noise level four or five
    times, and no two of these together twice; and each noise level once without blur. About
    a third of the blurred images are clipped. The full one has every combination. That of JPEG
    has each photograph with three kernels and without blur, in two qualities each. The random one
    has views of these and of other photographs, and other fields, with everything drawn.
    """
    if selection == "random":
        return list(_random(half))
    if selection == "jpeg":
        photographs = [name for name in SCENES[half] if not is_simulated(name)]
        blurs = (*_COMPRESSED, (*SHARP, 0.0))
        return [
            Cell(half, name, *blur, quality=quality)
            for name in photographs
            for blur in blurs
            for quality in QUALITIES
        ]
    scenes = SCENES[half]
    n, m, levels = len(scenes), len(KERNELS), len(NOISE)
    if selection == "small":
        places = [(s, (3 * r - s) % m, (2 * s + r) % levels) for r in range(3) for s in range(n)]
        places += [(3 * level % n, m, level) for level in range(levels)]
    else:
        places = [(s, k, i) for s in range(n) for k in range(m + 1) for i in range(levels)]
    kernels = (*KERNELS, SHARP)
    return [
        Cell(half, scenes[s], *kernels[k], NOISE[i], k < m and (2 * s + k + 2 * i) % 3 == 0)
        for s, k, i in places
    ]


def _random(half: str) -> Iterator[Cell]:
    """Yield 56 cells: each scene as often as any other, another part of it each time."""
    rng = np.random.default_rng(_seed(half))
    kinds = [*["motion"] * 5, "disk", "gaussian", "airy", SHARP[0]]
    sides = {"motion": (7, 43), "disk": (5, 15), "gaussian": (7, 17), "airy": (11, 25)}
    names = _VIEWED[half].split()
    for name in names * (56 // len(names)):
        if name in SIMULATED:  # fields 1 and 2 are those of the other selections
            at = f"{name}_{rng.integers(3, 100) + 100 * (half == 'checking')}"
        else:
            at = view_of(name, rng.uniform(0.5, 1.3), rng.random(), rng.random())
        kind = str(rng.choice(kinds))
        size = 1
        if kind in sides:
            least, most = sides[kind]
            size = least + 2 * int(rng.integers((most - least) // 2 + 1))
        noise = float(rng.choice(NOISE))
        yield Cell(half, at, kind, size, noise, bool(rng.random() < 0.3) and size > 1)


def kernel(kind: str, size: int, seed: int = 0) -> Plane:
    """Return a kernel (size, size) summing to 1; `seed` chooses the path of a ``motion``."""
    if kind == "motion":
        k = _motion(size, np.random.default_rng(seed))
    else:
        q = (np.arange(_FINE * size) + 0.5) / _FINE - size / 2
        fine = _profile(kind, np.hypot(q[:, None], q), size)
        k = fine.reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))
    return np.asarray(k / k.sum())


def _profile(kind: str, r: Plane, size: int) -> Plane:
    """Return a kernel's values at distances `r` (pixels) from its centre."""
    if kind == "disk":
        return np.asarray(r <= size / 2 - 0.5, dtype=np.float64)
    if kind == "gaussian":
        return np.asarray(np.exp(-0.5 * (6.5 * r / size) ** 2))
    if kind == "airy":  # the support ends near the second dark ring
        u = 3.8317 * r * 4 / size
        return np.asarray((2 * j1(u) / u) ** 2)
    return np.ones_like(r)


def _motion(size: int, rng: np.random.Generator) -> Plane:
    """Return a `path` of which all lies on (size, size), drawn."""
    shaken = path(rng)
    shaken *= (size // 2 - 1.5) / np.abs(shaken).max()
    return blurred_path(shaken, size)


def path(rng: np.random.Generator) -> Plane:
    """Return the path (2, 2000) of a low-passed random velocity, its centroid in the middle."""
    velocity = gaussian_filter1d(rng.normal(size=(2, 4000)), 260, axis=1, mode="wrap")
    points = np.cumsum(velocity[:, :2000], axis=1)
    return np.asarray(points - points.mean(axis=1, keepdims=True))


def blurred_path(points: Plane, size: int) -> Plane:
    """Return points (2, N) around (0, 0) drawn on (size, size), by a pen of half a pixel."""
    return np.asarray(gaussian_filter(drawn(points + size / 2, size), 0.45, mode="constant"))


def make(cell: Cell) -> Truth:
    """Return the image of `cell` with its truth.

    The scene is larger than the image by the kernel's support, so that no border is invented.
    Photographs have Gaussian noise of a share of white. In microscopy photons and read noise
    have half of the variance each; its share is of the blurred image's range. A JPEG file is
    written last, as a camera does.
    """
    simulated, margin = is_simulated(cell.scene), cell.size // 2
    k = kernel(cell.kind, cell.size, _seed(cell.scene, cell.kind, cell.size))
    x = central(scene(cell.scene), SIDE + 2 * margin)
    y = np.maximum(fftconvolve(x, k, mode="valid"), 0) if cell.size > 1 else x
    gain = 1 / np.quantile(y, 1 - _CLIPPED) if cell.clipped else 1.0
    if simulated and not cell.clipped:
        gain = _EXPOSURE / y.max()
    sharp, y = gain * central(x, SIDE), gain * y
    span = float(np.ptp(np.minimum(y, 1))) if simulated else 1.0
    plain = replace(cell, quality=None)  # the same noise whatever is made of it
    y = _noisy(y, cell.noise / 100 * span, simulated, _seed(cell.scene, plain.blur))
    dtype, black = (np.uint16, _OFFSET) if simulated else (np.uint8, 0)
    top = np.iinfo(dtype).max
    blurred = np.clip(np.rint(black + y * (top - black)), 0, top).astype(dtype)
    if cell.quality is not None:
        blurred = _compressed(blurred, cell.quality)
    brightest = float(sharp.max()) if simulated else 1.0
    white = black + brightest * (top - black)
    return Truth(blurred, np.clip(sharp / brightest, 0, 1), k, black, white)


def _compressed(image: NDArray[Any], quality: int) -> NDArray[Any]:
    """Return an 8-bit image as it is read from a JPEG file of that quality."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _noisy(y: Plane, sigma: float, photons: bool, seed: int) -> Plane:
    """Return `y` with noise of the standard deviation `sigma`, half of the variance photons'."""
    rng = np.random.default_rng(seed)
    if sigma == 0 or not photons:
        return y + rng.normal(0, sigma, y.shape)
    per_unit = float(y.mean()) / (sigma**2 / 2)
    read = rng.normal(0, sigma / np.sqrt(2), y.shape)
    return np.asarray(rng.poisson(y * per_unit) / per_unit + read)


def _seed(*names: object) -> int:
    return crc32(" ".join(map(str, names)).encode())


CELLS = {
    (c.scene, c.blur): c
    for half in SCENES
    for name in ("full", "jpeg", "random")
    for c in cells(half, name)
}
"""Every cell by scene and blur."""
