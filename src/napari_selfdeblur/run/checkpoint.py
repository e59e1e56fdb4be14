"""A run put aside and taken up again: tensors and numbers in one file, nothing pickled."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.files import replacing
from napari_selfdeblur.numerics.solvers.networks import Steps

__all__ = ["Checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file that holds a run of one image and configuration.

    Attributes
    ----------
    path : Path
        The file; it need not exist.
    config : SelfDeblurConfig
        The run's settings.
    sha256 : str
        Fingerprint of the run's image.
    """

    path: Path
    config: SelfDeblurConfig
    sha256: str

    @classmethod
    def of(
        cls, path: str | os.PathLike[str], config: SelfDeblurConfig, image: dict[str, Any]
    ) -> Checkpoint:
        """Return the checkpoint at `path` of a run of the image that `image` describes."""
        return cls(Path(path), config, image["sha256"])

    def save(self, optimiser: Steps) -> None:
        """Write the state of `optimiser`; a file already there is replaced in one piece."""
        with replacing(self.path) as partial:
            torch.save(
                {
                    "config": self.config.to_dict(),
                    "sha256": self.sha256,
                    "state": optimiser.state(),
                },
                partial,
            )

    def resume(self, optimiser: Steps) -> None:
        """Put `optimiser` where the file says, if there is one.

        Raises
        ------
        ConfigError
            If the file is no checkpoint, or that of another image or configuration.
        """
        if not self.path.exists():
            return
        cure = "choose another file, or delete it to start anew"
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            config, sha256, state = (kept[key] for key in ("config", "sha256", "state"))
        # What torch raises depends on what the file holds instead.
        except Exception as error:
            raise ConfigError(f"{self.path} is not a checkpoint; {cure}") from error
        if sha256 != self.sha256:
            raise ConfigError(f"{self.path} is the checkpoint of another image; {cure}")
        mine = self.config.to_dict()
        if changed := [name for name in mine if config.get(name) != mine[name]]:
            raise ConfigError(
                f"{self.path} is the checkpoint of a run with other settings "
                f"({', '.join(changed)}); {cure}"
            )
        optimiser.restore_state(state)

    def discard(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
