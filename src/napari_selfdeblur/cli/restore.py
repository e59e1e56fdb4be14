"""`napari-selfdeblur restore`: deblur one image with a kernel that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_selfdeblur import registry
from napari_selfdeblur.cli import options as o
from napari_selfdeblur.cli.job import Outputs
from napari_selfdeblur.cli.terminal import Terminal

__all__ = ["restore"]


def restore(
    image: o.Image,
    kernel: Annotated[
        Path,
        typer.Argument(metavar="KERNEL", help="Kernel (PSF) as an image file; scaled to sum to 1."),
    ],
    output: o.Output,
    method: Annotated[str, typer.Option(help=o.names(registry.RESTORATIONS))] = "hyper_laplacian",
    weight: Annotated[
        float | None,
        typer.Option(help="Weight of the regularisation; follows the measured noise unless told."),
    ] = None,
    device: o.Device = "auto",
    roi: o.Roi = None,
    dtype: o.StoredDtype = o.Dtype.FLOAT32,
    truth: o.Truth = None,
    quiet: o.Quiet = False,
    as_json: o.Json = False,
) -> None:
    """Restore IMAGE, blurred by KERNEL.

    Writes STEM_restored.tif and STEM_restored.png, a picture of before and after, into the
    output folder.
    """
    registry.check("method", method, registry.RESTORATIONS)

    from napari_selfdeblur.compare.ground_truth import Reference
    from napari_selfdeblur.io.figures import save_panel
    from napari_selfdeblur.io.files import read_image, read_kernel, write_tiff
    from napari_selfdeblur.io.images import cast_like

    source, k = read_image(image), read_kernel(kernel)
    known = None if truth is None else read_image(truth).array
    if roi is not None:
        region = o.parse_roi(roi, source.array.shape)
        if known is not None and known.shape[:2] == source.array.shape[:2]:
            known = known[region]
        source = replace(source, array=source.array[region])
    reference = None if known is None else Reference(known, source.array)
    outputs = Outputs(output, image.stem, ("restored.tif", "restored.png"))
    outputs.prepare([image, kernel] if truth is None else [image, kernel, truth])

    from napari_selfdeblur import restoration

    sharp = restoration.restore(
        source.array, k, method, weight=weight, device=device, rgb=source.rgb
    )
    stored = cast_like(sharp, source.array.dtype) if dtype is o.Dtype.INPUT else sharp
    write_tiff(outputs["restored.tif"], stored, source.pixel_size, source.unit, rgb=source.rgb)
    psnr = None
    if reference is not None:
        psnr = (reference.psnr(source.array), reference.psnr(sharp))
    save_panel(
        outputs["restored.png"],
        source.array,
        sharp,
        k,
        rgb=source.rgb,
        title=image.name,
        subtitle=method,
        psnr=psnr,
    )
    paths = {"restored": str(outputs["restored.tif"]), "panel": str(outputs["restored.png"])}
    values: dict[str, Any] = {"method": method, "weight": weight, "outputs": paths}
    lines = [f"{name:9} {path}" for name, path in paths.items()]
    if psnr is not None:
        values |= {"psnr_blurred": round(psnr[0], 4), "psnr_sharp": round(psnr[1], 4)}
        lines = [f"PSNR before {psnr[0]:6.2f} dB", f"PSNR after  {psnr[1]:6.2f} dB", *lines]
    Terminal(quiet=quiet, as_json=as_json).result(lines, values)
