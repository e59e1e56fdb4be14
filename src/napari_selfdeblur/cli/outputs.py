"""The files that results are written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_selfdeblur.cli.arguments import Dtype, Inputs
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.errors import ImageError
from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.io.images import cast_like
from napari_selfdeblur.io.writing import write_text
from napari_selfdeblur.run.record import RestoreRecord, RunRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Outputs", "result_paths"]

R = TypeVar("R", RunRecord, RestoreRecord)


def result_paths(
    folder: Path, stem: str, ends: Mapping[str, str], kept: Iterable[Path | None] = ()
) -> dict[str, Path]:
    """Return the paths STEM_END in `folder`, made if needed; none may be a file of `kept`."""
    paths = {what: folder / f"{stem}_{end}" for what, end in ends.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for source in kept:
        for path in paths.values():
            if source and path.exists() and source.exists() and path.samefile(source):
                raise ImageError(f"{source} would be replaced; choose another output folder")
    return paths


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of one image are written and reported."""

    paths: dict[str, Path]  # the sharp image first, kernel (of a blind run), record, panel
    inputs: Inputs
    terminal: Terminal
    dtype: Dtype = Dtype.FLOAT32  # of the sharp image
    command: str | None = None
    written: dict[str, str] = field(default_factory=dict)

    def save(
        self,
        record: R,
        sharp: NDArray[np.float32],
        kernel: NDArray[np.float32],
        *,
        subtitle: str,
        psnr: tuple[float, float] | None,
    ) -> R:
        """Write every file and return the record as written."""
        inputs = self.inputs
        record = replace(record, image={**record.image, **inputs.origin}, command=self.command)
        self._image(next(iter(self.paths)), sharp, self.dtype)
        if "kernel" in self.paths:
            self._image("kernel", kernel, Dtype.FLOAT32)
        write_text(self._written("record"), record.to_json())
        self._panel(
            sharp=sharp,
            kernel=kernel,
            title=inputs.origin["name"],
            subtitle=subtitle,
            psnr=psnr,
            losses=getattr(record, "losses", ()),
        )
        return record

    def report(
        self, lines: list[str], values: dict[str, Any], psnr: tuple[float, float] | None
    ) -> None:
        """Print the results: facts, PSNR before and after, the files written."""
        if psnr is not None:
            before, after = psnr
            values |= {"psnr_blurred": round(before, 4), "psnr_sharp": round(after, 4)}
            gain = f"({after - before:+.2f} dB, up to shift)"
            lines += [f"PSNR before {before:6.2f} dB", f"PSNR after  {after:6.2f} dB  {gain}"]
        lines += [f"{name:9} {path}" for name, path in self.written.items()]
        self.terminal.result(lines, {**values, "outputs": self.written})

    def _image(self, what: str, array: NDArray[np.float32], dtype: Dtype) -> None:
        """Write an image of the source's axes, or a kernel, with the source's pixel size."""
        source = self.inputs.source
        stored = cast_like(array, source.array.dtype) if dtype is Dtype.INPUT else array
        path, rgb = self._written(what), source.rgb and array.ndim == 3
        write_tiff(path, stored, source.pixel_size, source.unit, rgb=rgb)

    def _panel(self, **options: Any) -> None:
        """Draw the picture of before and after; where that fails, warn: the results are saved."""
        source, path = self.inputs.source, self.paths["panel"]
        try:
            from napari_selfdeblur.io.figures import save_panel

            save_panel(path, source.array, rgb=source.rgb, **options)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self.terminal.note(f"warning: the picture {path.name} was not drawn: {reason}")
        else:
            self._written("panel")

    def _written(self, what: str) -> Path:
        self.written[what] = str(self.paths[what])
        return self.paths[what]
