"""Pooling: keep the largest of each window, or the mean; and back to where the largest was."""

from __future__ import annotations

from minis2s.backend import Array, get_xp, in_shares
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
    return _max_pool(x, _windows(x, kernel_size, stride, padding))


def max_pool2d_with_indices(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[tuple[Array, Array], Backward]:
    """Keep the largest of each window, as :func:`max_pool2d`, and where it was.

        i_o = h W + w,   y_o = x_hw

    x (N, C, H, W) -> y and int64 indices i, both (N, C, OH, OW);
    backward(dy, dindices=None) -> dx
    """
    windows = _windows(x, kernel_size, stride, padding)
    y, pool_backward = _max_pool(x, windows)
    xp = get_xp(x)
    rows, maxima = batch_last(x), batch_last(y)
    indices = xp.zeros(maxima.shape, dtype=xp.int64)
    for (i, j), seeing, seen in reversed(list(windows.taps())):  # the first tap has the last word
        top, left = i - windows.padding[0], j - windows.padding[1]
        h, w = (xp.arange(n) * s for n, s in zip(windows.small, windows.stride, strict=True))
        place = ((h + top)[:, None, None] * x.shape[3] + (w + left)[:, None])[seeing]
        indices[:, *seeing] = xp.where(rows[:, *seen] == maxima[:, *seeing], place, indices[:, *seeing])

    def backward(dy: Array, dindices: None = None) -> Array:
        return pool_backward(dy)

    return (y, batch_first(indices)), backward


def _max_pool(x: Array, windows: Windows) -> tuple[Array, Backward]:
    xp = get_xp(x)
    C, _, _, N = (rows := batch_last(x)).shape
    y = xp.empty((C, *windows.small, N), dtype=x.dtype)
    overlap = any(k > s for k, s in zip(windows.kernel, windows.stride, strict=True))

    def forward(c: slice) -> None:
        y[c] = -xp.inf
        for _, seeing, seen in windows.taps():
            xp.maximum(y[c, *seeing], rows[c, *seen], out=y[c, *seeing])

    in_shares(forward, C, like=rows)

    def backward(dy: Array) -> Array:
        dy = batch_last(dy)
        dx = xp.zeros_like(rows)

        def backward_channels(c: slice) -> None:
            waiting = xp.ones(y[c].shape, dtype=bool)  # windows whose maximum has not come by yet
            for _, seeing, seen in windows.taps():
                found = rows[c, *seen] == y[c, *seeing]
                found &= waiting[:, *seeing]
                waiting[:, *seeing] ^= found
                if overlap:
                    dx[c, *seen] += dy[c, *seeing] * found
                else:
                    xp.multiply(dy[c, *seeing], found, out=dx[c, *seen])

        in_shares(backward_channels, C, like=rows)
        return batch_first(dx)

    return batch_first(y), backward


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
    windows = _windows(x, kernel_size, stride, padding)
    xp = get_xp(x)
    share = 1 / (windows.kernel[0] * windows.kernel[1])
    C, _, _, N = (rows := batch_last(x)).shape
    y = xp.zeros((C, *windows.small, N), dtype=x.dtype)
    for _, seeing, seen in windows.taps():
        y[:, *seeing] += rows[:, *seen]
    y *= share

    def backward(dy: Array) -> Array:
        dy = share * batch_last(dy)
        dx = xp.zeros((C, *windows.large, N), dtype=dy.dtype)
        for _, seeing, seen in windows.taps():
            dx[:, *seen] += dy[:, *seeing]
        return batch_first(dx)

    return batch_first(y), backward


def _windows(x: Array, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair) -> Windows:
    kernel = pair(kernel_size)
    if any(2 * p > k for p, k in zip(pair(padding), kernel, strict=True)):
        raise ValueError(f"padding is {padding}, expected at most half of the window {kernel}")
    return Windows.on(x.shape[2:], kernel, kernel if stride is None else pair(stride), pair(padding), (1, 1))
