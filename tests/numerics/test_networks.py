import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_selfdeblur import registry
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics.networks.initialise import build, uniform_code
from napari_selfdeblur.numerics.networks.skip import (
    BatchNorm,
    NonLocal,
    SkipNet,
    conv_1x1,
)
from napari_selfdeblur.numerics.networks.upsample import conv_of_upsampled

OFFICIAL = SelfDeblurConfig.preset("official").replace(kernel_size=21)
SMALL = OFFICIAL.replace(channels=8, skip_channels=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_networks_have_the_published_number_of_weights():
    """About 2.4 M weights in G_x and 0.6 M in G_k at 21 x 21."""
    g_x = build(lambda: SkipNet(OFFICIAL, (275, 275)), seeded())
    g_k = build(lambda: registry.load("fcn", registry.KERNEL_GENERATORS)(OFFICIAL), seeded())
    assert parameters(g_x) == pytest.approx(2.4e6, rel=0.03)
    # 200 x 1000 + 1000 and 1000 x 441 + 441.
    assert parameters(g_k) == 201_000 + 441_441


def test_image_generator_has_the_published_layers():
    """5 scales of 128 channels with 16-channel skips; non-local in scales 3, 4 and 5."""
    network = build(lambda: SkipNet(OFFICIAL, (275, 275)), seeded())
    scales = [m for m in network.modules() if type(m).__name__ == "Scale"]
    assert len(scales) == 5
    assert [isinstance(s.attend, NonLocal) for s in scales] == [False, False, True, True, True]
    assert {s.skip.conv.out_channels for s in scales} == {16}
    assert {s.up.conv.in_channels for s in scales} == {144}
    assert {s.down.conv.stride for s in scales} == {(2, 2)}


@pytest.mark.parametrize("size", [(64, 64), (33, 65), (47, 70), (5, 9), (271, 34)])
def test_image_generator_keeps_any_size_and_range(size):
    """Odd and non-multiple-of-32 sizes come back as they are, inside (0, 1)."""
    network = build(lambda: SkipNet(SMALL, size), seeded())
    x = network(uniform_code((1, 8, *size), seeded()))
    assert x.shape == (1, 1, *size)
    assert x.min() > 0
    assert x.max() < 1


@pytest.mark.parametrize("name", registry.KERNEL_GENERATORS)
@pytest.mark.parametrize("kernel_size", [(3, 3), (21, 21), (7, 15)])
def test_kernels_are_non_negative_and_sum_to_one(name, kernel_size):
    """Every kernel generator's output is a kernel: k >= 0, sum k = 1, of the asked size."""
    config = SMALL.replace(kernel_generator=name, kernel_size=kernel_size)
    make = registry.load(name, registry.KERNEL_GENERATORS)
    network = build(lambda: make(config), seeded())
    k = network(uniform_code(network.code_shape, seeded()))
    assert k.shape == kernel_size
    assert k.min() >= 0
    assert k.sum().item() == pytest.approx(1, abs=1e-5)


def test_non_local_block_equals_its_quadratic_definition():
    """theta (phi^T g) / N is the N x N affinity applied to g, at linear cost."""
    block = build(lambda: NonLocal(6), seeded()).double()
    nn.init.ones_(block.norm.weight)
    z = torch.rand(1, 6, 5, 7, dtype=torch.float64, generator=seeded(1))
    theta, phi, g = (f(z).flatten(2)[0].T for f in (block.theta, block.phi, block.g))
    affinity = theta @ phi.T / theta.shape[0]
    mixed = (affinity @ g).T.reshape(1, 3, 5, 7)
    torch.testing.assert_close(block(z), z + block.norm(block.out(mixed)))


def test_non_local_block_starts_as_the_identity():
    """The last batch norm's scale starts at 0."""
    block = build(lambda: NonLocal(6), seeded())
    z = torch.rand(1, 6, 5, 7, generator=seeded())
    torch.testing.assert_close(block(z), z, rtol=0, atol=0)


def test_initial_weights_are_torchs_own():
    """Weights spread as torch's defaults do: uniform with bound 1 / sqrt(fan in)."""
    network = build(lambda: SkipNet(OFFICIAL, (64, 64)), seeded())
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            bound = module.weight[0].numel() ** -0.5
            assert module.weight.abs().max() <= bound
            assert module.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)
        if isinstance(module, BatchNorm):
            assert set(module.weight.tolist()) == {module.initial_scale}


def test_building_leaves_the_global_generator_alone():
    """Fresh networks draw nothing from torch's global random state."""
    before = torch.random.get_rng_state()
    build(lambda: SkipNet(SMALL, (40, 40)), seeded())
    assert torch.equal(before, torch.random.get_rng_state())


def test_code_is_uniform_up_to_a_tenth():
    """z is U(0, 0.1)."""
    z = uniform_code((1, 8, 64, 64), seeded())
    assert z.min() >= 0
    assert z.max() < 0.1
    assert z.mean().item() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize(
    ("small", "size"),
    [
        ((8, 7), (16, 13)),
        ((5, 4), (9, 8)),
        ((4, 5), (7, 9)),
        ((2, 1), (3, 2)),
        ((2, 2), (3, 3)),
        ((1, 1), (2, 2)),
    ],
)
def test_filtering_before_upsampling_is_the_same(small, size):
    """Value and every gradient equal those of: upsample, crop, join, normalise, reflect, filter."""
    random = seeded()
    options = {"dtype": torch.float64, "generator": random}
    deep = torch.randn(1, 4, *small, **options).add(1).requires_grad_()
    skip = torch.randn(1, 2, *size, **options).requires_grad_()
    norm = build(lambda: BatchNorm(6), random).double()
    conv = build(lambda: nn.Conv2d(6, 3, 3), random).double()
    nn.init.normal_(norm.weight, generator=random)
    nn.init.normal_(norm.bias, generator=random)
    upsampled = F.interpolate(deep, scale_factor=2, mode="bilinear")[..., : size[0], : size[1]]
    joined = F.pad(norm(torch.cat([skip, upsampled], 1)), [1] * 4, mode="reflect")
    wanted, got = conv(joined), conv_of_upsampled(deep, skip, norm, conv)
    torch.testing.assert_close(got, wanted)
    weights = torch.randn(wanted.shape, **options)
    inputs = (deep, skip, *norm.parameters(), *conv.parameters())
    torch.testing.assert_close(
        torch.autograd.grad((got * weights).sum(), inputs),
        torch.autograd.grad((wanted * weights).sum(), inputs),
    )


def test_filtering_before_upsampling_in_bfloat16_with_large_means():
    """A channel's mean far above its deviation spoils neither the value nor the gradients."""
    random = seeded()
    deep = torch.randn(1, 4, 8, 8, generator=random).add(
        torch.tensor([0.0, 5, -40, 300])[:, None, None]
    )
    deep, skip = deep.bfloat16(), torch.randn(1, 2, 16, 16, generator=random).bfloat16()
    norm = build(lambda: BatchNorm(6), random)
    conv = build(lambda: nn.Conv2d(6, 3, 3), random)
    weights = torch.randn(1, 3, 16, 16, generator=random)
    found = []
    for trunk in (torch.float64, torch.bfloat16):
        inputs = deep.to(trunk).requires_grad_(), skip.to(trunk).requires_grad_()
        norm, conv = (
            norm.to(torch.promote_types(trunk, torch.float32)),
            conv.to(torch.promote_types(trunk, torch.float32)),
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=trunk == torch.bfloat16):
            value = conv_of_upsampled(*inputs, norm, conv)
        found.append([value, *torch.autograd.grad((value * weights).sum(), inputs)])
    for wanted, got in zip(*found, strict=True):
        assert (got.double() - wanted).abs().max() < 0.05 * wanted.abs().max()


class LargestTensor(TorchDispatchMode):
    """Records the elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_upsampling_needs_no_matrix_of_an_axis():
    """Forward and backward, no tensor has more elements than twice the upsampled image.

    A matrix over the pixels of the long axis would have 256 times as many.
    """
    n, random = 2048, seeded()
    deep = torch.rand(1, 2, 2, n, generator=random, requires_grad=True)
    skip = torch.rand(1, 2, 4, 2 * n, generator=random, requires_grad=True)
    norm, conv = build(lambda: BatchNorm(4), random), build(lambda: nn.Conv2d(4, 2, 3), random)
    with LargestTensor() as largest:
        conv_of_upsampled(deep, skip, norm, conv).sum().backward()
    assert largest.elements >= skip.numel()
    assert largest.elements <= 2 * skip.numel()


@pytest.mark.parametrize("out_channels", [1, 3])
def test_pointwise_convolution_is_the_same_with_channels_last(out_channels):
    """Value and every gradient equal those of the convolution, and the layout is kept."""
    options = {"dtype": torch.float64, "generator": seeded()}
    conv = build(lambda: nn.Conv2d(4, out_channels, 1), seeded()).double()
    z = torch.randn(1, 4, 5, 6, **options).to(memory_format=torch.channels_last).requires_grad_()
    wanted, got = conv(z), conv_1x1(z, conv)
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, wanted)
    inputs, weights = (z, *conv.parameters()), torch.randn(wanted.shape, **options)
    torch.testing.assert_close(
        torch.autograd.grad((got * weights).sum(), inputs),
        torch.autograd.grad((wanted * weights).sum(), inputs),
    )
