"""The command that a result came from, as its record keeps it."""

from __future__ import annotations

import shlex
from pathlib import Path

from typer import Context

__all__ = ["command_line"]


def command_line(context: Context) -> str:
    """Return the command with its arguments, less folders: results are published, paths not."""
    words = context.command_path.split()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        value = context.params.get(name)
        if source is None or source.name != "COMMANDLINE" or value is False:
            continue
        option = [parameter.opts[0]] if parameter.param_type_name == "option" else []
        for item in value if isinstance(value, list) else [value]:
            text = item.name if isinstance(item, Path) else str(item)
            words += [*option, *([] if item is True else [text])]
    return shlex.join(words)
