"""Colours that can be read on napari's panels, in whatever theme."""

from __future__ import annotations

from dataclasses import dataclass

from napari.utils.theme import get_theme

CONTRAST = 4.5
"""Least contrast of text against its background (WCAG 2.1, level AA)."""

_RGB = tuple[float, float, float]
_STEPS = 20


@dataclass(frozen=True, slots=True)
class Colours:
    """Text colours as ``#rrggbb``, each readable on the theme's panels."""

    info: str
    warning: str
    error: str
    link: str


def colours(theme: str) -> Colours:
    """Return the readable colours of the theme with this id."""
    known = get_theme(theme)
    background, text = _rgb(known.background), _rgb(known.text)

    def readable(colour: _RGB) -> str:
        """Mix `colour` with the theme's text until it can be read."""
        for step in range(_STEPS + 1):
            share = step / _STEPS
            mixed = tuple(round(c + share * (t - c)) for c, t in zip(colour, text, strict=True))
            if contrast(mixed, background) >= CONTRAST:
                break
        return "#{:02x}{:02x}{:02x}".format(*mixed)

    return Colours(
        info=readable(text),
        warning=readable(_rgb(known.warning)),
        error=readable(_rgb(known.error)),
        link=readable(_rgb(known.current)),
    )


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast ratio of two colours with channels in [0, 255] (WCAG 2.1)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    unit = [channel / 255 for channel in colour]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in unit]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: object) -> _RGB:
    """Return the channels of one of the theme's colours, which pydantic wraps."""
    red, green, blue = colour.as_rgb_tuple(alpha=False)  # type: ignore[attr-defined]
    return float(red), float(green), float(blue)
