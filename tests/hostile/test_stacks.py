"""Stacks of any shape, axes, planes and kernels: every plane done, or our own error at the call."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import napari_selfdeblur as sd
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, DeblurWarning
from napari_selfdeblur.io.stacks import Stack
from tests.hostile.json_values import JSON

ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text(max_size=4),
    st.sampled_from([10**400, slice(None), slice(0, 0), slice("a"), b"T", object(), [[]], {}]),
    st.lists(st.integers(-3, 3), max_size=3),
    hnp.arrays(st.sampled_from([np.int64, np.float64, np.bool_]), hnp.array_shapes(max_side=3)),
)  # fmt: skip
LETTERS = st.sampled_from(["T", "C", "Z", "Y", "X", "S", "t", "TC", "", "1"])
PLACES = st.dictionaries(LETTERS, ANY, max_size=3) | ANY
AXES = st.text("TCZYXSQtcyx1 ", max_size=6) | st.sampled_from(["TYX", "ZYX", "TCYX", "TYXS"]) | ANY
RECORD = sd.StackRecord(
    config=SelfDeblurConfig(), device="CPU", seconds=1.0, status="finished",
    image={"shape": [2, 9, 9]}, axes="TYX", kernels="one",
    planes=({"index": {"T": 0}, "state": "restored", "estimate": 0, "reason": ""},),
).to_dict()  # fmt: skip
FLAT = np.zeros((2, 9, 9))  # fails at the first step


@settings(max_examples=300)
@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=7, min_side=0, max_side=5), axes=AXES, planes=PLACES
)
@example(shape=(2, 9, 9), axes="TYX", planes={"T": np.array([[True, False]])})
@example(shape=(2, 9, 9), axes=None, planes={"T": 10**400})
def test_any_axes_and_planes(shape: tuple[int, ...], axes: Any, planes: Any) -> None:
    """What is accepted names planes of the array, none twice; all else is our error."""
    try:
        stack = Stack.of(np.zeros(shape, np.uint8), axes, planes)
    except DeblurError:
        return
    assert len(stack.axes) == len(shape)
    assert stack.outer + "YX" + "S" * stack.rgb == stack.axes
    indices = [tuple(stack.index(position).values()) for position in stack]
    assert len(set(indices)) == len(stack) >= 1
    for position, index in zip(stack, indices, strict=True):
        assert stack.read(position).shape == np.zeros(shape)[index].shape


@settings(max_examples=150)
@given(place=PLACES)
@example(place={"T": np.array([0, 1])})
def test_any_plane_to_estimate_on(place: Any) -> None:
    """`kernel_from` names one plane, or is refused at the call."""
    stack = np.random.default_rng(0).random((2, 3, 9, 9))
    with suppress(ConfigError):
        sd.iter_deblur_stack(stack, kernel_size=3, preset="draft", kernel_from=place, device="cpu")


@settings(max_examples=60)
@given(
    stack=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32, np.bool_, np.complex64]),
        hnp.array_shapes(min_dims=1, max_dims=5, min_side=1, max_side=6),
        elements=st.integers(0, 1),
        fill=st.nothing(),
    ),
    kernels=hnp.arrays(
        st.sampled_from([np.float64, np.int8]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3),
        elements=st.integers(-1, 2),
    ),
)
def test_any_stack_and_kernels(stack: NDArray[Any], kernels: NDArray[Any]) -> None:
    """A restored stack is finite and of the stack's shape, and every plane is accounted for."""
    before = stack.copy()
    try:
        with warnings.catch_warnings(action="ignore", category=DeblurWarning):
            result = sd.restore_stack(stack, kernels, iterations=2, device="cpu")
    except DeblurError:
        return
    finally:
        np.testing.assert_array_equal(stack, before)
    assert result.sharp.shape == stack.shape
    assert np.isfinite(result.sharp).all()
    planes = result.record.planes
    assert len(planes) == len(Stack.of(stack))
    assert all((each["state"] == "blurred") == bool(each["reason"]) for each in planes)


@settings(max_examples=150)
@given(
    name=st.sampled_from([
        "kernels", "kernel_size", "preset", "config", "iterations", "device", "seed",
        "restoration", "preview_seconds", "preview_steps", "stop", "out", "on_progress",
    ]),
    value=ANY,
)  # fmt: skip
def test_any_option(name: str, value: Any) -> None:
    """An option is taken, or refused before anything is computed."""
    options: dict[str, Any] = {"kernel_size": 3, "preset": "draft", "device": "cpu"}
    with suppress(DeblurError):
        sd.deblur_stack(FLAT, **options | {name: value})


@settings(max_examples=150)
@given(field=st.sampled_from(sorted(RECORD)), value=JSON)
@example(field="estimates", value=[{}])
@example(field="planes", value=[{}])
def test_any_value_in_a_stack_s_record(field: str, value: Any) -> None:
    """A stack's record with one field of any JSON value is a record or our own error."""
    try:
        record = sd.StackRecord.from_json(json.dumps(RECORD | {field: value}))
    except DeblurError:
        return
    again = sd.StackRecord.from_json(record.to_json())
    assert again.to_dict() == record.to_dict()
    assert isinstance(again.size_found, str)
