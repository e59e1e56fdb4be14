"""The settings of an earlier run: of a result layer, or of a saved record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from magicgui.widgets import Container, PushButton
from magicgui.widgets.bases import ValueWidget
from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QSizePolicy

from napari_selfdeblur._napari.fields import narrow
from napari_selfdeblur._napari.layers import METADATA_KEY, PART_KEY
from napari_selfdeblur._napari.preset_choice import PresetChoice
from napari_selfdeblur._napari.reader import record_beside
from napari_selfdeblur._napari.stack_rows import rows_of
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.run.stack_record import read_run_file

__all__ = ["EarlierRuns", "PresetRow", "runs_in", "settings_in", "settings_of"]

_FILES = "Records and results (*.json *.tif *.tiff);;All files (*)"


class EarlierRuns(PushButton):
    """A button with a menu: the runs whose results are in the viewer, and a file.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose layers are listed, each time the menu opens.

    Attributes
    ----------
    chosen : psygnal.Signal
        Emitted with the settings of a run, as `settings_of` returns them.
    refused : psygnal.Signal
        Emitted with the reason why a file has none.
    """

    chosen = Signal(dict)
    refused = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__(
            text="…",
            tooltip="Take all settings of an earlier run: of a layer that it made, or of its "
            "saved record. What was auto is auto again.",
        )
        self._viewer = viewer
        self.native.setAccessibleName("Settings of an earlier run")
        self._menu = QMenu(self.native)
        self._menu.aboutToShow.connect(self._fill)
        self.native.setMenu(self._menu)
        self.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def take(self, path: Path) -> None:
        """Take the settings of a saved record, or of a saved result that it lies beside."""
        try:
            values = settings_in(path)
        except DeblurError as error:
            self.refused.emit(f"{path.name}: {error}")
        else:
            self.chosen.emit(values)

    def _fill(self) -> None:
        self._menu.clear()
        for name, values in runs_in(self._viewer.layers).items():
            action = self._menu.addAction(f"Settings of {name.replace('&', '&&')}")
            action.triggered.connect(partial(self._choose, values))
        self._menu.addSeparator()
        self._menu.addAction("Settings of a file…").triggered.connect(self._ask)

    def _choose(self, values: dict[str, Any], _: bool = False) -> None:
        self.chosen.emit(values)

    def _ask(self, _: bool = False) -> None:
        title = "Record of a run, or a result beside its record"
        path, _kind = QFileDialog.getOpenFileName(self.native, title, "", _FILES)
        if path:
            self.take(Path(path))


class PresetRow(Container[ValueWidget[Any]]):
    """The row of a panel with the presets, and beside them the earlier runs."""

    def __init__(self, preset: PresetChoice, earlier: EarlierRuns) -> None:
        super().__init__(
            widgets=[preset, earlier], layout="horizontal", labels=False, label=preset.label
        )
        self.margins = (0, 0, 0, 0)
        narrow(preset)
        preset.native.setMinimumContentsLength(3)  # the row must not make the panel wider


def runs_in(layers: Iterable[Layer]) -> dict[str, dict[str, Any]]:
    """Return the settings of each blind run that some of `layers` come from, topmost first.

    They are under the name of one layer of the run, the deblurred image where that is there.
    """
    found, seen = {}, []
    topmost = list(layers)[::-1]
    for layer in sorted(topmost, key=lambda each: each.metadata.get(PART_KEY) != "deblurred"):
        facts = layer.metadata.get(METADATA_KEY)
        if not isinstance(facts, dict) or facts in seen:
            continue
        try:
            found[layer.name] = settings_of(facts)
        except ConfigError:
            continue  # a restoration's
        seen.append(facts)
    return found


def settings_in(path: Path) -> dict[str, Any]:
    """Return the settings of the run whose record a file is, or lies beside.

    Raises
    ------
    DeblurError
        If there is no such record.
    """
    record = path if path.suffix.lower() == ".json" else record_beside(path)
    if record is None:
        raise DeblurError("no record of a run lies beside it; choose the record, NAME_record.json")
    return settings_of(read_run_file(record).to_dict())


def settings_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a blind run was asked for, by the fields of the panel, from its record.

    Of a run of all planes of a stack these are ``planes`` and ``kernels`` too.

    Raises
    ------
    ConfigError
        If the record has no settings of a blind run.
    """
    asked: Any = facts.get("config")
    config = SelfDeblurConfig.from_dict(asked)
    return {name: getattr(config, name) for name in config.kinds()} | rows_of(facts)
