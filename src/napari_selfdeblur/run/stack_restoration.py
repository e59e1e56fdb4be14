"""The restoration of a stack whose kernels are known."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import DeblurError, ImageError
from napari_selfdeblur.io.arrays import as_array, check_size
from napari_selfdeblur.io.images import describe
from napari_selfdeblur.io.kernels import prepare_kernel, prepare_kernels
from napari_selfdeblur.io.stacks import Position, Stack, result_array
from napari_selfdeblur.numerics.runtime import device_label, memory_errors, resolve_device
from napari_selfdeblur.numerics.stop import Stop
from napari_selfdeblur.run.events import Progress
from napari_selfdeblur.run.plan import check_restoration
from napari_selfdeblur.run.record import RestoreRecord, Status, now
from napari_selfdeblur.run.stack_planes import Events, Planes
from napari_selfdeblur.run.stack_record import StackResult

__all__ = ["StackRestoration"]


class StackRestoration:
    """Restores the planes of a stack, one after the other.

    Parameters
    ----------
    stack : Stack
        The blurred planes.
    kernels : array
        (kh, kw) for all planes, (C, kh, kw) for each channel, or one for each plane,
        (..., kh, kw) in the order of the stack. Planes whose kernel is all zero stay blurred.
    config : RestoreConfig
        What to run.
    stop : Stop, optional
        Ends it after the present plane; the others keep their values.
    out : array, optional
        Where the results go.
    kernel_name : str
        Name of the kernels in the record, none where it is empty.

    Raises
    ------
    ConfigError, ImageError, DeviceError, OutOfMemoryError
        If it cannot be run as it is.
    """

    def __init__(
        self,
        stack: Stack,
        kernels: ArrayLike,
        config: RestoreConfig,
        stop: Stop | None = None,
        out: Any = None,
        kernel_name: str = "",
    ) -> None:
        self._kernels = _prepared(stack, kernels)
        sides = next(k.shape for k in self._kernels.values() if k is not None)
        shape, self._device = stack.plane_shape, resolve_device(config.device)
        self._shape = (shape[0], shape[1])
        check_size(self._shape, (sides[0], sides[1]))
        check_restoration(config.restoration, self._shape, (sides[0], sides[1]), self._device)
        self._config, self._planes = config, Planes(stack, result_array(stack, out), stop)
        self._given = as_array(kernels, "kernel", "buif")
        self._name = {"name": kernel_name} if kernel_name else {}
        self._created = now()

    def steps(self) -> Generator[Progress, None, StackResult]:
        """Read and restore; yields and returns as `StackRun.steps`.

        Raises
        ------
        DeblurError
            If no plane could be restored, or none of those to come; as of `StackRun.steps`.
        """
        planes = self._planes
        try:
            with memory_errors(None, self._shape, self._device):
                yield from self._restored()
        except DeblurError as error:
            if any(each["state"] == "restored" for each in planes.entries()):
                error.result = self._result("failed")
            raise
        entries = planes.entries()
        if all(each["reason"] for each in entries):
            raise DeblurError(f"no plane could be restored: {entries[0]['reason']}")
        left = any(not e["reason"] and e["state"] == "blurred" for e in entries)
        return self._result("stopped" if left else "finished")

    def _restored(self) -> Events:
        """Read the planes and restore each with its kernel."""
        planes = self._planes
        yield from planes.read_all()
        usable = planes.usable(planes.stack)
        planes.pace.remaining = {"restore": len(usable)}
        for position in usable:
            kernel = self._kernel(position)
            if kernel is None:
                planes.fail([position], ImageError("its kernel is all zero: none was found"))
                continue
            for event in planes.restore([position], kernel, self._config):
                yield replace(event, kernel=None)  # none was estimated

    def _kernel(self, position: Position) -> NDArray[np.float32] | None:
        channel = (self._planes.stack.channel(position),)
        return next(self._kernels[key] for key in (position, channel, ()) if key in self._kernels)

    def _result(self, status: Status) -> StackResult:
        planes = self._planes
        record = RestoreRecord(
            config=self._config,
            kernel=describe(self._given) | self._name,
            planes=planes.entries(),
            image=planes.survey.describe(),
            device=device_label(self._device),
            seconds=planes.pace.seconds,
            status=status,
            created=self._created,
        )
        kernels = np.asarray(self._given, dtype=np.float32)
        return StackResult(planes.out, kernels, record, planes.stack.axes)


def _prepared(stack: Stack, kernels: ArrayLike) -> dict[Position, NDArray[np.float32] | None]:
    """Return the kernels, each checked and summing to 1, by what they are for.

    Of several one that is all zero is None.
    """
    given = as_array(kernels, "kernel", "buif")
    lead = given.shape[:-2]
    channels = (len(set(map(stack.channel, stack))),) if "C" in stack.outer else ()
    if _long(lead) == _long(stack.lead) != ():
        given, lead = given.reshape(*stack.lead, *given.shape[-2:]), stack.lead
    if lead and lead in (stack.lead, channels):
        given = prepare_kernels(given)
        return {at: given[at] if given[at].any() else None for at in np.ndindex(lead)}
    if given.ndim > 3 or (given.ndim == 3 and given.shape[-1] not in (3, 4)):
        raise ImageError(
            f"kernels of shape {given.shape} do not fit {len(stack)} planes of axes {stack.axes}; "
            "give one kernel, one for each channel, or one for each plane"
        )
    return {(): prepare_kernel(given)}


def _long(lead: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of axes but for those of one plane, which files leave out."""
    return tuple(each for each in lead if each > 1)
