"""Configurations: presets, their names, what older versions wrote, limits across fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from napari_selfdeblur import registry
from napari_selfdeblur.config import OUTSIDE_PRESETS, RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError
from napari_selfdeblur.presets import PRESETS

# What version 0.1 wrote for its preset fast; draft differed as `OLD_DRAFT` says.
OLD_FAST: dict[str, Any] = {
    "name": "fast",
    "kernel_size": [13, 17],
    "iterations": 750,
    "optimiser": "joint",
    "image_generator": "skip",
    "kernel_generator": "fcn",
    "loss": "mse_then_ssim",
    "loss_switch": 0.2,
    "tv_weight": 0.0,
    "lr_image": 0.01,
    "lr_kernel": 0.0003,
    "lr_milestones": [0.4, 0.6, 0.8],
    "lr_decay": 0.5,
    "code_noise": 0.001,
    "channels": 64,
    "skip_channels": 16,
    "code_channels": 8,
    "scales": 5,
    "non_local": False,
    "draft_first": True,
    "restoration": "sparse",
    "restoration_share": 0.75,
    "device": "auto",
    "precision": "auto",
    "runtime": "optimised",
    "seed": 5,
}
OLD_DRAFT = OLD_FAST | {
    "name": "draft",
    "iterations": 4,
    "optimiser": "classical",
    "lr_kernel": 0.0001,
    "channels": 128,
    "non_local": True,
    "draft_first": False,
    "restoration_share": 1.0,
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    """A configuration comes back from JSON as it was, its name included."""
    config = SelfDeblurConfig.preset(name)
    assert config.name == name
    assert SelfDeblurConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_name_is_that_of_the_settings() -> None:
    """Image and machine do not change a configuration's name, every other field does."""
    fast = SelfDeblurConfig.preset("fast")
    assert fast.replace(kernel_size=31, device="cpu", seed=4, runtime="reference").name == "fast"
    assert fast.replace(iterations=751).name == "custom"
    assert fast.replace(iterations=1500).name == "quality"
    assert SelfDeblurConfig().name == "official"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_set_what_is_theirs(name: str) -> None:
    """A preset has a title, and leaves alone what belongs to the image and the machine."""
    assert PRESETS[name].title.endswith(".")
    assert not OUTSIDE_PRESETS & PRESETS[name].values.keys()


def test_official_and_paper_have_the_published_schedules() -> None:
    """5000 steps, rates 1e-2 / 1e-4 halved at 2000, 3000, 4000; losses as published."""
    for name in ("official", "paper"):
        config = SelfDeblurConfig.preset(name)
        assert config.iterations == 5000
        assert (config.lr_image, config.lr_kernel, config.lr_decay) == (1e-2, 1e-4, 0.5)
        assert [m * config.iterations for m in config.lr_milestones] == [2000, 3000, 4000]
    official, paper = SelfDeblurConfig.preset("official"), SelfDeblurConfig.preset("paper")
    assert (official.loss, official.loss_switch * official.iterations) == ("mse_then_ssim", 1000)
    assert (paper.loss, paper.tv_weight) == ("mse", "auto")
    colour = SelfDeblurConfig.preset("official_colour")
    assert [round(m * colour.iterations) for m in colour.lr_milestones] == [1600, 1900, 2200]
    assert colour.loss_switch * colour.iterations == 500


@pytest.mark.parametrize("name", ["best", None, 3])
def test_unknown_preset_lists_the_known(name: Any) -> None:
    """An unknown preset names those there are."""
    with pytest.raises(ConfigError, match=r"preset must be one of .*fast.*, got ") as caught:
        SelfDeblurConfig.preset(name)
    assert caught.value.field == "preset"


@pytest.mark.parametrize(("old", "name"), [(OLD_FAST, "fast"), (OLD_DRAFT, "draft")])
def test_settings_of_version_0_1_are_read(old: dict[str, Any], name: str) -> None:
    """What version 0.1 wrote for a preset is that preset, its kernel size and seed included."""
    read = SelfDeblurConfig.from_dict(json.loads(json.dumps(old)))
    assert read.replace(iterations=PRESETS[name].values.get("iterations", 5000)) == (
        SelfDeblurConfig.preset(name).replace(kernel_size=(13, 17), seed=5)
    )


@pytest.mark.parametrize(
    ("optimiser", "first", "solvers"),
    [
        ("joint", False, ("joint",)),
        ("alternating", False, ("alternating",)),
        ("alternating", True, ("edges", "alternating")),
        ("classical", False, ("edges",)),
    ],
)
def test_optimisers_of_version_0_1_are_solvers(
    optimiser: str, first: bool, solvers: tuple[str, ...]
) -> None:
    """An optimiser, with or without the edge-based estimate before it, is a chain of solvers."""
    old = OLD_FAST | {"optimiser": optimiser, "draft_first": first}
    assert SelfDeblurConfig.from_dict(old).solvers == solvers


@pytest.mark.parametrize("optimiser", ["sgd", None, ["joint"]])
def test_settings_of_no_version_are_refused(optimiser: Any) -> None:
    """What no version wrote is refused with the reason."""
    with pytest.raises(ConfigError, match="solvers must be one or more of edges, joint, alterna"):
        SelfDeblurConfig.from_dict(OLD_FAST | {"optimiser": optimiser})


@pytest.mark.parametrize("restoration", registry.RESTORATIONS)
@pytest.mark.parametrize(("field", "value"), [("weight", 0.1), ("iterations", 4)])
def test_a_restoration_has_its_own_settings_alone(
    restoration: str, field: str, value: float
) -> None:
    """A setting that a restoration has is passed on, one that it has not is refused."""
    if field in registry.RESTORATIONS[restoration].settings:
        config = RestoreConfig(restoration=restoration, **{field: value})
        assert config.options() == {field: value}
        return
    with pytest.raises(ConfigError, match=f"{restoration!r} has no {field}; leave it unset") as e:
        RestoreConfig(restoration=restoration, **{field: value})
    assert e.value.field == field


def test_no_error_of_ours_is_a_runtime_error() -> None:
    """napari's generator workers swallow RuntimeError."""
    children = DeblurError.__subclasses__()
    assert len(children) >= 5
    assert not any(issubclass(kind, RuntimeError) for kind in (DeblurError, *children))


def test_a_kernel_size_may_be_found():
    """auto is the default, is read from text, and has no sides until it is found."""
    assert SelfDeblurConfig().kernel_size == SelfDeblurConfig.parse("kernel_size", "auto") == "auto"
    assert SelfDeblurConfig(kernel_size=21).sides == (21, 21)
    with pytest.raises(ConfigError, match="not known yet; give kernel_size") as error:
        _ = SelfDeblurConfig().sides
    assert error.value.field == "kernel_size"
