"""Plain values: what JSON can hold, and dataclasses whose fields are checked when made."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from napari_selfdeblur.errors import DeblurError

__all__ = ["Checked", "Described", "json_ready"]


class Checked:
    """Base of dataclasses that hold values of the annotated types and no others.

    Raises
    ------
    DeblurError
        If a field's value has another type; the message names the field.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, hint in _hints(cls).items():
            value = getattr(self, name)
            if not _conforms(value, hint):
                options = get_args(hint) if get_origin(hint) is Literal else ()
                rule = f"one of {', '.join(options)}" if options else _words(hint)
                raise DeblurError(f"{name} of a record must be {rule}, got {value!r:.100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described(Checked):
    """Base of those that are written as a JSON object with a name for each field."""

    _what: ClassVar[str] = "record"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values; a number that is not finite becomes None."""
        values: dict[str, Any] = json_ready(dataclasses.asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that `to_dict` described.

        Raises
        ------
        DeblurError
            If fields are missing, unknown, or of the wrong type.
        ConfigError
            If the settings inside are not valid.
        """
        if not isinstance(values, Mapping):
            raise DeblurError(f"not a {cls._what}: a JSON object is expected")
        parameters = inspect.signature(cls).parameters.values()
        required = {p.name for p in parameters if p.default is p.empty}
        if missing := required - set(values):
            raise DeblurError(f"not a {cls._what}: {', '.join(sorted(missing))} missing")
        if unknown := set(values) - {p.name for p in parameters}:
            names = ", ".join(sorted(map(str, unknown)))
            raise DeblurError(f"not a {cls._what} of this version: unknown field {names}")
        try:
            return cls(**cls._read(dict(values)))
        except (TypeError, AttributeError, KeyError, OverflowError) as error:
            raise DeblurError(f"not a {cls._what}: a field has the wrong type ({error})") from error

    @classmethod
    def _read(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return JSON values as the fields' own types."""
        return values

    def to_json(self) -> str:
        """Return the record as strict JSON (no NaN, no infinity), UTF-8, ending in a newline."""
        values = self.to_dict()
        losses = json.dumps(values.get("losses"), allow_nan=False)
        # One line for the thousands of losses keeps the rest readable.
        short = values | {"losses": 0} if "losses" in values else values
        text = json.dumps(short, allow_nan=False, ensure_ascii=False, indent=2)
        return text.replace('\n  "losses": 0', f'\n  "losses": {losses}', 1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record that `to_json` wrote.

        Raises
        ------
        DeblurError
            If `text` is not JSON, or not a record.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DeblurError(f"not a {cls._what}: {error}") from error
        return cls.from_dict(values)


def json_ready(value: Any) -> Any:
    """Return `value` with lists for tuples, Python numbers for numpy's, None for NaN and inf.

    In texts, what no UTF-8 file can hold (parts of file names in another encoding) becomes "?".
    """
    if isinstance(value, Mapping):
        return {json_ready(str(key)): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _conforms(value: Any, hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in args
    if origin in (Union, UnionType):
        return any(_conforms(value, each) for each in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_conforms(each, args[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_conforms(each, args[1]) for each in value.values())
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int | float if hint is float else hint)


def _words(hint: Any) -> str:
    args = get_args(hint)
    if get_origin(hint) is tuple:
        return f"a list of which each is {_words(args[0])}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_words(each) for each in args)
    if get_origin(hint) is dict:
        return "an object" if args[1] is Any else f"an object of which each is {_words(args[1])}"
    names = {str: "a text", float: "a number", int: "a whole number", type(None): "null"}
    return names.get(hint, f"a {getattr(hint, '__name__', hint)}")
