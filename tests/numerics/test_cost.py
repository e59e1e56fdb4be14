import pytest

from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.numerics import cost
from napari_selfdeblur.numerics.cost import expected_seconds, expected_stages
from napari_selfdeblur.numerics.expected_loss import RESTORED

TINY = SelfDeblurConfig.preset("official").replace(
    kernel_size=21, channels=4, skip_channels=2, device="cpu", precision="float32"
)


def test_time_expected_is_in_proportion_to_the_iterations():
    """Twice the steps of the networks take twice as long."""
    once, twice = (expected_seconds(TINY.replace(iterations=n), (64, 64)) for n in (100, 200))
    assert twice == pytest.approx(2 * once)
    assert once > 0


def test_larger_images_take_no_less_time():
    """However noisy the clock, more pixels are never expected to take less."""
    small, large = (expected_seconds(TINY, (n, n)) for n in (64, 1024))
    assert large >= small


def test_each_stage_has_its_time():
    """Solvers, fuse and restore are distinguished; a size that is to be found is a stage too.

    To fuse several restorations are compared.
    """
    config = TINY.replace(solvers=("edges", "joint"), restoration="hyper_laplacian")
    times = expected_stages(config, (64, 64))
    assert list(times) == ["edges", "joint", "fuse", "refine", "restore"]
    assert times["fuse"] == pytest.approx(RESTORED * times["restore"])
    unknown = expected_stages(TINY.replace(kernel_size="auto"), (64, 64))
    assert list(unknown) == ["size", "joint"]
    assert unknown["size"] > 0
    assert expected_seconds(config, (64, 64)) == pytest.approx(sum(times.values()))


def test_a_restoration_by_a_network_is_timed_by_its_steps(monkeypatch):
    """Two steps at each size are done, not the whole fit, and all of its steps are counted."""
    done = []

    def by_network(y, k):
        for step in range(1, 1001):
            done.append(step)
            yield step, 1000, 0.5

    load = cost.registry.load
    steps = {"generator": by_network}
    monkeypatch.setattr(cost.registry, "load", lambda name, e: steps.get(name) or load(name, e))
    cost._restoration_rate.cache_clear()
    times = expected_stages(TINY.replace(solvers="edges", restoration="generator"), (64, 64))
    cost._restoration_rate.cache_clear()
    assert done == [1, 2, 1, 2]
    assert times["restore"] > 0


def test_restorations_are_timed_with_clipped_pixels_where_there_are_some(monkeypatch):
    """They take longer with them; without them none are made up."""
    masks = []

    def restore(y, k, *, clipped=None):
        masks.append(clipped)
        return y

    load = cost.registry.load
    monkeypatch.setattr(
        cost.registry, "load", lambda name, e: restore if name == "sparse" else load(name, e)
    )
    config = TINY.replace(solvers="edges", restoration="sparse")
    for clipped in (False, True):
        cost._restoration_rate.cache_clear()
        expected_stages(config, (64, 64), clipped=clipped)
    cost._restoration_rate.cache_clear()
    assert masks[:2] == [None, None]
    assert [bool(mask.any()) for mask in masks[2:]] == [True, True]
