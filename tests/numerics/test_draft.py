import numpy as np
import pytest
import torch

import napari_selfdeblur as sd
from napari_selfdeblur.compare.metrics import kernel_similarity, psnr_up_to_shift
from napari_selfdeblur.config import CLASSICAL_KERNELS
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics.edge_kernel import STRENGTHS
from napari_selfdeblur.numerics.solvers.edges import ClassicalOptimiser, restored
from napari_selfdeblur.numerics.solvers.networks import iterate

SAMPLE = motion_blurred_photograph(size=128)
DRAFT = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=17, device="cpu")


def test_draft_finds_kernel_and_image_without_networks():
    """The draft's kernel is the one that blurred the photograph, its image the better for it."""
    result = sd.deblur(SAMPLE.blurred, config=DRAFT)
    truth, blurred = SAMPLE.sharp / 255, SAMPLE.blurred / 255
    assert kernel_similarity(result.kernel, SAMPLE.kernel) > 0.7
    assert psnr_up_to_shift(result.sharp / 255, truth) > psnr_up_to_shift(blurred, truth) + 2
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)


def test_draft_keeps_the_sparsest_of_its_kernels():
    """Each step tries one kernel; the objective is that of the best so far and never rises."""
    y = (SAMPLE.blurred / 255).astype(np.float32)
    seen = list(iterate(ClassicalOptimiser(y, DRAFT), preview_steps=1))
    losses = [p.loss for p in seen]
    assert len(seen) == 4
    assert losses == sorted(losses, reverse=True)
    best = losses.index(losses[-1])
    np.testing.assert_array_equal(seen[best].kernel, seen[-1].kernel)


def test_draft_is_deterministic():
    """A draft draws no random numbers: any seed gives the same result."""
    config = DRAFT.replace(iterations=2)
    first, second = (sd.deblur(SAMPLE.blurred, config=config.replace(seed=s)) for s in (0, 1))
    np.testing.assert_array_equal(first.kernel, second.kernel)
    np.testing.assert_array_equal(first.sharp, second.sharp)


def test_draft_has_so_many_kernels_to_try():
    """More steps than strengths are refused with the number there is."""
    with pytest.raises(ConfigError, match=r"iterations must be at most 4 .* got 5; try 4"):
        DRAFT.replace(iterations=5)
    assert len(STRENGTHS) == CLASSICAL_KERNELS


def test_draft_needs_no_draft_first():
    """A draft before a draft is refused."""
    with pytest.raises(ConfigError, match="is the draft itself; set draft_first=False"):
        DRAFT.replace(draft_first=True)


def test_true_kernel_restores_the_sparsest_image():
    """Of no blur at all, a box, and the true kernel, the true one gives the sparsest edges."""
    delta, box = np.zeros((17, 17)), np.full((17, 17), 1 / 289)
    delta[8, 8] = 1
    y = torch.from_numpy(SAMPLE.blurred / 255)
    objectives = [restored(y, torch.from_numpy(k))[1] for k in (delta, box, SAMPLE.kernel)]
    assert np.argmin(objectives) == 2
