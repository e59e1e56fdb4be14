"""The files that results are written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_selfdeblur.cli.arguments import Dtype, Inputs
from napari_selfdeblur.cli.terminal import Terminal, complain
from napari_selfdeblur.errors import FileError, ImageError
from napari_selfdeblur.io.files import ImageFile, write_tiff
from napari_selfdeblur.io.images import cast_like
from napari_selfdeblur.io.writing import check_writable, naming, write_text
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.stack_record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Outputs", "result_paths"]

_EXTRAS = 4 * 2**20  # bytes of kernel, record and picture
R = TypeVar("R", bound=Record)


def result_paths(
    folder: Path,
    stem: str,
    ends: Mapping[str, str],
    source: ImageFile,
    kept: Iterable[Path | None] = (),
) -> dict[str, Path]:
    """Return the paths STEM_END in `folder`, made if needed, for the results of `source`.

    All of them can be written, and none is a file of `kept`.
    """
    paths = {what: folder / f"{stem}_{end}" for what, end in ends.items()}
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    size = source.array.size * max(4, source.array.itemsize) + _EXTRAS
    others = [other for other in kept if other is not None]
    for path in paths.values():
        check_writable(path, size)
        for other in others:
            same = path.exists() and other.exists() and path.samefile(other)
            if same or path.resolve() == other.resolve():
                raise ImageError(f"{other} would be replaced; choose another output folder")
    return paths


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of one image are written and reported."""

    paths: dict[str, Path]  # the sharp image first, kernel (of a blind run), record, panel, kernels
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
        kernels: NDArray[np.float32] | None = None,
    ) -> R:
        """Write images and record, those of them that can be; return the record as written.

        `kernels` (rows, columns, kh, kw) are those of a grid, written row by row.

        Raises
        ------
        FileError
            If one of them could not be written.
        """
        record = replace(record, image={**record.image, **self.inputs.origin}, command=self.command)
        first = next(iter(self.paths))
        writers: dict[str, Callable[[], None]] = {
            first: lambda: self._image(first, sharp, self.dtype),
            "kernel": lambda: self._image("kernel", kernel, Dtype.FLOAT32),
            "record": lambda: self.save_record(record),
        }
        if kernels is not None:
            writers["kernels"] = lambda: self._kernels(kernels)
        failed: FileError | None = None
        for what in [name for name in writers if name in self.paths]:
            try:
                writers[what]()
                self.written[what] = str(self.paths[what])
            except FileError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return record

    def save_more(self, what: str, image: NDArray[np.float32]) -> None:
        """Write a further image of the rows and columns of the source, as float32."""
        self._image(what, image, Dtype.FLOAT32)
        self.written[what] = str(self.paths[what])

    def save_record(self, record: Record) -> None:
        """Write the record; one already there is replaced."""
        write_text(self.paths["record"], record.to_json())

    def draw(
        self,
        record: Record,
        sharp: NDArray[np.float32],
        kernel: NDArray[np.float32],
        *,
        subtitle: str,
        psnr: tuple[float, float] | None,
        blurred: NDArray[Any] | None = None,
    ) -> None:
        """Draw the picture of before and after; where that fails, warn: the results are saved.

        `kernel` may be that of each cell of a grid.
        """
        source, path = self.inputs.source, self.paths["panel"]
        with self.terminal.optional(f"the picture {path.name} was not drawn"):
            from napari_selfdeblur.io.figures import save_panel

            save_panel(
                path,
                source.array if blurred is None else blurred,
                sharp,
                kernel,
                rgb=source.rgb,
                title=record.image["name"],
                subtitle=subtitle,
                psnr=psnr,
                losses=_losses(record),
            )
            self.written["panel"] = str(path)

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

    @contextmanager
    def interruptible(self, checkpoint: Path | None = None) -> Iterator[None]:
        """Say what is kept where the user interrupts the command inside."""
        try:
            yield
        except KeyboardInterrupt:
            files = ", ".join(self.written.values())
            kept = f"kept: {files}" if files else "no result was saved"
            if checkpoint is not None and checkpoint.exists():
                kept += f"; the same command goes on from {checkpoint}"
            complain(f"interrupted: {kept}")
            raise

    def _kernels(self, kernels: NDArray[np.float32]) -> None:
        """Write the kernels of a grid as a stack, row by row."""
        source, flat = self.inputs.source, kernels.reshape(-1, *kernels.shape[-2:])
        write_tiff(self.paths["kernels"], flat, source.pixel_size, source.unit, axes="ZYX")

    def _image(self, what: str, array: NDArray[np.float32], dtype: Dtype) -> None:
        """Write an image of the source's axes, or a kernel, with the source's pixel size."""
        source = self.inputs.source
        stored = cast_like(array, source.array.dtype) if dtype is Dtype.INPUT else array
        rgb = source.rgb and array.ndim == 3
        write_tiff(self.paths[what], stored, source.pixel_size, source.unit, rgb=rgb)


def _losses(record: Record) -> tuple[float, ...]:
    """Return the loss of each step of networks; steps without them are estimates, one by one."""
    if not isinstance(record, RunRecord):
        return ()
    last = len(record.used.solvers) - 1
    return record.losses if last in record.used.networks else ()
