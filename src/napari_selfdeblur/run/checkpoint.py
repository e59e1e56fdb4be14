"""A run saved and resumed: tensors and numbers in one file, nothing pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.writing import replacing

__all__ = ["Checkpoint"]

_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file that holds a run of one image and configuration.

    Attributes
    ----------
    path : Path
        The file; it need not exist.
    config : SelfDeblurConfig
        The settings that run, with nothing "auto".
    sha256 : str
        Fingerprint of the run's image.
    """

    path: Path
    config: SelfDeblurConfig
    sha256: str

    @classmethod
    def of(
        cls, path: str | os.PathLike[str], config: SelfDeblurConfig, image: Mapping[str, Any]
    ) -> Checkpoint:
        """Return the checkpoint at `path` of a run of the image that `image` describes."""
        return cls(Path(path), config, image["sha256"])

    def save(self, states: list[dict[str, Any]]) -> None:
        """Write the state of each solver begun; a file already there is replaced in one piece."""
        content = {
            "format": _FORMAT,
            "config": self.config.to_dict(),
            "sha256": self.sha256,
            "solvers": states,
        }
        with replacing(self.path) as partial:
            torch.save(content, partial)

    def load(self) -> list[dict[str, Any]]:
        """Return the state of each solver begun; none where there is no file.

        Raises
        ------
        ConfigError
            If the file is no checkpoint, or that of another image, configuration or version.
        """
        if not self.path.exists():
            return []
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
        # What torch raises depends on what the file holds instead.
        except Exception as error:
            raise self._refused("is not a checkpoint") from error
        if not isinstance(kept, dict) or "sha256" not in kept or "config" not in kept:
            raise self._refused("is not a checkpoint")
        if kept.get("format") != _FORMAT:
            raise self._refused(
                "was written by another version of napari-selfdeblur, whose runs cannot be "
                "resumed here"
            )
        if kept["sha256"] != self.sha256:
            raise self._refused("is the checkpoint of another image")
        # Settings that a later version has added have their defaults: an old file stays good.
        theirs, mine = SelfDeblurConfig.from_dict(kept["config"]).to_dict(), self.config.to_dict()
        if changed := [name for name in mine if theirs[name] != mine[name]]:
            names = ", ".join(changed)
            raise self._refused(f"is the checkpoint of a run with other settings ({names})")
        states = kept.get("solvers")
        if not isinstance(states, list) or len(states) > len(self.config.solvers):
            raise self._refused("is not a checkpoint")
        return states

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
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _refused(self, reason: str) -> ConfigError:
        return ConfigError(f"{self.path} {reason}; choose another file, or delete it to start anew")
