"""What the hostile tests share: one profile of hypothesis, one cheap run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from scipy import ndimage

from napari_selfdeblur.config import SelfDeblurConfig

# The same inputs in every run, of whatever machine; folders of tests are shared by examples.
settings.register_profile(
    "hostile",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("hostile")


@pytest.fixture(scope="session")
def cheap() -> SelfDeblurConfig:
    """Two steps of very small networks."""
    return SelfDeblurConfig(
        solvers=("joint",),
        kernel_size=3,
        iterations=2,
        channels=4,
        skip_channels=2,
        code_channels=2,
        scales=1,
        device="cpu",
    )


@pytest.fixture(scope="session")
def field() -> NDArray[np.uint16]:
    """Return a blurred field of points as a 12-bit camera gives it, (16, 18)."""
    rng = np.random.default_rng(5)
    points = ndimage.uniform_filter(rng.random((16, 18)) ** 6, (1, 3))
    counts = 100 + 3900 * points / points.max() + rng.normal(0, 4, points.shape)
    return counts.round().clip(0, 4095).astype(np.uint16)
