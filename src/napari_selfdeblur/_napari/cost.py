"""What a run needs and what the machine has; for threads, since it takes seconds to find."""

from __future__ import annotations

from dataclasses import dataclass

from napari_selfdeblur._napari.report import clock
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError, OutOfMemoryError


@dataclass(frozen=True, slots=True)
class Devices:
    """The machine's devices, name and label, best first; or why torch cannot be loaded."""

    found: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a run has to do.

    Attributes
    ----------
    planes, estimates, restorations : int
        Planes in all, runs of an estimate, and restorations with a kernel that is shared.
    result : int
        Bytes of the result of a stack, 0 of one plane.
    """

    planes: int = 1
    estimates: int = 1
    restorations: int = 0
    result: int = 0


ONE_IMAGE = Amount()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of `config` on planes of `shape` needs, or why it cannot run here.

    `field` is the setting to change where it cannot.
    """

    config: SelfDeblurConfig
    shape: tuple[int, int]
    amount: Amount = ONE_IMAGE
    text: str = ""
    problem: str = ""
    field: str | None = None


def find_devices() -> Devices:
    """Return what runs can be computed on; loads torch, which takes seconds the first time."""
    try:
        from napari_selfdeblur.numerics.runtime import available_devices
    except (ImportError, OSError) as error:
        return Devices(
            problem=f"PyTorch cannot be loaded ({error}); install it anew, see pytorch.org"
        )
    return Devices(tuple(available_devices()))


def find_cost(config: SelfDeblurConfig, shape: tuple[int, int], amount: Amount = ONE_IMAGE) -> Cost:
    """Return what a run needs on this machine; may time a few small steps."""
    from napari_selfdeblur.numerics.cost import expected_seconds, expected_stages
    from napari_selfdeblur.numerics.runtime import check_memory, estimate_memory, resolve_device

    try:
        check_memory(config, shape, resolve_device(config.device))
        memory = (estimate_memory(config, shape) + amount.result) / 2**30
        kinds = config.without(config.spared), config
        seconds = [expected_seconds(each, shape) * amount.estimates for each in kinds]
        if amount.restorations:
            restored = config.replace(restoration=config.restoration or "sparse")
            more = expected_stages(restored, shape)["restore"] * amount.restorations
            seconds = [each + more for each in seconds]
    except DeviceError as error:
        field = "precision" if config.precision == "bfloat16" else "device"
        return Cost(config, shape, amount, problem=str(error), field=field)
    except OutOfMemoryError as error:
        return Cost(config, shape, amount, problem=str(error))
    planes = f"{amount.planes} planes of " if amount.planes > 1 else ""
    sides = f"{planes}{shape[0]} x {shape[1]} px"
    amount_of = f"{memory:.1f} GiB" if memory >= 0.1 else f"{1024 * memory:.0f} MiB"
    times = " to ".join(dict.fromkeys(clock(max(each, 1)) for each in seconds))
    text = f"{sides}: about {times}, {amount_of} of memory"
    return Cost(config, shape, amount, text)
