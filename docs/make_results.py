"""Make docs/images/results.png: six results of `draft` with the kernel's size found, good and bad.

``python docs/make_results.py`` from a checkout, two minutes; it needs the dependency group
``benchmarks``. Blurred on the spot, with the truth at hand; the images are scikit-image's.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from skimage import color, data

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.cells import CELLS, SIDE, central, kernel, make
from napari_selfdeblur import deblur, restore
from napari_selfdeblur.compare.metrics import psnr_up_to_shift

PICTURE = Path(__file__).parent / "images" / "results.png"
SHOWN = {
    "Good": ("astronaut", "motion 31, noise 0.2 %"),
    "Doubtful": ("brick", "disk 11, noise 0.2 %"),
    "Failed": ("chelsea", "motion 45, noise 0.2 %"),
    "Already sharp": ("coffee", "none, noise 2 %"),
    "Microscopy": ("cells_1", "airy 21, noise 0.2 %"),
}
COLOUR = 21  # pixels: the kernel of the colour image
_GREY = "0.35"


def main() -> None:
    """Run the six, and draw each with its kernel and what the verdict says of it."""
    figure = Figure(figsize=(12, 12), facecolor="white", layout="constrained")
    cards = figure.subfigures(3, 2, wspace=0.04, hspace=0.02).ravel()
    for card, (title, cell) in zip(cards, SHOWN.items(), strict=False):
        truth = make(CELLS[cell])
        result = deblur(truth.blurred, preset="draft", device="cpu")
        known = restore(truth.blurred, truth.kernel, "sparse", device="cpu")
        numbers = [
            psnr_up_to_shift(truth.plane(image), truth.sharp)
            for image in (truth.blurred, result.sharp, known)
        ]
        draw(
            card,
            title,
            ", ".join(cell).replace("none", "not blurred"),
            truth.blurred,
            result,
            numbers,
        )
    blurred, sharp, k = colour_image()
    result = deblur(blurred, preset="draft", colour="channels", device="cpu")
    known = restore(blurred, k, "sparse", colour="channels", device="cpu")
    luma = [color.rgb2gray(np.clip(x / 255, 0, 1)) for x in (blurred, result.sharp, known)]
    numbers = [psnr_up_to_shift(x, color.rgb2gray(sharp)) for x in luma]
    draw(cards[-1], "Colour", f"astronaut, motion {COLOUR}, noise 1 %", blurred, result, numbers)
    figure.savefig(PICTURE, dpi=90)


def colour_image() -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any]]:
    """Return a colour photograph blurred and noisy, sharp in [0, 1], and its kernel."""
    k = kernel("motion", COLOUR, seed=5)
    planes = np.moveaxis(np.asarray(data.astronaut()) / 255, -1, 0)
    sharp = [central(p, SIDE + COLOUR - 1) for p in planes]
    noise = np.random.default_rng(0).normal(0, 0.01, (3, SIDE, SIDE))
    blurred = np.stack([fftconvolve(p, k, mode="valid") for p in sharp]) + noise
    y = np.rint(255 * blurred.clip(0, 1)).astype(np.uint8)
    x = np.stack([central(p, SIDE) for p in sharp], -1)
    return np.moveaxis(y, 0, -1), x, k


def draw(
    card: Any, title: str, what: str, blurred: NDArray[Any], result: Any, numbers: list[float]
) -> None:
    """Draw one result: blurred, deblurred with its kernel in the corner, figures and verdict."""
    axes = card.subplots(1, 2)
    low, high = (np.percentile(blurred, q) for q in (0.1, 99.9))
    for each, image in zip(axes, (blurred, result.sharp), strict=True):
        shown = np.clip((image - low) / (high - low), 0, 1)
        each.imshow(shown, cmap="gray", vmin=0, vmax=1)
        each.set_axis_off()
    corner = axes[1].inset_axes((0.0, 0.0, 0.28, 0.28))
    corner.imshow(result.kernel, cmap="magma")
    corner.set(xticks=[], yticks=[])
    corner.spines[:].set_color("white")
    verdict = result.record.verdict
    word = "credible" if verdict["credible"] else "doubtful"
    card.suptitle(f"{title}: {what}", weight="bold", size=12, x=0.01, ha="left")
    before, after, known = numbers
    text = f"PSNR {before:.1f} dB, deblurred {after:.1f} dB, with the true kernel {known:.1f} dB"
    said = f"Verdict: {word}, score {verdict['score']:.2f}"
    if verdict["reasons"]:
        said += ": " + "; ".join(verdict["reasons"])
    lines = [text, *textwrap.wrap(said, 88)]
    three = "\n".join([*lines, "", ""][:3])
    card.supxlabel(three, size=9, color=_GREY, x=0.01, ha="left")
    axes[0].set_title("blurred", loc="left", size=9, color=_GREY)
    axes[1].set_title("deblurred, its kernel", loc="left", size=9, color=_GREY)
    print(title, text, said)


if __name__ == "__main__":
    main()
