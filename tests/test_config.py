import json

import numpy as np
import pytest

from napari_selfdeblur.config import PRESETS, SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    """A configuration comes back from JSON as it was."""
    config = SelfDeblurConfig.preset(name)
    assert config.name == name
    assert SelfDeblurConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_official_and_paper_have_the_published_schedules():
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


@pytest.mark.parametrize("size", [21, np.int64(21), (21, 21), [21, 21], np.array([21, 21])])
def test_kernel_size_may_be_one_number_or_two(size):
    """A square kernel needs one number; NumPy's whole numbers are welcome."""
    assert SelfDeblurConfig(kernel_size=size).kernel_size == (21, 21)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kernel_size", 20, "kernel_size must be odd, got 20; try 21"),
        ("kernel_size", (21, 4), "kernel_size must be odd, got 4; try 5"),
        ("kernel_size", 1, "kernel_size must be at least 3, got 1; try 3"),
        ("kernel_size", 21.0, "kernel_size must be an odd whole number or a pair of them"),
        ("kernel_size", "big", "kernel_size must be an odd whole number or a pair of them"),
        ("kernel_size", (3, 3, 3), "kernel_size must be an odd whole number or a pair of them"),
        ("kernel_size", True, "kernel_size must be an odd whole number or a pair of them"),
        ("iterations", 0, "iterations must be a whole number of at least 1, got 0; try 1"),
        ("iterations", 2.5, "iterations must be a whole number"),
        ("seed", -1, "seed must be a whole number of at least 0"),
        ("lr_image", 0, "lr_image must be a number greater than 0, got 0"),
        ("lr_kernel", float("nan"), "lr_kernel must be a number greater than 0, got nan"),
        ("lr_decay", 1.5, "lr_decay must be a number greater than 0 and at most 1, got 1.5"),
        ("lr_milestones", (0.5, 2), "lr_milestones must be a number at least 0 and at most 1"),
        ("loss_switch", -0.1, "loss_switch must be a number at least 0 and at most 1"),
        ("tv_weight", "much", "tv_weight must be a number at least 0"),
        ("loss", "l1", "loss must be one of mse, ssim, mse_then_ssim, got 'l1'"),
        ("device", "gpu", "device must be one of auto, cpu, cuda, mps or cuda:N, got 'gpu'"),
        ("precision", "float16", "precision must be one of auto, float32, bfloat16"),
        ("runtime", "fastest", "runtime must be one of optimised, reference"),
        ("optimiser", "sgd", "optimiser must be one of joint, alternating, classical, got 'sgd'"),
        ("kernel_generator", "cnn", "kernel_generator must be one of fcn"),
        ("image_generator", "unet", "image_generator must be one of skip"),
        ("restoration", "wiener", "restoration must be one of"),
    ],
)
def test_bad_value_dies_at_birth(field, value, message):
    """A bad value is refused with field, value and rule."""
    with pytest.raises(ConfigError) as caught:
        SelfDeblurConfig(**{field: value})
    assert message in str(caught.value)


def test_unknown_preset_lists_the_known():
    """An unknown preset names those there are."""
    with pytest.raises(ConfigError, match=r"preset must be one of .*fast.*, got 'best'"):
        SelfDeblurConfig.preset("best")


def test_unknown_setting_lists_the_known():
    """A misspelt field is an error, not ignored."""
    with pytest.raises(ConfigError, match=r"unknown setting iteration; known: .*iterations"):
        SelfDeblurConfig().replace(iteration=3)


def test_no_error_of_ours_is_a_runtime_error():
    """napari's generator workers swallow RuntimeError."""
    children = DeblurError.__subclasses__()
    assert len(children) >= 5
    assert not any(issubclass(kind, RuntimeError) for kind in (DeblurError, *children))
