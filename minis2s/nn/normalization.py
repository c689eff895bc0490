"""Normalisation over a batch, or over groups of channels."""

from __future__ import annotations

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.nn.module import Module, Parameter, Statistic


class BatchNorm2d(Module):
    """Mean 0 and variance 1 of each channel over the batch, then a learned scale (from 1) and shift (from 0).

    In evaluation the running mean and variance stand for those of the batch. Each training batch moves them by
    `momentum` of the way to its own.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, dtype=np.float32))
        self.bias = Parameter(np.zeros(num_features, dtype=np.float32))
        self.running_mean = Statistic(np.zeros(num_features, dtype=np.float32))
        self.running_var = Statistic(np.ones(num_features, dtype=np.float32))
        self.num_batches_tracked = Statistic(np.array(0, dtype=np.int64))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, num_features, ...) -> y of the same shape; backward(dy) -> dx."""
        weight, bias = self.weight.data, self.bias.data
        if self.training:
            (y, mean, var), norm_backward = F.batch_norm(x, weight, bias, eps=self.eps)
            for running, own in ((self.running_mean, mean), (self.running_var, var)):
                running.data += self.momentum * (own - running.data)
            self.num_batches_tracked.data += 1
        else:
            mean, var = self.running_mean.data, self.running_var.data
            y, norm_backward = F.batch_norm_running(x, weight, bias, mean=mean, var=var, eps=self.eps)

        def backward(dy: Array) -> Array:
            dx, dweight, dbias = norm_backward(dy)
            self.weight.grad += dweight
            self.bias.grad += dbias
            return dx

        return y, backward


class BatchNorm1d(BatchNorm2d):
    """The same for rows of features (N, num_features)."""


class GroupNorm(Module):
    """Mean 0 and variance 1 of each image over groups of channels, then a learned scale (from 1) and shift (from 0)."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5):
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels is {num_channels}, which {num_groups} groups do not divide")
        self.num_groups, self.eps = num_groups, eps
        self.weight = Parameter(np.ones(num_channels, dtype=np.float32))
        self.bias = Parameter(np.zeros(num_channels, dtype=np.float32))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, num_channels, ...) -> y of the same shape; backward(dy) -> dx."""
        y, norm_backward = F.group_norm(x, self.weight.data, self.bias.data, num_groups=self.num_groups, eps=self.eps)

        def backward(dy: Array) -> Array:
            dx, dweight, dbias = norm_backward(dy)
            self.weight.grad += dweight
            self.bias.grad += dbias
            return dx

        return y, backward
