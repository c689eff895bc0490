"""Convolution and its transpose, with weights. Initial distributions are PyTorch's."""

from __future__ import annotations

from math import sqrt

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.functional.convolution import Pair, pair
from minis2s.nn.module import Module, uniform


class _Convolution(Module):
    """What the two share: how weights start, and where their gradients go."""

    def __init__(self, weight_shape: tuple[int, ...], out_channels: int, bias: bool, rng: np.random.Generator):
        bound = 1 / sqrt(np.prod(weight_shape[1:]))
        self.weight = uniform(rng, bound, weight_shape)
        self.bias = uniform(rng, bound, (out_channels,)) if bias else None

    def _backward(self, function_backward: Backward) -> Backward:
        def backward(dy: Array) -> Array | None:
            dx, dweight, dbias = function_backward(dy)
            self.weight.grad += dweight
            if self.bias:
                self.bias.grad += dbias
            return dx

        return backward


class Conv2d(_Convolution):
    """Cross-correlation of pictures with a bank of filters: :func:`minis2s.functional.conv2d`.

    Weight (out_channels, in_channels / groups, kh, kw) and bias start uniform in +-1/sqrt(numbers of a filter).
    A layer that reads data can do without `input_gradient`: its backward returns None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        input_gradient: bool = True,
    ):
        super().__init__((out_channels, in_channels // groups, *pair(kernel_size)), out_channels, bias, rng)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.input_gradient = input_gradient

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, in_channels, H, W) -> y (N, out_channels, OH, OW); backward(dy) -> dx."""
        y, conv_backward = F.conv2d(
            x,
            self.weight.data,
            self.bias.data if self.bias else None,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            input_gradient=self.input_gradient,
        )
        return y, self._backward(conv_backward)


class ConvTranspose2d(_Convolution):
    """Transpose of a convolution: :func:`minis2s.functional.conv_transpose2d`.

    Weight (in_channels, out_channels / groups, kh, kw) and bias start uniform in +-1/sqrt(out_channels / groups kh kw).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        *,
        rng: np.random.Generator,
    ):
        super().__init__((in_channels, out_channels // groups, *pair(kernel_size)), out_channels, bias, rng)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, in_channels, H, W) -> y (N, out_channels, OH, OW); backward(dy) -> dx."""
        y, conv_backward = F.conv_transpose2d(
            x,
            self.weight.data,
            self.bias.data if self.bias else None,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
            dilation=self.dilation,
        )
        return y, self._backward(conv_backward)
