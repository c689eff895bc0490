"""Activations as layers, to stand in a `Sequential`."""

from __future__ import annotations

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.nn.module import Module


class ReLU(Module):
    """Pass what is positive."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.relu(x)


class LeakyReLU(Module):
    """Pass what is positive, and a little of the rest."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.leaky_relu(x, negative_slope=self.negative_slope)


class ELU(Module):
    """Exponential linear unit."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.elu(x, alpha=self.alpha)


class SiLU(Module):
    """Sigmoid linear unit."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.silu(x)


class Softplus(Module):
    """Smooth form of `ReLU`."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.softplus(x)


class Sigmoid(Module):
    """Squash to (0, 1)."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.sigmoid(x)


class Tanh(Module):
    """Squash to (-1, 1)."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        return F.tanh(x)
