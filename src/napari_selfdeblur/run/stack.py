"""The run of a stack: a kernel for all planes, each channel or each plane; every plane restored."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.io.arrays import check_size
from napari_selfdeblur.io.stacks import KERNELS, Position, Stack, result_array
from napari_selfdeblur.numerics.cost import expected_stages
from napari_selfdeblur.numerics.grid import check_grid
from napari_selfdeblur.numerics.regions import check_region
from napari_selfdeblur.numerics.runtime import Runtime, device_label, memory_errors
from napari_selfdeblur.numerics.stop import Interrupted, Stop, interruptible, stopped
from napari_selfdeblur.run.diagnostics import refuse_diagnostics
from napari_selfdeblur.run.events import Previews, Progress
from napari_selfdeblur.run.plan import Plan, check_every_stage
from napari_selfdeblur.run.record import RunRecord, Status, now
from napari_selfdeblur.run.result import DeblurResult
from napari_selfdeblur.run.run import run
from napari_selfdeblur.run.stack_planes import FATAL, Events, Pace, Planes
from napari_selfdeblur.run.stack_record import StackRecord, StackResult, stacked_kernels

__all__ = ["StackRun", "Steps", "restoration_of"]

_POINT = 1 - 1e-6  # of a kernel: what an image that is not blurred gets

Steps = Generator[Progress, None, StackResult]
"""Events of a stack's run, which returns its result."""


class StackRun:
    """One blind run over the planes of a stack.

    Parameters
    ----------
    stack : Stack
        The blurred planes.
    config : SelfDeblurConfig
        What to run for each estimate.
    kernels : {"one", "channel", "plane"}
        What each kernel is for.
    kernel_from : mapping of str to int, optional
        Index along each axis of the plane that the one kernel is estimated on; by default the
        plane with most structure.
    previews : Previews
        When events of an estimate carry images.
    stop : Stop, optional
        Ends the run; planes that are not done keep their values.
    out : array, optional
        Where the results go.

    Raises
    ------
    ConfigError, ImageError, DeviceError, OutOfMemoryError
        If it cannot be run as it is.
    """

    def __init__(
        self,
        stack: Stack,
        config: SelfDeblurConfig,
        kernels: str,
        kernel_from: Mapping[str, int] | None = None,
        previews: Previews | None = None,
        stop: Stop | None = None,
        out: Any = None,
    ) -> None:
        _check_kernels(kernels, stack, kernel_from)
        refuse_diagnostics(config, "the planes of a stack")
        self._named = None if kernel_from is None else stack.position(kernel_from)
        self._runtime = Runtime.of(config)
        size, rows_columns = config.kernel_size, stack.plane_shape[:2]
        self._shape = (rows_columns[0], rows_columns[1])
        check_size(self._shape, (3, 3) if isinstance(size, str) else size)
        check_region(config, self._shape, (3, 3) if isinstance(size, str) else size)
        _check_cells(config, kernels, self._shape)
        check_every_stage(config, self._shape, self._runtime)
        self._planes = Planes(stack, result_array(stack, out), stop)
        self._config, self._mode, self._previews = config, kernels, previews or Previews()
        self._kernels: dict[Position, NDArray[np.float32]] = {}
        self._records: list[RunRecord] = []
        self._errors: list[DeblurError] = []
        self._done = 0  # estimates that have not failed
        self._created = now()

    def steps(self) -> Steps:
        """Read, estimate and restore.

        Yields
        ------
        Progress
            Its `part` is the plane, from 1, in the order of the array; `sharp` and `kernel` are
            that plane's.

        Returns
        -------
        StackResult

        Raises
        ------
        DeblurError
            If no plane could be done, or none of those to come could be; its `result` is what
            had been done before.
        """
        try:
            with memory_errors(self._config, self._shape, self._runtime.device):
                yield from self._planes.read_all()
                self._check_named()
                self._planes.pace = self._pace()
                for key, group in self._groups():
                    if not stopped(self._planes.stop):
                        yield from self._work(key, group)
        except DeblurError as error:
            error.result = self._result("failed") if self._records else None
            raise
        if self._errors and not self._done:
            first = self._errors[0]
            first.result = self._result("failed") if self._records else None
            raise first
        return self._result("stopped" if self._stopped else "finished")

    def _check_named(self) -> None:
        """Raise `ConfigError` if the plane that the kernel is to come from cannot be deblurred."""
        if self._named is None:
            return
        planes = self._planes
        problem = planes.survey.problems.get(self._named)
        if problem is not None:
            raise ConfigError(
                f"kernel_from: {planes.stack.name(self._named)}: {problem}; name another plane",
                field="kernel_from",
            ) from problem

    @property
    def _stopped(self) -> bool:
        return any(not e["reason"] and e["state"] == "blurred" for e in self._planes.entries()) or (
            any(record.status == "stopped" for record in self._records)
        )

    def _groups(self) -> Iterator[tuple[Position, list[Position]]]:
        """Return the planes that share a kernel, by the kernel's position among all."""
        stack, groups = self._planes.stack, dict[Position, list[Position]]()
        for position in self._planes.usable(stack):
            keys = {"one": (), "channel": (stack.channel(position),), "plane": position}
            groups.setdefault(keys[self._mode], []).append(position)
        return iter(groups.items())

    def _work(self, key: Position, group: list[Position]) -> Events:
        """Estimate the kernel of a group, and restore its planes with it, all in the same way."""
        survey = self._planes.survey
        source = self._named if self._named in group else survey.most_structured(group)
        assert source is not None
        try:
            result = yield from self._estimate(source)
        except DeblurError as error:
            if isinstance(error.result, DeblurResult):
                self._keep(key, source, error.result)
            if isinstance(error, FATAL):
                raise
            self._errors.append(error)
            self._planes.fail(group, error)
            return
        self._done += 1
        self._keep(key, source, result)
        if len(group) == 1 or result.record.status == "stopped":
            return  # the plane's own result, made with the networks where there are any
        kernel = None if result.kernel.max() > _POINT else result.kernel
        config, number = restoration_of(self._config), len(self._records) - 1
        yield from self._planes.restore(group, kernel, config, number)

    def _estimate(self, position: Position) -> Generator[Progress, None, DeblurResult]:
        """Run the estimate on one plane, as one of the stack's pieces of work."""
        planes, begun = self._planes, time.perf_counter()
        stack = planes.stack
        plan = Plan.of(
            stack.read(position),
            self._sized(position),
            rgb=stack.rgb,
            scale=planes.scales[stack.channel(position)],
        )
        events = run(plan, self._previews, stop=planes.stop)
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                planes.pace.done("estimate", time.perf_counter() - begun)
                result: DeblurResult = end.value
                return result
            if event.sharp is not None:
                planes.put(position, event.sharp)
            yield planes.event(event, position, "estimate")

    def _sized(self, position: Position) -> SelfDeblurConfig:
        """Return the settings, with the size found on the plane before in the same channel."""
        if self._mode != "plane" or self._config.kernel_size != "auto":
            return self._config
        stack = self._planes.stack
        known = [
            record.used.kernel_size
            for key, record in zip(self._kernels, self._records, strict=True)
            if stack.channel(key) == stack.channel(position)
        ]
        return self._config.replace(kernel_size=known[-1]) if known else self._config

    def _keep(self, key: Position, source: Position, result: DeblurResult) -> None:
        stack = self._planes.stack
        image = {**result.record.image, "index": stack.index(source)}
        self._planes.put(source, result.sharp)
        self._planes.mark(source, "estimated", len(self._records))
        self._kernels[key] = result.kernel
        self._records.append(replace(result.record, image=image))

    def _pace(self) -> Pace:
        """Return what the estimates and restorations to come are expected to take."""
        groups = [group for _, group in self._groups()]
        restorations = sum(len(group) for group in groups if len(group) > 1)
        config = self._config.replace(restoration=restoration_of(self._config).restoration)
        expected: dict[str, float] = {}
        with suppress(Interrupted), interruptible(self._planes.stop):
            stages = expected_stages(config, self._shape)
            expected = {"estimate": sum(stages.values()), "restore": stages["restore"]}
        pace = self._planes.pace
        pace.expected = expected
        pace.remaining = {"estimate": len(groups), "restore": restorations}
        return pace

    def _result(self, status: Status) -> StackResult:
        planes, stack = self._planes, self._planes.stack
        channels = len(set(map(stack.channel, stack)))
        lead = {"one": (), "channel": (channels,), "plane": stack.lead}[self._mode]
        record = StackRecord(
            config=self._config,
            axes=stack.axes,
            kernels=self._mode,
            kernel_from=None if self._named is None else dict(stack.index(self._named)),
            planes=planes.entries(),
            estimates=tuple(record.to_dict() for record in self._records),
            verdict=_verdict(self._records),
            device=device_label(self._runtime.device),
            seconds=planes.pace.seconds,
            status=status,
            image=planes.survey.describe(),
            created=self._created,
        )
        return StackResult(planes.out, stacked_kernels(self._kernels, lead), record, stack.axes)


def restoration_of(config: SelfDeblurConfig) -> RestoreConfig:
    """Return how the planes that share a kernel are restored: ``sparse`` where it is not said."""
    method = config.restoration or "sparse"
    return RestoreConfig(restoration=method, colour=config.colour, device=config.device)


def _check_kernels(kernels: str, stack: Stack, kernel_from: Mapping[str, int] | None) -> None:
    if not isinstance(kernels, str) or kernels not in KERNELS:
        raise ConfigError(
            f"kernels must be one of {', '.join(KERNELS)}, got {kernels!r:.100}", field="kernels"
        )
    if kernels == "channel" and "C" not in stack.outer:
        raise ConfigError(
            f"kernels='channel' needs a channel axis C, and the axes are {stack.axes}; name it in "
            "axes, such as TCYX",
            field="kernels",
        )
    if kernel_from is not None and kernels != "one":
        raise ConfigError(
            f"kernel_from names the plane of the one kernel; leave it out for kernels={kernels!r}",
            field="kernel_from",
        )


def _check_cells(config: SelfDeblurConfig, kernels: str, shape: tuple[int, int]) -> None:
    """Raise `ConfigError` for a grid of kernels that planes would have to share."""
    size = config.kernel_size
    check_grid(config.kernel_grid, shape, (3, 3) if isinstance(size, str) else size)
    if config.kernel_grid != (1, 1) and kernels != "plane":
        raise ConfigError(
            f"kernel_grid is of one plane, and kernels={kernels!r} shares a kernel among planes; "
            "choose kernels='plane', or leave kernel_grid at 1",
            field="kernel_grid",
        )


def _verdict(records: list[RunRecord]) -> dict[str, Any] | None:
    """Return the verdict of the least credible estimate, with what is said of the others."""
    given = [record for record in records if record.verdict]
    if len(given) < 2:
        return given[0].verdict if given else None
    verdicts: list[dict[str, Any]] = [record.verdict or {} for record in given]
    worst = min(verdicts, key=lambda each: (each["credible"], each["score"]))
    said: dict[str, list[str]] = {"reasons": [], "advice": []}
    for record, verdict in zip(given, verdicts, strict=True):
        place = ", ".join(f"{axis}={at}" for axis, at in record.image["index"].items())
        if not verdict["credible"]:
            said["reasons"] += [f"{place}: {reason}" for reason in verdict["reasons"]]
            said["advice"] += [each for each in verdict["advice"] if each not in said["advice"]]
    return {**worst, **said}
