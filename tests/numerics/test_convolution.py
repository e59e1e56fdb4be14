import pytest
import torch
import torch.nn.functional as F

from napari_selfdeblur.numerics.networks.convolution import conv2d, conv_transpose2d


def tensor(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


@pytest.fixture
def like_a_processor(monkeypatch):
    def pretend(capability):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)

    return pretend


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_convolution_and_its_gradients_are_torchs(like_a_processor, capability, stride, with_bias):
    like_a_processor(capability)
    z, weight, bias = tensor(1, 4, 11, 8, seed=0), tensor(5, 4, 3, 3, seed=1), tensor(5, seed=2)
    z = z.to(memory_format=torch.channels_last)
    inputs = [each.requires_grad_() for each in ((z, weight, bias) if with_bias else (z, weight))]
    got = conv2d(z, weight, bias if with_bias else None, stride)
    assert ("_Convolution" in got.grad_fn.name()) == (capability == "AVX2")
    wanted = F.conv2d(z, weight, bias if with_bias else None, stride)
    assert_same_with_gradients(got, wanted, inputs)


@pytest.mark.parametrize("longer", [(0, 0), (1, 0), (1, 1)])
def test_transposed_convolution_and_its_gradients_are_torchs(like_a_processor, longer):
    like_a_processor("AVX2")
    z = tensor(1, 4, 6, 5, seed=0).to(memory_format=torch.channels_last).requires_grad_()
    weight = tensor(4, 3, 3, 3, seed=1).requires_grad_()
    got = conv_transpose2d(z, weight, 2, 1, longer)
    assert "_Convolution" in got.grad_fn.name()
    wanted = F.conv_transpose2d(z, weight, None, 2, 1, longer)
    assert_same_with_gradients(got, wanted, [z, weight])


def test_gradients_that_nobody_needs_are_not_computed(like_a_processor):
    like_a_processor("AVX2")
    z = tensor(1, 4, 6, 5, seed=0).to(memory_format=torch.channels_last)
    weight = tensor(3, 4, 3, 3, seed=1).requires_grad_()
    got = conv2d(z, weight, None)
    of_z, of_weight, of_bias, *_ = got.grad_fn.apply(torch.ones_like(got))
    assert of_z is None
    assert of_bias is None
    assert of_weight.shape == weight.shape


def assert_same_with_gradients(got, wanted, inputs):
    torch.testing.assert_close(got, wanted)
    assert got.is_contiguous(memory_format=torch.channels_last)
    factors = tensor(*wanted.shape, seed=3)
    torch.testing.assert_close(
        torch.autograd.grad((got * factors).sum(), inputs),
        torch.autograd.grad((wanted * factors).sum(), inputs),
    )
