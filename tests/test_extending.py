"""The examples of docs/extending.md, put into a copy of the package, work as the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from napari_selfdeblur.presets import PRESETS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
PACKAGE = "napari_selfdeblur"
EXAMPLE = re.compile(r"^```python\n# (\S+\.py)(?:, (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the package that has every addition of the page."""
    folder = tmp_path_factory.mktemp("extended")
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    package = folder / PACKAGE
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spec.origin).parent, package, ignore=ignore)
    for name, place, code in EXAMPLE.findall(PAGE.read_text(encoding="utf-8")):
        path = package / name
        if place:
            before = path.read_text(encoding="utf-8")
            code = inserted(before, place, code)
        else:
            assert not path.exists()
        path.write_text(code, encoding="utf-8")
    return folder


def inserted(text: str, place: str, code: str) -> str:
    """Return `text` with `code` at the beginning of a dict, or at the end of a class's fields."""
    opening = f"{place} = {{\n"
    if opening in text:
        return text.replace(opening, opening + code, 1)
    body = text.index(f"class {place}(")
    end = text.index("\n    @classmethod", body)
    return text[:end] + code + text[end:]


def run_in(folder: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_has_an_example_of_each_addition() -> None:
    """Networks, restoration, solver, preset and setting each have an example that is run."""
    examples = {(name.split("/")[0], place) for name, place, _ in EXAMPLE.findall(PAGE.read_text())}
    assert examples == {
        ("numerics", ""),
        ("registry.py", "KERNEL_GENERATORS"),
        ("registry.py", "IMAGE_GENERATORS"),
        ("registry.py", "RESTORATIONS"),
        ("registry.py", "SOLVERS"),
        ("presets.py", "PRESETS"),
        ("config.py", "SelfDeblurConfig"),
    }


def test_new_names_run(extended: Path) -> None:
    """New networks, a new restoration and a new solver run in one chain, and by `restore`."""
    run_in(
        extended,
        """
import numpy as np
import napari_selfdeblur as sd

assert "extended" in sd.__file__
y = np.random.default_rng(0).random((32, 30), dtype=np.float32)
config = sd.SelfDeblurConfig(
    solvers=("gaussians", "joint"), kernel_generator="gaussian", image_generator="shallow",
    restoration="wiener", kernel_size=(5, 7), iterations=3, channels=4, device="cpu",
    adaptive=False,  # the image is noise, in which networks after another solver are left out
)
events = []
result = sd.deblur(y, config=config, on_progress=events.append)
assert [e.stage for e in events] == ["gaussians"] * 4 + ["joint"] * 3 + ["fuse", "restore"]
assert [e["source"] for e in result.record.estimates] == ["gaussians", "joint"]
assert result.sharp.shape == y.shape and np.isfinite(result.sharp).all()

delta = np.zeros((5, 7)); delta[2, 3] = 1
same = sd.restore(y, delta, "wiener", weight=0.0, device="cpu")
np.testing.assert_allclose(same, y, atol=1e-5)
""",
    )


def test_a_new_preset_is_a_choice(extended: Path) -> None:
    """A new preset is found by its name, and named by its settings."""
    run_in(
        extended,
        """
import napari_selfdeblur as sd

config = sd.SelfDeblurConfig.preset("careful").replace(seed=3, kernel_size=9)
assert config.iterations == 3000
assert config.name == "careful"
""",
    )


def test_a_new_setting_is_everywhere(extended: Path) -> None:
    """A described field is checked, stored, an option, a field of the panel, a row of the page."""
    run_in(
        extended,
        f"""
import inspect, runpy
import pytest
from qtpy.QtWidgets import QApplication
from napari_selfdeblur import SelfDeblurConfig
from napari_selfdeblur.cli.run import run
from napari_selfdeblur.errors import ConfigError

with pytest.raises(ConfigError, match="weight_decay must be a number at least 0, got -1"):
    SelfDeblurConfig(weight_decay=-1)
before = SelfDeblurConfig().to_dict()
assert before.pop("weight_decay") == 0
assert SelfDeblurConfig.from_dict(before) == SelfDeblurConfig()
assert SelfDeblurConfig.parse("weight_decay", "0.5") == 0.5

assert "weight_decay" in inspect.signature(run).parameters
script = runpy.run_path({str(ROOT / "docs" / "make_settings.py")!r})
page = script["page"]()
assert "| `weight_decay` | Weight decay |" in page and "`--weight-decay`" in page
assert "| `careful` |" in page and "| `gaussians` | Gaussian kernels |" in page

application = QApplication([])
from napari_selfdeblur._napari.form import SettingsForm
form = SettingsForm(SelfDeblurConfig)
form.show(SelfDeblurConfig(weight_decay=0.25).to_dict())
assert form.read() == SelfDeblurConfig(weight_decay=0.25)
assert "Adam's weight decay" in form.fields["weight_decay"].widget.tooltip
""",
    )


def test_the_preferences_list_the_presets() -> None:
    """napari's preferences offer every preset, in the same order."""
    manifest = ROOT / "src" / PACKAGE / "napari.yaml"
    contributions = yaml.safe_load(manifest.read_text(encoding="utf-8"))["contributions"]
    properties = contributions["configurations"]["defaults"]["properties"]
    assert properties["preset"]["enum"] == list(PRESETS)
