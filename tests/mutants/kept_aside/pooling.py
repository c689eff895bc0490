# ruff: noqa: RUF059 (students unpack every shape)
"""Pooling and its inverse: windows that share pixels: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import draw_7, image


def values_apart(rng):
    """Maps (N, C, H, W), no two numbers so near that a small step changes which is the larger."""
    return (rng.permutation(2 * 2 * 5 * 7).reshape(2, 2, 5, 7) / 40 - 1.5,)


@mutant(
    "overlapping_max_pool_winner_is_paid_by_the_last_window",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    inputs=values_apart,
    wrong=("dx",),
    note="harmless as long as the windows do not overlap, which is how it was tested",
)
def overlapping_max_pool_winner_is_paid_by_the_last_window(x):
    """Windows of three by three, one step apart."""
    k = 3
    N, C, H, W = x.shape
    out_h, out_w = H - k + 1, W - k + 1
    out = np.zeros((N, C, out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            out[:, :, i, j] = np.max(x[:, :, i : i + k, j : j + k], axis=(2, 3))

    def backward(dout):
        dx = np.zeros(x.shape)
        for n, c in np.ndindex(N, C):
            for i, j in np.ndindex(out_h, out_w):
                window = x[n, c, i : i + k, j : j + k]
                r, s = np.unravel_index(np.argmax(window), window.shape)
                dx[n, c, i + r, j + s] = dout[n, c, i, j]  # right: dx[n, c, i + r, j + s] += dout[n, c, i, j]
        return dx

    return out, backward


@mutant(
    "upsampling_undone_by_slicing",
    cause="sum-missing",
    also=("broadcast-not-summed",),
    like="interpolate",
    wrong=("dx",),
    note="slicing undoes the enlarging, but the gradient is not its inverse: each pixel was copied six times",
)
def upsampling_undone_by_slicing(x):
    """Twice as high and three times as wide, as in the second half of an autoencoder."""
    N, C, H, W = x.shape
    up = x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(dup):
        # right: return dup.reshape(N, C, H, 2, W, 3).sum(axis=(3, 5))
        return dup[:, :, ::2, ::3].copy()

    return up, backward


@mutant("average_pool_not_divided", cause="wrong-count", also=("constant-factor",), inputs=image, wrong=("dx",))
def average_pool_not_divided(x):
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)

    def backward(dout):
        dx = np.repeat(np.repeat(dout, 2, axis=2), 2, axis=3)
        # missing: dx = dx / 4
        return dx

    return blocks.mean(axis=(3, 5)), backward


@mutant(
    "course_average_pool_spreads_over_the_size_of_what_came_out",
    cause="wrong-count",
    also=("constant-factor",),
    like="avg_pool2d",
    wrong=("dA_prev",),
    note="n_H and n_W are here the sizes of dA, not those of the window",
)
def course_average_pool_spreads_over_the_size_of_what_came_out(A_prev):
    """Windows of two by two; what does not fill one is left out."""
    f = 2
    m, n_C, n_H_prev, n_W_prev = A_prev.shape
    A = np.zeros((m, n_C, n_H_prev // f, n_W_prev // f))
    for h in range(A.shape[2]):
        for w in range(A.shape[3]):
            A[:, :, h, w] = A_prev[:, :, f * h : f * h + f, f * w : f * w + f].mean(axis=(2, 3))

    def backward(dA):
        n_H, n_W = dA.shape[2:]
        dA_prev = np.zeros(A_prev.shape)
        for h in range(n_H):
            for w in range(n_W):
                average = dA[:, :, h, w] / (n_H * n_W)  # right: average = dA[:, :, h, w] / (f * f)
                dA_prev[:, :, f * h : f * h + f, f * w : f * w + f] += average[:, :, None, None]
        return dA_prev

    return A, backward


@mutant(
    "heartbeat_pool_repeats_the_gradient",
    cause="pool-gradient-to-all",
    inputs=draw_7((3, 2, 10), (4, 2, 3), (4,)),
    wrong=("dx", "dw", "db"),
    note="made as large as before, and given to winners and losers",
)
def heartbeat_pool_repeats_the_gradient(x, w, b):
    """Convolution over time, tanh, and the larger of every two."""
    K = w.shape[2]
    L = x.shape[2] - K + 1
    a = np.tanh(sum(np.einsum("ncl,fc->nfl", x[:, :, k : k + L], w[:, :, k]) for k in range(K)) + b[:, None])
    pooled = np.maximum(a[:, :, 0::2], a[:, :, 1::2])

    def backward(dpooled):
        da = np.repeat(dpooled, 2, axis=2)
        # missing: da = da * (a == np.repeat(pooled, 2, axis=2))
        dz = da * (1 - a**2)
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k in range(K):
            dx[:, :, k : k + L] += np.einsum("nfl,fc->ncl", dz, w[:, :, k])
            dw[:, :, k] = np.einsum("nfl,ncl->fc", dz, x[:, :, k : k + L])
        return dx, dw, dz.sum(axis=(0, 2))

    return pooled, backward
