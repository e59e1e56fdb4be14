"""Stacks on the command line: from the planes of a file to files of as many planes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.cli.arguments import Dtype, Inputs, parse_roi
from napari_selfdeblur.cli.outputs import Outputs, result_paths
from napari_selfdeblur.cli.terminal import stopped_by_interrupt
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.io.file_stack import FileStack, open_stack
from napari_selfdeblur.io.formats import ImageFile
from napari_selfdeblur.io.images import cast_like
from napari_selfdeblur.io.inputs import stem_of
from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.tiff_stacks import write_stack
from napari_selfdeblur.io.writing import replacing
from napari_selfdeblur.run.stack_record import StackRecord, StackResult

if TYPE_CHECKING:
    from napari_selfdeblur.run.record import RestoreRecord

__all__ = ["Asked", "StackOutputs", "deblur_file", "opened_stack", "restore_file", "stack_outputs"]

_ITEM = re.compile(r"(?:([A-Za-z])=)?(\d+)?(:(\d+)?)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a stack, as text; nothing of one plane."""

    axes: str | None = None
    planes: str | None = None
    kernels: str | None = None
    kernel_from: str | None = None

    def __bool__(self) -> bool:
        return any((self.axes, self.planes, self.kernels, self.kernel_from))


def opened_stack(path: Path, asked: Asked, roi: str | None) -> FileStack | None:
    """Return the planes of a file, None where it holds one, of which nothing else is asked."""
    stack = open_stack(path, asked.axes)
    if stack is None:
        if asked:
            raise ConfigError(f"{path.name} is one plane; leave out what is asked of a stack")
        return None
    if roi is None:
        return stack
    at = len(stack.layout.leading)
    return stack.cropped(parse_roi(roi, stack.shape[at : at + 2]))


def stack_outputs(
    stack: FileStack,
    path: Path,
    roi: str | None,
    ends: Mapping[str, str],
    folder: Path,
    *others: Path | None,
    **more: Any,
) -> StackOutputs:
    """Return where the results of a stack go: files called by `path` and `ends` in `folder`.

    None of them may be `path` or one of `others`; `more` are further fields.
    """
    inputs = _inputs(stack, path, roi)
    paths = result_paths(folder, stem_of(path), ends, inputs.source, [path, *others])
    return StackOutputs(paths=paths, inputs=inputs, layout=stack.layout, **more)


def _inputs(stack: FileStack, path: Path, roi: str | None) -> Inputs:
    pixel_size, unit = stack.layout.pixel_size
    array: Any = stack
    origin: dict[str, Any] = {"name": path.name}
    if roi is not None:
        origin["roi"] = [[part.start, part.stop] for part in stack.region]
    return Inputs(ImageFile(array, stack.layout.rgb, pixel_size, unit), origin)


def parse_planes(text: str | None, stack: FileStack) -> dict[str, list[int]] | None:
    """Return the indices by axis that ``T=0:5,8,C=1`` means; None for ``all``."""
    if text is None or text.strip().lower() == "all":
        return None
    lengths = _lengths(stack)
    found = _indices(text, lengths)
    if found is None:
        raise ConfigError(
            f"--planes is all, or indices along {' and '.join(lengths)}, got {text!r}; try "
            f"{next(iter(lengths))}=0:{max(lengths.values())}"
        )
    return found


def parse_place(text: str | None, stack: FileStack) -> dict[str, int] | None:
    """Return the index by axis that ``T=3,C=0`` means."""
    if text is None:
        return None
    lengths = _lengths(stack)
    found = _indices(text, lengths) or {}
    if not found or any(len(indices) != 1 for indices in found.values()):
        raise ConfigError(
            f"--kernel-from is one plane, an index along {' and '.join(lengths)}, got {text!r}; "
            f"try {','.join(f'{axis}=0' for axis in lengths)}"
        )
    return {axis: index for axis, (index,) in found.items()}


def _lengths(stack: FileStack) -> dict[str, int]:
    return dict(zip(stack.layout.leading, stack.shape, strict=False))


def _indices(text: str, lengths: Mapping[str, int]) -> dict[str, list[int]] | None:
    """Return the indices that a text names along each axis; None where it is no such text."""
    found: dict[str, list[int]] = {}
    axis = ""
    for item in text.replace(" ", "").split(","):
        match = _ITEM.fullmatch(item)
        axis = (match and match[1] and match[1].upper()) or axis
        if match is None or (match[2] is None and match[3] is None) or axis not in lengths:
            return None
        begin, end = int(match[2] or 0), int(match[4] or lengths[axis])
        found.setdefault(axis, []).extend(range(begin, end) if match[3] else [begin])
    return found


def deblur_file(
    outputs: StackOutputs, config: SelfDeblurConfig, stack: FileStack, asked: Asked
) -> None:
    """Deblur the planes of a file, save the results and report them."""
    planes, place = parse_planes(asked.planes, stack), parse_place(asked.kernel_from, stack)
    from napari_selfdeblur.stacks import deblur_stack

    def run(**how: Any) -> StackResult:
        return deblur_stack(
            stack,
            stack.layout.axes,
            asked.kernels or "one",
            planes,
            config=config,
            kernel_from=place,
            **how,
        )

    record = _saved(outputs, run)
    assert isinstance(record, StackRecord)
    _report(outputs, record)


def restore_file(
    outputs: StackOutputs,
    config: RestoreConfig,
    stack: FileStack,
    kernels: NDArray[Any],
    asked: Asked,
) -> None:
    """Restore the planes of a file with known kernels, save the result and report it."""
    from napari_selfdeblur import stacks
    from napari_selfdeblur.run.events import drained

    planes, axes = parse_planes(asked.planes, stack), stack.layout.axes

    def run(on_progress: Callable[[Any], None], **how: Any) -> StackResult:
        events = stacks.iter_restore_stack(stack, kernels, config, axes, planes, **how)
        return drained(events, on_progress)

    record = _saved(outputs, run)
    lines = [_headline(record)]
    outputs.report(lines, {**config.to_dict(), "status": record.status}, None)


def _saved(outputs: StackOutputs, run: Callable[..., StackResult]) -> StackRecord | RestoreRecord:
    """Run, showing the progress, and save the result; Ctrl-C ends the run with what is done.

    Of a run that fails what it had done is saved before the error is raised.
    """
    terminal = outputs.terminal
    with outputs.interruptible(), terminal.warnings():
        try:
            with stopped_by_interrupt(terminal.note) as stop, terminal.progress() as show:
                result = run(stop=stop, on_progress=show)
        except DeblurError as error:
            if not isinstance(error.result, StackResult):
                raise
            outputs.save_result(error.result)
            kept = next(iter(outputs.written.values()))  # the image comes first
            raise type(error)(f"{error}. What was done before is saved in {kept}") from error
        return outputs.save_result(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs(Outputs):
    """Where the results of one stack are written and reported."""

    layout: Layout

    def save_result(self, result: StackResult) -> StackRecord | RestoreRecord:
        """Write images, kernels and record, then the picture; return the record as written."""
        record = self.save(result.record, result.sharp, result.kernels)
        done = next((n for n, e in enumerate(record.planes) if e["state"] != "blurred"), 0)
        lead = result.sharp.shape[: len(self.layout.leading)]
        place = np.unravel_index(done, lead)
        number = record.planes[done].get("estimate") or 0
        kernel = result.kernels.reshape(-1, *result.kernels.shape[-2:])
        blurred = self.inputs.source.array[tuple(record.planes[done]["index"].values())]
        self.draw(
            record,
            result.sharp[place],
            kernel[min(number, len(kernel) - 1)],
            subtitle=_subtitle(record, done),
            psnr=None,
            blurred=blurred,
        )
        return record

    def _image(self, what: str, array: NDArray[np.float32], dtype: Dtype) -> None:
        """Write planes of the source's axes, or kernels, with the source's scale."""
        if array.ndim == 2:
            Outputs._image(self, what, array, dtype)
            return
        layout = self._layout_of(what, array)
        name = self.layout.dtype if dtype is Dtype.INPUT else array.dtype.name
        stored = cast_like(array, name)
        lead = array.shape[: len(layout.leading)]
        with replacing(self.paths[what]) as unfinished:
            planes = (stored[place] for place in np.ndindex(lead))
            write_stack(unfinished, layout.with_dtype(name), planes)

    def _layout_of(self, what: str, array: NDArray[np.float32]) -> Layout:
        if what != "kernel":
            return replace(self.layout, shape=array.shape)
        own, whole = array.ndim - 2, self.layout
        axes = whole.leading if own == len(whole.leading) else "C"
        at = [whole.axes.index(axis) for axis in (*axes, "Y", "X")]
        return Layout(
            axes=f"{axes}YX",
            shape=array.shape,
            dtype=array.dtype.name,
            scale=tuple(whole.scale[i] for i in at),
            units=tuple(whole.units[i] for i in at),
        )


def _subtitle(record: StackRecord | RestoreRecord, number: int) -> str:
    name = record.config.name if isinstance(record, StackRecord) else record.config.restoration
    return f"{name}, plane {_place(record.planes[number])} of {len(record.planes)} planes"


def _place(plane: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis}={at}" for axis, at in plane["index"].items())


def _headline(record: StackRecord | RestoreRecord) -> str:
    done = sum(each["state"] != "blurred" for each in record.planes)
    planes = f"{done} of {len(record.planes)} planes"
    return f"{record.status}: {planes} in {record.seconds:.1f} s on {record.device}"


def _report(outputs: StackOutputs, record: StackRecord) -> None:
    verdict, records = record.verdict or {}, record.records
    if record.status == "stopped":
        outputs.terminal.note('stopped: the planes done are saved, with status "stopped"')
    values = {
        "status": record.status,
        "axes": record.axes,
        "kernels": record.kernels,
        "planes": list(record.planes),
        "seconds": round(record.seconds, 3),
        "device": record.device,
        "kernel_sizes": [each.used.to_dict()["kernel_size"] for each in records],
        "verdict": verdict,
    }
    lines = [_headline(record), *([record.size_found] if record.size_found else [])]
    outputs.report(lines, values, None)
    if verdict and not verdict["credible"]:
        reasons = "; ".join([*verdict["reasons"], *verdict.get("advice", ())])
        outputs.terminal.note(f"warning: the result may be wrong: {reasons}")
