"""Kernels of parts of the image against the kernel of the whole."""

import numpy as np
import torch

from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.parts import parts_agreement

SAMPLE = motion_blurred_photograph(size=192)
Y = torch.from_numpy((SAMPLE.blurred / 255).astype(np.float32))


def test_the_true_kernel_is_found_in_every_part():
    """Parts agree with the true kernel, and far less with the same turned by a quarter."""
    true = parts_agreement(Y, SAMPLE.kernel, 0.001)
    turned = parts_agreement(Y, np.rot90(SAMPLE.kernel).copy(), 0.001)
    assert true is not None
    assert turned is not None
    assert true > 0.5
    assert turned < true - 0.2


def test_parts_of_an_image_with_two_blurs_disagree():
    """Left half blurred, right half sharp: no kernel agrees with every part."""
    half = torch.cat([Y[:, :96], torch.from_numpy(SAMPLE.sharp / 255).to(Y)[:, 96:]], dim=1)
    found = parts_agreement(half, SAMPLE.kernel, 0.001)
    assert found is not None
    assert found < 0.6


def test_parts_no_larger_than_the_kernel_say_nothing():
    """Where the corners cannot hold the kernel, and where none has an edge, nothing is known."""
    wide = np.full((41, 41), 1 / 41**2, np.float32)
    assert parts_agreement(Y[:60, :60], wide, 0.001) is None
    assert parts_agreement(torch.zeros(90, 90), SAMPLE.kernel, 0.001) is None


def test_a_part_of_one_value_says_nothing():
    """Whatever the value, also where its standard deviation is rounded to more than 0."""
    k = np.ones((5, 5), np.float32) / 25
    for value in (0.0, 0.1, 0.3, 0.7):
        for noise in (0.0, 0.02):
            flat = torch.full((120, 90), value)
            assert parts_agreement(flat, k, noise) is None
