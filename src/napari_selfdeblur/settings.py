"""Kinds of settings. A field's description is the only place that says what it may be.

Checks, files, the command line, napari's panels and the table in the docs are made from it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, Self

from napari_selfdeblur.errors import ConfigError

__all__ = [
    "GROUPS",
    "Choice",
    "Choices",
    "Device",
    "Flag",
    "Fractions",
    "Integer",
    "KernelSize",
    "Number",
    "Setting",
    "Settings",
    "setting",
]

GROUPS = {
    "main": "Main",
    "result": "Result",
    "schedule": "Schedule",
    "networks": "Networks",
    "computing": "Computing",
}
"""Groups of settings, and their titles, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one field may hold.

    Attributes
    ----------
    label : str
        Its name for people.
    help : str
        What it does, in a sentence or two.
    group : str
        A key of `GROUPS`.
    unit : str
        Unit of the value, empty without one.
    words : dict
        Values beside the kind's own, by the text that stands for each: ``{"auto": "auto"}``,
        ``{"none": None}``.
    """

    label: str
    help: str
    group: str = "main"
    unit: str = ""
    words: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check(self, field: str, value: Any) -> Any:
        """Return `value` in the form in which it is kept.

        Raises
        ------
        ConfigError
            If it is not allowed; `field` of the error is the name given here.
        """
        if any(
            value is word or (isinstance(value, str) and value == word)
            for word in self.words.values()
        ):
            return value
        return self._own(field, value)

    def parse(self, field: str, text: str) -> Any:
        """Return the value that `text` stands for, checked."""
        if text.strip() in self.words:
            return self.words[text.strip()]
        return self.check(field, self._read(text.strip()))

    def text(self, value: Any) -> str:
        """Return the text that `parse` reads as `value`."""
        for word, meaning in self.words.items():
            if value is meaning or (isinstance(value, str) and value == meaning):
                return word
        return self._write(value)

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        return " or ".join([self._rule(), *self.words])

    def _own(self, field: str, value: Any) -> Any:
        raise NotImplementedError

    def _read(self, text: str) -> Any:
        return text

    def _write(self, value: Any) -> str:
        return str(value)

    def _rule(self) -> str:
        raise NotImplementedError

    def _refused(self, field: str, value: Any, hint: str = "") -> ConfigError:
        remedy = f"; {hint}" if hint else ""
        return ConfigError(f"{field} must be {self.allowed}, got {value!r}{remedy}", field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Setting):
    """A whole number from `low` to `high`."""

    low: int = 0
    high: int = 2**31 - 1
    step: int = 1

    def _own(self, field: str, value: Any) -> int:
        number = _whole(value)
        if number is None or not self.low <= number <= self.high:
            near = self.low if number is None else min(max(number, self.low), self.high)
            raise self._refused(field, value, f"try {near}")
        return number

    def _read(self, text: str) -> Any:
        try:
            return int(text)
        except ValueError:
            return text

    def _rule(self) -> str:
        return f"a whole number of at least {self.low}" + (
            f" and at most {self.high}" if self.high < 2**31 - 1 else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Setting):
    """A finite number from `low` (itself not, where `above`) to `high`."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    step: float | None = None

    def _own(self, field: str, value: Any) -> float:
        number = _real(value)
        inside = number is not None and math.isfinite(number) and self.low <= number <= self.high
        if number is None or not inside or (self.above and number == self.low):
            raise self._refused(field, value)
        return number

    def _read(self, text: str) -> Any:
        return _number_or_text(text)

    def _write(self, value: Any) -> str:
        return _number_text(value)

    def _rule(self) -> str:
        lower = f"greater than {self.low:g}" if self.above else f"at least {self.low:g}"
        return f"a number {lower}" + (f" and at most {self.high:g}" if self.high < math.inf else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Setting):
    """One of some names."""

    choices: tuple[str, ...] = ()

    def _own(self, field: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise self._refused(field, value)
        return str(value)

    def _rule(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices(Setting):
    """One or more of some names, in order; a name may come again."""

    choices: tuple[str, ...] = ()

    def _own(self, field: str, value: Any) -> tuple[str, ...]:
        names = (value,) if isinstance(value, str) else _items(value)
        if not names:
            raise self._refused(field, value)
        if any(not isinstance(name, str) or name not in self.choices for name in names):
            raise self._refused(field, value)
        return tuple(names)

    def _read(self, text: str) -> Any:
        return tuple(name.strip() for name in text.split(","))

    def _write(self, value: Any) -> str:
        return ", ".join(value)

    def _rule(self) -> str:
        return f"one or more of {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Setting):
    """True or false."""

    def _own(self, field: str, value: Any) -> bool:
        # NumPy's bool has an item() that is Python's.
        plain = value.item() if type(value).__module__ == "numpy" else value
        if not isinstance(plain, bool):
            raise self._refused(field, value)
        return plain

    def _read(self, text: str) -> Any:
        return {"true": True, "false": False}.get(text.lower(), text)

    def _write(self, value: Any) -> str:
        return "true" if value else "false"

    def _rule(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSize(Setting):
    """Rows and columns of the kernel, odd, from `low` to `high`; one number means a square."""

    low: int = 3
    high: int = 999

    def _own(self, field: str, value: Any) -> tuple[int, int]:
        pair = _items(value) or (value,) * 2
        sides = [_whole(side) for side in pair]
        if len(sides) != 2 or None in sides:
            raise self._refused(field, value, "try 21")
        for side in sides:
            assert side is not None
            if not self.low <= side <= self.high:
                raise self._refused(field, value, f"try {min(max(side, self.low), self.high)}")
            if side % 2 == 0:
                raise ConfigError(f"{field} must be odd, got {side}; try {side + 1}", field=field)
        return (sides[0], sides[1])  # type: ignore[return-value]

    def _read(self, text: str) -> Any:
        sides = text.lower().replace("\N{MULTIPLICATION SIGN}", "x").split("x")
        numbers = [int(side) if side.strip().isdecimal() else side for side in sides]
        return numbers[0] if len(numbers) == 1 else tuple(numbers)

    def _write(self, value: Any) -> str:
        return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"

    def _rule(self) -> str:
        return f"an odd whole number of {self.low} to {self.high}, or a pair of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions(Setting):
    """Numbers in [0, 1], any number of them."""

    def _own(self, field: str, value: Any) -> tuple[float, ...]:
        items = _items(value)
        numbers = [None] if items is None else [_real(each) for each in items]
        if any(number is None or not 0 <= number <= 1 for number in numbers):
            raise self._refused(field, value, "try (0.4, 0.6, 0.8)")
        return tuple(number for number in numbers if number is not None)

    def _read(self, text: str) -> Any:
        return tuple(
            _number_or_text(part) for part in text.strip("()[]").split(",") if part.strip()
        )

    def _write(self, value: Any) -> str:
        return ", ".join(_number_text(each) for each in value)

    def _rule(self) -> str:
        return "numbers from 0 to 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Setting):
    """Where to compute; which devices there are is known only once torch is loaded."""

    choices: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")

    def _own(self, field: str, value: Any) -> str:
        kind, _, number = value.partition(":") if isinstance(value, str) else ("", "", "")
        if kind not in self.choices or (number and not (kind == "cuda" and number.isdecimal())):
            raise self._refused(field, value, "try 'auto'")
        return str(value)

    def _rule(self) -> str:
        return f"one of {', '.join(self.choices)} or cuda:N"


def setting(default: Any, kind: Setting) -> Any:
    """Return the dataclass field of `Settings` that `kind` describes."""
    return dataclasses.field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Base of frozen dataclasses whose fields are made by `setting`; checked when made."""

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
        values = {name: getattr(self, name) for name in self.kinds()}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

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


def _whole(value: Any) -> int | None:
    """Return a whole number, Python's or NumPy's, as Python's; None for anything else."""
    if isinstance(value, bool) or "bool" in type(value).__name__:
        return None
    try:
        return index(value)
    except TypeError:
        return None


def _real(value: Any) -> float | None:
    """Return a real number, Python's or NumPy's, as a float; None for anything else."""
    if isinstance(value, bool | str | bytes) or "bool" in type(value).__name__:
        return None
    if not hasattr(value, "__float__") or getattr(value, "shape", ()) != ():
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _items(value: Any) -> tuple[Any, ...] | None:
    """Return the items of a list, tuple or array; None for anything else."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0:  # an array of NumPy's
        return tuple(value)
    return None


def _number_text(value: float) -> str:
    """Return the shortest text that is read as exactly this number."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
