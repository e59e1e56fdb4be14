"""What holds of all of a frame, and of each tile: its noise, and where it is clipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.io.frames import Frame, blocks
from napari_selfdeblur.numerics.clipping import clip_level
from napari_selfdeblur.numerics.compression import sampled_compression
from napari_selfdeblur.numerics.noise import sampled_sigma
from napari_selfdeblur.numerics.regions import Structure
from napari_selfdeblur.numerics.tiles import Part, Window, whole

__all__ = ["Survey"]

_FAR_MORE = 4  # times the luma's structure: in photographs a channel has up to twice as much
_SMALLEST_MEASURED = 8  # pixels: the side of a DCT block
_FRACTIONS = 2  # span of values up to which they are fractions of white, not levels
_EIGHT_BITS = 512  # span of values that a JPEG file can have, with the room left for brighter ones


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A frame with what holds of all of it, and of each tile.

    Attributes
    ----------
    frame : Frame
        The blurred image.
    sigma : float
        Its noise standard deviation, in the units of ``frame.y``, the error of a compression
        included.
    level : float or None
        Where ``frame.y`` is clipped above; None where it is not.
    compression : float
        Standard deviation of the error that JPEG has left; 0 where there is none.
    """

    frame: Frame
    sigma: float
    level: float | None
    compression: float

    @classmethod
    def of(cls, frame: Frame, compression: float | None = None) -> Survey:
        """Return the frame measured where it has no gaps: block by block, its noise on a sample.

        `compression` is what JPEG has left, where that is known.
        """
        clear = frame.clear
        level = clip_level(clear.read(window) for window in blocks(clear.shape))
        measurable = min(clear.shape) >= _SMALLEST_MEASURED
        sigma = sampled_sigma(clear.read, clear.shape, level) if measurable else 0.0
        if compression is None:
            compression = _compression(frame, clear)
        return cls(frame, math.hypot(sigma, compression), level, compression)

    @property
    def channels(self) -> list[Survey]:
        """R, G and B of a colour frame, each measured; JPEG compresses luma and chroma.

        So what it has left is that of the luma in each.
        """
        return [Survey.of(channel, self.compression) for channel in self.frame.channels]

    def structure(self) -> Structure:
        """Return what there is to see in the frame."""
        frame = self.frame
        gaps = None if frame.gaps is None else frame.gaps.within
        return Structure.of(
            frame.plane, frame.shape, self.sigma, self.level, gaps=gaps, inside=frame.clear.window
        )

    def with_most_structure(self) -> Survey:
        """Return the luma of a colour frame, or the channel that shows far more of the blur.

        The luma has less noise than a channel and gives kernels as good. It shows nothing of an
        image whose channels change against each other.
        """
        surveys = [self, *self.channels]
        scores = [each.structure().score(whole(self.frame.shape)) for each in surveys]
        best = int(np.argmax(scores))
        return surveys[best] if scores[best] > _FAR_MORE * scores[0] else self

    def clipped(self, y: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Return where a part `y` of the frame is clipped; None where the frame is not."""
        return None if self.level is None else np.asarray(y >= self.level)

    @property
    def share_clipped(self) -> float:
        """Share of the frame's pixels that are clipped."""
        if self.level is None:
            return 0.0
        count = sum(int((self.frame.plane(w) >= self.level).sum()) for w in self.frame.blocks)
        return count / (self.frame.shape[0] * self.frame.shape[1])


def _compression(frame: Frame, clear: Part) -> float:
    """Return the error that JPEG has left in a frame, in the units of ``frame.y``."""
    low, high = frame.value_range
    levels = high - low if high - low > _FRACTIONS else 255 * (high - low)
    if levels > _EIGHT_BITS:
        return 0.0

    def read(window: Window) -> NDArray[np.float32]:
        return clear.read(window) * np.float32(levels)

    return sampled_compression(read, clear.shape) / levels
