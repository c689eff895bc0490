"""Layers one after the other, and the joints between pictures and rows."""

from __future__ import annotations

from collections.abc import Iterator

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.nn.module import Module


class Sequential(Module):
    """Run layers in order; backward runs in reverse. The layers are called 0, 1, ..., as PyTorch's."""

    def __init__(self, *layers: Module):
        self.layers = list(layers)

    def children(self) -> Iterator[tuple[str, Module]]:
        """The layers with their numbers."""
        return ((str(k), layer) for k, layer in enumerate(self.layers))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X as the first layer takes it -> y as the last one gives it; backward(dy) -> dx."""
        backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x)
            backwards.append(layer_backward)

        def backward(dy: Array) -> Array | None:
            for layer_backward in reversed(backwards):
                dy = layer_backward(dy)
                if dy is None:  # a layer that reads data; before it there is nothing to learn
                    return None
            return dy

        return x, backward


class Flatten(Module):
    """Write each picture as one row."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, C, H, W) -> y (N, C H W); backward(dy) -> dx."""
        return F.flatten(x)


class Unflatten(Module):
    """Read each row as one picture of shape (C, H, W)."""

    def __init__(self, shape: tuple[int, int, int]):
        self.shape = shape

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (N, C H W) -> y (N, C, H, W); backward(dy) -> dx."""
        return F.unflatten(x, shape=self.shape)
