"""What is known of a stack before its first kernel: each plane is read once, one at a time."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.arrays import check_finite
from napari_selfdeblur.io.images import LUMA, Scale, little_endian, ranges
from napari_selfdeblur.io.repaired import Defects
from napari_selfdeblur.io.stacks import Position, Stack
from napari_selfdeblur.numerics.gaps import Gaps, find_gaps

__all__ = ["PlaneFacts", "StackSurvey", "structure_of"]

_SMOOTH = 2.0  # pixels: finer structure is mostly noise
_NOISE_PART = 1 / (4 * math.pi * _SMOOTH**4)  # of white noise's variance, in smoothed gradients
_MAD = 0.6745  # median of |z| of a normal distribution


@dataclass(frozen=True, slots=True)
class PlaneFacts:
    """What one plane's values say, in its own units; `extremes` with its defective pixels."""

    extremes: tuple[float, float]
    lowest: float
    highest: float
    median: float
    structure: float


@dataclass(slots=True)
class StackSurvey:
    """What the planes of a stack say together.

    Attributes
    ----------
    facts : dict of Position to PlaneFacts
        Of the planes that can be deblurred.
    problems : dict of Position to ImageError
        Why the others cannot.
    """

    stack: Stack
    facts: dict[Position, PlaneFacts] = field(default_factory=dict)
    problems: dict[Position, ImageError] = field(default_factory=dict)
    _hash: Any = field(default_factory=hashlib.sha256)

    def add(self, position: Position, plane: NDArray[Any]) -> None:
        """Add what one plane says; a plane that cannot be deblurred is a problem."""
        self._hash.update(little_endian(plane))
        try:
            nans, infinities = (int(found(plane).sum()) for found in (np.isnan, np.isinf))
            check_finite(nans, infinities, plane.size)
            whole = Defects.of(plane, colour=self.stack.rgb).repaired(plane)
            values = whole[..., :3] if self.stack.rgb else whole
            mask = find_gaps(values)
            gaps = Gaps.of([mask])
            clear = values if gaps is None else values[gaps.clear]
            values = values[~mask]
            lowest, highest = float(values.min()), float(values.max())
            if lowest == highest:
                raise ImageError(
                    f"is constant: all its values are {lowest:g}, so nothing shows the blur"
                )
            grey = clear @ LUMA if self.stack.rgb else clear.astype(np.float64)
            facts = PlaneFacts(
                (float(plane.min()), float(plane.max())),
                lowest,
                highest,
                float(np.median(values)),
                structure_of(grey),
            )
        except ImageError as error:
            self.problems[position] = error
        else:
            self.facts[position] = facts

    def scales(self) -> dict[int, Scale]:
        """Return one scale for all planes of each channel, by the channel's position.

        Intensities then stay comparable along time and depth.
        """
        channels: dict[int, list[PlaneFacts]] = {}
        for position, facts in self.facts.items():
            channels.setdefault(self.stack.channel(position), []).append(facts)
        return {
            channel: ranges(
                self.stack.data.dtype,
                (min(each.lowest for each in facts), max(each.highest for each in facts)),
                partial(np.median, [each.median for each in facts]),
            )
            for channel, facts in channels.items()
        }

    def most_structured(self, positions: list[Position]) -> Position:
        """Return the plane with most structure for its channel's range; none may be a problem."""
        scales = self.scales()

        def structure(position: Position) -> float:
            (low, high), *_ = scales[self.stack.channel(position)]
            return self.facts[position].structure / (high - low) ** 2

        return max(positions, key=structure)

    def describe(self) -> dict[str, Any]:
        """Return shape, axes, data type, extremes and fingerprint of the stack, JSON-ready.

        The fingerprint is that of `images.describe` for the chosen planes as one array.
        """
        lows, highs = ([f.extremes[end] for f in self.facts.values()] for end in (0, 1))
        return {
            "shape": list(self.stack.shape),
            "axes": self.stack.axes,
            "dtype": self.stack.data.dtype.name,
            "min": min(lows, default=None),
            "max": max(highs, default=None),
            "sha256": self._hash.hexdigest(),
        }


def structure_of(image: NDArray[np.floating]) -> float:
    """Return how much structure an image has beside noise: what a kernel can be estimated from.

    The mean squared gradient of the smoothed image, less the share of the noise, whose standard
    deviation is the median absolute diagonal difference of neighbours / 0.6745; less too by the
    share of pixels at the highest value, where the image is clipped.

    Parameters
    ----------
    image : ndarray of float, (H, W)
        Grey image in any units; finite.

    Returns
    -------
    float
        In squared units a pixel, >= 0.
    """
    if min(image.shape) < 2:
        return 0.0
    smooth = ndimage.gaussian_filter(image, _SMOOTH)
    gradients = sum(float((each**2).mean()) for each in np.gradient(smooth))
    diagonal = image[1:, 1:] - image[1:, :-1] - image[:-1, 1:] + image[:-1, :-1]
    sigma = float(np.median(np.abs(diagonal))) / _MAD / 2
    clipped = float((image == image.max()).mean())
    return max(gradients - _NOISE_PART * sigma**2, 0.0) * (1 - clipped)
