"""What to run: one frozen, validated description of a SelfDeblur run, and the presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, Literal

from napari_selfdeblur import registry
from napari_selfdeblur.errors import ConfigError

__all__ = [
    "CLASSICAL_KERNELS",
    "DEVICES",
    "LOSSES",
    "PRECISIONS",
    "PRESETS",
    "RUNTIMES",
    "SelfDeblurConfig",
]

LOSSES = ("mse", "ssim", "mse_then_ssim")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
RUNTIMES = ("optimised", "reference")
CLASSICAL_KERNELS = 4
"""Kernels that ``optimiser="classical"`` has to try, one a step."""

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfDeblurConfig:
    """A SelfDeblur run, complete but for the image.

    Every moment of the schedule is a fraction of `iterations`, so that changing
    `iterations` scales the learning-rate milestones and the loss switch in proportion.

    Attributes
    ----------
    name : str
        The preset this configuration was made from.
    kernel_size : (int, int)
        Support of the kernel in pixels (rows, columns), both odd and at least 3.
        A single int means a square.
    iterations : int
        Optimisation steps T, at least 1.
    optimiser : str
        ``joint`` (Algorithm 2 of the paper), ``alternating`` (Algorithm 1) or ``classical``,
        which tries `iterations` kernels estimated without networks.
    image_generator, kernel_generator : str
        Networks G_x and G_k; see `registry.IMAGE_GENERATORS`, `registry.KERNEL_GENERATORS`.
    loss : {"mse", "ssim", "mse_then_ssim"}
        Data term: squared error, 1 - SSIM, or the first until `loss_switch`, then the second.
    loss_switch : float
        Fraction of `iterations` after which ``mse_then_ssim`` changes over, in [0, 1].
    tv_weight : float or "auto"
        Weight lambda of the total variation of x beside the squared error, >= 0;
        ``auto`` is 0.1 sigma of the measured noise (equation 6).
    lr_image, lr_kernel : float
        Adam's learning rates of G_x and G_k, > 0.
    lr_milestones : tuple of float
        Fractions of `iterations` at which both rates are multiplied by `lr_decay`.
    lr_decay : float
        Factor of each milestone, in (0, 1].
    code_noise : float
        Standard deviation of the noise added to z_x anew at each step, >= 0.
    channels, skip_channels, code_channels : int
        Channels of G_x's trunk, of its skips, and of its code z_x.
    scales : int
        Scales of G_x; fewer are used where the image is too small for them.
    non_local : bool
        Whether G_x has its non-local blocks (the public code's, not in the paper).
    draft_first : bool
        Whether a classical draft is made and shown before the first step. Where there is a
        `restoration`, the draft has a share in the result, as large as it deserves.
    restoration : str or None
        Non-blind restoration run with the estimated kernel to make the final image,
        None to take the image generator's own; see `registry.RESTORATIONS`.
    restoration_share : float
        Share of that restoration in the final image, in [0, 1]; the rest is the image
        generator's own. The two err differently, and a mixture can be nearer to the truth.
    device : str
        ``auto`` (CUDA, then Apple's MPS, then CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of G_x's trunk; kernel, forward model and losses are always float32.
    runtime : {"optimised", "reference"}
        ``reference`` is the plain eager float32 step that the others are checked against.
    seed : int
        Seed of every random number of the run.

    Raises
    ------
    ConfigError
        If a value is outside its range.
    """

    name: str = "custom"
    kernel_size: tuple[int, int] = (21, 21)
    iterations: int = 5000
    optimiser: str = "joint"
    image_generator: str = "skip"
    kernel_generator: str = "fcn"
    loss: Literal["mse", "ssim", "mse_then_ssim"] = "mse_then_ssim"
    loss_switch: float = 0.2
    tv_weight: float | Literal["auto"] = 0.0
    lr_image: float = 1e-2
    lr_kernel: float = 1e-4
    lr_milestones: tuple[float, ...] = (0.4, 0.6, 0.8)
    lr_decay: float = 0.5
    code_noise: float = 1e-3
    channels: int = 128
    skip_channels: int = 16
    code_channels: int = 8
    scales: int = 5
    non_local: bool = True
    draft_first: bool = False
    restoration: str | None = None
    restoration_share: float = 1.0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    runtime: Literal["optimised", "reference"] = "optimised"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel_size", _kernel_size(self.kernel_size))
        object.__setattr__(self, "lr_milestones", tuple(self.lr_milestones))
        for field in ("iterations", "channels", "skip_channels", "code_channels", "scales"):
            _check_int(field, getattr(self, field), 1)
        _check_int("seed", self.seed, 0, _MAX_SEED)
        for field in ("lr_image", "lr_kernel"):
            _check_number(field, getattr(self, field), 0, math.inf, open_low=True)
        _check_number("lr_decay", self.lr_decay, 0, 1, open_low=True)
        _check_number("loss_switch", self.loss_switch, 0, 1)
        _check_number("restoration_share", self.restoration_share, 0, 1)
        _check_number("code_noise", self.code_noise, 0, math.inf)
        for fraction in self.lr_milestones:
            _check_number("lr_milestones", fraction, 0, 1)
        if self.tv_weight != "auto":
            _check_number("tv_weight", self.tv_weight, 0, math.inf)
        _check_choice("loss", self.loss, LOSSES)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("runtime", self.runtime, RUNTIMES)
        _check_device(self.device)
        registry.check("optimiser", self.optimiser, registry.OPTIMISERS)
        registry.check("image_generator", self.image_generator, registry.IMAGE_GENERATORS)
        registry.check("kernel_generator", self.kernel_generator, registry.KERNEL_GENERATORS)
        if self.optimiser == "classical":
            self._check_classical()
        if self.restoration is not None:
            registry.check("restoration", self.restoration, registry.RESTORATIONS)

    def _check_classical(self) -> None:
        if self.iterations > CLASSICAL_KERNELS:
            raise ConfigError(
                f"iterations must be at most {CLASSICAL_KERNELS} with optimiser='classical', one "
                f"for each kernel tried, got {self.iterations}; try {CLASSICAL_KERNELS}"
            )
        if self.draft_first:
            raise ConfigError("optimiser='classical' is the draft itself; set draft_first=False")

    @classmethod
    def preset(cls, name: str) -> SelfDeblurConfig:
        """Return the configuration published under `name`; `PRESETS` lists the names."""
        _check_choice("preset", name, tuple(PRESETS))
        return cls(name=name, **PRESETS[name])

    def replace(self, **changes: Any) -> SelfDeblurConfig:
        """Return a copy with `changes` applied and validated.

        Raises
        ------
        ConfigError
            If a field is unknown or a value is outside its range.
        """
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := set(changes) - known:
            raise ConfigError(
                f"unknown setting {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in (getattr(self, field.name),)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SelfDeblurConfig:
        """Return the configuration that `to_dict` described."""
        return cls().replace(**values)


_NARROW: dict[str, Any] = {
    "lr_kernel": 3e-4,
    "channels": 64,
    "non_local": False,
    "draft_first": True,
    "restoration": "sparse",
    "restoration_share": 0.75,
}

PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"optimiser": "classical", "iterations": CLASSICAL_KERNELS, "restoration": "sparse"},
    "fast": {**_NARROW, "iterations": 750},
    "quality": {**_NARROW, "iterations": 1500},
    "official": {},
    "official_colour": {"iterations": 2500, "lr_milestones": (0.64, 0.76, 0.88)},
    "paper": {"loss": "mse", "tv_weight": "auto", "non_local": False},
}
"""Settings of each preset that differ from the field's defaults (the public code's, grey)."""


def _kernel_size(value: Any) -> tuple[int, int]:
    try:
        # NumPy's whole numbers and arrays are welcome; floats and strings are not.
        size = tuple(index(side) for side in (value if hasattr(value, "__len__") else (value,) * 2))
    except TypeError:
        size = ()
    if len(size) != 2 or isinstance(value, bool):
        raise ConfigError(
            f"kernel_size must be an odd whole number or a pair of them, got {value!r}; try 21"
        )
    for side in size:
        if side < 3:
            raise ConfigError(f"kernel_size must be at least 3, got {side}; try 3")
        if side % 2 == 0:
            raise ConfigError(f"kernel_size must be odd, got {side}; try {side + 1}")
    return (size[0], size[1])


def _check_int(field: str, value: Any, low: int, high: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        upper = "" if high is None else f" and at most {high}"
        raise ConfigError(
            f"{field} must be a whole number of at least {low}{upper}, got {value!r}; try {low}"
        )


def _check_number(
    field: str, value: Any, low: float, high: float, *, open_low: bool = False
) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    inside = number and math.isfinite(value) and low <= value <= high
    if not inside or (open_low and value == low):
        lower = f"greater than {low}" if open_low else f"at least {low}"
        upper = "" if high == math.inf else f" and at most {high}"
        raise ConfigError(f"{field} must be a number {lower}{upper}, got {value!r}")


def _check_choice(field: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{field} must be one of {', '.join(choices)}, got {value!r}")


def _check_device(value: Any) -> None:
    kind, _, index = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in DEVICES or (index and not (kind == "cuda" and index.isdigit())):
        raise ConfigError(
            f"device must be one of {', '.join(DEVICES)} or cuda:N, got {value!r}; try 'auto'"
        )
