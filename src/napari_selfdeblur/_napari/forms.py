"""The forms of a blind run and of a restoration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from magicgui.widgets.bases import BaseValueWidget
from napari.components import ViewerModel

from napari_selfdeblur import registry
from napari_selfdeblur._napari.earlier_runs import EarlierRuns, PresetRow
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur._napari.plugin import Preferences
from napari_selfdeblur._napari.preset_choice import PresetChoice, values_of
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.settings import Setting


class BlindForm(SettingsForm[SelfDeblurConfig]):
    """The settings of a blind run, and the preset that they are.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose layers offer the settings of earlier runs.
    first, extra, before
        As for `SettingsForm`.

    Attributes
    ----------
    preset : PresetChoice
        Below the widgets of `first`; a choice in it shows the preset's settings.
    earlier : EarlierRuns
        Beside it; a choice in it shows the settings of that run, as far as the form has them.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        first: Iterable[BaseValueWidget[Any]] = (),
        extra: Mapping[str, Setting] | None = None,
        before: Mapping[str, Setting] | None = None,
    ) -> None:
        self.preset, self.earlier = PresetChoice(), EarlierRuns(viewer)
        row = PresetRow(self.preset, self.earlier)
        super().__init__(SelfDeblurConfig, first=[*first, row], extra=extra, before=before)
        self.preset.changed.connect(self._on_preset)
        self.earlier.chosen.connect(self._on_earlier)
        self.earlier.refused.connect(self.refused)

    def reset(self, preferred: Preferences) -> None:
        """Show the user's preferences."""
        config = SelfDeblurConfig.preset(preferred.preset).replace(device=preferred.device)
        self.show({name: getattr(config, name) for name in config.kinds()})
        self.preset.show_name(config.name)

    def settled(self) -> SelfDeblurConfig:
        """Return the settings, of which those can be edited that the solvers have; name the preset.

        Raises
        ------
        ConfigError
            If a value is not allowed; its `field` says which.
        """
        solvers = [registry.SOLVERS[name] for name in self.read().solvers]
        self.allow(solvers, registry.SOLVERS.values())
        config = self.read()
        self.preset.show_name(config.name)
        return config

    def _on_preset(self, name: str) -> None:
        if values := values_of(name):
            self.show(values)

    def _on_earlier(self, values: Mapping[str, Any]) -> None:
        self.show({name: values[name] for name in values if name in self.fields})


class RestoreForm(SettingsForm[RestoreConfig]):
    """The settings of a restoration; those can be edited that the chosen one has.

    Parameters
    ----------
    first, extra, before
        As for `SettingsForm`.
    """

    def __init__(
        self,
        *,
        first: Iterable[BaseValueWidget[Any]] = (),
        extra: Mapping[str, Setting] | None = None,
        before: Mapping[str, Setting] | None = None,
    ) -> None:
        super().__init__(RestoreConfig, first=first, extra=extra, before=before)
        self.fields["restoration"].widget.changed.connect(self._on_restoration)
        self._on_restoration()

    def reset(self, preferred: Preferences) -> None:
        """Show the user's preferences."""
        config = RestoreConfig(device=preferred.device)
        self.show({name: getattr(config, name) for name in config.kinds()})

    def _on_restoration(self, _: Any = None) -> None:
        chosen = registry.RESTORATIONS[self.fields["restoration"].widget.value]
        self.allow([chosen], registry.RESTORATIONS.values())
