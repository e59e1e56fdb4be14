"""What to run: frozen, validated descriptions of a blind run and of a restoration."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from napari_selfdeblur import registry
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.settings import (
    Choice,
    Choices,
    Device,
    Flag,
    Fractions,
    Integer,
    KernelSize,
    Number,
    Pair,
    Region,
)

__all__ = ["OUTSIDE_PRESETS", "RestoreConfig", "SelfDeblurConfig"]

OUTSIDE_PRESETS = frozenset(
    {"kernel_size", "region", "kernel_grid", "device", "precision", "runtime", "seed"}
    | {"colour", "diagnostics"}
)
"""Fields that no preset sets: they belong to the image and the machine."""

_MAX_SEED = 2**63 - 1

COLOUR = Choice(
    label="Colour",
    choices=("luma", "channels"),
    help="Of a colour image: luma restores the brightness and keeps the blurred colours; "
    "channels restores red, green and blue, each with the one kernel, in three times the time.",
)

DEVICE = Device(
    label="Device",
    help="Where to compute: auto takes CUDA, then Apple's MPS, then the CPU.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfDeblurConfig(Settings):
    """A blind deconvolution, complete but for the image.

    Every moment of the schedule is a fraction of `iterations`, so that changing `iterations`
    scales the learning-rate milestones and the loss switch in proportion. docs/settings.md
    lists the fields; the letters are those of Ren et al., CVPR 2020.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    kernel_size: tuple[int, int] | Literal["auto"] = KernelSize(
        label="Kernel size",
        unit="px",
        words={"auto": "auto"},
        help="Rows and columns of the area the blur may fill, odd: a little more than the "
        "longest streak or widest spot that a point became. auto finds it, in some seconds more.",
    ).default("auto")
    region: tuple[tuple[int, int], tuple[int, int]] | Literal["auto", "whole"] = Region(
        label="Region",
        unit="px",
        words={"auto": "auto", "whole": "whole"},
        help="Where the kernel is estimated; with it all of the image is restored. auto takes "
        "the whole of a small image, of a large one the part with the clearest edges.",
    ).default("auto")
    iterations: int = Integer(
        label="Iterations",
        unit="steps",
        low=1,
        step=50,
        help="Steps T of the networks; the schedule scales with them. Fewer are faster.",
    ).default(5000)
    device: str = DEVICE.default("auto")
    seed: int = Integer(
        label="Seed",
        high=_MAX_SEED,
        help="Seed of the networks' random numbers: another one can rescue their run. Kernels by "
        "edges, and restorations without a network, do not depend on it.",
    ).default(0)
    solvers: tuple[str, ...] = Choices(
        label="Estimates by",
        group="result",
        choices=tuple(registry.SOLVERS),
        help="Solvers that each estimate image and kernel, in this order; the result "
        "combines what they find. "
        + "; ".join(f"{name}: {entry.title}" for name, entry in registry.SOLVERS.items())
        + ".",
    ).default(("joint",))
    adaptive: bool = Flag(
        label="Adaptive effort",
        group="result",
        help="Leave out networks that follow a solver without them where the kernel found so far "
        "is credible, and where the noise is above what 8 bits hide (sigma of 0.2 % of the range): "
        "they fit it too, and add nothing.",
    ).default(True)
    restoration: str | None = Choice(
        label="Restoration",
        group="result",
        choices=tuple(registry.RESTORATIONS),
        words={"none": None},
        help="Non-blind restoration that makes the final image from the estimated kernel; "
        "none takes the image network's own.",
    ).default(None)
    restoration_share: float = Number(
        label="Restored share",
        group="result",
        high=1,
        step=0.05,
        help="Share of the restoration in the final image; the rest is the image network's "
        "own, and beside other estimates less of it where it is only less sharp. The two err "
        "differently, and a mixture can be nearer to the truth.",
    ).default(1.0)
    colour: Literal["luma", "channels"] = replace(COLOUR, group="result").default("luma")
    diagnostics: bool = Flag(
        label="Diagnostics",
        group="result",
        help="Keep two more images: the residual y - k * x, and the spread, how far restorations "
        "with the plausible kernels lie apart, which takes up to six restorations more.",
    ).default(False)
    kernel_grid: tuple[int, int] = Pair(
        label="Kernel grid",
        group="result",
        unit="cells",
        high=32,
        help="Rows and columns of regions that each have a kernel, interpolated between them, for "
        "a blur that varies slowly over the image; 1 is one kernel everywhere.",
    ).default((1, 1))
    loss: Literal["mse", "ssim", "mse_then_ssim"] = Choice(
        label="Data term",
        group="schedule",
        choices=("mse", "ssim", "mse_then_ssim"),
        help="How k * x is compared with the blurred image: squared error, 1 - SSIM, or the "
        "first and then the second.",
    ).default("mse_then_ssim")
    loss_switch: float = Number(
        label="Switch at",
        group="schedule",
        high=1,
        step=0.05,
        help="Fraction of the iterations after which mse_then_ssim changes over.",
    ).default(0.2)
    tv_weight: float | Literal["auto"] = Number(
        label="TV weight",
        group="schedule",
        words={"auto": "auto"},
        help="Weight lambda of the total variation of x beside the squared error; auto is "
        "0.1 sigma of the measured noise (equation 6).",
    ).default(0.0)
    lr_image: float = Number(
        label="Image step size",
        group="schedule",
        above=True,
        help="Adam's learning rate of the image network. Lower it if the loss diverges.",
    ).default(1e-2)
    lr_kernel: float = Number(
        label="Kernel step size",
        group="schedule",
        above=True,
        help="Adam's learning rate of the kernel network. Lower it if the loss diverges.",
    ).default(1e-4)
    lr_milestones: tuple[float, ...] = Fractions(
        label="Milestones",
        group="schedule",
        help="Fractions of the iterations at which both step sizes shrink by the decay.",
    ).default((0.4, 0.6, 0.8))
    lr_decay: float = Number(
        label="Decay",
        group="schedule",
        above=True,
        high=1,
        step=0.05,
        help="Factor of both step sizes at each milestone.",
    ).default(0.5)
    code_noise: float = Number(
        label="Code noise",
        group="schedule",
        help="Standard deviation of the noise added to the image network's code at each step.",
    ).default(1e-3)
    image_generator: str = Choice(
        label="Image network",
        group="networks",
        choices=tuple(registry.IMAGE_GENERATORS),
        help="Network G_x that makes the sharp image.",
    ).default("skip")
    kernel_generator: str = Choice(
        label="Kernel network",
        group="networks",
        choices=tuple(registry.KERNEL_GENERATORS),
        help="Network G_k that makes the kernel (Table 2 of the paper).",
    ).default("fcn")
    channels: int = Integer(
        label="Channels",
        group="networks",
        low=1,
        high=4096,
        step=16,
        help="Width of the image network. Fewer need less time and memory.",
    ).default(128)
    skip_channels: int = Integer(
        label="Skip channels",
        group="networks",
        low=1,
        high=4096,
        help="Channels of the image network's skip connections.",
    ).default(16)
    code_channels: int = Integer(
        label="Code channels",
        group="networks",
        low=1,
        high=4096,
        help="Channels of the image network's random code.",
    ).default(8)
    scales: int = Integer(
        label="Scales",
        group="networks",
        low=1,
        high=16,
        help="Scales of the image network; fewer are used where the image is too small.",
    ).default(5)
    non_local: bool = Flag(
        label="Non-local blocks",
        group="networks",
        help="Blocks that relate distant places of the image: in the public code, not in "
        "the paper.",
    ).default(True)
    precision: Literal["auto", "float32", "bfloat16"] = Choice(
        label="Precision",
        group="computing",
        choices=("auto", "float32", "bfloat16"),
        help="Arithmetic of the image network; auto is bfloat16 where the device has it. "
        "Kernel, forward model and losses are always float32.",
    ).default("auto")
    runtime: Literal["optimised", "reference"] = Choice(
        label="Runtime",
        group="computing",
        choices=("optimised", "reference"),
        help="reference is the plain float32 step that the optimised one is checked against.",
    ).default("optimised")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.restoration is None and not isinstance(self.region, str):
            raise ConfigError(
                "region needs a restoration, which restores the rest of the image; choose one, "
                "for example sparse, or crop the image to that region",
                field="region",
            )
        if self.restoration is None and self.colour == "channels":
            raise ConfigError(
                "colour 'channels' needs a restoration, which restores each of them; choose one, "
                "for example sparse, or colour 'luma'",
                field="colour",
            )
        if self.restoration is None and self.kernel_grid != (1, 1):
            raise ConfigError(
                "kernel_grid needs a restoration, which restores the image with its kernels; "
                "choose one, for example sparse",
                field="kernel_grid",
            )
        if self.diagnostics and self.kernel_grid != (1, 1):
            raise ConfigError(
                "diagnostics are of one kernel; set diagnostics to false, or kernel_grid to 1",
                field="diagnostics",
            )

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return the configuration published under `name`; `presets.PRESETS` lists the names.

        Raises
        ------
        ConfigError
            If there is no such preset.
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise ConfigError(
                f"preset must be one of {', '.join(PRESETS)}, got {name!r}", field="preset"
            )
        return cls(**PRESETS[name].values)

    @property
    def networks(self) -> tuple[int, ...]:
        """Indices of the solvers that train networks: those with settings of their own."""
        return tuple(i for i, name in enumerate(self.solvers) if registry.SOLVERS[name].settings)

    @property
    def spared(self) -> tuple[int, ...]:
        """Indices of the solvers that run only where those before leave a doubt: see `adaptive`."""
        if not self.adaptive or self.restoration is None:
            return ()
        # Those at the beginning are what was asked for: only networks come before them.
        return tuple(index for place, index in enumerate(self.networks) if index > place)

    def without(self, left_out: Container[int]) -> Self:
        """Return the settings without the solvers at some indices."""
        kept = (name for index, name in enumerate(self.solvers) if index not in left_out)
        return self.replace(solvers=tuple(kept))

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of the kernel.

        Raises
        ------
        ConfigError
            If they are still to be found.
        """
        if isinstance(self.kernel_size, str):
            raise ConfigError(
                "the kernel's size is not known yet; give kernel_size", field="kernel_size"
            )
        return self.kernel_size

    @property
    def name(self) -> str:
        """Name of the preset whose settings these are, ``custom`` where it is none's."""
        own = self._schedule()
        names = (name for name in PRESETS if self.preset(name)._schedule() == own)
        return next(names, "custom")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described, as `Settings.from_dict`, also by version 0.1."""
        return super(SelfDeblurConfig, cls).from_dict(_renamed(values))

    def _schedule(self) -> dict[str, Any]:
        return {k: v for k, v in self.to_dict().items() if k not in OUTSIDE_PRESETS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreConfig(Settings):
    """A restoration with a known kernel, complete but for image and kernel.

    Raises
    ------
    ConfigError
        If a value is not allowed, or set for a restoration that does not have it.
    """

    restoration: str = Choice(
        label="Restoration",
        choices=tuple(registry.RESTORATIONS),
        help="; ".join(f"{name}: {e.title}" for name, e in registry.RESTORATIONS.items()) + ".",
    ).default("hyper_laplacian")
    weight: float | None = Number(
        label="Weight",
        words={"auto": None},
        help="Weight of the prior: larger is smoother. auto follows the measured noise.",
    ).default(None)
    iterations: int | None = Integer(
        label="Iterations",
        unit="steps",
        low=1,
        step=10,
        words={"auto": None},
        help="Steps of the restoration; auto is its default.",
    ).default(None)
    colour: Literal["luma", "channels"] = COLOUR.default("luma")
    device: str = DEVICE.default("auto")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        known = registry.RESTORATIONS[self.restoration].settings
        for field in self.options():
            if field not in known:
                raise ConfigError(
                    f"restoration {self.restoration!r} has no {field}; leave it unset", field=field
                )

    def options(self) -> dict[str, Any]:
        """Return the settings that were set, as arguments of the restoration's function."""
        own = [field for field in self.kinds() if field not in ("restoration", "colour", "device")]
        chosen = {field: getattr(self, field) for field in own}
        return {field: value for field, value in chosen.items() if value is not None}


def _renamed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings written by version 0.1 under today's names."""
    if not isinstance(values, Mapping) or "optimiser" not in values:
        return values
    old = dict(values)
    optimiser, edges_first = old.pop("optimiser"), old.pop("draft_first", False)
    old.pop("name", None)
    if optimiser == "classical":
        old.pop("iterations", None)
        return {**old, "solvers": ["edges"]}
    return {**old, "solvers": ["edges", optimiser] if edges_first else [optimiser]}
