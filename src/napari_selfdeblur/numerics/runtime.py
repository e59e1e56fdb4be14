"""Where and how the numbers are computed: device, precision, memory format, memory need."""

from __future__ import annotations

import math
import platform
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import torch
from torch import Tensor

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError, OutOfMemoryError
from napari_selfdeblur.numerics.blur import sharp_size
from napari_selfdeblur.numerics.regions import region_shape
from napari_selfdeblur.numerics.support import with_size
from napari_selfdeblur.numerics.tiles import tile_shape

__all__ = [
    "Runtime",
    "available_devices",
    "check_memory",
    "device_label",
    "estimate_memory",
    "in_own_torch_state",
    "memory_checked",
    "memory_errors",
    "own_torch_state",
    "resolve_device",
]

Y = TypeVar("Y")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a run computes."""

    device: torch.device
    trunk: torch.dtype  # arithmetic of G_x's trunk; everything else is float32
    channels_last: bool  # whether G_x's tensors keep their channels together
    fused: bool  # whether Adam updates all weights in one kernel

    @classmethod
    def of(cls, config: SelfDeblurConfig) -> Runtime:
        """Return the runtime that `config` asks for on this machine.

        Raises
        ------
        DeviceError
            If the device or the precision is not available.
        """
        device = resolve_device(config.device)
        if config.runtime == "reference":
            if config.precision == "bfloat16":
                raise DeviceError("runtime='reference' is float32; choose runtime='optimised'")
            return cls(device, torch.float32, channels_last=False, fused=False)
        return cls(device, _trunk(config.precision, device), channels_last=True, fused=True)

    @property
    def precision(self) -> str:
        """Name of the trunk's arithmetic, as a configuration has it."""
        return "bfloat16" if self.trunk == torch.bfloat16 else "float32"

    def place(self, value: Tensor) -> Tensor:
        """Return an image-like tensor (1, C, H, W) on the device, in the memory format."""
        last = torch.channels_last if self.channels_last else torch.contiguous_format
        return value.to(self.device, memory_format=last)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which G_x runs."""
        if self.trunk == torch.float32:
            return nullcontext()
        # Cached weights would outlive Adam's steps inside an autocast of the caller's.
        return torch.autocast(self.device.type, dtype=self.trunk, cache_enabled=False)


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`; ``auto`` is CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    DeviceError
        If the device is not present.
    """
    present = [device for device, _ in available_devices()]
    if name == "auto":
        name = next((d for d in ("cuda:0", "mps") if d in present), "cpu")
    if name == "cuda":
        name = "cuda:0"
    if name not in present:
        raise DeviceError(
            f"device {name!r} is not available here; available: {', '.join(present)}. "
            "Choose device='auto' to use the best of them"
        )
    return torch.device(name)


def available_devices() -> list[tuple[str, str]]:
    """Return (name, label for people) of every device torch can use on this machine."""
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [(name, device_label(torch.device(name))) for name in [*names, "cpu"]]


def device_label(device: torch.device) -> str:
    """Return what a person calls `device`."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "mps":
        return "Apple GPU (mps)"
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'s' if threads > 1 else ''}, {platform.machine()})"


def estimate_memory(config: SelfDeblurConfig, shape: tuple[int, int]) -> int:
    """Return the memory a run on y of `shape` is predicted to take at its peak, in bytes.

    On top of what the process holds before it. What a backward pass keeps of G_x grows with
    the pixels of x and the channels of the trunk; the constants are fitted to peaks measured
    on the CPU, of widths 64 and 128, in both precisions, from 128 x 128 to 512 x 512 pixels.

    Raises
    ------
    DeviceError
        If the device or the precision is not available.
    """
    region = region_shape(config, shape)
    sides = with_size(config, region).sides
    pixels = math.prod(sharp_size(region, sides))
    held = (math.prod(shape) - math.prod(region)) * _BYTES_OF_FRAME
    if config.restoration is not None:
        tile = math.prod(sharp_size(tile_shape(shape, sides), sides))
        held += max(tile - pixels, 0) * _BYTES_OF_TILE
    held += math.prod(shape) * _BYTES_OF_DIAGNOSTICS * config.diagnostics
    held += math.prod(shape) * _BYTES_OF_CHANNELS * (config.colour == "channels")
    if not config.networks:
        return int(held + pixels * _BYTES_WITHOUT + _BASELINE_WITHOUT)
    device, reference = resolve_device(config.device), config.runtime == "reference"
    tensors = _KEPT if reference or device.type != "cpu" else _KEPT_FILTERED_FIRST
    float32 = reference or _trunk(config.precision, device) == torch.float32
    kept = tensors * config.channels * (4 if float32 else 2)
    return int(held + pixels * (kept + _BYTES_PER_PIXEL) + _BASELINE)


_KEPT = 13.2  # tensors of the trunk's width, at full size
_KEPT_FILTERED_FIRST = 11.2  # where the upsampled images are not made
_BYTES_PER_PIXEL = 1280  # code, forward model, losses
_BASELINE = 173 * 2**20  # weights, optimiser, the libraries' buffers
# Without networks: kernel estimation and restorations, at most, from 256 x 256 to 1024 x 1024.
_BYTES_WITHOUT = 400
_BASELINE_WITHOUT = 40 * 2**20
_BYTES_OF_TILE = 200  # of each pixel of a tile, where it is larger than the region
_BYTES_OF_DIAGNOSTICS = 24  # of each pixel: residual, spread, and what it is taken from
_BYTES_OF_CHANNELS = 24  # of each pixel: three channels, blurred and restored
_BYTES_OF_FRAME = 16  # of each pixel outside the region: the result, and previews of it


@contextmanager
def own_torch_state(device: torch.device) -> Iterator[None]:
    """Compute with gradients, outside inference mode and autocast, whatever the caller is in.

    Tensors made without a device are on the CPU. The caller's state is back afterwards. No
    generator may yield inside.
    """
    moved = torch.get_default_device().type != "cpu"
    with (
        torch.device("cpu") if moved else nullcontext(),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        torch.autocast("cpu", enabled=False),
    ):
        yield


def in_own_torch_state(steps: Generator[Y, None, R], device: torch.device) -> Generator[Y, None, R]:
    """Run a generator in `own_torch_state`, and whoever consumes it in their own."""
    try:
        while True:
            with own_torch_state(device):
                try:
                    event = next(steps)
                except StopIteration as end:
                    result: R = end.value
                    return result
            yield event
    finally:
        steps.close()


@contextmanager
def memory_checked(
    config: SelfDeblurConfig | None, shape: tuple[int, ...], device: torch.device
) -> Iterator[None]:
    """Compute on y of `shape` as in `own_torch_state`, with the errors of `memory_errors`."""
    with memory_errors(config, shape, device), own_torch_state(device):
        yield


@contextmanager
def memory_errors(
    config: SelfDeblurConfig | None, shape: tuple[int, ...], device: torch.device
) -> Iterator[None]:
    """Raise a lack of memory, NumPy's or torch's, as our own error; a generator may yield inside.

    Of a run on y of `shape` its `config` is given, and the error says what is needed.

    Raises
    ------
    OutOfMemoryError
        Where torch or NumPy have no memory left.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and not any(text in str(error).lower() for text in _NO_MEMORY):
            raise
        raise _out_of_memory(config, shape, device) from error


# What torch's bare RuntimeError says on the CPU, oneDNN's last, and on MPS.
_NO_MEMORY = (
    "out of memory", "allocate memory", "not enough memory", "bad_alloc", "could not create a"
)  # fmt: skip


def check_memory(config: SelfDeblurConfig, shape: tuple[int, int], device: torch.device) -> None:
    """Raise `OutOfMemoryError` for a run that cannot fit into the machine's memory at all.

    On the CPU the system kills a process that takes too much: it must not get there.
    """
    if device.type == "cpu" and estimate_memory(config, shape) > _total_memory():
        raise _out_of_memory(config, shape, device)


def _total_memory() -> int:
    """Return the machine's memory in bytes, or a container's part of it."""
    limits = [int(psutil.virtual_memory().total)]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(Path(path).read_text()))
    return min(limits)


def _out_of_memory(
    config: SelfDeblurConfig | None, shape: tuple[int, ...], device: torch.device
) -> OutOfMemoryError:
    """Return the error for an image of `shape`; with the need of a run of `config`."""
    other = "" if device.type == "cpu" else ", or choose device='cpu'"
    if config is None:
        sides = " x ".join(map(str, shape))
        return OutOfMemoryError(
            f"out of memory on {device} with an image of {sides} pixels; crop the image{other}"
        )
    sized = with_size(config, region_shape(config, (shape[0], shape[1])))
    need, (kh, kw) = estimate_memory(sized, (shape[0], shape[1])) / 2**30, sized.sides
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    return OutOfMemoryError(
        f"out of memory on {device}: an image of {shape[0]} x {shape[1]} pixels with a kernel of "
        f"{kh} x {kw} needs about {need:.1f} GiB, of which {free / 2**30:.1f} GiB are free; crop "
        f"the image or estimate the kernel on a smaller region{other}"
    )


def _trunk(precision: str, device: torch.device) -> torch.dtype:
    if precision == "float32":
        return torch.float32
    if _has_bfloat16(device):
        return torch.bfloat16
    if precision == "bfloat16":
        raise DeviceError(
            f"{device} has no fast bfloat16; choose precision='auto' or precision='float32'"
        )
    return torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 natively; emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Absent from older versions of torch, which then run in float32.
        capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False
