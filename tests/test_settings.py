"""Kinds of settings: what they accept, refuse, write and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.settings import (
    GROUPS,
    Choice,
    Choices,
    Device,
    Flag,
    Fractions,
    Integer,
    KernelSize,
    Number,
    Pair,
    Region,
    Setting,
)

ABOUT: dict[str, Any] = {"label": "Label", "help": "Help."}
INTEGER = Integer(**ABOUT, low=1, high=9)
NUMBER = Number(**ABOUT, low=0, high=1, above=True, words={"auto": "auto"})
CHOICE = Choice(**ABOUT, choices=("a", "b"), words={"none": None})
CHOICES = Choices(**ABOUT, choices=("a", "b"))
FLAG = Flag(**ABOUT)
KERNEL_SIZE = KernelSize(**ABOUT)
FRACTIONS = Fractions(**ABOUT)
DEVICE = Device(**ABOUT)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (INTEGER, np.int16(3), 3),
        (INTEGER, np.array(3), 3),
        (NUMBER, 1, 1.0),
        (NUMBER, np.float32(0.5), 0.5),
        (NUMBER, np.array(0.5), 0.5),
        (NUMBER, np.int64(1), 1.0),
        (NUMBER, "auto", "auto"),
        (CHOICE, "b", "b"),
        (CHOICE, np.str_("b"), "b"),
        (CHOICE, None, None),
        (CHOICE, "none", None),
        (CHOICE, np.str_("none"), None),
        (CHOICES, "a", ("a",)),
        (CHOICES, ["a", "b", "a"], ("a", "b", "a")),
        (FLAG, np.bool_(True), True),
        (KERNEL_SIZE, 21, (21, 21)),
        (KERNEL_SIZE, np.int64(21), (21, 21)),
        (KERNEL_SIZE, np.array([21, 17]), (21, 17)),
        (FRACTIONS, [0, 1], (0.0, 1.0)),
        (FRACTIONS, np.array([0.25, 0.5]), (0.25, 0.5)),
        (FRACTIONS, (), ()),
        (DEVICE, "cuda:1", "cuda:1"),
    ],
)
def test_allowed_values_are_kept_as_plain_python(kind: Setting, value: Any, kept: Any) -> None:
    """Allowed values, NumPy's among them, become Python's own, ready for JSON."""
    checked = kind.check("field", value)
    assert checked == kept
    assert json.loads(json.dumps(checked)) == (list(kept) if isinstance(kept, tuple) else kept)
    assert type(checked).__module__ == "builtins"


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (INTEGER, 0, "field must be a whole number of at least 1 and at most 9, got 0; try 1"),
        (INTEGER, 10, "got 10; try 9"),
        (INTEGER, 2.0, "got 2.0"),
        (INTEGER, True, "got True"),
        (INTEGER, np.True_, "field must be a whole number"),
        (NUMBER, 0, "field must be a number greater than 0 and at most 1 or auto, got 0"),
        (NUMBER, float("nan"), "got nan"),
        (NUMBER, float("inf"), "got inf"),
        (NUMBER, "0.5", "got '0.5'"),
        (NUMBER, "much", "got 'much'"),
        (NUMBER, True, "got True"),
        (NUMBER, np.array([0.5]), "field must be a number"),
        (NUMBER, 10**400, "field must be a number"),
        (NUMBER, None, "got None"),
        (CHOICE, "c", "field must be one of a, b or none, got 'c'"),
        (CHOICE, ["a"], "got ['a']"),
        (CHOICE, 1, "got 1"),
        (CHOICES, (), "field must be one or more of a, b, got ()"),
        (CHOICES, ("a", "c"), "got ('a', 'c')"),
        (CHOICES, 3, "got 3"),
        (FLAG, 1, "field must be true or false, got 1"),
        (FLAG, "true", "got 'true'"),
        (KERNEL_SIZE, 20, "field must be odd, got 20; try 21"),
        (KERNEL_SIZE, (21, 4), "field must be odd, got (21, 4); try 21x5"),
        (KERNEL_SIZE, 1, "of 3 to 999, or a pair of them, got 1; try 3"),
        (KERNEL_SIZE, 1001, "try 999"),
        (KERNEL_SIZE, 21.0, "got 21.0; try 21"),
        (KERNEL_SIZE, "big", "got 'big'; try 21"),
        (KERNEL_SIZE, (3, 3, 3), "got (3, 3, 3); try 21"),
        (KERNEL_SIZE, True, "got True"),
        (KERNEL_SIZE, np.array(21.0), "field must be an odd whole number"),
        (FRACTIONS, 0.5, "field must be numbers from 0 to 1, got 0.5"),
        (FRACTIONS, np.array(0.5), "field must be numbers from 0 to 1"),
        (FRACTIONS, (0.5, 2), "got (0.5, 2)"),
        (FRACTIONS, "0.5", "got '0.5'"),
        (DEVICE, "gpu", "field must be one of auto, cpu, cuda, mps or cuda:N, got 'gpu'"),
        (DEVICE, "cpu:1", "got 'cpu:1'"),
        (DEVICE, 0, "got 0"),
    ],
)
def test_other_values_are_refused(kind: Setting, value: Any, message: str) -> None:
    """A value that is not allowed is an error with field, value and rule."""
    with pytest.raises(ConfigError) as caught:
        kind.check("field", value)
    assert message in str(caught.value)
    assert caught.value.field == "field"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INTEGER, " 7 ", 7),
        (NUMBER, "1e-3", 0.001),
        (NUMBER, "auto", "auto"),
        (CHOICE, "none", None),
        (CHOICES, "a,b", ("a", "b")),
        (FLAG, "False", False),
        (KERNEL_SIZE, "21x17", (21, 17)),
        (KERNEL_SIZE, "21 \N{MULTIPLICATION SIGN} 17", (21, 17)),
        (FRACTIONS, "(0.5, 1)", (0.5, 1.0)),
        (FRACTIONS, "", ()),
    ],
)
def test_text_is_read(kind: Setting, text: str, value: Any) -> None:
    """What a person writes is read as the value it stands for."""
    assert kind.parse("field", text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (INTEGER, "7.5"),
        (INTEGER, ""),
        (NUMBER, "a lot"),
        (CHOICE, "c"),
        (CHOICES, "a,"),
        (FLAG, "yes"),
        (KERNEL_SIZE, "21x"),
        (KERNEL_SIZE, "-21"),
        (FRACTIONS, "0.5, x"),
    ],
)
def test_other_text_is_refused(kind: Setting, text: str) -> None:
    """Text that stands for no allowed value is refused like a value."""
    with pytest.raises(ConfigError, match="field must be"):
        kind.parse("field", text)


def values_of(kind: Setting) -> st.SearchStrategy[Any]:
    """Return a strategy of the values that `kind` allows."""
    own: dict[type[Setting], Any] = {
        Integer: lambda k: st.integers(k.low, k.high),
        Number: lambda k: st.floats(
            k.low, k.high, exclude_min=k.above,
            allow_infinity=False, allow_nan=False,
        ),
        Choice: lambda k: st.sampled_from(k.choices),
        Choices: lambda k: st.lists(st.sampled_from(k.choices), min_size=1).map(tuple),
        Flag: lambda k: st.booleans(),
        Pair: lambda k: st.tuples(*[st.integers(k.low, k.high)] * 2),
        KernelSize: lambda k: st.tuples(*[st.integers(1, 499).map(lambda n: 2 * n + 1)] * 2),
        Region: lambda k: st.tuples(*[st.tuples(st.integers(0, 99), st.integers(100, 200))] * 2),
        Fractions: lambda k: st.lists(st.floats(0, 1)).map(tuple),
        Device: lambda k: st.sampled_from([*k.choices, "cuda:0", "cuda:3"]),
    }  # fmt: skip
    strategy = own[type(kind)](kind)
    return strategy | st.sampled_from(list(kind.words.values())) if kind.words else strategy


FIELDS = [
    (settings, field)
    for settings in (SelfDeblurConfig, RestoreConfig)
    for field in settings.kinds()
]


@pytest.mark.parametrize(("settings", "field"), FIELDS)
@given(data=st.data())
def test_every_field_is_read_as_it_is_written(
    settings: type[Settings], field: str, data: st.DataObject
) -> None:
    """For each allowed value of each field, text and JSON lead back to exactly that value."""
    kind = settings.kind(field)
    value = kind.check(field, data.draw(values_of(kind)))
    assert settings.parse(field, kind.text(value)) == value
    assert kind.check(field, json.loads(json.dumps(value))) == value


@pytest.mark.parametrize(("settings", "field"), FIELDS)
def test_every_field_is_described(settings: type[Settings], field: str) -> None:
    """Each field has a label, a sentence of help, a group that is shown, and a rule in words."""
    kind = settings.kind(field)
    assert kind.label[0].isupper()
    assert kind.help.endswith(".")
    assert kind.group in GROUPS
    assert kind.allowed
    assert getattr(settings(), field) == kind.check(field, getattr(settings(), field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Settings):
    """Two fields, to test what all settings do."""

    steps: int = INTEGER.default(3)
    names: tuple[str, ...] = CHOICES.default(("a",))


def test_settings_are_checked_when_made_and_when_changed() -> None:
    """No settings exist with a value that is not allowed, whatever they were made by."""
    for make in (Example, Example().replace, lambda steps: Example.from_dict({"steps": steps})):
        with pytest.raises(ConfigError, match="steps must be") as caught:
            make(steps=0)
        assert caught.value.field == "steps"
    assert Example().replace(steps=np.int64(5)) == Example(steps=5)


def test_settings_survive_json() -> None:
    """`from_dict` of `to_dict` gives the same settings; fields left out have their defaults."""
    example = Example(steps=5, names=["b", "a"])
    assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example
    assert Example.from_dict({"steps": 5}) == Example(steps=5)


def test_unknown_fields_are_refused_with_the_known() -> None:
    """A misspelt field is an error that lists the fields, never ignored."""
    for use in (
        lambda: Example().replace(step=3),
        lambda: Example.from_dict({"step": 3}),
        lambda: Example.parse("step", "3"),
        lambda: Example.kind("step"),
    ):
        with pytest.raises(ConfigError, match="unknown setting 'step'; known: names, steps"):
            use()


@pytest.mark.parametrize("values", [None, [("steps", 3)], "steps"])
def test_settings_are_read_from_a_mapping_alone(values: Any) -> None:
    """Anything but a mapping is refused with a reason."""
    with pytest.raises(ConfigError, match="settings are a mapping of names to values"):
        Example.from_dict(values)
