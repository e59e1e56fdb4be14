"""In processes of their own: these tests import what a process that draws must not."""

import subprocess
import sys

import pytest

SAME = """
import torch
from napari_selfdeblur.numerics.solvers.adam import Adam

torch.manual_seed(0)
start = [torch.randn(n, 3) for n in (2, 5, 4)]
ours, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
adam = Adam([ours[:2], ours[2:]], fused={fused})
twin = torch.optim.Adam(
    [dict(params=theirs[:2], lr=0.1), dict(params=theirs[2:], lr=0.01)], fused={fused}
)
for step in range(6):
    if step == 3:
        state = adam.state_dict() if {own} else twin.state_dict()
        adam = Adam([ours[:2], ours[2:]], fused={fused})
        adam.load_state_dict(state)
    adam.rates = [0.1 / (step + 1), 0.01]
    twin.param_groups[0]["lr"] = adam.rates[0]
    for parameters, optimiser in ((ours, adam), (theirs, twin)):
        optimiser.zero_grad()
        first = 1 if step % 2 else 0  # not every parameter has a gradient
        sum((p ** 4 + p).sum() for p in parameters[first:]).backward()
        optimiser.step()
assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
assert not any(torch.equal(a, b) for a, b in zip(ours, start, strict=True))
"""

RUN = """
import sys
import numpy as np
import napari_selfdeblur as sd

image = np.random.default_rng(0).random((24, 26))
stages = []
edges = np.kron(image[:9, :9], np.ones((8, 8)))
blurred = sum(np.roll(edges, shift, 1) for shift in range(5))[4:-4, 4:-4]
sd.deblur(blurred, preset="draft", device="cpu", on_progress=lambda e: stages.append(e.stage))
assert "refine" in stages
config = sd.SelfDeblurConfig.preset("fast").replace(
    kernel_size=3, iterations=2, channels=4, skip_channels=2, scales=1, device="cpu"
)
sd.deblur(image, config=config)
sd.deblur(image, config=config.replace(solvers=("alternating",)))
sd.restore(image, np.ones((3, 3)), "generator", iterations=2)
compilers = ("torch._dynamo", "torch._inductor", "triton")
print(*(name for name in compilers if name in sys.modules))
"""


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_steps_are_those_of_torch(fused, own):
    """Bit for bit, with parameters that stand still, and continued from either's state."""
    printed(SAME.format(fused=fused, own=own))


def test_a_run_loads_no_compiler():
    """Triton beside Mesa, both with an LLVM of their own, ends napari in a segmentation fault."""
    assert printed(RUN) == []
