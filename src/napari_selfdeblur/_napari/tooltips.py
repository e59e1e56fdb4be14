"""What each field of the widget means, in the words of someone with a blurred image."""

from __future__ import annotations

__all__ = ["TOOLTIPS"]

TOOLTIPS = {
    "layer": "The blurred image: a 2-D layer, grey or colour. It is not changed.",
    "kernel_size": (
        "Height and width, in pixels, of the area the blur may fill; odd. Choose it a little "
        "larger than the longest streak or widest spot that a point became. Much too large "
        "makes the result worse."
    ),
    "preset": (
        "Chooses every setting below it that is not the seed, device or preview.\n"
        "draft: a classical estimate without networks, in seconds.\n"
        "fast: the draft first, then half the network's width, 750 steps; averages the two "
        "where they agree.\n"
        "quality: the same with 1500 steps.\n"
        "official: the authors' public code, grey images, 5000 steps.\n"
        "official_colour: the same with their schedule for colour, 2500 steps.\n"
        "paper: squared error and total variation as in the paper, 5000 steps."
    ),
    "iterations": "Optimisation steps. Fewer are faster, more are usually sharper.",
    "device": "Where the run is computed. A graphics card is many times faster than the CPU.",
    "seed": "Start of the random numbers. Another seed can rescue a run that went wrong.",
    "preview_seconds": "Seconds between two updates of the result layers during a run.",
    "kernel_width": "Width of the kernel where it differs from its height; odd.",
    "loss": (
        "How the re-blurred estimate is compared with the image: squared error (mse), "
        "structural similarity (ssim), or the one and then the other."
    ),
    "tv_weight": (
        "Weight of the total variation of the sharp image beside the squared error: larger is "
        "smoother, 0 is off. 'auto' is a tenth of the image's measured noise."
    ),
    "lr_image": "Learning rate of the image network (lr_image). Lower it if the loss diverges.",
    "lr_kernel": "Learning rate of the kernel network (lr_kernel). Lower it if the loss diverges.",
    "optimiser": (
        "joint: both networks take a step from one gradient (Algorithm 2 of the paper).\n"
        "alternating: kernel, then image (Algorithm 1)."
    ),
    "image_generator": "Network that makes the sharp image.",
    "kernel_generator": "Network that makes the kernel.",
    "channels": "Width of the image network. Fewer need less time and memory.",
    "non_local": "Blocks that compare distant places of the image; only in the public code.",
    "precision": "Arithmetic of the image network; 'auto' takes the fastest safe one.",
    "restoration": (
        "Makes the final image with a classical deconvolution by the estimated kernel. "
        "'none' keeps the network's own image."
    ),
    "run": "Estimate sharp image and kernel; the viewer stays usable.",
    "stop": "End the run after its present step and keep image and kernel as they are.",
    "reset": "Return every setting to your preferences (Preferences > SelfDeblur).",
    "kernel": "The estimated kernel, enlarged: what a point of light became.",
}
