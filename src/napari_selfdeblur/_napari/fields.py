"""From a kind of setting to the magicgui widget that edits it, and back to a checked value."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSpinBox,
    LineEdit,
    SpinBox,
)
from magicgui.widgets.bases import BaseValueWidget
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
)

from napari_selfdeblur.io.inputs import SUFFIXES
from napari_selfdeblur.settings import Choice, Device, Flag, Integer, Number, Setting

IMAGE_FILES = f"Images ({' '.join(f'*{suffix}' for suffix in SUFFIXES)});;All files (*)"
"""What a dialog for files of images offers."""

_NARROWEST = 60


class Field:
    """One setting in a panel.

    Parameters
    ----------
    name : str
        The setting's name.
    kind : Setting
        Its description: label, help, limits and choices come from here.

    Attributes
    ----------
    widget : BaseValueWidget
        The magicgui widget; what is typed or chosen in it is a text that `kind` reads, a
        number or a truth value.
    """

    def __init__(self, name: str, kind: Setting) -> None:
        self.name = name
        self.kind = kind
        self.widget = _widget(kind)
        self._offered = [(name, name) for name in getattr(self.widget, "choices", ())]
        self.widget.tooltip = f"{kind.help}\n{name}: {kind.allowed}."
        narrow(self.widget)

    def value(self) -> Any:
        """Return the value, checked.

        Raises
        ------
        ConfigError
            If what is typed is not allowed; its `field` is `name`.
        """
        shown = self.widget.value
        if isinstance(shown, str):
            return self.kind.parse(self.name, shown)
        return self.kind.check(self.name, shown)

    def show(self, value: Any) -> None:
        """Show `value`, one that `kind` allows."""
        widget = self.widget
        if isinstance(widget, LineEdit):
            widget.value = self.kind.text(value)
        elif isinstance(widget, ComboBox):
            text = self.kind.text(value)
            if text not in widget.choices:
                widget.choices = [*self._offered, (text, text)]
            widget.value = text
        else:
            if isinstance(widget, FloatSpinBox):
                digits = f"{Decimal(str(value)):f}".partition(".")[2]
                widget.native.setDecimals(max(2, len(digits)))
            widget.value = value

    def offer(self, choices: Iterable[tuple[str, str]]) -> None:
        """Replace the choices of a `Device` by (name, label) pairs, keeping the chosen one."""
        widget = self.widget
        assert isinstance(widget, ComboBox)
        self._offered = [(label, name) for name, label in choices]
        names = [name for _, name in self._offered]
        chosen = str(widget.value)
        # A preference says 'cuda', the machine's first card is called 'cuda:0'.
        kept = next((name for name in names if name.startswith(chosen)), names[0])
        with widget.changed.blocked():
            widget.choices = self._offered
            widget.value = kept
        for index, (label, _) in enumerate(self._offered):
            widget.native.setItemData(index, label, Qt.ItemDataRole.ToolTipRole)


def image_file(label: str, tooltip: str) -> FileEdit:
    """Return the choice of an image file, which may be left open."""
    return FileEdit(
        mode=FileDialogMode.EXISTING_FILE,
        filter=IMAGE_FILES,
        nullable=True,
        value=None,
        label=label,
        tooltip=tooltip,
    )


def chosen_path(edit: FileEdit) -> Path | None:
    """Return the path in an edit for one file, None where there is none."""
    path = edit.value
    return path if isinstance(path, Path) and str(path) not in ("", ".") else None


def narrow(widget: BaseValueWidget[Any] | Container[Any]) -> None:
    """Let `widget` become narrow with its panel, and take the wheel only with the focus."""
    native = widget.native
    if isinstance(native, QComboBox):
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        native.setSizeAdjustPolicy(policy)
        native.setMinimumContentsLength(6)
    if isinstance(native, QComboBox | QAbstractSpinBox):
        native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        native.installEventFilter(_Filter(native))
    native.setMinimumWidth(_NARROWEST)


class _Filter(QObject):
    """Gives the wheel to a field only with the focus, and a combo box's long text an ellipsis."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():  # type: ignore[attr-defined]
            event.ignore()  # so that the panel scrolls
            return True
        if event.type() == QEvent.Type.Paint and isinstance(watched, QComboBox):
            _paint_elided(watched)
            return True
        return False


def _paint_elided(combo: QComboBox) -> None:
    """Paint a combo box as Qt does, but for its text, which Qt cuts off."""
    option = QStyleOptionComboBox()
    option.initFrom(combo)
    option.frame = combo.hasFrame()
    option.subControls = QStyle.SubControl.SC_All
    kind, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    room = combo.style().subControlRect(kind, option, part, combo).width()
    option.currentText = combo.fontMetrics().elidedText(
        combo.currentText(), Qt.TextElideMode.ElideRight, room
    )
    painter = QStylePainter(combo)
    painter.drawComplexControl(kind, option)
    painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
    painter.end()


def _widget(kind: Setting) -> BaseValueWidget[Any]:
    label = f"{kind.label} ({kind.unit})" if kind.unit else kind.label
    options: dict[str, Any] = {"label": label}
    if isinstance(kind, Flag):
        return CheckBox(text=kind.label)
    if isinstance(kind, Device):
        return ComboBox(choices=[("auto", "auto")], **options)
    if isinstance(kind, Choice):
        names = [*kind.choices, *kind.words]
        return ComboBox(choices=list(zip(names, names, strict=True)), **options)
    if isinstance(kind, Integer) and not kind.words:
        return SpinBox(min=kind.low, max=kind.high, step=kind.step, value=kind.low, **options)
    if isinstance(kind, Number) and not kind.words and kind.step is not None:
        return FloatSpinBox(min=kind.low, max=kind.high, step=kind.step, value=kind.low, **options)
    return LineEdit(**options)
