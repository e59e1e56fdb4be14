"""Frozen dataclasses of settings, each field described by its kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.settings import Setting

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Base of frozen dataclasses whose fields `Setting.default` makes; checked when made."""

    def __post_init__(self) -> None:
        for name, kind in self.kinds().items():
            object.__setattr__(self, name, kind.check(name, getattr(self, name)))

    @classmethod
    def kinds(cls) -> dict[str, Setting]:
        """Return the description of each field, by name."""
        return {field.name: field.metadata["kind"] for field in dataclasses.fields(cls)}

    @classmethod
    def kind(cls, field: str) -> Setting:
        """Return the description of `field`.

        Raises
        ------
        ConfigError
            If there is no such field.
        """
        kinds = cls.kinds()
        if field not in kinds:
            raise ConfigError(
                f"unknown setting {field!r}; known: {', '.join(sorted(kinds))}", field=str(field)
            )
        return kinds[field]

    @classmethod
    def parse(cls, field: str, text: str) -> Any:
        """Return the value of `field` that `text` stands for.

        Raises
        ------
        ConfigError
            If there is no such field, or the text is no value of it.
        """
        return cls.kind(field).parse(field, text)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` made and checked.

        Raises
        ------
        ConfigError
            If a field is unknown or a value is not allowed.
        """
        for name in changes:
            self.kind(name)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {name: _listed(getattr(self, name)) for name in self.kinds()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described; fields that are not there have their defaults.

        Raises
        ------
        ConfigError
            If `values` is not a mapping of known fields to allowed values.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(
                f"settings are a mapping of names to values, got {type(values).__name__}"
            )
        return cls().replace(**{str(name): value for name, value in values.items()})


def _listed(value: Any) -> Any:
    """Return lists for tuples."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value
