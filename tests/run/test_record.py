"""The run record: JSON both ways, and nothing in it that JSON cannot hold."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.run.record import (
    Evaluation,
    RestoreRecord,
    RunRecord,
    TracePoint,
    software_versions,
)


def _record(**changes: object) -> RunRecord:
    values: dict[str, object] = {
        "config": SelfDeblurConfig.preset("paper").replace(kernel_size=(13, 17), seed=5),
        "used": SelfDeblurConfig.preset("paper").replace(tv_weight=1e-6),
        "version": "0.1.0",
        "versions": {"python": "3.11.2", "numpy": "2.4.6"},
        "device": "CPU (2 threads)",
        "seconds": 12.5,
        "iterations": 3,
        "status": "finished",
        "estimates": ({"source": "joint", "weight": np.float32(1)},),
        "losses": (0.1, 0.0123456789, 1e-7),
        "image": {"shape": (64, 48), "dtype": "uint8", "min": np.uint8(3), "max": np.float32(9)},
        "verdict": {"credible": False, "reasons": ("flat image",), "measures": {"l1_l2": 0.9}},
    }
    return RunRecord(**(values | changes))  # type: ignore[arg-type]


_EVALUATION = Evaluation(
    truth="sharp.png",
    psnr_blurred=22.5,
    psnr_sharp=31.25,
    trace=(
        TracePoint(iteration=2, seconds=0.5, loss=0.01, psnr=25.0),
        TracePoint(iteration=4, seconds=1.0, loss=0.001, psnr=28.0),
    ),
)


@pytest.mark.parametrize("evaluation", [None, _EVALUATION])
def test_json_round_trip(evaluation: Evaluation | None) -> None:
    """A record read back from its JSON equals the record, its settings and trace included."""
    record = _record(evaluation=evaluation)
    again = RunRecord.from_json(record.to_json())
    assert again == record
    assert isinstance(again.config, SelfDeblurConfig)
    assert again.config.kernel_size == (13, 17)


def test_dict_is_json_ready() -> None:
    """`to_dict` holds plain Python values only: it equals its own JSON read back."""
    values = _record(evaluation=_EVALUATION).to_dict()
    assert json.loads(json.dumps(values)) == values


def test_losses_keep_seven_digits() -> None:
    """A loss is kept to 7 significant digits whatever its magnitude."""
    losses = (1 / 3, 1e-9 / 3, 12345678.9)
    kept = _record(losses=losses).losses
    assert kept == (0.3333333, 3.333333e-10, 12345680.0)


def test_json_is_strict() -> None:
    """Numbers that are not finite become null: strict JSON parsers read every record."""
    record = _record(
        losses=(0.5, math.nan, math.inf), verdict={"measures": {"a": math.nan, "b": np.inf}}
    )

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    values = json.loads(record.to_json(), parse_constant=refuse)
    assert values["losses"] == [0.5, None, None]
    assert values["verdict"] == {"measures": {"a": None, "b": None}}


def test_infinite_psnr_survives() -> None:
    """The PSNR of an image equal to the truth, infinite, is null in JSON and infinite again."""
    point = TracePoint(iteration=1, seconds=0.1, loss=0.5, psnr=math.inf)
    equal = Evaluation(truth="a", psnr_blurred=20.0, psnr_sharp=math.inf, trace=(point,))
    record = _record(evaluation=equal)
    assert json.loads(record.to_json())["evaluation"]["psnr_sharp"] is None
    assert RunRecord.from_json(record.to_json()) == record


def test_losses_stay_on_one_line() -> None:
    """Thousands of losses do not make a record of thousands of lines."""
    text = _record(losses=tuple(0.5 for _ in range(5000))).to_json()
    assert text.count("\n") < 200
    assert text.endswith("}\n")
    assert len(json.loads(text)["losses"]) == 5000


def test_created_is_now_in_utc() -> None:
    """A record carries the moment it was made, with its time zone."""
    created = datetime.fromisoformat(_record().created)
    assert created.utcoffset() is not None
    assert abs((datetime.now(UTC) - created).total_seconds()) < 60


def test_frozen() -> None:
    """A record cannot be changed, only replaced."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        _record().seconds = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a run record"),
        ("[1]", "a JSON object is expected"),
        ('{"config": {}}', "device, image, iterations, losses, seconds, status"),
    ],
)
def test_from_json_refuses_other_text(text: str, message: str) -> None:
    """Text that is no record is refused with what is wrong with it."""
    with pytest.raises(DeblurError, match=message):
        RunRecord.from_json(text)


def test_from_dict_refuses_wrong_fields() -> None:
    """Unknown fields, wrong types, unknown settings and an unknown status are named."""
    values = _record().to_dict()
    with pytest.raises(DeblurError, match="unknown field colour"):
        RunRecord.from_dict(values | {"colour": 1})
    with pytest.raises(DeblurError, match="wrong type"):
        RunRecord.from_dict(values | {"losses": 3})
    with pytest.raises(DeblurError, match="finished, stopped, diverged, failed, got 'lost'"):
        RunRecord.from_dict(values | {"status": "lost"})
    with pytest.raises(ConfigError, match="unknown setting 'flavour'"):
        RunRecord.from_dict(values | {"config": {"flavour": 1}})


def test_records_of_version_0_1_are_read() -> None:
    """Old names of settings become today's, and the settings used are those asked for."""
    values = _record().to_dict()
    del values["used"], values["estimates"]
    old = values["config"] | {"optimiser": "joint", "draft_first": True, "name": "fast"}
    del old["solvers"]
    record = RunRecord.from_dict(values | {"config": old})
    assert record.config.solvers == ("edges", "joint")
    assert record.used == record.config


@pytest.mark.parametrize("field", ["image", "versions", "config", "evaluation", "losses"])
def test_a_field_of_another_type_is_refused(field: str) -> None:
    """A number where an object belongs is our own error."""
    with pytest.raises(DeblurError):
        RunRecord.from_dict(_record().to_dict() | {field: 3})


def test_restoration_record_round_trip() -> None:
    """The record of a restoration is JSON both ways, too."""
    record = RestoreRecord(
        config=RestoreConfig(restoration="sparse", weight=0.1),
        kernel={"shape": [3, 3]},
        image={"shape": [9, 9]},
        device="CPU",
        seconds=1.0,
        status="stopped",
    )
    assert RestoreRecord.from_json(record.to_json()) == record


def test_software_versions() -> None:
    """Python's and numpy's versions are those running."""
    versions = software_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__


def test_versions_are_read_without_importing() -> None:
    """Asking for torch's version does not load torch, nor numpy, nor napari."""
    script = (
        "import sys; from napari_selfdeblur.run.record import software_versions; "
        "assert 'torch' in software_versions(); "
        "print(sorted({'torch', 'numpy', 'napari'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
