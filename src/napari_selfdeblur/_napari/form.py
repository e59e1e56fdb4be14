"""The fields from which a run is described, and their translation to a configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_selfdeblur import registry
from napari_selfdeblur._napari.job import MIN_PREVIEW_SECONDS
from napari_selfdeblur._napari.preferences import Preferences
from napari_selfdeblur._napari.tooltips import TOOLTIPS
from napari_selfdeblur.config import LOSSES, PRECISIONS, PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

__all__ = ["SettingsForm"]

_NONE = "none"
_MAX_KERNEL = 999
_MAX_INT = 2**31 - 1
_KNOWN = SelfDeblurConfig()
_OF_A_PRESET = frozenset(_KNOWN.to_dict()) - {"kernel_size", "device", "seed"}
_NUMBERS = ("tv_weight", "lr_image", "lr_kernel")
"""Fields typed as text: a box with arrows cannot step through orders of magnitude."""
_SAME = 1
"""Value of the width field that means 'as the height'; shown in words."""


class SettingsForm(QWidget):
    """Fields for a `SelfDeblurConfig` and the preview interval.

    Choosing a preset fills in the preset's own values, which can then be changed.

    Parameters
    ----------
    preferences : Preferences
        Values to start from.
    layer_field : QWidget, optional
        The choice of the image, shown above the settings and of no concern to `config`.
    """

    changed = Signal()

    def __init__(self, preferences: Preferences, layer_field: QWidget | None = None) -> None:
        super().__init__()
        self.fields: dict[str, QWidget] = {}
        self._labels: dict[str, QLabel] = {}
        self._devices: list[str] | None = None
        self._base = SelfDeblurConfig.preset(preferences.preset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        main = _form_layout()
        layout.addLayout(main)
        if layer_field is not None:
            self._add_row(main, "layer", "Image", layer_field)
        self._add(main, "kernel_size", "Kernel size", _spin(3, _MAX_KERNEL, step=2, suffix=" px"))
        self._add(main, "preset", "Preset", _combo(PRESETS))
        self._add(main, "iterations", "Iterations", _spin(1, _MAX_INT, step=100))
        self._add(main, "device", "Device", _combo(["auto"]))
        self._add(main, "seed", "Seed", _spin(0, _MAX_INT))
        self._add(main, "preview_seconds", "Preview every", _seconds())
        self.advanced = QCollapsible("Advanced")
        self.advanced.setDuration(0)
        outer = self.advanced.layout()
        assert outer is not None
        outer.setContentsMargins(0, 0, 0, 0)
        page = QWidget()
        self._add_advanced(_form_layout(page))
        self.advanced.addWidget(page)
        layout.addWidget(self.advanced)
        self.reset(preferences)
        self._field("preset").currentTextChanged.connect(self._on_preset)

    def config(self) -> SelfDeblurConfig:
        """Return what the fields describe.

        Raises
        ------
        ConfigError
            If a value is outside its range.
        """
        height, width = self._get("kernel_size"), self._get("kernel_width")
        changes = {
            name: self._get(name)
            for name in self.fields
            if name not in ("kernel_size", "kernel_width", "preset", "preview_seconds")
        }
        for name in _NUMBERS:
            changes[name] = _number(name, changes[name])
        changes["restoration"] = _or_none(changes["restoration"])
        return self._base.replace(
            kernel_size=(height, height if width == _SAME else width), **changes
        )

    @property
    def preview_seconds(self) -> float:
        """Seconds between two updates of the layers."""
        return float(self._get("preview_seconds"))

    def reset(self, preferences: Preferences) -> None:
        """Fill every field in anew."""
        self._set("preset", preferences.preset)
        self._set("kernel_width", _SAME)
        self._set("kernel_size", _KNOWN.kernel_size[0])
        self._set("seed", 0)
        self._choose_device(preferences.device)
        self._set("preview_seconds", preferences.preview_seconds)
        self._on_preset(preferences.preset)

    def set_devices(self, devices: Iterable[tuple[str, str]]) -> None:
        """Offer ``auto`` and these (name, label) pairs; keep the choice where it is still one."""
        combo: QComboBox = self._field("device")
        chosen = combo.currentData()
        offered = list(devices)
        combo.blockSignals(True)
        combo.clear()
        best = offered[0][1] if offered else ""
        combo.addItem(f"auto: {best}" if best else "auto", "auto")
        for name, label in offered:
            combo.addItem(label, name)
        for index in range(combo.count()):
            combo.setItemData(index, combo.itemText(index), Qt.ItemDataRole.ToolTipRole)
        combo.blockSignals(False)
        self._devices = [name for name, _ in offered]
        self._choose_device(chosen)
        self.changed.emit()

    def mark(self, name: str | None) -> None:
        """Mark the field called `name` as wrong, and no other."""
        for field, label in self._labels.items():
            wrong = field == name
            if name == "kernel_size" and field == "kernel_width":
                wrong = self._get("kernel_width") != _SAME
            label.setStyleSheet("color: #ff6b6b; font-weight: bold;" if wrong else "")

    def marked(self) -> list[str]:
        """Return the names of the fields marked as wrong."""
        return [name for name, label in self._labels.items() if label.styleSheet()]

    def _choose_device(self, name: str) -> None:
        """Choose a device; while it is not known what there is, believe that there is this one."""
        if self._devices is not None:
            # A preference says 'cuda', the machine's first card is called 'cuda:0'.
            name = next((each for each in self._devices if each.startswith(name)), "auto")
        self._set("device", name)

    def _add_advanced(self, form: QFormLayout) -> None:
        width = _spin(_SAME, _MAX_KERNEL, step=2, suffix=" px")
        width.setSpecialValueText("as height")
        self._add(form, "kernel_width", "Kernel width", width)
        self._add(form, "loss", "Data term", _combo(LOSSES))
        self._add(form, "tv_weight", "TV weight", QLineEdit())
        self._add(form, "lr_image", "Image step size", QLineEdit())
        self._add(form, "lr_kernel", "Kernel step size", QLineEdit())
        self._add(form, "optimiser", "Optimiser", _combo(registry.OPTIMISERS))
        self._add(form, "image_generator", "Image net", _combo(registry.IMAGE_GENERATORS))
        self._add(form, "kernel_generator", "Kernel net", _combo(registry.KERNEL_GENERATORS))
        self._add(form, "channels", "Channels", _spin(1, 1024, step=16))
        self._add(form, "non_local", "Non-local blocks", QCheckBox())
        self._add(form, "precision", "Precision", _combo(PRECISIONS))
        self._add(form, "restoration", "Restoration", _combo([_NONE, *registry.RESTORATIONS]))

    def _add_row(self, form: QFormLayout, name: str, text: str, field: QWidget) -> None:
        label = QLabel(text)
        for widget in (label, field):
            widget.setToolTip(TOOLTIPS[name])
        label.setBuddy(field)
        self._labels[name] = label
        form.addRow(label, field)

    def _add(self, form: QFormLayout, name: str, text: str, field: QWidget) -> None:
        self._add_row(form, name, text, field)
        self.fields[name] = field
        if isinstance(field, QComboBox):
            field.currentIndexChanged.connect(self._on_change)
        elif isinstance(field, QSpinBox | QDoubleSpinBox):
            field.valueChanged.connect(self._on_change)
        elif isinstance(field, QCheckBox):
            field.toggled.connect(self._on_change)
        elif isinstance(field, QLineEdit):
            field.textChanged.connect(self._on_change)

    def _on_change(self) -> None:
        self.changed.emit()

    def _on_preset(self, name: str) -> None:
        self._base = SelfDeblurConfig.preset(name)
        for field in self.fields:
            if field in _OF_A_PRESET:
                self._set(field, getattr(self._base, field))
        self.changed.emit()

    def _field(self, name: str) -> Any:
        return self.fields[name]

    def _get(self, name: str) -> Any:
        field = self.fields[name]
        if isinstance(field, QComboBox):
            return field.currentData()
        if isinstance(field, QCheckBox):
            return field.isChecked()
        if isinstance(field, QLineEdit):
            return field.text()
        return self._field(name).value()

    def _set(self, name: str, value: Any) -> None:
        field = self.fields[name]
        if isinstance(field, QComboBox):
            wanted = _NONE if value is None else value
            if field.findData(wanted) < 0:
                field.addItem(str(wanted), wanted)
            field.setCurrentIndex(field.findData(wanted))
        elif isinstance(field, QCheckBox):
            field.setChecked(value)
        elif isinstance(field, QLineEdit):
            field.setText(str(value))
        else:
            self._field(name).setValue(value)


def _form_layout(parent: QWidget | None = None) -> QFormLayout:
    form = QFormLayout(parent)
    form.setContentsMargins(0, 0, 0, 0)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def _spin(low: int, high: int, *, step: int = 1, suffix: str = "") -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setSuffix(suffix)
    return spin


def _seconds() -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(MIN_PREVIEW_SECONDS, 60)
    spin.setSingleStep(0.25)
    spin.setSuffix(" s")
    return spin


def _combo(names: Iterable[str]) -> QComboBox:
    combo = QComboBox()
    for name in names:
        combo.addItem(name, name)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(10)
    return combo


def _number(name: str, text: str) -> float | str:
    if text.strip() == "auto":
        return "auto"
    with contextlib.suppress(ValueError):
        return float(text)
    raise ConfigError(f"{name} must be a number, got {text!r}; try {getattr(_KNOWN, name):g}")


def _or_none(name: str) -> str | None:
    return None if name == _NONE else name
