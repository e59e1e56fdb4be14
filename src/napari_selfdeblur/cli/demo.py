"""`napari-selfdeblur demo`: the whole way on a bundled photograph, in a minute or two."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_selfdeblur.cli import options as o
from napari_selfdeblur.cli.job import Job, Outputs, Truth
from napari_selfdeblur.cli.terminal import Terminal
from napari_selfdeblur.config import SelfDeblurConfig

__all__ = ["demo"]

_SIZE = 128
_ITERATIONS = 300


def demo(
    output: o.Output,
    device: o.Device = "auto",
    seed: o.Seed = 0,
    iterations: Annotated[int, typer.Option(help="Optimisation steps.")] = _ITERATIONS,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Deblur a bundled example and print the PSNR gained.

    Takes a minute or two on two CPU cores. Writes demo_panel.png to look at, with the deblurred
    image, the kernel and the record beside it.
    """
    config = SelfDeblurConfig.preset("fast").replace(
        iterations=iterations, device=device, seed=seed
    )

    from napari_selfdeblur.compare.ground_truth import Reference
    from napari_selfdeblur.io.files import ImageFile
    from napari_selfdeblur.io.samples import motion_blurred_photograph

    sample = motion_blurred_photograph(size=_SIZE)
    rows, columns = sample.kernel.shape
    outputs = Outputs(output, "demo")
    outputs.prepare([])
    Job(
        source=ImageFile(sample.blurred, rgb=False),
        origin={"name": sample.name},
        config=config.replace(kernel_size=(rows, columns)),
        outputs=outputs,
        terminal=Terminal(quiet=quiet, as_json=as_json),
        truth=Truth(sample.name, Reference(sample.sharp, sample.blurred)),
    ).perform()
