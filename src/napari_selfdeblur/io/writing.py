"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_selfdeblur.errors import FileError

__all__ = ["check_writable", "naming", "replacing", "write_text"]

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another folder",
    errno.ENAMETOOLONG: "give the image a shorter name",
    errno.ENOENT: "make its folder first, or choose another one",
}


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8; an existing file is replaced once everything is written."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a name to write to, beside `path`, that replaces `path` when all went well.

    Another process that reads `path` meanwhile gets the old file or the new one, whole.

    Raises
    ------
    FileError
        If the system refuses, naming `path` and the reason.
    """
    target = Path(path)
    unfinished = _beside(target)
    try:
        with naming(target):
            yield unfinished
            unfinished.replace(target)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def check_writable(path: str | os.PathLike[str], size: int = 0) -> None:
    """Raise now what would keep a file from being written later.

    Parameters
    ----------
    path : path-like
        The file; it stays as it is.
    size : int
        Bytes that its folder must have room for.

    Raises
    ------
    FileError
        If folder, name, permission or space forbid it.
    """
    target = Path(path)
    with naming(target):
        with suppress(FileNotFoundError):
            os.lstat(target)  # refuses a name that is too long
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        unfinished = _beside(target)
        unfinished.touch()
        unfinished.unlink()
        if shutil.disk_usage(target.parent).free < size:
            raise OSError(errno.ENOSPC, f"{size / 2**20:.0f} MiB of space are needed")


@contextmanager
def naming(path: Path, done: str = "written") -> Iterator[None]:
    """Raise an error of the system as a `FileError` that names `path` and says what to do."""
    try:
        impossible = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        impossible = True
    if impossible:
        raise FileError(
            f"{str(path)!r} cannot be {done}: no file can have this name; choose another"
        )
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        remedy = _REMEDIES.get(error.errno or 0, "choose another folder or name")
        raise FileError(f"{path} cannot be {done}: {reason}; {remedy}") from error


def _beside(target: Path) -> Path:
    # Short: a name that is just short enough for the target must not fail here.
    return target.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
