"""The floors of the package, by the contracts in pyproject.toml, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
PACKAGE = "napari_selfdeblur"
GUI = ["PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "napari", "qtpy", "superqt", "vispy"]


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_contracts_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Imports point downward, each module has its floor, and only one floor needs napari."""
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_importing_the_package_is_light() -> None:
    """In a fresh interpreter, importing the package loads neither torch nor napari nor Qt."""
    run_python(
        f"import sys, {PACKAGE}\n"
        "heavy = {'torch', 'napari', 'qtpy', 'magicgui', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_settings_are_read_without_torch() -> None:
    """The settings, their choices and the command line's help wait for no heavy library."""
    run_python(
        f"import sys, {PACKAGE}.config, {PACKAGE}.cli\n"
        "heavy = {'torch', 'scipy', 'skimage', 'napari', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_all_but_the_napari_front_end_works_without_napari() -> None:
    """Every module outside _napari can be imported where neither napari nor Qt is installed.

    matplotlib is needed for the pictures alone, which a computing node can do without.
    """
    spec = find_spec(PACKAGE)
    assert spec is not None
    names = [
        module.name
        for module in walk_packages(spec.submodule_search_locations, f"{PACKAGE}.")
        if "._napari" not in module.name and not module.name.endswith("__main__")
    ]
    assert f"{PACKAGE}.cli.run" in names
    run_python(
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({GUI!r}))\n"
        f"for name in {names!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ModuleNotFoundError as missing:\n"
        "        if (missing.name or '').split('.')[0] != 'matplotlib':\n"
        "            raise"
    )
