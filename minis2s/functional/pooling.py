"""Pooling: keep the largest of each window, or the mean; and back to where the largest was."""

from __future__ import annotations

from minis2s.backend import Array, get_xp
from minis2s.functional.activation import Backward
from minis2s.functional.convolution import Pair, Windows, batch_first, batch_last, pair


def max_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[Array, Backward]:
    """Keep the largest of each window.

        y_o = max over the window of x,   dx at the place of the maximum += dy_o

    Of equals the first counts, row by row. Stride None is the size of the window; padding never is the largest.

    x (N, C, H, W) -> y (N, C, OH, OW); backward(dy) -> dx
    """
    y, _, backward = _max_pool(x, *_windows("max_pool2d", x, kernel_size, stride, padding))
    return y, backward


def max_pool2d_with_indices(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[tuple[Array, Array], Backward]:
    """Keep the largest of each window, as :func:`max_pool2d`, and where it was.

        i_o = h W + w,   y_o = x_hw

    x (N, C, H, W) -> y and int64 indices i, both (N, C, OH, OW);
    backward(dy, dindices=None) -> dx
    """
    windows, small = _windows("max_pool2d_with_indices", x, kernel_size, stride, padding)
    y, winner, pool_backward = _max_pool(x, windows, small)
    xp = get_xp(x)
    tops, lefts = (xp.arange(n) * s - p for n, s, p in zip(small, windows.stride, windows.padding, strict=True))
    h, w = tops[:, None] + winner // windows.kernel[1], lefts + winner % windows.kernel[1]

    def backward(dy: Array, dindices: None = None) -> Array:
        return pool_backward(dy)

    return (y, h * x.shape[3] + w), backward


def _max_pool(x: Array, windows: Windows, small: Pair) -> tuple[Array, Array, Backward]:
    """Maxima, and the number of the tap through which each is seen."""
    xp = get_xp(x)
    C, *large, N = (rows := batch_last(x)).shape
    y = xp.full((C, *small, N), -xp.inf, dtype=x.dtype)
    winner = xp.zeros(y.shape, dtype=xp.int8)
    for k, (_, seeing, seen) in enumerate(windows.taps(small, large)):
        winner[:, *seeing] = xp.where(rows[:, *seen] > y[:, *seeing], k, winner[:, *seeing])
        y[:, *seeing] = xp.maximum(rows[:, *seen], y[:, *seeing])

    def backward(dy: Array) -> Array:
        dy = batch_last(dy)
        dx = xp.zeros_like(rows)
        for k, (_, seeing, seen) in enumerate(windows.taps(small, large)):
            dx[:, *seen] += dy[:, *seeing] * (winner[:, *seeing] == k)
        return batch_first(dx)

    return batch_first(y), batch_first(winner), backward


def max_unpool2d(x: Array, indices: Array, *, output_size: Pair) -> tuple[Array, Backward]:
    """Put each number back where :func:`max_pool2d_with_indices` found it (Zeiler & Fergus 2014, section 2.1).

        y[i_o] = x_o,   dx_o = dy[i_o]

    Where windows overlapped, indices repeat, and which of the numbers stays is not said.

    x, indices (N, C, H, W) -> y (N, C, *output_size); backward(dy) -> dx, None
    """
    if indices.shape != x.shape:
        raise ValueError(f"max_unpool2d: indices has shape {indices.shape}, x {x.shape}")
    xp = get_xp(x)
    N, C = x.shape[:2]
    index = indices.reshape(N, C, -1)
    y = xp.zeros((N, C, output_size[0] * output_size[1]), dtype=x.dtype)
    xp.put_along_axis(y, index, x.reshape(N, C, -1), axis=2)

    def backward(dy: Array) -> tuple[Array, None]:
        return xp.take_along_axis(dy.reshape(N, C, -1), index, axis=2).reshape(x.shape), None

    return y.reshape(N, C, *output_size), backward


def avg_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[Array, Backward]:
    """Keep the mean of each window. Padding counts as zeros, as in PyTorch; stride None is the size of the window.

        y_o = 1 / (kh kw) sum over the window of x

    x (N, C, H, W) -> y (N, C, OH, OW); backward(dy) -> dx
    """
    windows, small = _windows("avg_pool2d", x, kernel_size, stride, padding)
    xp = get_xp(x)
    share = 1 / (windows.kernel[0] * windows.kernel[1])
    C, *large, N = (rows := batch_last(x)).shape
    y = xp.zeros((C, *small, N), dtype=x.dtype)
    for _, seeing, seen in windows.taps(small, large):
        y[:, *seeing] += rows[:, *seen]
    y *= share

    def backward(dy: Array) -> Array:
        dy = share * batch_last(dy)
        dx = xp.zeros((C, *large, N), dtype=dy.dtype)
        for _, seeing, seen in windows.taps(small, large):
            dx[:, *seen] += dy[:, *seeing]
        return batch_first(dx)

    return batch_first(y), backward


def _windows(
    name: str, x: Array, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair
) -> tuple[Windows, Pair]:
    kernel = pair(kernel_size)
    windows = Windows(kernel, kernel if stride is None else pair(stride), pair(padding), (1, 1))
    if any(2 * p > k for p, k in zip(windows.padding, kernel, strict=True)):
        raise ValueError(f"{name}: padding is {windows.padding}, expected at most half of the window {kernel}")
    small = windows.small(x.shape[2:])
    if min(small) < 1:
        raise ValueError(f"{name}: no window of {kernel} fits on x of {x.shape[2]} x {x.shape[3]}")
    return windows, small
