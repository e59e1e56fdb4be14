"""Kinds of settings. A field's description is the only place that says what it may be.

Checks, files, the command line, napari's panels and the table in the docs are made from it.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
    "Pair",
    "Region",
    "Setting",
]

_LONGEST = 200  # characters of a value in a message

GROUPS = {
    "main": "Main",
    "result": "Result",
    "schedule": "Schedule",
    "networks": "Networks",
    "computing": "Computing",
}
"""Groups of settings, and their titles, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(ABC):
    """What one field may hold. A kind says how its values are checked, read, written and named.

    `words` are values beside the kind's own, by the text that stands for each:
    ``{"auto": "auto"}``, ``{"none": None}``.
    """

    label: str  # its name for people
    help: str  # what it does, in a sentence or two
    group: str = "main"  # a key of `GROUPS`
    unit: str = ""  # of the value, empty without one
    words: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def default(self, value: Any) -> Any:
        """Return a field of `Settings` that this describes, with its default."""
        return dataclasses.field(default=value, metadata={"kind": self})

    def check(self, field: str, value: Any) -> Any:
        """Return `value`, or what a word stands for, as it is kept.

        Raises
        ------
        ConfigError
            If it is not allowed, with `field` and the rule.
        """
        plain = _plain(value)
        if isinstance(plain, str) and plain in self.words:
            return self.words[plain]
        if self._word(plain) is not None:
            return plain
        try:
            return self._own(plain)
        except ValueError as error:
            near = self._near(plain)
            hint = "" if near is None else f"; try {self._write(near)}"
            rule = str(error) or self.allowed
            shown = _shortened(value)
            raise ConfigError(f"{field} must be {rule}, got {shown}{hint}", field=field) from None

    def parse(self, field: str, text: str) -> Any:
        """Return the value that `text` stands for, checked as by `check`."""
        text = text.strip()
        return self.check(field, text if text in self.words else self._read(text))

    def text(self, value: Any) -> str:
        """Return the text that `parse` reads as `value`."""
        word = self._word(value)
        return self._write(value) if word is None else word

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        return " or ".join([self._rule(), *self.words])

    def _word(self, value: Any) -> str | None:
        """Return the word that stands for `value`."""
        # By type too: 1 is not the True that a word may stand for.
        alike = (w for w, v in self.words.items() if (type(v), v) == (type(value), value))
        return next(alike, None)

    @abstractmethod
    def _own(self, value: Any) -> Any:
        """Return a value of Python's own types as it is kept, or raise ValueError with the rule."""

    def _near(self, value: Any) -> Any:
        """Return an allowed value near one that was refused, None where there is none to name."""
        return None

    def _read(self, text: str) -> Any:
        return _number(text)

    def _write(self, value: Any) -> str:
        return str(value)

    @abstractmethod
    def _rule(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Setting):
    """A whole number from `low` to `high`."""

    low: int = 0
    high: int = 2**31 - 1
    step: int = 1

    def _own(self, value: Any) -> int:
        if not _is_whole(value) or not self.low <= value <= self.high:
            raise ValueError
        return int(value)

    def _near(self, value: Any) -> int:
        return min(max(value, self.low), self.high) if _is_whole(value) else self.low

    def _rule(self) -> str:
        most = f" and at most {self.high}" if self.high < 2**31 - 1 else ""
        return f"a whole number of at least {self.low}{most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Setting):
    """A finite number from `low` (itself not, where `above`) to `high`."""

    low: float = 0.0
    high: float = sys.float_info.max
    above: bool = False
    step: float | None = None

    def _own(self, value: Any) -> float:
        inside = _is_real(value) and self.low <= value <= self.high
        if not inside or (self.above and value == self.low):
            raise ValueError
        return float(value)

    def _write(self, value: Any) -> str:
        return _number_text(value)

    def _rule(self) -> str:
        least = f"greater than {self.low:g}" if self.above else f"at least {self.low:g}"
        most = f" and at most {self.high:g}" if self.high < sys.float_info.max else ""
        return f"a number {least}{most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Setting):
    """One of some names."""

    choices: tuple[str, ...] = ()

    def _own(self, value: Any) -> str:
        if value not in self.choices:
            raise ValueError
        return str(value)

    def _rule(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices(Setting):
    """One or more of some names, in order; a name may come again."""

    choices: tuple[str, ...] = ()

    def _own(self, value: Any) -> tuple[str, ...]:
        names = value if isinstance(value, tuple) else (value,)
        if not names or any(name not in self.choices for name in names):
            raise ValueError
        return names

    def _read(self, text: str) -> Any:
        return tuple(name.strip() for name in text.split(","))

    def _write(self, value: Any) -> str:
        return ", ".join(value)

    def _rule(self) -> str:
        return f"one or more of {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Setting):
    """True or false."""

    def _own(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def _read(self, text: str) -> Any:
        return {"true": True, "false": False}.get(text.lower(), text)

    def _write(self, value: Any) -> str:
        return str(value).lower()

    def _rule(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Setting):
    """Two whole numbers, rows and columns, from `low` to `high`; one number means both."""

    low: int = 1
    high: int = 2**31 - 1

    def _own(self, value: Any) -> tuple[int, int]:
        sides = self._pair(value)
        if not self.low <= min(sides) <= max(sides) <= self.high:
            raise ValueError
        return sides

    def _near(self, value: Any) -> tuple[int, int]:
        try:
            rows, columns = (min(max(side, self.low), self.high) for side in self._pair(value))
        except ValueError:
            return (self.low, self.low)
        return rows, columns

    def _pair(self, value: Any) -> tuple[int, int]:
        sides = value if isinstance(value, tuple) else (value, value)
        if len(sides) != 2 or not all(_is_whole(side) for side in sides):
            raise ValueError
        return sides

    def _read(self, text: str) -> Any:
        sides = text.lower().replace("\N{MULTIPLICATION SIGN}", "x").split("x")
        numbers = tuple(_number(side) for side in sides)
        return numbers[0] if len(numbers) == 1 else numbers

    def _write(self, value: Any) -> str:
        return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"

    def _rule(self) -> str:
        return f"a whole number of {self.low} to {self.high}, or a pair of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSize(Pair):
    """Rows and columns of the kernel, odd, from `low` to `high`; one number means a square."""

    low: int = 3
    high: int = 999

    def _own(self, value: Any) -> tuple[int, int]:
        sides = Pair._own(self, value)
        if not all(side % 2 for side in sides):
            raise ValueError("odd")
        return sides

    def _near(self, value: Any) -> tuple[int, int]:
        try:
            rows, columns = (min(max(side | 1, self.low), self.high) for side in self._pair(value))
        except ValueError:
            return (21, 21)
        return rows, columns

    def _rule(self) -> str:
        return f"an odd whole number of {self.low} to {self.high}, or a pair of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Setting):
    """Rows and columns ``Y0:Y1,X0:X1``, ends excluded, kept as ((y0, y1), (x0, x1))."""

    def _own(self, value: Any) -> tuple[tuple[int, int], ...]:
        pairs = value if isinstance(value, tuple) else ()
        if len(pairs) != 2 or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise ValueError
        if not all(_is_whole(end) for pair in pairs for end in pair):
            raise ValueError
        if not all(0 <= start < end for start, end in pairs):
            raise ValueError
        return pairs

    def _near(self, value: Any) -> tuple[tuple[int, int], ...]:
        return ((0, 512), (0, 512))

    def _read(self, text: str) -> Any:
        pairs = [part.split(":") for part in text.replace(" ", "").split(",")]
        return tuple(tuple(_number(end) for end in pair) for pair in pairs)

    def _write(self, value: Any) -> str:
        return ",".join(f"{start}:{end}" for start, end in value)

    def _rule(self) -> str:
        return "rows and columns Y0:Y1,X0:X1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions(Setting):
    """Numbers in [0, 1], any number of them."""

    def _own(self, value: Any) -> tuple[float, ...]:
        if not isinstance(value, tuple) or not all(_is_real(x) and 0 <= x <= 1 for x in value):
            raise ValueError
        return tuple(float(x) for x in value)

    def _read(self, text: str) -> Any:
        return tuple(_number(part) for part in text.strip("()[]").split(",") if part.strip())

    def _write(self, value: Any) -> str:
        return ", ".join(_number_text(each) for each in value)

    def _rule(self) -> str:
        return "numbers from 0 to 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Choice):
    """Where to compute; which devices there are is known only once torch is loaded."""

    choices: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")

    def _own(self, value: Any) -> str:
        numbered = isinstance(value, str) and re.fullmatch(r"cuda:[0-9]+", value)
        return str(value) if numbered else Choice._own(self, value)

    def _rule(self) -> str:
        return f"{Choice._rule(self)} or cuda:N"


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's, and lists and arrays as tuples."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return tuple(_plain(each) for each in plain) if isinstance(plain, list | tuple) else plain


def _shortened(value: Any) -> str:
    """Return the value as Python writes it, of a long one the beginning."""
    try:
        text = repr(value)
    except ValueError:  # a number of more than some thousand digits
        return "a number that is too large"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _number(text: str) -> float | str:
    """Return the number that `text` is, whole where it can be; the text itself where it is none."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _number_text(value: float) -> str:
    """Return the shortest text that is read as exactly this number."""
    return repr(value).removesuffix(".0")
