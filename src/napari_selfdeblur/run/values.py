"""Plain values: what JSON can hold, and dataclasses whose fields are checked when made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_selfdeblur.errors import DeblurError

__all__ = ["Checked", "json_ready"]


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
