"""The frames of a batch on several processes or machines, by dask.distributed."""

from __future__ import annotations

import itertools
import logging
import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from napari_selfdeblur.errors import ConfigError, DeblurError, DeblurWarning
from napari_selfdeblur.io.extra import needs_batch
from napari_selfdeblur.io.stores import FrameRef, Store
from napari_selfdeblur.numerics.stop import Stop, stopped
from napari_selfdeblur.run.batch import Batch, Event, Execute
from napari_selfdeblur.run.batch_frame import FrameReport, Work, frame_steps

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster

__all__ = ["distributed", "do_frame"]

_Task: TypeAlias = "Future[tuple[FrameReport | None, list[str]]]"

_LOOK = 0.2  # seconds between two looks at the stop and at what is done
_WAIT = 30  # seconds for a scheduler to answer
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SCHEDULER = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": ":0"}
_SET_BY_DASK = ("PYTHONHASHSEED", "__DASK_PARENT_PID")
_AHEAD = 4  # frames handed out for each worker: it never waits for the next one


def distributed(*, workers: int | None = None, scheduler: str | None = None) -> Execute:
    """Return what does the frames of a batch on a Dask cluster.

    Each frame is one task. Workers read and write files themselves, so they must reach inputs
    and output under the same paths; only reports travel. The frames of a worker that ends are
    done by others. Those at hand when several workers ended are done once more at the end, one
    at a time, since only one of them need be the cause; which ends several again has failed.

    Parameters
    ----------
    workers : int, optional
        Start so many processes of one thread on this machine, with one GPU each where there
        are GPUs, in turn.
    scheduler : str, optional
        Join the cluster of this scheduler instead.

    Raises
    ------
    ConfigError
        If Dask is not installed, or, when frames are asked for, the scheduler does not answer.
    """
    with needs_batch("a cluster"):
        import distributed as _  # noqa: F401

    def execute(batch: Batch, stop: Stop | None) -> Iterator[Event]:
        with _client(workers, scheduler, batch.work.config.device) as client:
            yield from _done(client, batch, stop)

    return execute


def do_frame(frame: FrameRef, store: Store, work: Work) -> tuple[FrameReport | None, list[str]]:
    """Do one frame in a worker; return its report and the warnings on the way."""
    with warnings.catch_warnings(record=True, action="always", category=DeblurWarning) as caught:
        steps = frame_steps(frame, store, work)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value, [str(each.message) for each in caught]


def _done(client: Client, batch: Batch, stop: Stop | None) -> Generator[Event, None, None]:
    """Hand out the frames, a few ahead, and yield their reports."""
    from distributed import KilledWorker, wait

    # A worker's own folder may be another one.
    store = replace(batch.store, path=batch.store.path.absolute())
    frames = (replace(frame, path=frame.path.absolute()) for frame in batch.frames)
    at_work: dict[_Task, FrameRef] = {}
    suspects: list[FrameRef] = []  # at hand when several workers ended
    alone = False

    def hand_out(frame: FrameRef) -> None:
        at_work[client.submit(do_frame, frame, store, batch.work, pure=False)] = frame

    while not stopped(stop):
        most = _AHEAD * max(1, len(client.nthreads()))  # a cluster may grow on the way
        for frame in itertools.islice(frames, max(0, most - len(at_work))):
            hand_out(frame)
        if suspects and not at_work:
            alone = True
            hand_out(suspects.pop(0))
        if not at_work:
            return
        try:
            with client.as_current():
                ready = wait(list(at_work), timeout=_LOOK, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            continue
        for future in ready:
            frame = at_work.pop(future)
            killed = future.status == "error" and isinstance(future.exception(), KilledWorker)
            if killed and not alone:
                suspects.append(frame)
            else:
                yield _report(frame, future)
    client.cancel(list(at_work))


def _report(frame: FrameRef, future: _Task) -> FrameReport:
    """Return the report of a frame whose task has ended."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        report, messages = future.result()
    except FutureCancelledError as error:
        raise DeblurError(
            "the connection to the cluster was lost; give the same command again to go on"
        ) from error
    except KilledWorker:
        reason = DeblurError(
            "the process at work on it ended several times, perhaps for lack of memory; do it "
            "with fewer workers, or on a machine with more memory"
        )
        return FrameReport.failed(frame, reason)
    except Exception as error:  # the task could not be begun: this package is missing there
        return FrameReport.failed(frame, error)
    for message in messages:
        warnings.warn(f"{frame.path.name} {frame.label}: {message}", DeblurWarning, stacklevel=2)
    assert report is not None
    return report


@contextmanager
def _client(workers: int | None, scheduler: str | None, device: str) -> Iterator[Client]:
    """Give a client of a cluster; one that was started here ends with it."""
    from distributed import Client

    if workers is None:
        try:
            joined = Client(scheduler, timeout=_WAIT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the scheduler {scheduler} does not answer ({error}); start it, or correct its "
                "address, such as tcp://10.0.0.1:8786"
            ) from error
        with joined:
            if not joined.nthreads():
                warnings.warn("the cluster has no workers yet", DeblurWarning, stacklevel=2)
            yield joined
        return
    with (
        _environment_kept(),
        _local(workers, device) as cluster,
        Client(cluster, set_as_default=False) as started,
    ):
        yield started


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Give this process its environment back, in which Dask sets what its workers are to have."""
    before = {name: os.environ.get(name) for name in (*_THREADS, *_SET_BY_DASK)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _local(workers: int, device: str) -> SpecCluster:
    """Start processes on this machine, of one thread each."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    options = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL}
    # Dask would also have them give memory back to the system at every turn
    # (MALLOC_TRIM_THRESHOLD_), and to get it again takes longer than to compute with it.
    with dask.config.set({"distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, 1)}):
        return SpecCluster(
            workers={
                number: {"cls": Nanny, "options": options | {"env": _environment(number, device)}}
                for number in range(workers)
            },
            scheduler={"cls": Scheduler, "options": _SCHEDULER},
            silence_logs=logging.CRITICAL,
        )


def _environment(number: int, device: str) -> dict[str, str]:
    """Return what the process of a worker is given: one GPU, where there are any and none is named.

    Of those that this process may use.
    """
    if device not in ("auto", "cuda"):
        return {}
    import torch

    count = torch.cuda.device_count()
    if not count:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(each) for each in range(count)]
    return {"CUDA_VISIBLE_DEVICES": names[number % count].strip()}
