"""Normalisation: give every vector mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

from minis2s.backend import Array, get_xp
from minis2s.functional.activation import Backward


def layer_norm(x: Array, weight: Array, bias: Array, *, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalise each vector of the last axis (Ba, Kiros & Hinton 2016).

        n = (x - mean) / s,   s = sqrt(var + eps),   y = n w + b           (1)
        dx = (dn - mean(dn) - n mean(dn n)) / s,     dn = dy w             (2)

    The variance divides by D, as PyTorch's. In (2) the second term is the path through the mean, the third the path
    through the variance.

    x (..., D), weight (D,), bias (D,) -> y (..., D); backward(dy) -> dx, dweight, dbias
    """
    xp = get_xp(x)
    D = x.shape[-1]
    n = x - x.mean(axis=-1, keepdims=True)
    s = xp.sqrt((n * n).mean(axis=-1, keepdims=True) + eps)  # (..., 1)
    n /= s

    def backward(dy: Array) -> tuple[Array, Array, Array]:
        dn = dy * weight
        dx = (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True)) / s
        return dx, (dy * n).reshape(-1, D).sum(axis=0), dy.reshape(-1, D).sum(axis=0)

    return n * weight + bias, backward
