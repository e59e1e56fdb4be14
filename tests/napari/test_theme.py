"""Colours that can be read."""

from __future__ import annotations

import pytest
from napari.utils.theme import get_theme

from napari_selfdeblur._napari.theme import CONTRAST, colours, contrast


def channels(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("use", ["info", "warning", "error", "link"])
def test_every_colour_can_be_read(theme: str, use: str) -> None:
    """The contrast with the theme's background is at least 4.5 to 1."""
    background = get_theme(theme).background.as_rgb_tuple(alpha=False)
    assert contrast(channels(getattr(colours(theme), use)), background) >= CONTRAST


def test_contrast_is_that_of_the_standard() -> None:
    """Black on white is 21 to 1, either way round; #767676 on white is the known 4.54 to 1."""
    black, white = (0, 0, 0), (255, 255, 255)
    assert contrast(black, white) == contrast(white, black) == pytest.approx(21)
    assert contrast(channels("#767676"), white) == pytest.approx(4.54, abs=0.005)


def test_colours_that_can_be_read_stay_the_theme_s() -> None:
    """A colour is changed no more than is needed."""
    assert colours("dark").warning == get_theme("dark").warning.as_hex(format="long")
