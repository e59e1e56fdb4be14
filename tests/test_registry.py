"""Names lead to code."""

from __future__ import annotations

import pytest

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

REGISTRIES = {
    "solvers": registry.SOLVERS,
    "image_generator": registry.IMAGE_GENERATORS,
    "kernel_generator": registry.KERNEL_GENERATORS,
    "restoration": registry.RESTORATIONS,
}
NAMES = [(field, name) for field, entries in REGISTRIES.items() for name in entries]


@pytest.mark.parametrize(("field", "name"), NAMES)
def test_every_name_leads_somewhere(field: str, name: str) -> None:
    """Each registered path names something that can be called, and says what it is."""
    assert callable(registry.load(name, REGISTRIES[field]))
    assert REGISTRIES[field][name].title


@pytest.mark.parametrize(("field", "name"), NAMES)
def test_every_name_can_be_set(field: str, name: str) -> None:
    """Each registered name is an allowed value of its setting."""
    value = getattr(SelfDeblurConfig().replace(**{field: name}), field)
    assert value in (name, (name,))


def test_unknown_name_lists_the_known() -> None:
    """An unknown name is an error that lists what there is."""
    with pytest.raises(ConfigError, match="unknown name 'x'; known: edges, joint, alternating"):
        registry.load("x", registry.SOLVERS)
