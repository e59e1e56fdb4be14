"""The files that results are written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_selfdeblur.cli.arguments import Dtype, Inputs
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Outputs"]


class Outputs:
    """Files in one folder whose names begin alike.

    Parameters
    ----------
    folder : Path
        Made if needed.
    stem : str
        Beginning of the names.
    ends : dict of str
        Their ends, by what the files hold: ``{"kernel": "kernel.tif"}``.
    inputs : iterable of Path
        Files that no output may replace.

    Attributes
    ----------
    written : dict of str
        Paths of the files written so far, by what they hold.

    Raises
    ------
    ImageError
        If an output would replace one of `inputs`.
    """

    def __init__(
        self, folder: Path, stem: str, ends: Mapping[str, str], inputs: Iterable[Path | None] = ()
    ) -> None:
        self.written: dict[str, str] = {}
        self._paths = {what: folder / f"{stem}_{end}" for what, end in ends.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for source in inputs:
            for path in self._paths.values():
                if source and path.exists() and source.exists() and path.samefile(source):
                    raise ImageError(f"{source} would be replaced; choose another output folder")

    def image(
        self, what: str, array: NDArray[np.float32], inputs: Inputs, dtype: Dtype, *, rgb: bool
    ) -> None:
        """Write an image with the pixel size of the source; `rgb`: whether in its colours."""
        from napari_selfdeblur.io.files import write_tiff
        from napari_selfdeblur.io.images import cast_like

        source = inputs.source
        stored = cast_like(array, source.array.dtype) if dtype is Dtype.INPUT else array
        write_tiff(self._written(what), stored, source.pixel_size, source.unit, rgb=rgb)

    def text(self, what: str, text: str) -> None:
        """Write a text."""
        from napari_selfdeblur.io.files import write_text

        write_text(self._written(what), text)

    def panel(self, what: str, inputs: Inputs, terminal: Terminal, **options: Any) -> None:
        """Draw the picture of before and after; where that fails, warn: the results are safe."""
        try:
            from napari_selfdeblur.io.figures import save_panel

            source = inputs.source
            save_panel(self._paths[what], source.array, rgb=source.rgb, **options)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            terminal.note(f"warning: the picture {self._paths[what].name} was not drawn: {reason}")
        else:
            self._written(what)

    def _written(self, what: str) -> Path:
        self.written[what] = str(self._paths[what])
        return self._paths[what]
