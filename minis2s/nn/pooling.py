"""Layers that change the size of pictures without weights: pooling, its inverse, upsampling."""

from __future__ import annotations

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.functional.convolution import Pair, pair
from minis2s.nn.module import Module


class _Pool(Module):
    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding


class MaxPool2d(_Pool):
    """Keep the largest of each window. `return_indices`: return (y, indices), as `MaxUnpool2d` wants them."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        *,
        return_indices: bool = False,
    ):
        super().__init__(kernel_size, stride, padding)
        self.return_indices = return_indices

    def forward(self, x: Array) -> tuple[Array | tuple[Array, Array], Backward]:
        """X (N, C, H, W) -> y (N, C, OH, OW); backward(dy) -> dx."""
        pool = F.max_pool2d_with_indices if self.return_indices else F.max_pool2d
        return pool(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(_Pool):
    """Keep the mean of each window."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, C, H, W) -> y (N, C, OH, OW); backward(dy) -> dx."""
        return F.avg_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)


class MaxUnpool2d(_Pool):
    """Put each maximum back where it was; the arguments are those of the `MaxPool2d` it undoes."""

    def forward(self, x: Array, indices: Array, output_size: Pair | None = None) -> tuple[Array, Backward]:
        """X, indices (N, C, OH, OW) -> y (N, C, H, W), the smallest that fits or `output_size`; backward(dy) -> dx."""
        kernel, padding = pair(self.kernel_size), pair(self.padding)
        stride = kernel if self.stride is None else pair(self.stride)
        fit = zip(x.shape[2:], stride, padding, kernel, strict=True)
        height, width = output_size or [(n - 1) * s - 2 * p + k for n, s, p, k in fit]
        y, unpool_backward = F.max_unpool2d(x, indices, output_size=(height, width))
        return y, lambda dy: unpool_backward(dy)[0]


class Upsample(Module):
    """Resize pictures by a factor, or to a size. `mode` is nearest or bilinear."""

    def __init__(
        self,
        size: int | Pair | None = None,
        scale_factor: float | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ):
        if (size is None) == (scale_factor is None):
            raise ValueError(f"Upsample: size is {size}, scale_factor {scale_factor}; expected one of the two")
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, C, H, W) -> y (N, C, OH, OW); backward(dy) -> dx."""
        factor = self.scale_factor
        height, width = pair(self.size) if self.size is not None else (int(n * factor) for n in x.shape[2:])
        return F.interpolate(x, size=(height, width), mode=self.mode, align_corners=self.align_corners)
