"""A form for a class of settings, made from their descriptions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

from magicgui.widgets import CheckBox, Container
from magicgui.widgets.bases import BaseValueWidget
from psygnal import Signal
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QLabel
from superqt import QCollapsible

from napari_selfdeblur._napari.fields import Field, narrow
from napari_selfdeblur.described import Settings
from napari_selfdeblur.registry import Entry
from napari_selfdeblur.settings import GROUPS, Device, Setting

S = TypeVar("S", bound=Settings)
_MAIN = "main"
_HEAD = "text-align: left; border: none; background: transparent; font-weight: bold; padding: 3px;"


class SettingsForm(Generic[S]):
    """Every field of a settings class: those of the group main in view, the others folded away.

    It shows the defaults until `show` is called.

    Parameters
    ----------
    settings : type of Settings
        Whose `kinds` are shown.
    first : iterable of BaseValueWidget or Container
        Widgets above the fields, of no concern to `read`.
    extra : dict of str to Setting
        Further fields that are not part of the settings.
    before : dict of str to Setting
        The same, above those of the settings.

    Attributes
    ----------
    fields : dict of str to Field
        By the names of the settings.
    main : Container
        The group main.
    groups : dict of str to QCollapsible
        The other groups, by their keys in `GROUPS`.
    marked : str or None
        Name of the field marked as wrong.
    labels : list of QLabel
        Those of all rows.
    changed : psygnal.Signal
        Emitted when the user, or `show`, changes a field.
    refused : psygnal.Signal
        Emitted with the reason why what the user asked of a row was not done.
    """

    changed = Signal()
    refused = Signal(str)

    def __init__(
        self,
        settings: type[S],
        *,
        first: Iterable[BaseValueWidget[Any] | Container[Any]] = (),
        extra: Mapping[str, Setting] | None = None,
        before: Mapping[str, Setting] | None = None,
    ) -> None:
        self._settings = settings
        self.marked: str | None = None
        kinds = {**(before or {}), **settings.kinds(), **(extra or {})}
        self.fields = {name: Field(name, kind) for name, kind in kinds.items()}
        above = list(first)
        for widget in above:
            narrow(widget)
        rows = {
            group: [each.widget for each in self.fields.values() if each.kind.group == group]
            for group in GROUPS
        }
        self.main = labelled([*above, *rows.pop(_MAIN)])
        self.groups = {key: _folded(GROUPS[key], labelled(rows[key])) for key in rows if rows[key]}
        widgets = [*above, *(field.widget for field in self.fields.values())]
        self.labels = [label for each in widgets if (label := label_of(each)) is not None]
        default = settings()
        for name in settings.kinds():
            self.fields[name].show(getattr(default, name))
        for field in self.fields.values():
            field.widget.changed.connect(self._on_change)

    def read(self) -> S:
        """Return the settings that the form describes; a disabled field has its default.

        Raises
        ------
        ConfigError
            If a value is not allowed; its `field` says which.
        """
        enabled = [name for name in self._settings.kinds() if self.fields[name].widget.enabled]
        return self._settings(**{name: self.fields[name].value() for name in enabled})

    def show(self, values: Mapping[str, Any]) -> None:
        """Show these values, by the names of the fields, as one change."""
        with self.changed.blocked():
            for name, value in values.items():
                self.fields[name].show(value)
        self.changed.emit()

    def allow(self, chosen: Collection[Entry], of: Collection[Entry]) -> None:
        """Let those settings be edited, of all that entries of a kind have, that `chosen` have."""
        has = {name for entry in chosen for name in entry.settings}
        for name in {name for entry in of for name in entry.settings}:
            self.fields[name].widget.enabled = name in has

    def set_visible(self, shown: bool) -> None:
        """Show or hide the whole form."""
        self.main.visible = shown
        for group in self.groups.values():
            group.setVisible(shown)

    def offer_devices(self, devices: Collection[tuple[str, str]]) -> None:
        """Offer ``auto`` and these (name, label) pairs, the best first, as devices."""
        best = next((f"auto: {label}" for _, label in devices), "auto")
        for field in self.fields.values():
            if isinstance(field.kind, Device):
                field.offer([("auto", best), *devices])

    def add_below(self, name: str, widget: BaseValueWidget[Any] | Container[Any]) -> None:
        """Put a further widget below the field called `name` in the group main."""
        self.main.insert(self.main.index(self.fields[name].widget) + 1, widget)
        narrow(widget)
        label = label_of(widget)
        if label is not None:
            self.labels.append(label)

    def mark(self, name: str | None, colour: str) -> None:
        """Mark the field called `name` as wrong, and no other; unfold the group that hides it."""
        if self.marked is not None:
            self._paint(self.marked, "")
        self.marked = name if name in self.fields else None
        if self.marked is None:
            return
        self._paint(self.marked, colour)
        group = self.groups.get(self.fields[self.marked].kind.group)
        if group is not None:
            group.expand(animate=False)

    def by_label(self, message: str, name: str | None) -> str:
        """Return the message of an error with the field's label in place of its name."""
        if name not in self.fields or not message.startswith(f"{name} "):
            return message
        return self.fields[str(name)].kind.label + message.removeprefix(str(name))

    def _on_change(self) -> None:
        self.changed.emit()

    def _paint(self, name: str, colour: str) -> None:
        widget = self.fields[name].widget
        widget.native.setStyleSheet(f"border: 1px solid {colour};" if colour else "")
        label = label_of(widget)
        if label is not None:
            label.setStyleSheet(f"color: {colour}; font-weight: bold;" if colour else "")


def align(labels: Collection[QLabel]) -> None:
    """Make all labels as wide as the widest is in the theme's font."""
    for label in labels:
        label.ensurePolished()
    widest = max(label.sizeHint().width() for label in labels)
    for label in labels:
        label.setFixedWidth(widest)


def label_of(widget: BaseValueWidget[Any] | Container[Any]) -> QLabel | None:
    """Return the label that magicgui has put before `widget`; a check box has none."""
    if isinstance(widget, CheckBox):
        return None
    label = widget.native.parentWidget().findChild(QLabel)
    return label if isinstance(label, QLabel) else None


def labelled(widgets: Iterable[BaseValueWidget[Any] | Container[Any]]) -> Container[Any]:
    """Return widgets below one another, each behind its label."""
    rows: Container[Any] = Container(labels=True)
    rows.extend(widgets)  # one by one, so that magicgui makes the labels equally wide
    rows.margins = (0, 0, 0, 0)
    rows.native.layout().setSpacing(4)
    return rows


def _folded(title: str, rows: Container[Any]) -> QCollapsible:
    group = QCollapsible(title)
    group.setDuration(0)
    layout = group.layout()
    assert layout is not None
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    group.addWidget(rows.native)

    button = group.toggleButton()
    button.setStyleSheet(_HEAD)
    button.setIconSize(QSize(0, 0))  # the arrow is text, which the theme colours
    button.setText(f"▸ {title}")
    group.toggled.connect(lambda opened: button.setText(f"{'▾' if opened else '▸'} {title}"))
    return group
