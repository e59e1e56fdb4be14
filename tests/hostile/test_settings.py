"""Settings of any value, from JSON and from the command line: settings, or our own error."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_selfdeblur.cli import main
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import ConfigError
from tests.hostile.json_values import JSON

CLASSES = [SelfDeblurConfig, RestoreConfig]
FIELDS = [(kind, field) for kind in CLASSES for field in kind.kinds()]
# Values that are nearly allowed find more than arbitrary ones.
NEARLY = st.one_of(
    st.sampled_from(["auto", "none", "cpu", "cuda:0", "edges", "joint", "mse", "True", "1", "nan"]),
    st.sampled_from([0, -1, 1, 2, 3, 0.5, 1.0, 1e400, 10**400, 2**63, True, None]),
    st.lists(st.sampled_from([0, 1, 3, 5, 0.5, -1, 1e9, "edges", "joint", None]), max_size=3),
)


@settings(max_examples=300)
@given(where=st.sampled_from(FIELDS), value=JSON | NEARLY)
@example(where=(SelfDeblurConfig, "kernel_size"), value=[3, 5, 7])
@example(where=(SelfDeblurConfig, "seed"), value=10**5000)
@example(where=(SelfDeblurConfig, "iterations"), value="9" * 10**5)
@example(where=(SelfDeblurConfig, "solvers"), value=[["edges"]])
@example(where=(SelfDeblurConfig, "solvers"), value=[{}])
def test_any_value_of_a_field(where: tuple[type[Settings], str], value: Any) -> None:
    """A value is kept and written back as JSON, or refused in a few lines that name the field."""
    kind, field = where
    try:
        made = kind.from_dict({field: value})
    except ConfigError as error:
        message, at = str(error), error.field
    else:
        assert kind.from_dict(json.loads(json.dumps(made.to_dict()))) == made
        return
    assert at == field
    assert field in message or kind is RestoreConfig
    assert len(message) < 1000
    assert "unpack" not in message


@settings(max_examples=100)
@given(values=JSON | st.dictionaries(st.sampled_from([f for _, f in FIELDS]), JSON | NEARLY))
@example(values=[["seed", 3]])
@example(values="seed")
@example(values={"seed": 1, "": 2})
@example(values={"optimiser": {"a": 1}})
@example(values={"optimiser": [1], "draft_first": "x"})
def test_any_json_as_settings(values: Any) -> None:
    """Whatever a record holds in place of its settings gives settings or our error."""
    for kind in CLASSES:
        try:
            made = kind.from_dict(values)
        except ConfigError as error:
            message = str(error)
        else:
            message = json.dumps(made.to_dict())
        assert 0 < len(message) < 3000


@settings(max_examples=300)
@given(
    where=st.sampled_from(FIELDS), text=st.text(max_size=20) | NEARLY.map(lambda v: f"{v!s:.99}")
)
@example(where=(SelfDeblurConfig, "kernel_size"), text="x")
@example(where=(SelfDeblurConfig, "kernel_size"), text="3x5x7")
@example(where=(SelfDeblurConfig, "seed"), text="1" * 5000)
@example(where=(SelfDeblurConfig, "lr_milestones"), text="([,]")
@example(where=(SelfDeblurConfig, "solvers"), text=",")
def test_any_text_as_a_setting(where: tuple[type[Settings], str], text: str) -> None:
    """What the command line gives as ``--set FIELD=TEXT`` is read, or refused by the field."""
    kind, field = where
    try:
        value = kind.parse(field, text)
    except ConfigError as error:
        assert error.field == field  # noqa: PT017
        return
    made = kind.parse(field, kind.kind(field).text(value))
    assert made == value


@pytest.mark.parametrize(
    "assignment",
    ["", "=", "seed", "seed=", "seed=x", "=3", "sed=3", "kernel_size=4", "lr_image=nan", "\n=\0"],
)
def test_the_command_line_refuses_a_setting(
    assignment: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong ``--set`` is one line on standard error and status 2, before anything is read."""
    status = main(["run", "missing.tif", "-o", str(tmp_path), "--set", assignment])
    shown = capsys.readouterr()
    assert status == 2
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert "missing.tif" not in shown.err


@pytest.mark.parametrize("value", [np.arange(3), np.array(21), np.float64(21), np.array([21, 13])])
def test_numpy_values(value: Any) -> None:
    """NumPy's numbers and arrays are taken as the numbers that they are."""
    if np.size(value) == 3 or isinstance(value, np.floating):
        with pytest.raises(ConfigError, match="kernel_size must be an odd whole number"):
            SelfDeblurConfig(kernel_size=value)
    else:
        sides = SelfDeblurConfig(kernel_size=value).sides
        assert sides == (21, 13 if np.size(value) == 2 else 21)
