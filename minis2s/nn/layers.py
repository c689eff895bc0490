"""Layers without time: linear, embedding, dropout, layer norm. Initial distributions are PyTorch's."""

from __future__ import annotations

from math import sqrt

import numpy as np

from minis2s import functional as F
from minis2s.backend import Array
from minis2s.functional.activation import Backward
from minis2s.nn.module import Module, Parameter, uniform


class Linear(Module):
    """y = x W^T + b. Weights and bias start uniform in +-1/sqrt(in_features).

    A layer that reads data can do without `input_gradient`: its backward returns None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        input_gradient: bool = True,
    ):
        self.input_gradient = input_gradient
        bound = 1 / sqrt(in_features)
        self.weight = uniform(rng, bound, (out_features, in_features))
        self.bias = uniform(rng, bound, (out_features,)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (..., in_features) -> y (..., out_features); backward(dy) -> dx."""
        y, linear_backward = F.linear(
            x, self.weight.data, self.bias.data if self.bias else None, input_gradient=self.input_gradient
        )

        def backward(dy: Array) -> Array | None:
            dx, dweight, dbias = linear_backward(dy)
            self.weight.grad += dweight
            if self.bias:
                self.bias.grad += dbias
            return dx

        return y, backward


class Embedding(Module):
    """A row of a table for each token. Rows start standard normal; the row `padding_idx` is zero and stays so."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator,
    ):
        self.padding_idx = padding_idx
        self.weight = Parameter(rng.standard_normal((num_embeddings, embedding_dim)).astype(np.float32))
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0

    def forward(self, ids: Array) -> tuple[Array, Backward]:
        """Ids (...) -> y (..., embedding_dim); backward(dy) -> None: ids have no gradient."""
        y, embedding_backward = F.embedding(ids, self.weight.data, padding_id=self.padding_idx)

        def backward(dy: Array) -> None:
            _, dweight = embedding_backward(dy)
            self.weight.grad += dweight

        return y, backward


class Dropout(Module):
    """Zero entries with probability `p` in training; in evaluation pass everything. Masks come from `rng`."""

    def __init__(self, p: float, *, rng: np.random.Generator):
        self.p = p
        self.rng = rng

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X of any shape -> y of the same; backward(dy) -> dx."""
        if not self.training or self.p == 0:
            return x, lambda dy: dy
        return F.dropout(x, rate=self.p, rng=self.rng)


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axis, then a learned scale (from 1) and shift (from 0)."""

    def __init__(self, normalized_shape: int, eps: float = 1e-5):
        self.eps = eps
        self.weight = Parameter(np.ones(normalized_shape, dtype=np.float32))
        self.bias = Parameter(np.zeros(normalized_shape, dtype=np.float32))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """X (..., normalized_shape) -> y of the same shape; backward(dy) -> dx."""
        y, norm_backward = F.layer_norm(x, self.weight.data, self.bias.data, eps=self.eps)

        def backward(dy: Array) -> Array:
            dx, dweight, dbias = norm_backward(dy)
            self.weight.grad += dweight
            self.bias.grad += dbias
            return dx

        return y, backward
