"""A kernel that is known: G_k with nothing to learn."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FixedKernel"]


class FixedKernel(nn.Module):
    """Return the given kernel (kh, kw), whatever the code."""

    code_shape = (0,)

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.kernel: Tensor
        self.register_buffer("kernel", kernel)

    def forward(self, z: Tensor) -> Tensor:
        """Return the kernel."""
        return self.kernel
