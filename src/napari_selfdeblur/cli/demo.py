"""`napari-selfdeblur demo`: the whole way on a bundled photograph, in a minute or two."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_selfdeblur.cli import arguments as a
from napari_selfdeblur.cli.job import RESULTS, perform
from napari_selfdeblur.cli.outputs import Outputs, result_paths
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.io.files import ImageFile

__all__ = ["demo"]

_SIZE = 128
_ITERATIONS = 300


def demo(
    output: a.Output,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 0,
    iterations: Annotated[int, typer.Option(help="Steps of the networks.")] = _ITERATIONS,
    quiet: a.Quiet = False,
    as_json: a.Json = False,
) -> None:
    """Deblur a bundled example and print the PSNR gained.

    Takes a minute or two on two CPU cores. Writes demo_panel.png to look at, with the deblurred
    image, the kernel and the record beside it.
    """
    # With the networks, which the example's noise would leave out: they are to be seen.
    config = SelfDeblurConfig.preset("fast").replace(
        iterations=iterations, device=device, seed=seed, adaptive=False
    )

    from napari_selfdeblur.compare.ground_truth import GroundTruth
    from napari_selfdeblur.io.samples import motion_blurred_photograph

    sample = motion_blurred_photograph(size=_SIZE)
    inputs = a.Inputs(
        source=ImageFile(sample.blurred, rgb=False),
        origin={"name": sample.name},
        truth=GroundTruth(sample.sharp, sample.blurred),
        truth_name=sample.name,
    )
    terminal = Terminal(quiet=quiet, as_json=as_json)
    paths = result_paths(output, "demo", RESULTS, inputs.source)
    outputs = Outputs(paths, inputs, terminal)
    perform(outputs, config.replace(kernel_size=sample.kernel.shape))
