"""What all tests share. Imports nothing that a machine without napari lacks."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

SECONDS = 300

collect_ignore = [] if find_spec("napari") else ["napari"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not a setting in pyproject.toml: pytest refuses settings of a plugin that is not installed.
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SECONDS))


def pytest_report_header() -> str | None:
    return "napari is not installed: tests/napari is left out" if collect_ignore else None
