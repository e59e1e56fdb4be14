"""The caller's torch state: it neither reaches in nor leaks out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import napari_selfdeblur as sd
from napari_selfdeblur.compare import metrics
from napari_selfdeblur.errors import ImageError

KERNEL = np.array([[0, 0, 0], [1, 2, 1], [0, 0, 0]]) / 4


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


STATES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float16 by default": lambda: default_dtype(torch.float16),
    "float64 by default": lambda: default_dtype(torch.float64),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another device by default": lambda: torch.device("meta"),
}


def state() -> tuple[object, ...]:
    """Return all of torch's state that a computation could change."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        str(np.random.get_state(legacy=False)),  # noqa: NPY002
    )


@pytest.fixture(scope="module")
def functions(cheap: sd.SelfDeblurConfig) -> dict[str, Callable[[Any], Any]]:
    draft = sd.SelfDeblurConfig.preset("draft").replace(kernel_size=3, device="cpu")
    functions: dict[str, Callable[[Any], Any]] = {
        "networks": lambda image: sd.deblur(image, config=cheap).sharp,
        "edges": lambda image: sd.deblur(image, config=draft).sharp,
        "noise": sd.estimate_noise,
        "psnr": lambda image: metrics.psnr(image, KERNEL.repeat(6, 0).repeat(6, 1)[:16, :18]),
        "similarity": lambda image: metrics.kernel_similarity(image, KERNEL),
    }
    for method in ("hyper_laplacian", "sparse", "saturated", "generator"):
        more = {"iterations": 2} if method == "generator" else {}
        functions[method] = lambda image, method=method, more=more: sd.restore(
            image, KERNEL, method, device="cpu", **more
        )
    return functions


@pytest.fixture(scope="module")
def expected(
    field: NDArray[np.uint16], functions: dict[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    return {name: function(field) for name, function in functions.items()}


QUICK = ["networks", "hyper_laplacian", "sparse", "saturated", "generator", "noise", "psnr"]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("function", QUICK)
def test_results_have_the_same_bits_in_any_state(
    function: str,
    name: str,
    field: NDArray[np.uint16],
    functions: dict[str, Callable[[Any], Any]],
    expected: dict[str, Any],
) -> None:
    """Whatever the caller computes in, the result is the same and the state as it was."""
    with STATES[name]():
        before = state()
        found = functions[function](field)
        assert state() == before
    np.testing.assert_array_equal(found, expected[function])


def test_edges_have_the_same_bits_in_any_state(
    field: NDArray[np.uint16],
    functions: dict[str, Callable[[Any], Any]],
    expected: dict[str, Any],
) -> None:
    """So it is with the edge-based estimates, in all states at once."""
    with (
        torch.no_grad(),
        default_dtype(torch.float16),
        torch.device("meta"),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        before = state()
        found = functions["edges"](field)
        assert state() == before
    np.testing.assert_array_equal(found, expected["edges"])


@pytest.mark.parametrize("name", STATES)
def test_the_consumer_keeps_its_state_between_the_steps(
    name: str, field: NDArray[np.uint16], cheap: sd.SelfDeblurConfig
) -> None:
    """While the generator rests, and after it is closed early, the state is the consumer's."""
    with STATES[name]():
        before = state()
        events = sd.iter_deblur(field, config=cheap, preview_steps=1)
        assert state() == before
        next(events)
        assert state() == before
        events.close()
        assert state() == before
    assert inspect.getgeneratorstate(events) == inspect.GEN_CLOSED


def test_a_run_goes_on_in_another_state(
    field: NDArray[np.uint16], cheap: sd.SelfDeblurConfig, expected: dict[str, Any]
) -> None:
    """Each step may be asked for in a state of its own."""
    with torch.inference_mode():
        events = sd.iter_deblur(field, config=cheap)
        next(events)
    with torch.no_grad():
        last = next(events)
    np.testing.assert_array_equal(last.sharp, expected["networks"])


@pytest.mark.parametrize("function", [*QUICK, "similarity"])
def test_tensors_that_require_a_gradient(
    function: str,
    field: NDArray[np.uint16],
    functions: dict[str, Callable[[Any], Any]],
    expected: dict[str, Any],
) -> None:
    """A tensor of the caller's graph is read as its values, and the graph is left alone."""
    image = torch.from_numpy(field.astype(np.float32)).requires_grad_()
    np.testing.assert_array_equal(functions[function](image * 1), expected[function])
    assert image.grad is None


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.int32, torch.uint8])
def test_kernels_that_are_tensors(kind: torch.dtype, field: NDArray[np.uint16]) -> None:
    """A kernel may be a tensor too."""
    kernel = torch.from_numpy(4 * KERNEL).to(kind)
    found = sd.restore(field, kernel, device="cpu")
    np.testing.assert_array_equal(found, sd.restore(field, KERNEL, device="cpu"))


def test_an_error_leaves_the_state(field: NDArray[np.uint16]) -> None:
    """A call that fails changes nothing either."""
    with torch.no_grad():
        before = state()
        for wrong in (field[:1], np.full((9, 9), np.nan), field[None]):
            with pytest.raises(ImageError):
                sd.deblur(wrong, 3)
        assert state() == before
