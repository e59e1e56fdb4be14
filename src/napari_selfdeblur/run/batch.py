"""A batch of frames: which there are, which are done already, and in which order they are done."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, DeblurWarning, ImageError
from napari_selfdeblur.io.folder_store import FolderStore
from napari_selfdeblur.io.inputs import lies_in, stem_of
from napari_selfdeblur.io.layout import Layout
from napari_selfdeblur.io.sources import Source, open_part, open_parts
from napari_selfdeblur.io.stores import FrameRef, Store, digest
from napari_selfdeblur.io.writing import check_writable
from napari_selfdeblur.io.zarr_store import ZarrStore
from napari_selfdeblur.numerics.stop import Stop, stopped
from napari_selfdeblur.run.batch_frame import FrameReport, Work, file_state, frame_steps, reason_of
from napari_selfdeblur.run.batch_summary import write_summary
from napari_selfdeblur.run.diagnostics import refuse_diagnostics
from napari_selfdeblur.run.events import Progress

__all__ = ["Batch", "Event", "Execute", "in_process", "iter_batch", "prepare_batch", "store_at"]

Event = Progress | FrameReport
"""A step of a frame's run, or a frame's end."""

Execute = Callable[["Batch", Stop | None], Iterator[Event]]
"""Does the frames of a batch, here or elsewhere, and reports each."""

_REMEDY = "choose another output, or give --restart to make everything again"


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done.

    Attributes
    ----------
    frames : tuple of FrameRef
        Every frame of every input that can be opened, also those done before.
    layouts : mapping of str to (Layout or None)
        Layout of each image by the name of its results; None where it is one plane.
    failed : tuple of FrameReport
        Inputs that cannot be opened.
    store : Store
        Where results are written.
    work : Work
        What is done with each frame.
    """

    frames: tuple[FrameRef, ...]
    layouts: Mapping[str, Layout | None]
    failed: tuple[FrameReport, ...]
    store: Store
    work: Work


def store_at(path: Path, dtype: str = "float32") -> Store:
    """Return the store that a name means: OME-Zarr where it ends in ``.zarr``, else a folder.

    Raises
    ------
    ConfigError
        If the packages for OME-Zarr are missing.
    """
    return ZarrStore(path, dtype) if path.suffix.lower() == ".zarr" else FolderStore(path, dtype)


def prepare_batch(
    paths: Sequence[Path], store: Store, work: Work, *, restart: bool = False
) -> Batch:
    """Open the inputs, and make the store or check that it is this batch's own.

    Parameters
    ----------
    paths : sequence of Path
        Image files and OME-Zarr folders.
    store : Store
        Where results are written. Frames that are done there stay.
    work : Work
        What to do.
    restart : bool
        Whether to delete what a former batch wrote there.

    Raises
    ------
    ConfigError
        If there is nothing to do, an input lies in the output, or the store holds what no batch
        wrote, or results of other settings or of inputs that have changed since.
    FileError
        If the store cannot be written.
    """
    if isinstance(work.config, SelfDeblurConfig):
        refuse_diagnostics(work.config, "the frames of a batch")
    if not paths:
        raise ConfigError("a batch needs an input; name files, folders or patterns")
    for path in paths:
        if lies_in(path, store.path):
            raise ConfigError(f"the input {path} lies in the output; choose another output")
    if restart:
        store.clear()
    batch = _named(_opened(paths), store, work)
    if not batch.frames:
        return batch
    manifest = {"settings": work.settings, "dtype": store.dtype, "images": list(batch.layouts)}
    # Of what was cleared there may be files of others left, which `manifest` refuses.
    before = None if restart else store.manifest()
    if before is not None:
        _check_settings(before, manifest)
        manifest["images"] = list(dict.fromkeys([*before["images"], *batch.layouts]))
    _check_sources(batch)
    store.begin(manifest)
    check_writable(store.summary_path())
    for name, layout in batch.layouts.items():
        if layout is not None:
            store.create(name, layout)
    return batch


def iter_batch(
    batch: Batch, *, execute: Execute | None = None, stop: Stop | None = None
) -> Generator[Event, None, None]:
    """Do a batch, and write its summary; what is done and whole already is kept.

    Parameters
    ----------
    batch : Batch
        What to do.
    execute : callable, optional
        Does the frames; `in_process` by default, or `cluster.distributed`.
    stop : Stop, optional
        Ends the batch; frames that are not done then are done by the next one.

    Yields
    ------
    FrameReport
        Of inputs that could not be opened, of each frame when it is done or failed, and of
        images that could not be completed.
    Progress
        Steps of a frame's run, where they are known.
    """
    failed = list(batch.failed)
    yield from failed
    left = Counter(frame.name for frame in batch.frames)
    frames: dict[str, list[FrameRef]] = {name: [] for name in batch.layouts}
    for frame in batch.frames:
        frames[frame.name].append(frame)
    for event in (execute or in_process)(batch, stop):
        yield event
        if isinstance(event, FrameReport):
            failed += [event] if event.status == "failed" else []
            left[event.output] -= 1
            if left[event.output] == 0:
                try:
                    name = event.output
                    batch.store.finish(name, batch.layouts[name], frames[name])
                except (DeblurError, OSError) as error:
                    reason = f"its planes were not put together: {reason_of(error)}"
                    report = replace(event, plane="", status="failed", credible=None, reason=reason)
                    failed.append(report)
                    yield report
    if not batch.frames:  # there may be no store
        return
    batch.store.close()
    try:
        write_summary(batch.store, failed)
    except DeblurError as error:  # of a full disk
        warnings.warn(f"the summary was not written: {error}", DeblurWarning, stacklevel=2)


def in_process(batch: Batch, stop: Stop | None) -> Iterator[Event]:
    """Do the frames one after another in this process."""
    for number, frame in enumerate(batch.frames, start=1):
        steps = frame_steps(frame, batch.store, batch.work, stop)
        while not stopped(stop):
            try:
                yield replace(next(steps), part=(number, len(batch.frames)))
            except StopIteration as end:
                if end.value is not None:
                    yield end.value
                break


_Opened = list[tuple[Path, list[Source], DeblurError | None]]


def _opened(paths: Iterable[Path]) -> _Opened:
    """Return the images of each input, or why there are none."""
    found: _Opened = []
    for path in paths:
        try:
            found.append((path, open_parts(path), None))
        except ImageError as error:
            found.append((path, [], error))
    return found


def _named(opened: _Opened, store: Store, work: Work) -> Batch:
    """Return the batch of opened inputs, with a name for the results of each image."""
    # An input that failed has a name too, which it keeps when it can be opened later.
    parts: list[tuple[Path, Source | None]] = []
    for path, sources, _ in opened:
        parts += [(path, source) for source in sources] or [(path, None)]
    stems = [
        stem_of(path) + (f"_{source.part.replace('/', '_')}" if source and source.part else "")
        for path, source in parts
    ]
    frames: list[FrameRef] = []
    layouts: dict[str, Layout | None] = {}
    for (path, source), name in zip(parts, store.names(stems), strict=True):
        if source is None:
            continue
        layout = layouts[name] = None if source.single else source.layout
        if layout is None:
            frames.append(FrameRef(path, source.part, name))
        else:
            planes = layout.planes
            frames += [FrameRef(path, source.part, name, layout.leading, each) for each in planes]
    failed = tuple(
        FrameReport(input=path.name, status="failed", reason=reason_of(error))
        for path, _, error in opened
        if error is not None
    )
    return Batch(tuple(frames), layouts, failed, store, work)


def _check_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if a store holds results of other settings, naming them."""
    old, new = ({**each["settings"], "dtype": each["dtype"]} for each in (before, now))
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if changed:
        words = (f"{key} was {old.get(key)}, now {new.get(key)}" for key in changed)
        raise ConfigError(
            f"the output holds results of other settings: {'; '.join(words):.300}; {_REMEDY}"
        )
    if ([""] in (before["images"], now["images"])) and before["images"] != now["images"]:
        raise ConfigError(f"an OME-Zarr of one image cannot take up several; {_REMEDY}")


def _check_sources(batch: Batch) -> None:
    """Raise `ConfigError` if a frame was done of other settings, or of another image."""
    for frame in batch.frames:
        marker = batch.store.marker(frame)
        if marker is None:
            continue
        if marker.get("settings") != batch.work.settings_digest:
            raise ConfigError(
                f"the output holds {frame.name} {frame.label} of other settings; {_REMEDY}"
            )
        state = file_state(frame.path)
        if state is not None and state == marker.get("file"):
            continue
        if digest(open_part(frame.path, frame.part).read(frame.plane)) != marker.get("source"):
            raise ConfigError(
                f"{frame.path} {frame.label} has changed since it was deblurred; {_REMEDY}"
            )
