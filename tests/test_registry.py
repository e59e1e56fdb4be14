import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.solvers.networks import JointOptimiser, iterate

REGISTRIES = {
    "image_generator": registry.IMAGE_GENERATORS,
    "kernel_generator": registry.KERNEL_GENERATORS,
    "optimiser": registry.OPTIMISERS,
    "method": registry.RESTORATIONS,
}


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in REGISTRIES.items() for name in names]
)
def test_every_name_leads_somewhere(field, name):
    """Each registered path names something that can be called."""
    assert callable(registry.load(field, name, REGISTRIES[field]))


def test_unknown_name_lists_the_known():
    """An unknown name is an error that lists what there is."""
    with pytest.raises(
        ConfigError, match=r"optimiser must be one of joint, alternating, classical, got 'x'"
    ):
        registry.load("optimiser", "x", registry.OPTIMISERS)


class Gaussian(nn.Module):
    """The example of docs/adding-a-network.md."""

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


def test_a_network_is_added_by_one_line(monkeypatch):
    """One registry line makes a new kernel generator valid in a configuration and run."""
    module = types.ModuleType("somebodys_network")
    module.gaussian = lambda config: Gaussian(config.kernel_size)
    monkeypatch.setitem(sys.modules, "somebodys_network", module)
    monkeypatch.setitem(registry.KERNEL_GENERATORS, "gaussian", "somebodys_network:gaussian")
    config = SelfDeblurConfig(
        kernel_generator="gaussian", kernel_size=7, iterations=2, channels=8, device="cpu"
    )
    y = np.random.default_rng(0).random((30, 30), dtype=np.float32)
    *_, last = iterate(JointOptimiser(y, config))
    assert last.kernel.shape == (7, 7)
    np.testing.assert_allclose(last.kernel, last.kernel[::-1, ::-1], atol=1e-6)
