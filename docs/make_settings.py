"""Write docs/settings.md from the descriptions of the settings: `python docs/make_settings.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_selfdeblur import registry
from napari_selfdeblur.cli.options import option
from napari_selfdeblur.config import OUTSIDE_PRESETS, RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.described import Settings
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.settings import GROUPS

PAGE = Path(__file__).with_name("settings.md")
INTRODUCTION = """# Settings

*Made by `docs/make_settings.py` from `config.py`, `presets.py` and `registry.py`; edit those.*

Every setting is a field of `SelfDeblurConfig`, an option of `napari-selfdeblur run`, a field of
the panel and an entry of `config` in a record. `deblur(image, config=...)` takes a whole
configuration, `--set FIELD=VALUE` sets one field, and `--config RECORD.json` repeats a run.
Lists are written with commas. The defaults of `SelfDeblurConfig()` are those of the preset
`official`; `deblur`, the command line and the panel start from `fast`.
"""


def page() -> str:
    """Return the page as it should be."""
    sections = [INTRODUCTION, *_settings(SelfDeblurConfig()), _presets()]
    sections.append("## Settings of a restoration with a known kernel\n")
    sections.append("Options of `napari-selfdeblur restore`, arguments of `restore()`.\n")
    sections.append(_fields(RestoreConfig(), RestoreConfig.kinds(), {"restoration": "--method"}))
    sections += ["## Names\n", "`napari-selfdeblur info` prints these lists.\n"]
    for title, entries in (
        ("Solvers", registry.SOLVERS),
        ("Image networks", registry.IMAGE_GENERATORS),
        ("Kernel networks", registry.KERNEL_GENERATORS),
    ):
        rows = [(f"`{name}`", entry.title) for name, entry in entries.items()]
        sections.append(f"### {title}\n\n" + _table(("Name", "What it is"), rows))
    rows = [
        (f"`{name}`", entry.title, ", ".join(f"`{field}`" for field in entry.settings))
        for name, entry in registry.RESTORATIONS.items()
    ]
    sections.append("### Restorations\n\n" + _table(("Name", "What it is", "Settings"), rows))
    return "\n".join(sections)


def _settings(defaults: Settings) -> list[str]:
    sections = []
    for group, title in GROUPS.items():
        kinds = {name: kind for name, kind in defaults.kinds().items() if kind.group == group}
        sections.append(f"## {title}\n\n{_fields(defaults, kinds, {})}")
    return sections


def _fields(defaults: Settings, kinds: Mapping[str, Any], options: Mapping[str, str]) -> str:
    rows = [
        (
            f"`{name}`",
            kind.label,
            kind.allowed,
            f"`{kind.text(getattr(defaults, name))}`",
            kind.unit,
            f"`{options.get(name, option(name))}`",
            kind.help,
        )
        for name, kind in kinds.items()
    ]
    return _table(("Field", "Label", "Allowed", "Default", "Unit", "Option", "What it does"), rows)


def _presets() -> str:
    kinds, rows = SelfDeblurConfig.kinds(), []
    for name, preset in PRESETS.items():
        values = [f"`{field}={kinds[field].text(v)}`" for field, v in preset.values.items()]
        rows.append((f"`{name}`", preset.title, ", ".join(values) or "the defaults"))
    outside = ", ".join(f"`{field}`" for field in kinds if field in OUTSIDE_PRESETS)
    table = _table(("Preset", "What it is", "Sets"), rows)
    return f"## Presets\n\nNo preset sets {outside}: they belong to image and machine.\n\n{table}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace(" * ", " \\* ") for cell in row] for row in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
