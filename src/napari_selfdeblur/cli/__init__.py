"""The command line: `napari-selfdeblur run | restore | batch | demo | info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from napari_selfdeblur._version import __version__
from napari_selfdeblur.cli.batch import batch
from napari_selfdeblur.cli.demo import demo
from napari_selfdeblur.cli.info import info
from napari_selfdeblur.cli.restore import restore
from napari_selfdeblur.cli.run import run
from napari_selfdeblur.cli.terminal import complain, others_quiet, terminated_as_interrupted
from napari_selfdeblur.errors import ConfigError, DeblurError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Sharpen one blurred image and estimate its blur kernel (SelfDeblur), without training.",
    epilog="Exit status: 0 done or stopped (Ctrl-C, SIGTERM), 1 the run failed, 2 wrong arguments.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
for command in (run, restore, batch, demo, info):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"napari-selfdeblur {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    pass


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments without the program's name; by default the process's own.

    Returns
    -------
    int
        0 done, or stopped by the user with the result so far saved; 1 the run failed, with one
        line on standard error; 2 wrong arguments; 130 interrupted with nothing saved.
    """
    # Not app(): that would set the process's exception hook.
    command = typer.main.get_command(app)
    try:
        with others_quiet(), terminated_as_interrupted():
            command.main(args=args, prog_name="napari-selfdeblur")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (DeblurError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        complain(f"error: {reason}")
        return 2 if isinstance(error, ConfigError) else 1
    except MemoryError:
        complain("error: out of memory; crop the image with --roi, or take a machine with more")
        return 1
    return 0
