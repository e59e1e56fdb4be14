"""Records from anywhere: what is no record is our own error, and never half accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_selfdeblur.cli import main
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.run.batch_record import BatchRecord
from napari_selfdeblur.run.record import RestoreRecord, RunRecord
from napari_selfdeblur.run.stack_record import read_record
from tests.hostile.json_values import JSON

CONFIG = SelfDeblurConfig.preset("fast").replace(kernel_size=5)
RUN = RunRecord(
    config=CONFIG, used=CONFIG, device="CPU", seconds=1.0, iterations=2, status="finished",
    losses=(0.5, 0.25), image={"shape": [9, 9], "roi": [[0, 9], [0, 9]]},
    estimates=({"source": "joint", "weight": 1.0},), verdict={"credible": True, "reasons": []},
).to_dict()  # fmt: skip
RESTORED = RestoreRecord(
    config=RestoreConfig(), kernel={"shape": [3, 3]}, image={"shape": [9, 9]}, device="CPU",
    seconds=1.0, status="finished",
).to_dict()  # fmt: skip
BATCH = {"axes": "TYX", "shape": [2, 9, 9], "planes": [{"plane": "T1", **RUN}]}
EVALUATION = {
    "truth": "a",
    "psnr_blurred": 20.0,
    "psnr_sharp": None,
    "trace": [{"iteration": 1, "seconds": 0.1, "loss": 0.5, "psnr": 20.0}],
}

quickly = settings(database=None, deadline=None, derandomize=True, max_examples=100)


def read(kind: type[RunRecord | RestoreRecord], text: str) -> None:
    """Read `text`; what is accepted can be written and read again as the same."""
    try:
        record = kind.from_json(text)
    except DeblurError:
        return
    assert kind.from_json(record.to_json()).to_json() == record.to_json()


@quickly
@given(JSON)
def test_any_json(value: Any) -> None:
    """JSON of any shape is a record or our own error."""
    read(RunRecord, json.dumps(value))
    read(RestoreRecord, json.dumps(value))


@quickly
@given(st.sampled_from(sorted(RUN)), JSON)
def test_any_value_of_any_field(field: str, value: Any) -> None:
    """A run's record with one field of any JSON value is a record or our own error."""
    read(RunRecord, json.dumps(RUN | {field: value}))


@quickly
@given(st.sampled_from(sorted(RESTORED)), JSON)
def test_any_value_of_any_field_of_a_restoration(field: str, value: Any) -> None:
    """The same of the record of a restoration."""
    read(RestoreRecord, json.dumps(RESTORED | {field: value}))


@quickly
@given(st.sampled_from(sorted(BATCH)), JSON)
@example("axes", "TYX")
@example("planes", [])
@example("planes", [{"plane": "T0"}])
def test_any_value_of_any_field_of_a_batch(field: str, value: Any) -> None:
    """The same of the record of an image's planes, found by the fields it has."""
    try:
        record = read_record(json.loads(json.dumps(BATCH | {field: value})))
    except DeblurError:
        return
    assert isinstance(record, BatchRecord)
    assert record.config == CONFIG
    assert read_record(json.loads(record.to_json())) == record


@quickly
@given(st.sampled_from([*sorted(RUN["config"]), "optimiser", "draft_first"]), JSON)
def test_any_value_of_any_setting(field: str, value: Any) -> None:
    """A record with one setting of any JSON value, old names included."""
    read(RunRecord, json.dumps(RUN | {"config": RUN["config"] | {field: value}}))


@quickly
@given(st.sampled_from(sorted(EVALUATION)), JSON)
def test_any_value_in_the_evaluation(field: str, value: Any) -> None:
    """The comparison with the truth, and its trace, hold numbers and nothing else."""
    read(RunRecord, json.dumps(RUN | {"evaluation": EVALUATION | {field: value}}))
    point = EVALUATION["trace"][0] | {"psnr": value}
    read(RunRecord, json.dumps(RUN | {"evaluation": EVALUATION | {"trace": [point]}}))


@quickly
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """A record cut anywhere, with a byte replaced, is a record or our own error."""
    text = bytearray(json.dumps(RUN).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255))
    cut = text[: data.draw(st.integers(at, len(text)))]
    read(RunRecord, cut.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"\xff\xfe", b"\x00", b"{" * 5000, b"[" * 100_000, b"1" * 5000,
        b'{"config": 1' + b"0" * 5000 + b"}", b'"\\ud800"', b"NaN", b"\xef\xbb\xbf{}",
        json.dumps(RUN | {"image": {"roi": 5}}).encode(),
        json.dumps(RUN | {"image": {"roi": [[1, 2, 3]]}}).encode(),
        json.dumps(RUN | {"image": {"roi": "all"}}).encode(),
        json.dumps(RUN | {"image": {"roi": [["a", "b"], [0, 1]]}}).encode(),
    ],
)  # fmt: skip
def test_the_command_line_refuses_other_files(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--config` with a file that holds no usable record: status 2, one line, nothing written."""
    (tmp_path / "r.json").write_bytes(content)
    (tmp_path / "a.ppm").write_bytes(b"P5 9 9 255\n" + bytes(range(81)))
    words = ["run", str(tmp_path / "a.ppm"), "-o", str(tmp_path / "out")]
    assert main([*words, "--config", str(tmp_path / "r.json")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: --")
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", 3), ("seconds", "1"), ("seconds", True), ("iterations", 1.5), ("losses", ["a"]),
        ("losses", "ab"), ("estimates", [1]), ("estimates", "ab"), ("image", []), ("versions", 3),
        ("versions", {"numpy": 2}), ("verdict", 1), ("command", 1), ("created", None),
        ("status", ["finished"]), ("evaluation", []), ("config", None), ("used", []),
    ],
)  # fmt: skip
def test_the_wrong_type_is_named(field: str, value: Any) -> None:
    """A field of the wrong type is refused, and the message says which and what it must be."""
    with pytest.raises(DeblurError, match=f"{field}|field has the wrong type|settings|missing"):
        RunRecord.from_dict(RUN | {field: value})
