"""SelfDeblur: both networks fitted to the one blurred image (equations 5, 6)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from napari_selfdeblur import registry
from napari_selfdeblur.numerics.blur import blur_valid, sharp_size
from napari_selfdeblur.numerics.losses import DataTerm
from napari_selfdeblur.numerics.networks.initialise import build, uniform_code
from napari_selfdeblur.numerics.solvers.adam import Adam
from napari_selfdeblur.numerics.solvers.base import Problem, Step
from napari_selfdeblur.numerics.stop import Interrupted, stop_point

__all__ = ["AlternatingSolver", "JointSolver", "NetworkSolver"]


class NetworkSolver(ABC):
    """G_x, G_k, their codes and Adam, fresh for one problem; with a known kernel G_x alone."""

    def __init__(self, problem: Problem) -> None:
        config, self.runtime = problem.config, problem.runtime
        self.config, self.total = config, config.iterations
        device = self.runtime.device
        size = sharp_size(problem.shape, config.sides)
        seeded = torch.Generator().manual_seed(config.seed)
        make_x = registry.load(config.image_generator, registry.IMAGE_GENERATORS)
        self.G_x = build(lambda: make_x(config, size), seeded).to(device)
        for module in self.G_x.modules():
            module.register_forward_hook(_stop_point_after)
        if self.runtime.channels_last:
            self.G_x = self.G_x.to(memory_format=torch.channels_last)
        self.G_k = _kernel_generator(problem, seeded).to(device)
        self.z_x = self.runtime.place(uniform_code((1, config.code_channels, *size), seeded))
        code_shape: tuple[int, ...] = self.G_k.code_shape  # type: ignore[assignment]
        self.z_k = uniform_code(code_shape, seeded).to(device)
        # The noise on z_x is drawn where it is used, each step.
        self.noise = torch.Generator(device).manual_seed(config.seed)
        networks = self.G_x.parameters(), self.G_k.parameters()
        self.adam = Adam(networks, fused=self.runtime.fused)
        assert config.tv_weight != "auto"
        clipped = None if problem.clipped is None else torch.from_numpy(problem.clipped).to(device)
        self.objective = DataTerm(
            problem.tensor()[None, None],
            config,
            config.tv_weight,
            None if clipped is None else clipped[None, None],
        )
        self.t = 0
        self.losses: list[float] = []
        self.last: Step | None = None

    def step(self) -> Step:
        """Do step t and return the iterate after it.

        An interrupted step leaves everything as it was before.
        """
        drawn = self.noise.get_state()
        try:
            with torch.enable_grad():
                loss, x, k = self._iterate()
        except Interrupted:
            self.noise.set_state(drawn)
            raise
        self.t += 1
        self.last = Step(loss.item(), x.detach()[0, 0], k.detach())
        self.losses.append(self.last.loss)
        return self.last

    @abstractmethod
    def _iterate(self) -> tuple[Tensor, Tensor, Tensor]:
        """Do step t; return its loss, x (1, 1, H', W') and k (kh, kw)."""

    def image(self) -> Tensor:
        """Return x = G_x(z_x + noise)."""
        # Drawn in the logical order, so that the noise is the same in every memory format.
        noise = torch.randn(
            self.z_x.shape, generator=self.noise, device=self.z_x.device, dtype=torch.float32
        )
        with self.runtime.autocast():
            x: Tensor = self.G_x(self.z_x + self.config.code_noise * noise)
        return x

    def loss(self, x: Tensor, k: Tensor) -> Tensor:
        """Return the objective of step t."""
        return self.objective(self.t, blur_valid(x, k), x)

    def set_rates(self) -> None:
        """Give Adam the learning rates of step t."""
        passed = sum(self.t >= round(m * self.total) for m in self.config.lr_milestones)
        factor = self.config.lr_decay**passed
        self.adam.rates = [self.config.lr_image * factor, self.config.lr_kernel * factor]

    def state(self) -> dict[str, Any]:
        """Return all that `restore_state` needs: tensors, numbers and lists."""
        return {
            "t": self.t,
            "losses": list(self.losses),
            "last": None if self.last is None else list(self.last),
            "G_x": self.G_x.state_dict(),
            "G_k": self.G_k.state_dict(),
            "adam": self.adam.state_dict(),
            "noise": self.noise.get_state(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`, made by `state` of a solver of the same problem."""
        self.t, self.losses = state["t"], list(state["losses"])
        last, device = state["last"], self.runtime.device
        self.last = None if last is None else Step(last[0], last[1].to(device), last[2].to(device))
        self.G_x.load_state_dict(state["G_x"])
        self.G_k.load_state_dict(state["G_k"])
        self.adam.load_state_dict(state["adam"])
        self.noise.set_state(state["noise"].cpu())


class JointSolver(NetworkSolver):
    """Algorithm 2: one Adam step on both networks from one backward pass."""

    def _iterate(self) -> tuple[Tensor, Tensor, Tensor]:
        self.set_rates()
        x, k = self.image(), self.G_k(self.z_k)
        loss = self.loss(x, k)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss, x, k


class AlternatingSolver(NetworkSolver):
    """Algorithm 1: a step on G_k with x fixed, then a step on G_x with the new k fixed."""

    def _iterate(self) -> tuple[Tensor, Tensor, Tensor]:
        self.set_rates()
        x = self.image()
        self.adam.zero_grad()
        self.loss(x.detach(), self.G_k(self.z_k)).backward()
        moving = list(self.G_k.parameters())
        before = deepcopy([(p.detach(), self.adam.moments[p]) for p in moving])
        self.adam.step()  # G_x has no gradient yet: only G_k moves.
        self.adam.zero_grad()
        with torch.no_grad():
            k = self.G_k(self.z_k)
        try:
            loss = self.loss(x, k)
            loss.backward()
        except Interrupted:
            for p, (value, moments) in zip(moving, before, strict=True):
                p.data.copy_(value)
                self.adam.moments[p] = moments
            raise
        self.adam.step()
        return loss, x, k


class _FixedKernel(nn.Module):
    """Return the given kernel (kh, kw), whatever the code: G_k with nothing to learn."""

    code_shape = (0,)

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.kernel: Tensor
        self.register_buffer("kernel", kernel)

    def forward(self, z: Tensor) -> Tensor:
        return self.kernel


def _stop_point_after(module: nn.Module, args: Any, output: Any) -> None:
    """Let a step be interrupted after each layer, forward and backward."""
    stop_point()
    if isinstance(output, Tensor) and output.requires_grad:
        output.register_hook(_stop_point_at)


def _stop_point_at(gradient: Tensor) -> None:
    stop_point()


def _kernel_generator(problem: Problem, seeded: torch.Generator) -> nn.Module:
    """Return the known kernel, or the configured network with fresh weights."""
    if problem.kernel is not None:
        return _FixedKernel(problem.kernel)
    config = problem.config
    make = registry.load(config.kernel_generator, registry.KERNEL_GENERATORS)
    network: nn.Module = build(lambda: make(config), seeded)
    return network
