"""The optimisation itself: both networks fitted to the one blurred image (equations 5, 6)."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError
from napari_selfdeblur.numerics import runtime as rt
from napari_selfdeblur.numerics.blur import blur_valid, centre, sharp_size
from napari_selfdeblur.numerics.losses import DataTerm
from napari_selfdeblur.numerics.networks.fixed import FixedKernel
from napari_selfdeblur.numerics.networks.initialise import build, uniform_code
from napari_selfdeblur.numerics.progress import Estimate, Progress, Step

__all__ = ["AlternatingOptimiser", "JointOptimiser", "Optimiser", "Steps", "Stop", "iterate"]


class Stop(Protocol):
    """What ends a run early: a `threading.Event`, or anything with its `is_set`."""

    def is_set(self) -> bool:
        """Whether the run is to end after the present step."""
        ...


class Steps(Protocol):
    """What `iterate` runs: an `Optimiser`, or another method that proceeds in steps."""

    config: SelfDeblurConfig
    shape: tuple[int, int]
    runtime: rt.Runtime
    t: int
    losses: list[float]

    def step(self) -> Step:
        """Do step t, and return its objective, image and kernel."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to go on from here: tensors and numbers."""
        ...

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        ...


class Optimiser(ABC):
    """G_x, G_k, their codes and Adam, fresh for one blurred image.

    Parameters
    ----------
    y : ndarray of float32, (H, W)
        Blurred image in [0, 1].
    config : SelfDeblurConfig
        What to run.
    tv_weight : float
        Weight lambda of equation (6).
    kernel : Tensor, (kh, kw), optional
        A known kernel to hold, of the configuration's size; G_x is then fitted alone.

    Raises
    ------
    DeviceError
        If the device or precision is not available.
    OutOfMemoryError
        If the run cannot fit into memory.
    """

    def __init__(
        self,
        y: NDArray[np.float32],
        config: SelfDeblurConfig,
        tv_weight: float = 0.0,
        kernel: Tensor | None = None,
    ) -> None:
        self.config, self.shape = config, (y.shape[0], y.shape[1])
        self.runtime = rt.Runtime.of(config)
        device = self.runtime.device
        rt.check_memory(config, self.shape, device)
        size = sharp_size(self.shape, config.kernel_size)
        seeded = torch.Generator().manual_seed(config.seed)
        make_x = registry.load("image_generator", config.image_generator, registry.IMAGE_GENERATORS)
        self.G_x = build(lambda: make_x(config, size), seeded).to(device)
        if self.runtime.channels_last:
            self.G_x = self.G_x.to(memory_format=torch.channels_last)
        self.G_k = _kernel_generator(config, kernel, seeded).to(device)
        self.z_x = self.runtime.place(uniform_code((1, config.code_channels, *size), seeded))
        code_shape: tuple[int, ...] = self.G_k.code_shape  # type: ignore[assignment]
        self.z_k = uniform_code(code_shape, seeded).to(device)
        # The noise on z_x is drawn where it is used, each step.
        self.noise = torch.Generator(device).manual_seed(config.seed)
        self.adam = torch.optim.Adam(
            [
                {"params": self.G_x.parameters(), "rate": config.lr_image},
                {"params": self.G_k.parameters(), "rate": config.lr_kernel},
            ],
            fused=self.runtime.fused,
        )
        self.objective = DataTerm(torch.from_numpy(y)[None, None].to(device), config, tv_weight)
        self.t = 0
        self.losses: list[float] = []

    @abstractmethod
    def step(self) -> Step:
        """Do step t, and return its objective, image and kernel."""

    def image(self) -> Tensor:
        """Return x = G_x(z_x + noise)."""
        # Drawn in the logical order, so that every memory format sees the same noise.
        noise = torch.randn(self.z_x.shape, generator=self.noise, device=self.z_x.device)
        with self.runtime.autocast():
            x: Tensor = self.G_x(self.z_x + self.config.code_noise * noise)
        return x

    def loss(self, x: Tensor, k: Tensor) -> Tensor:
        """Return the objective of step t."""
        return self.objective(self.t, blur_valid(x, k), x)

    def set_rates(self) -> None:
        """Give Adam the learning rates of step t."""
        total = self.config.iterations
        passed = sum(self.t >= round(m * total) for m in self.config.lr_milestones)
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * self.config.lr_decay**passed

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs to go on from here: tensors and numbers."""
        return {
            "t": self.t,
            "losses": list(self.losses),
            "G_x": self.G_x.state_dict(),
            "G_k": self.G_k.state_dict(),
            "adam": self.adam.state_dict(),
            "noise": self.noise.get_state(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, made by `state` of an optimiser of the same image and config."""
        self.t, self.losses = state["t"], list(state["losses"])
        self.G_x.load_state_dict(state["G_x"])
        self.G_k.load_state_dict(state["G_k"])
        self.adam.load_state_dict(state["adam"])
        self.noise.set_state(state["noise"].cpu())


class JointOptimiser(Optimiser):
    """Algorithm 2: one Adam step on both networks from one backward pass."""

    def step(self) -> Step:
        """Do step t of Algorithm 2."""
        self.set_rates()
        x, k = self.image(), self.G_k(self.z_k)
        loss = self.loss(x, k)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.t += 1
        return Step(loss.item(), x.detach(), k.detach())


class AlternatingOptimiser(Optimiser):
    """Algorithm 1: a step on G_k with x held, then a step on G_x with the new k held."""

    def step(self) -> Step:
        """Do step t of Algorithm 1."""
        self.set_rates()
        x = self.image()
        self.adam.zero_grad()
        self.loss(x.detach(), self.G_k(self.z_k)).backward()
        self.adam.step()  # G_x has no gradient yet: only G_k moves.
        self.adam.zero_grad()
        with torch.no_grad():
            k = self.G_k(self.z_k)
        loss = self.loss(x, k)
        loss.backward()
        self.adam.step()
        self.t += 1
        return Step(loss.item(), x.detach(), k)


def iterate(
    optimiser: Steps,
    *,
    stop: Stop | None = None,
    preview_seconds: float | None = None,
    preview_steps: int | None = None,
) -> Generator[Progress, None, Estimate]:
    """Run `optimiser` to its last step, yielding after each one.

    Parameters
    ----------
    optimiser : Steps
        Fresh, or restored from a checkpoint.
    stop : Stop, optional
        Ends the run after the present step, which then is the last.
    preview_seconds : float, optional
        Put image and kernel into a progress when this long has passed since the last ones.
    preview_steps : int, optional
        Put image and kernel into every so many-th progress.

    Yields
    ------
    Progress
        After each step. The last one has image and kernel: those of the estimate.

    Returns
    -------
    Estimate

    Raises
    ------
    DivergedError
        If the objective is not finite; carries the estimate of the step before.
    OutOfMemoryError
        If the device has no memory left.
    """
    total, last = optimiser.config.iterations, None
    start = shown = time.perf_counter()
    while optimiser.t < total:
        step = _step(optimiser)
        if not math.isfinite(step.loss):
            raise DivergedError(
                f"the loss became {step.loss} at step {optimiser.t} of {total}; lower lr_image and "
                "lr_kernel, choose precision='float32', or try another seed",
                None if last is None else _estimate(optimiser, last, stopped=True),
            )
        optimiser.losses.append(step.loss)
        last = step
        now = time.perf_counter()
        stopped = stop is not None and stop.is_set() and optimiser.t < total
        done = stopped or optimiser.t == total
        due = (
            done
            or (preview_seconds is not None and now - shown >= preview_seconds)
            or (preview_steps is not None and optimiser.t % preview_steps == 0)
        )
        sharp, kernel = _images(step) if due else (None, None)
        shown = now if due else shown
        yield Progress(optimiser.t, total, step.loss, now - start, sharp, kernel, last=done)
        if done:
            return _estimate(optimiser, step, stopped=stopped)
    raise ValueError(f"the optimiser has already done its {total} steps")


def _kernel_generator(
    config: SelfDeblurConfig, kernel: Tensor | None, seeded: torch.Generator
) -> nn.Module:
    if kernel is not None:
        return FixedKernel(kernel)
    name, known = config.kernel_generator, registry.KERNEL_GENERATORS
    make = registry.load("kernel_generator", name, known)
    network: nn.Module = build(lambda: make(config), seeded)
    return network


def _step(optimiser: Steps) -> Step:
    try:
        return optimiser.step()
    except RuntimeError as error:
        if rt.is_out_of_memory(error):
            device = optimiser.runtime.device
            raise rt.out_of_memory(optimiser.config, optimiser.shape, device) from error
        raise


def _images(step: Step) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return sharp image and kernel of `step`, centred, as arrays of their own."""
    return centre(step.x[0, 0].cpu().numpy().copy(), step.k.cpu().numpy().copy())


def _estimate(optimiser: Steps, step: Step, *, stopped: bool) -> Estimate:
    sharp, kernel = _images(step)
    losses = tuple(optimiser.losses)
    return Estimate(sharp, kernel, len(losses), stopped, losses)
