"""Options made from the descriptions of settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any

import typer

from napari_selfdeblur import settings as kinds
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.settings import GROUPS, Setting

__all__ = ["from_settings", "option"]

_FORMS: dict[type[Setting], str] = {
    kinds.Integer: "N",
    kinds.Number: "X",
    kinds.Choice: "NAME",
    kinds.Choices: "NAME,...",
    kinds.Flag: "true|false",
    kinds.KernelSize: "N|RxC",
    kinds.Pair: "N|RxC",
    kinds.Region: "Y0:Y1,X0:X1",
    kinds.Fractions: "X,...",
    kinds.Device: "NAME",
}
_SET = "assignments"
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any setting, by its field in the record."),
]


def option(field: str) -> str:
    """Return the option of a field of the settings: ``--kernel-size`` of ``kernel_size``."""
    return f"--{field.replace('_', '-')}"


def from_settings(
    defaults: Settings,
    *,
    of_preset: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    instead: tuple[str, Settings] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command an option for each field, and ``--set``.

    The command is called with `changes`, the settings that were given by their fields. An
    error about a value names the option. `of_preset` are fields whose defaults another preset
    changes; `names` are other names of options, by field, beside their usual ones; `instead` is
    an option of the command and the defaults of the settings that are meant where it is given.
    """
    fields = (instead[1].kinds() if instead else {}) | defaults.kinds()
    spellings = {field: [option(field)] for field in fields}
    for field, name in (names or {}).items():
        spellings[field].insert(0, name)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def asked(**arguments: Any) -> None:
            texts = {field: (spellings[field][0], arguments.pop(field)) for field in fields}
            given = {field: texts[field] for field in fields if texts[field][1] is not None}
            given |= _assigned(arguments.pop(_SET) or (), given)
            kinds = {f: fields.get(f) or defaults.kind(f) for f in given}
            changes = {f: kinds[f].parse(name, text) for f, (name, text) in given.items()}
            command(changes=changes, **arguments)

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [each for each in own if each.name != "changes"]
        for field, kind in fields.items():
            shown = _shown(field, defaults, " in fast" if field in of_preset else "")
            if instead and (other := _shown(field, instead[1])) not in ("", shown):
                shown = "; ".join(filter(None, (shown, f"{other} with {instead[0]}")))
            parameters.append(_parameter(field, _annotation(kind, shown, spellings[field])))
        parameters.append(_parameter(_SET, _Set))
        asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        asked.__annotations__ = {each.name: each.annotation for each in parameters}
        return asked

    return decorate


def _annotation(kind: Setting, shown: str, spellings: Sequence[str]) -> Any:
    return Annotated[
        str | None,
        typer.Option(
            *spellings,
            metavar=_FORMS.get(type(kind), "VALUE"),
            help=f"{kind.help} {kind.allowed[0].upper()}{kind.allowed[1:]}.",
            show_default=shown,
            rich_help_panel=None if kind.group == "main" else GROUPS[kind.group],
        ),
    ]


def _shown(field: str, defaults: Settings, where: str = "") -> str:
    """Return the default of a field and where it holds; empty if the settings lack the field."""
    kind = defaults.kinds().get(field)
    if kind is None:
        return ""
    text = kind.text(getattr(defaults, field))
    unit = f" {kind.unit}" if kind.unit and text not in kind.words else ""
    return f"{text}{unit}{where}"


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _assigned(assignments: Sequence[str], given: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return name and text of each field that ``--set FIELD=VALUE`` sets."""
    assigned = {}
    for assignment in assignments:
        field, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise ConfigError(f"--set is FIELD=VALUE, got {assignment!r}; try iterations=300")
        if field in given:
            raise ConfigError(f"{field} is given twice, by {option(field)} and by --set; give one")
        assigned[field] = (f"--set {field}", text)
    return assigned
