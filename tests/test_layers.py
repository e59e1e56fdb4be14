"""The house has four floors: a module imports only from the floors below its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = "napari_selfdeblur"

# Which floor each module or folder of the package is on, a front end with its name.
FLOORS = {
    "_version": 0,
    "config": 0,
    "errors": 0,
    "registry": 0,
    "numerics": 1,
    "alignment": 2,
    "benchmarks": 2,
    "candidates": 2,
    "checkpoints": 2,
    "command_line": 2,
    "evaluation": 2,
    "figures": 2,
    "files": 2,
    "images": 2,
    "kernels": 2,
    "metrics": 2,
    "pixel_size": 2,
    "records": 2,
    "restoration": 2,
    "samples": 2,
    "workflow": 2,
    "_napari": 3,
    "cli": 3,
}
ROOF = 3
GUI = {"PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "napari", "qtpy", "superqt", "vispy"}
TALKING = {"matplotlib", "rich", "tqdm", "typer"}


def package_root() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the file of every module below the package's own."""
    root = package_root()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            yield name, path


def imported(source: str, module: str, is_package: bool = False) -> set[str]:
    """Return the absolute names that `source` imports, wherever in it, but for types alone."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            if node.level:
                package = module.split(".")
                up = node.level - is_package
                package = package[: len(package) - up]
                home = ".".join([*package, *filter(None, [node.module])])
            names.update(f"{home}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return names


def own(name: str) -> str | None:
    """Return which of the package's modules `name` lies in, None for another package's."""
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def breaches(module: str, names: set[str]) -> list[str]:
    """Return the imports among `names` that the rule forbids to `module`."""
    home = module.split(".")[0]
    floor = FLOORS[home]
    found = []
    for name in sorted(names):
        top = name.split(".")[0]
        target = own(name)
        if target is not None and target != home and target in FLOORS:
            below = FLOORS[target] < floor or (FLOORS[target] == floor and floor < ROOF)
            allowed = below
        elif floor == 0:
            allowed = top == PACKAGE or top in sys.stdlib_module_names
        elif floor == 1:
            allowed = top not in GUI | TALKING
        else:
            allowed = home == "_napari" or top not in GUI
        if not allowed:
            found.append(f"{module} imports {name}")
    return found


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_module_has_a_floor() -> None:
    """A new module is given its floor before anything can depend on it."""
    assert {name.split(".")[0] for name, _ in modules()} <= set(FLOORS)


def test_imports_point_downward() -> None:
    """No module imports from a higher floor, and neither front end from the other."""
    found = []
    for name, path in modules():
        names = imported(
            path.read_text(encoding="utf-8"), f"{PACKAGE}.{name}", path.name == "__init__.py"
        )
        found += breaches(name, names)
    assert found == []


@pytest.mark.parametrize(
    ("module", "line", "caught"),
    [
        ("config", "import torch", True),
        ("config", "from napari_selfdeblur import registry", False),
        ("config", "from napari_selfdeblur.numerics import forward", True),
        ("numerics.forward", "import torch", False),
        ("numerics.forward", "def f():\n    import tqdm", True),
        ("numerics.forward", "from ..workflow import deblur", True),
        ("numerics.nonblind.sparse", "from ..forward import blur_valid", False),
        ("workflow", "from napari.layers import Image", True),
        ("workflow", "from .images import prepare", False),
        ("workflow", "from .cli import main", True),
        ("cli", "from napari_selfdeblur._napari import widget", True),
        ("cli", "import rich", False),
        ("_napari.worker", "from ..cli import main", True),
        ("_napari.worker", "import napari", False),
        ("errors", "if TYPE_CHECKING:\n    import torch", False),
    ],
)
def test_the_rule_tells_right_from_wrong(module: str, line: str, caught: bool) -> None:
    """The rule reports each forbidden import, and only those."""
    assert bool(breaches(module, imported(line, f"{PACKAGE}.{module}"))) is caught


def test_importing_the_package_is_light() -> None:
    """In a fresh interpreter, importing the package loads neither torch nor napari nor Qt."""
    run_python(
        f"import sys, {PACKAGE}\n"
        f"heavy = {{'torch', 'napari', 'qtpy', 'magicgui', 'matplotlib'}} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_all_but_the_napari_front_end_works_without_napari() -> None:
    """Every module outside _napari can be imported where neither napari nor Qt is installed.

    What draws panels may be left out of a computing node too: matplotlib is needed for them alone.
    """
    names = [
        f"{PACKAGE}.{name}"
        for name, _ in modules()
        if not name.startswith("_napari") and not name.endswith("__main__")
    ]
    run_python(
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(GUI)!r}))\n"
        f"for name in {names!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ModuleNotFoundError as missing:\n"
        "        if (missing.name or '').split('.')[0] != 'matplotlib':\n"
        "            raise"
    )
