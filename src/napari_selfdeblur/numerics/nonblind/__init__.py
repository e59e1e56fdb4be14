"""Restorations with a known kernel, one file each; `registry` names them.

Each is called as ``restoration(y, k, *, weight, sigma, iterations, clipped, stop)``, with those
keywords that it has.

Parameters
----------
y : Tensor of float, (H, W)
    Blurred image in [0, 1].
k : Tensor of float, (kh, kw)
    The PSF, odd sides; scaled to sum 1.
weight : float, optional
    Weight of the prior; by default it follows the noise, see `operators.noise_scale`.
sigma : float, optional
    Noise standard deviation of `y`; measured by `noise_sigma` when not given.
iterations : int, optional
    Steps, at least 1.
clipped : Tensor of bool, (H, W), optional
    Where `y` is clipped above, and only says that k * x is not less.
stop : Stop, optional
    Ends the iteration early, with the image it has by then.

Returns
-------
Tensor, (H, W)
    The sharp image where y was observed, dtype and device of `y`, not clipped. One that reports
    is a generator that yields (steps done, of how many, loss) and returns the image.

Raises
------
ImageError
    If image or kernel is unusable; see `Blur.of`.
ConfigError
    If a weight, `sigma` or another number is out of range.
"""
