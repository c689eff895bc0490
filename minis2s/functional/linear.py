"""The affine map that everything else is made of."""

from __future__ import annotations

from minis2s.backend import Array, matmul
from minis2s.functional.activation import Backward


def linear(
    x: Array, weight: Array, bias: Array | None = None, *, input_gradient: bool = True
) -> tuple[Array, Backward]:
    """Affine map of the last axis.

        y = x W^T + b                                                      (1)
        dx = dy W,   dW = dy^T x,   db = sum of dy over all but the last axis   (1')

    Parameters
    ----------
    x : array (..., D)
    weight : array (E, D), PyTorch's layout
    bias : array (E,), or None
    input_gradient : bool
        False where x is data: dx is None, and costs nothing.

    Returns
    -------
    y (..., E); backward(dy) -> dx, dweight, dbias (None without a bias)

    Raises
    ------
    ValueError
        If the last axis of x is not D.
    """
    E, D = weight.shape
    if x.shape[-1] != D:
        raise ValueError(f"linear: x has {x.shape[-1]} features, weight expects {D}")
    rows = x.reshape(-1, D)  # one GEMM, not one for each time step
    y = matmul(rows, weight.T)  # (M, E)
    if bias is not None:
        y += bias

    def backward(dy: Array) -> tuple[Array | None, Array, Array | None]:
        dy = dy.reshape(-1, E)
        dx = matmul(dy, weight).reshape(x.shape) if input_gradient else None
        return dx, matmul(dy.T, rows), None if bias is None else dy.sum(axis=0)

    return y.reshape(*x.shape[:-1], E), backward
