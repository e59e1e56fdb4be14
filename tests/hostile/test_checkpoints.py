"""Checkpoints from anywhere: resumed as they were saved, or refused by our own error."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.run.checkpoint import Checkpoint
from napari_selfdeblur.run.plan import Plan

CONFIG = sd.SelfDeblurConfig.preset("official").replace(
    kernel_size=5, iterations=4, channels=2, skip_channels=2, scales=1, non_local=False,
    kernel_generator="fcn_shallow", device="cpu", precision="float32",
)  # fmt: skip
IMAGE = np.random.default_rng(0).random((16, 18))
quickly = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Stopped(threading.Event):
    """Set from the beginning."""

    def is_set(self) -> bool:
        return True


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound checkpoint."""
    path = tmp_path_factory.mktemp("sound") / "run.pt"
    sd.deblur(IMAGE, config=CONFIG, stop=Stopped(), checkpoint=path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    plan = Plan.of(IMAGE, CONFIG)
    return Checkpoint.of(tmp_path / "run.pt", plan.config, plan.source)


def refused(checkpoint: Checkpoint) -> bool:
    """Return whether a checkpoint is refused, or equals the sound one's one step."""
    try:
        (state,) = checkpoint.load().values()
    except ConfigError:
        return True
    assert (state["t"], len(state["losses"])) == (1, 1)
    return False


@quickly
@given(st.data())
def test_any_damage(saved: Path, checkpoint: Checkpoint, data: st.DataObject) -> None:
    """A byte changed or the end cut off: refused, or, where it did not matter, the same run."""
    content = bytearray(saved.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(content), at]))
    checkpoint.path.write_bytes(content[:end])
    refused(checkpoint)


@quickly
@given(st.binary(max_size=200))
def test_any_bytes(checkpoint: Checkpoint, content: bytes) -> None:
    """No other file is taken for a checkpoint."""
    checkpoint.path.write_bytes(content)
    assert refused(checkpoint)


TENSORS = st.sampled_from(
    [
        torch.zeros(0), torch.zeros(3), torch.tensor(5), torch.tensor(True), torch.ones(2).half(),
        torch.ones(2, dtype=torch.complex64), torch.eye(3).to_sparse(), torch.tensor(float("nan")),
        torch.ones(2, dtype=torch.bfloat16), torch.nn.Parameter(torch.ones(1)),
    ]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
CONTENT = st.recursive(
    SCALARS | TENSORS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@quickly
@given(CONTENT)
def test_torch_files_that_are_not_ours(checkpoint: Checkpoint, content: Any) -> None:
    """Whatever torch can load without running code is refused."""
    torch.save(content, checkpoint.path)
    assert refused(checkpoint)


@quickly
@given(st.sampled_from(["format", "config", "image", "solvers", "digest"]), CONTENT)
def test_any_value_of_any_entry(
    saved: Path, checkpoint: Checkpoint, entry: str, content: Any
) -> None:
    """A checkpoint with one entry of another value is refused."""
    kept = torch.load(saved, weights_only=True)
    torch.save(kept | {entry: content}, checkpoint.path)
    assert refused(checkpoint)


@pytest.mark.parametrize(
    "content",
    [
        OrderedDict(a=1), Counter("ab"), {1: 2}, {"format": 6}, [torch.zeros(2)], torch.Size([2]),
        {"format": torch.tensor([6, 6]), "config": {}, "solvers": []},
        {"format": 6, "config": {}, "solvers": [], "digest": ""},
        {"format": 6, "config": {}, "solvers": {}, "image": {}},
    ],
)  # fmt: skip
def test_other_torch_files(checkpoint: Checkpoint, content: Any) -> None:
    """Other containers, and content that is nearly ours."""
    torch.save(content, checkpoint.path)
    assert refused(checkpoint)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("t", 3), ("t", -1), ("t", 1.0), ("losses", []), ("losses", [0.5]), ("losses", [1, 2]),
        ("last", None), ("noise", torch.zeros(9, dtype=torch.uint8)), ("G_x", {}), ("adam", {}),
    ],
)  # fmt: skip
def test_edited_states_are_refused(
    saved: Path, checkpoint: Checkpoint, entry: str, value: Any
) -> None:
    """Counters, losses and tensors that are not those saved are damage."""
    kept = torch.load(saved, weights_only=True)
    kept["solvers"][0][entry] = value
    torch.save(kept, checkpoint.path)
    with pytest.raises(ConfigError, match="is damaged; choose another file"):
        checkpoint.load()


@pytest.mark.parametrize(
    "image", [IMAGE.reshape(18, 16), IMAGE.T, IMAGE.view(np.int64), IMAGE.astype(np.float32)]
)
def test_the_same_bytes_of_another_shape_are_another_image(
    saved: Path, tmp_path: Path, image: np.ndarray
) -> None:
    """Shape and data type are part of what an image is."""
    path = tmp_path / "run.pt"
    copy(saved, path)
    with pytest.raises(ConfigError, match=r"checkpoint of (another image|a run with other)"):
        sd.deblur(image, config=CONFIG, checkpoint=path)
    assert path.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("path", [3, b"a\0b", "a\0b", True, ["a"], ""])
def test_other_paths_are_refused(path: Any) -> None:
    """What is no path of a file is refused when the run is asked for."""
    with pytest.raises(ConfigError, match="checkpoint"):
        sd.iter_deblur(IMAGE, config=CONFIG, checkpoint=path)
