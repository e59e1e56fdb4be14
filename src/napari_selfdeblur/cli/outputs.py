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
    inputs : Inputs
        What the results are made of.
    terminal : Terminal
        Where the results are reported.
    kept : iterable of Path
        Files that no output may replace.

    Attributes
    ----------
    written : dict of str
        Paths of the files written so far, by what they hold.

    Raises
    ------
    ImageError
        If an output would replace a file of `kept`.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        ends: Mapping[str, str],
        inputs: Inputs,
        terminal: Terminal,
        kept: Iterable[Path | None] = (),
    ) -> None:
        self.inputs, self.terminal = inputs, terminal
        self.written: dict[str, str] = {}
        self._paths = {what: folder / f"{stem}_{end}" for what, end in ends.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for source in kept:
            for path in self._paths.values():
                if source and path.exists() and source.exists() and path.samefile(source):
                    raise ImageError(f"{source} would be replaced; choose another output folder")

    def image(self, what: str, array: NDArray[np.float32], dtype: Dtype) -> None:
        """Write an image of the source's axes, or a kernel, with the source's pixel size."""
        from napari_selfdeblur.io.files import write_tiff
        from napari_selfdeblur.io.images import cast_like

        source = self.inputs.source
        stored = cast_like(array, source.array.dtype) if dtype is Dtype.INPUT else array
        path, rgb = self._written(what), source.rgb and array.ndim == 3
        write_tiff(path, stored, source.pixel_size, source.unit, rgb=rgb)

    def text(self, what: str, text: str) -> None:
        """Write a text."""
        from napari_selfdeblur.io.files import write_text

        write_text(self._written(what), text)

    def panel(self, what: str, **options: Any) -> None:
        """Draw the picture of before and after; where that fails, warn: the results are saved."""
        source, path = self.inputs.source, self._paths[what]
        try:
            from napari_selfdeblur.io.figures import save_panel

            save_panel(path, source.array, rgb=source.rgb, **options)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self.terminal.note(f"warning: the picture {path.name} was not drawn: {reason}")
        else:
            self._written(what)

    def report(
        self, lines: list[str], values: dict[str, Any], psnr: tuple[float, float] | None
    ) -> None:
        """Print the results: facts, PSNR before and after, the files written."""
        if psnr is not None:
            values |= {"psnr_blurred": round(psnr[0], 4), "psnr_sharp": round(psnr[1], 4)}
            gain = f"({psnr[1] - psnr[0]:+.2f} dB, up to shift)"
            lines += [f"PSNR before {psnr[0]:6.2f} dB", f"PSNR after  {psnr[1]:6.2f} dB  {gain}"]
        lines += [f"{name:9} {path}" for name, path in self.written.items()]
        self.terminal.result(lines, {**values, "outputs": self.written})

    def _written(self, what: str) -> Path:
        self.written[what] = str(self._paths[what])
        return self._paths[what]
