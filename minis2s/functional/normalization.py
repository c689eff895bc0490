"""Normalisation: give every vector mean 0 and variance 1, then a learned scale and shift."""

from __future__ import annotations

from minis2s.backend import Array, get_xp, in_shares
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


def batch_norm(
    x: Array, weight: Array, bias: Array, *, eps: float = 1e-5
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Normalise each channel over the batch and all its places: training (Ioffe & Szegedy 2015, algorithm 1).

        y = (x - mean) / sqrt(var + eps) w + b,   dx as in (2)             (3)

    The means are taken over all axes but the second. Returned too are the statistics of the batch,
    constants that a layer makes its running ones of. The variance among them divides by one less than the count, as
    PyTorch's: it estimates that of all data.

    x (N, C, ...), weight and bias (C,) -> y (N, C, ...), mean and variance (C,);
    backward(dy, dmean=None, dvar=None) -> dx, dweight, dbias
    """
    xp = get_xp(x)
    rows = _channels_first(x)  # (C, M)
    C, M = rows.shape
    if M < 2:
        raise ValueError(f"batch_norm: x has shape {x.shape}, one number a channel; training needs more")
    n, y = xp.empty_like(rows), xp.empty_like(rows)
    mean, var, s = (xp.empty((C, 1), dtype=x.dtype) for _ in range(3))

    def forward(c: slice) -> None:
        mean[c] = rows[c].mean(axis=1, keepdims=True)
        xp.subtract(rows[c], mean[c], out=n[c])
        xp.multiply(n[c], n[c], out=y[c])
        var[c] = y[c].mean(axis=1, keepdims=True)
        s[c] = xp.sqrt(var[c] + eps)
        n[c] *= 1 / s[c]
        xp.multiply(n[c], weight[c, None], out=y[c])
        y[c] += bias[c, None]

    in_shares(forward, C, like=x)

    def backward(dy: Array, dmean: None = None, dvar: None = None) -> tuple[Array, Array, Array]:
        dy_rows = _channels_first(dy)
        dx = xp.empty_like(rows)
        dweight, dbias = xp.empty_like(weight), xp.empty_like(bias)

        def backward_channels(c: slice) -> None:
            xp.multiply(dy_rows[c], n[c], out=dx[c])
            dweight[c], dbias[c] = dx[c].sum(axis=1), dy_rows[c].sum(axis=1)
            xp.multiply(n[c], dweight[c, None] / -M, out=dx[c])
            dx[c] += dy_rows[c]
            dx[c] -= dbias[c, None] / M
            dx[c] *= weight[c, None] / s[c]

        in_shares(backward_channels, C, like=x)
        return _channels_second(dx, x), dweight, dbias

    return (_channels_second(y, x), mean[:, 0], var[:, 0] * (M / (M - 1))), backward


def batch_norm_running(
    x: Array, weight: Array, bias: Array, *, mean: Array, var: Array, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Normalise each channel by statistics gathered in training, which are constants: evaluation.

        y = (x - mean) / sqrt(var + eps) w + b                             (4)

    x (N, C, ...), all others (C,) -> y (N, C, ...); backward(dy) -> dx, dweight, dbias
    """
    over = (0, *range(2, x.ndim))
    inverse = _channels(1 / get_xp(x).sqrt(var + eps), x)
    n = (x - _channels(mean, x)) * inverse
    scale = _channels(weight, x)

    def backward(dy: Array) -> tuple[Array, Array, Array]:
        return dy * (scale * inverse), (dy * n).sum(axis=over), dy.sum(axis=over)

    return n * scale + _channels(bias, x), backward


def group_norm(x: Array, weight: Array, bias: Array, *, num_groups: int, eps: float = 1e-5) -> tuple[Array, Backward]:
    """Normalise each image over the places and channels of a group of channels (Wu & He 2018).

        y = (x - mean) / sqrt(var + eps) w + b,   dx as in (2)             (5)

    The means are taken over a group; scale and shift belong to a channel.

    x (N, C, ...), weight and bias (C,) -> y (N, C, ...); backward(dy) -> dx, dweight, dbias
    """
    N, C, *places = x.shape
    if C % num_groups:
        raise ValueError(f"group_norm: x has {C} channels, which {num_groups} groups do not divide")
    xp = get_xp(x)
    groups = (N, num_groups, C // num_groups, *places)
    over, over_images = tuple(range(2, len(groups))), (0, *range(2, x.ndim))
    n = x.reshape(groups)
    n = n - n.mean(axis=over, keepdims=True)
    s = xp.sqrt((n * n).mean(axis=over, keepdims=True) + eps)  # (N, G, 1, ...)
    n /= s
    scale = _channels(weight, x)

    def backward(dy: Array) -> tuple[Array, Array, Array]:
        dn = (dy * scale).reshape(groups)
        dx = (dn - dn.mean(axis=over, keepdims=True) - n * (dn * n).mean(axis=over, keepdims=True)) / s
        dweight = (dy * n.reshape(x.shape)).sum(axis=over_images)
        return dx.reshape(x.shape), dweight, dy.sum(axis=over_images)

    return n.reshape(x.shape) * scale + _channels(bias, x), backward


def _channels(v: Array, x: Array) -> Array:
    """View (C,) so that it broadcasts to x (N, C, ...)."""
    return v.reshape(-1, *(1,) * (x.ndim - 2))


def _channels_first(x: Array) -> Array:
    """(N, C, ...) -> (C, M), contiguous: with the batch last, as convolutions leave it, a view."""
    rows = x.transpose(*range(1, x.ndim), 0)
    return get_xp(x).ascontiguousarray(rows).reshape(x.shape[1], -1)


def _channels_second(rows: Array, like: Array) -> Array:
    """View (C, M) in the shape of `like`, (N, C, ...)."""
    N, *shape = like.shape
    return rows.reshape(*shape, N).transpose(like.ndim - 1, *range(like.ndim - 1))
