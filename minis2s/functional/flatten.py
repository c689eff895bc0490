"""Between pictures and rows of numbers."""

from __future__ import annotations

from minis2s.backend import Array, get_xp
from minis2s.functional.activation import Backward


def flatten(x: Array) -> tuple[Array, Backward]:
    """Write each picture as one row: channel by channel, row by row.

        y_nk = x_nchw,   k = (c H + h) W + w

    x (N, C, H, W) -> y (N, C H W); backward(dy) -> dx
    """
    xp = get_xp(x)
    y = xp.empty(x.shape, dtype=x.dtype)
    y[...] = x

    def backward(dy: Array) -> Array:
        dx = xp.empty_like(x)  # in memory as x lies: batch last, if a convolution made it
        dx[...] = dy.reshape(x.shape)
        return dx

    return y.reshape(len(x), -1), backward


def unflatten(x: Array, *, shape: tuple[int, int, int]) -> tuple[Array, Backward]:
    """Read each row as one picture, the inverse of :func:`flatten`.

        y_nchw = x_nk,   k = (c H + h) W + w

    x (N, C H W), shape (C, H, W) -> y (N, C, H, W); backward(dy) -> dx
    """
    xp = get_xp(x)

    def backward(dy: Array) -> Array:
        dx = xp.empty(dy.shape, dtype=dy.dtype)
        dx[...] = dy
        return dx.reshape(x.shape)

    return x.reshape(len(x), *shape).copy(), backward
