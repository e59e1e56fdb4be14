"""A run saved and resumed: tensors and numbers in one file, nothing pickled."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, FileError
from napari_selfdeblur.io.writing import check_writable, naming, replacing

__all__ = ["Checkpoint"]

_FORMAT = 6
_IDENTITY = ("shape", "dtype", "sha256")  # of the image


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file that holds a run of one image and configuration.

    Attributes
    ----------
    path : Path
        The file; it need not exist.
    config : SelfDeblurConfig
        The settings that run, with nothing "auto" but a kernel size to be found.
    image : dict
        Shape, data type and fingerprint of the run's image.
    """

    path: Path
    config: SelfDeblurConfig
    image: dict[str, Any]

    @classmethod
    def of(
        cls, path: str | os.PathLike[str], config: SelfDeblurConfig, image: Mapping[str, Any]
    ) -> Checkpoint:
        """Return the checkpoint at `path` of a run of the image that `image` describes.

        Raises
        ------
        ConfigError
            If no file can be written there.
        """
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(
                f"checkpoint must be the path of a file, got {path!r}", field="checkpoint"
            )
        try:
            check_writable(path)
        except (FileError, ValueError) as error:
            raise ConfigError(f"checkpoint: {error}", field="checkpoint") from error
        return cls(Path(path), config, {name: image[name] for name in _IDENTITY})

    def save(self, states: dict[int, dict[str, Any]]) -> None:
        """Write the state of each solver begun, by its index; a file there is replaced as a whole.

        Raises
        ------
        FileError
            If the file cannot be written; one already there stays.
        """
        content = {
            "format": _FORMAT,
            "config": self.config.to_dict(),
            "image": self.image,
            "solvers": states,
            "digest": _digest(states),
        }
        # By way of memory: torch's own writer hides why a disk refuses.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with replacing(self.path) as partial:
            partial.write_bytes(buffer.getbuffer())

    def load(self) -> dict[int, dict[str, Any]]:
        """Return the state of each solver begun, by its index; none where there is no file.

        Raises
        ------
        ConfigError
            If the file is no checkpoint, is damaged, or is that of another image, configuration
            or version.
        """
        if not self.path.exists():
            return {}
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            if not isinstance(kept, dict):
                raise TypeError(type(kept).__name__)
            version, states = kept["format"], kept["solvers"]
            sound = kept.get("digest") == _digest(states)
        except MemoryError:
            raise
        # What torch raises depends on what the file holds instead.
        except Exception as error:
            raise self._refused("is not a checkpoint") from error
        if not isinstance(version, int) or version != _FORMAT:
            raise self._refused(
                "was written by another version of napari-selfdeblur, whose runs cannot be "
                "resumed here"
            )
        if not isinstance(states, dict):
            raise self._refused("is not a checkpoint")
        if sound is not True:
            raise self._refused("is damaged")
        if _digest(kept.get("image")) != _digest(self.image):
            raise self._refused("is the checkpoint of another image")
        self._compare(kept.get("config"))
        return states

    def _compare(self, values: Any) -> None:
        """Raise `ConfigError` where settings read from a file are not this run's."""
        # Settings that a later version has added have their defaults: an old file stays good.
        try:
            theirs = SelfDeblurConfig.from_dict(values).to_dict()
        except ConfigError as error:
            raise self._refused(f"is damaged ({error})") from error
        mine = self.config.to_dict()
        if changed := [name for name in mine if theirs[name] != mine[name]]:
            names = ", ".join(changed)
            raise self._refused(f"is the checkpoint of a run with other settings ({names})")

    def resume(self, solver: Any, state: dict[str, Any]) -> None:
        """Put `solver` where `state` says.

        Raises
        ------
        ConfigError
            If the state is not that of such a solver.
        """
        try:
            solver.restore_state(state)
            if not len(solver.losses) == solver.t <= solver.total:
                raise ValueError(f"{len(solver.losses)} losses of {solver.t} steps")
        # A damaged file may hold anything, and torch raises errors of many types.
        except Exception as error:
            raise self._refused("is damaged") from error

    def discard(self) -> None:
        """Delete the file, if there is one.

        Raises
        ------
        FileError
            If it cannot be deleted.
        """
        with naming(self.path, "deleted"):
            self.path.unlink(missing_ok=True)

    def _refused(self, reason: str) -> ConfigError:
        return ConfigError(f"{self.path} {reason}; choose another file, or delete it to start anew")


def _digest(value: Any) -> str:
    """Return a fingerprint of tensors, numbers and texts in lists and dicts."""
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, Tensor):
            flat = part.detach().cpu().reshape(-1)
            digest.update(f"{part.dtype} {tuple(part.shape)};".encode())
            digest.update(flat.contiguous().view(torch.uint8).numpy().tobytes())
        elif isinstance(part, Mapping | list | tuple):
            digest.update(f"{len(part)}(".encode())
            for each in part.items() if isinstance(part, Mapping) else part:
                add(each)
        else:
            digest.update(f"{part!r};".encode())

    add(value)
    return digest.hexdigest()
