"""What the tests of batches share: tiny images of every kind, and a command that takes moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_selfdeblur.cli import main

Run = Callable[..., tuple[int, dict[str, Any], str]]


Scene = Callable[..., NDArray[np.uint16]]


def made(seed: int, side: int = 24) -> NDArray[np.uint16]:
    """Return a smooth field of 16 bits."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side)), 1)
    return (1000 + 50000 * (field - field.min()) / np.ptp(field)).astype(np.uint16)


def write_images(folder: Path) -> None:
    """Write one image of each kind: a grey TIFF, a colour PNG, stacks of several axes."""
    folder.mkdir(exist_ok=True)
    um = {"unit": "um"}
    tifffile.imwrite(folder / "a.tif", made(0), imagej=True, resolution=(10, 5), metadata=um)
    colour = np.stack([made(1), made(2), made(3)], axis=-1)
    Image.fromarray((colour >> 8).astype(np.uint8)).save(folder / "colour.png")
    slices = np.stack([made(4), made(5)])
    steps = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(folder / "slices.tif", slices, imagej=True, metadata=steps)
    series = np.stack([np.stack([made(10 * t + c) for c in range(2)]) for t in range(2)])
    sizes = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "TimeIncrement": 2.0}
    sizes |= {"TimeIncrementUnit": "s"}
    tifffile.imwrite(
        folder / "series.ome.tif", series, ome=True, metadata={"axes": "TCYX", **sizes}
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path / "in")
    return tmp_path / "in"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "kernel.tif", np.ones((3, 3), np.float32) / 9)
    return tmp_path / "kernel.tif"


@pytest.fixture
def run(kernel: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that restores a batch; it gives status, results and standard error."""

    def batch(*words: str | Path) -> tuple[int, dict[str, Any], str]:
        quick = ["--kernel", str(kernel), "--iterations", "2", "--device", "cpu", "--json"]
        status = main(["batch", *map(str, words), *quick])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return batch


@pytest.fixture(scope="session")
def scene() -> Scene:
    """Return a function that makes a smooth field of 16 bits of a seed and a side."""
    return made


@pytest.fixture(scope="session")
def states() -> Callable[[dict[str, Any]], dict[str, str]]:
    """Return a function that gives the status of each frame of results by its name."""

    def of(values: dict[str, Any]) -> dict[str, str]:
        frames = values["frames"]
        return {f"{each['output']} {each['plane']}".strip(): each["status"] for each in frames}

    return of
