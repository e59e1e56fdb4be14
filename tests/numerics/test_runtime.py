import re

import pytest
import torch

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeviceError
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.runtime import (
    Runtime,
    available_devices,
    estimate_memory,
    memory_checked,
    resolve_device,
)

CPU = torch.device("cpu")
CONFIG = SelfDeblurConfig.preset("official").replace(kernel_size=21, device="cpu")


def test_cpu_is_always_there():
    """Every machine has a CPU, and it is listed last with a label."""
    name, label = available_devices()[-1]
    assert name == "cpu"
    assert label.startswith("CPU")
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("present", "chosen"),
    [(["cuda:0", "cuda:1", "cpu"], "cuda:0"), (["mps", "cpu"], "mps"), (["cpu"], "cpu")],
)
def test_auto_prefers_cuda_then_mps_then_cpu(monkeypatch, present, chosen):
    """'auto' takes the first of CUDA, MPS and CPU that is there."""
    monkeypatch.setattr(runtime, "available_devices", lambda: [(name, "") for name in present])
    assert str(resolve_device("auto")) == chosen


def test_absent_device_lists_those_present(monkeypatch):
    """Asking for a device that is not there names what is."""
    monkeypatch.setattr(runtime, "available_devices", lambda: [("cpu", "CPU")])
    message = "device 'cuda:3' is not available here; available: cpu. Choose device='auto'"
    with pytest.raises(DeviceError, match=re.escape(message)):
        resolve_device("cuda:3")


def test_reference_path_is_plain_float32():
    """runtime='reference' is eager float32, and refuses bfloat16."""
    reference = Runtime.of(CONFIG.replace(runtime="reference"))
    assert (reference.trunk, reference.channels_last, reference.fused) == (
        torch.float32,
        False,
        False,
    )
    with pytest.raises(DeviceError, match="runtime='reference' is float32"):
        Runtime.of(CONFIG.replace(runtime="reference", precision="bfloat16"))


def test_bfloat16_only_where_it_is_fast(monkeypatch):
    """'auto' falls back to float32 where bfloat16 is emulated; asking for it fails clearly."""
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda device: False)
    assert Runtime.of(CONFIG).trunk == torch.float32
    with pytest.raises(DeviceError, match="no fast bfloat16; choose precision='auto'"):
        Runtime.of(CONFIG.replace(precision="bfloat16"))
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda device: True)
    assert Runtime.of(CONFIG).trunk == torch.bfloat16
    assert Runtime.of(CONFIG.replace(precision="float32")).trunk == torch.float32


def test_memory_grows_with_the_image():
    """Four times the pixels need nearly four times the memory above the baseline."""
    small, large = (estimate_memory(CONFIG, (n, n)) - runtime._BASELINE for n in (492, 1004))
    assert large / small == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("out of memory")])
def test_plain_errors_are_not_lack_of_memory(error):
    """Only memory errors are taken for memory errors."""
    with pytest.raises(type(error), match=str(error)), memory_checked(CONFIG, (9, 9), CPU):
        raise error


def test_memory_is_that_of_networks_where_there_are_some(monkeypatch):
    """A solver has them by its entry in the registry, whatever its name."""
    joint, edges = (CONFIG.replace(solvers=name) for name in ("joint", "edges"))
    assert estimate_memory(edges, (99, 99)) < estimate_memory(joint, (99, 99))
    monkeypatch.setitem(registry.SOLVERS, "edges", registry.SOLVERS["joint"])
    assert estimate_memory(edges, (99, 99)) == estimate_memory(joint, (99, 99))


def test_memory_of_a_frame_grows_by_its_result_alone() -> None:
    """The region's and the tile's share stay; a region given whole is paid for."""
    draft = SelfDeblurConfig.preset("draft").replace(kernel_size=25, device="cpu")
    for config in (draft, SelfDeblurConfig.preset("fast").replace(kernel_size=25, device="cpu")):
        small, large = (estimate_memory(config, (n, n)) for n in (4096, 16384))
        assert large - small <= 20 * (16384**2 - 4096**2)
        assert estimate_memory(config.replace(region="whole"), (2048, 2048)) > 2**30
        assert estimate_memory(config, (2048, 2048)) < 1.5e9
