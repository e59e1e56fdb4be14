"""The restorations with a known kernel, in the words of someone with a blurred image."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["METHODS", "Method", "method"]


@dataclass(frozen=True, slots=True)
class Method:
    """What the user is told about a restoration, and which settings it has.

    Attributes
    ----------
    title : str
        Its name among the choices.
    explanation : str
        What it is good for, and where it comes from.
    has_weight : bool
        Whether it takes a weight.
    has_steps : bool
        Whether it takes a number of steps and can be stopped between two of them.
    """

    title: str
    explanation: str = ""
    has_weight: bool = True
    has_steps: bool = False


METHODS = {
    "hyper_laplacian": Method(
        "Hyper-Laplacian",
        "Sharp edges on smooth areas, in seconds: the one to begin with "
        "(Krishnan and Fergus 2009).",
    ),
    "sparse": Method(
        "Sparse gradients",
        "Much like hyper-Laplacian, with second derivatives as well; slower (Levin 2011).",
    ),
    "saturated": Method(
        "Clipped highlights",
        "For images whose brightest parts are at the detector's limit, which make the others "
        "ring (Whyte 2014).",
    ),
    "generator": Method(
        "Deep image prior",
        "SelfDeblur's image network with the kernel held. Needs minutes on a graphics card and "
        "far longer without; can be stopped and kept.",
        has_weight=False,
        has_steps=True,
    ),
}


def method(name: str) -> Method:
    """Return what is known of the restoration registered as `name`."""
    return METHODS.get(name, Method(name))
