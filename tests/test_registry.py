"""Names lead to code, and one line adds a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError

REGISTRIES = {
    "solvers": registry.SOLVERS,
    "image_generator": registry.IMAGE_GENERATORS,
    "kernel_generator": registry.KERNEL_GENERATORS,
    "restoration": registry.RESTORATIONS,
}
NAMES = [(field, name) for field, entries in REGISTRIES.items() for name in entries]


@pytest.mark.parametrize(("field", "name"), NAMES)
def test_every_name_leads_somewhere(field: str, name: str) -> None:
    """Each registered path names something that can be called, and says what it is."""
    assert callable(registry.load(name, REGISTRIES[field]))
    assert REGISTRIES[field][name].title


@pytest.mark.parametrize(("field", "name"), NAMES)
def test_every_name_can_be_set(field: str, name: str) -> None:
    """Each registered name is an allowed value of its setting."""
    value = getattr(SelfDeblurConfig().replace(**{field: name}), field)
    assert value in (name, (name,))


def test_unknown_name_lists_the_known() -> None:
    """An unknown name is an error that lists what there is."""
    with pytest.raises(ConfigError, match="unknown name 'x'; known: edges, joint, alternating"):
        registry.load("x", registry.SOLVERS)


MODULE = """
import torch
from torch import nn

class Gaussian(nn.Module):
    code_shape = (2,)

    def __init__(self, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.spread = nn.Linear(2, 2)

    def forward(self, z):
        rows, columns = (torch.linspace(-1, 1, n, device=z.device) for n in self.kernel_size)
        widths = self.spread(z).exp()
        logits = -((rows[:, None] / widths[0]) ** 2) - (columns / widths[1]) ** 2
        return torch.softmax(logits.flatten(), dim=0).view(self.kernel_size)

def gaussian(config):
    return Gaussian(config.kernel_size)

def half(y, k, **options):
    return y / 2
"""
SCRIPT = """
import numpy as np
from napari_selfdeblur import registry
from napari_selfdeblur.registry import Entry
registry.KERNEL_GENERATORS["gaussian"] = Entry("somebodys_module:gaussian", "a Gaussian")
registry.RESTORATIONS["half"] = Entry("somebodys_module:half", "half as bright")

from napari_selfdeblur import SelfDeblurConfig, deblur
config = SelfDeblurConfig(
    kernel_generator="gaussian", restoration="half", kernel_size=7, iterations=2, channels=8,
    non_local=False, device="cpu",
)
image = np.random.default_rng(0).random((30, 30), dtype=np.float32)
result = deblur(image, config=config)
np.testing.assert_allclose(result.kernel, result.kernel[::-1, ::-1], atol=1e-6)
np.testing.assert_allclose(result.sharp, image / 2, atol=1e-6)
"""


def test_a_name_is_added_by_one_line(tmp_path: Path) -> None:
    """A registry line makes a new kernel network or restoration valid in settings, and it runs.

    In a fresh interpreter: the settings take their choices from the registry when imported.
    """
    (tmp_path / "somebodys_module.py").write_text(MODULE, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
