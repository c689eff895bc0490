# ruff: noqa: RUF059 (students unpack every shape)
"""Convolution and pooling, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import conv_inputs, image


def conv_forward_naive(x, w, b):
    """Stride 2, padding 1."""
    stride, pad = 2, 1
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    hs, ws = i * stride, j * stride
                    out[n, f, i, j] = np.sum(x_pad[n, :, hs : hs + HH, ws : ws + WW] * w[f]) + b[f]
    return out, (x, x_pad, w, stride, pad)


def conv_backward_naive(dout, cache):
    x, x_pad, w, stride, pad = cache
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros(F)
    for n in range(N):
        for f in range(F):
            db[f] += dout[n, f].sum()
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += x_pad[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dx_pad[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    dx = dx_pad[:, :, :H, :W]  # right: dx = dx_pad[:, :, pad : pad + H, pad : pad + W]
    return dx.copy(), dw, db


mutant("conv_naive_padding_cut_at_one_end", cause="off-by-one", inputs=conv_inputs, wrong=("dx",))(
    (conv_forward_naive, conv_backward_naive)
)


@mutant("conv_bias_of_the_last_image", cause="sum-missing", inputs=conv_inputs, wrong=("db",))
def conv_bias_of_the_last_image(x, w, b):
    """By sliding windows, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))  # (N, C, H', W', 3, 3)
    out = np.tensordot(windows, w, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b.reshape(1, -1, 1, 1)

    def backward(dout):
        _, _, Ho, Wo = dout.shape
        dx, db = np.zeros_like(x), np.zeros_like(b)
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + Ho, j : j + Wo] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
        dw = np.einsum("nfhw,nchwij->fcij", dout, windows)
        for n in range(len(x)):
            for f in range(len(b)):
                db[f] = dout[n, f].sum()  # right: db[f] += dout[n, f].sum()
        return dx, dw, db

    return out, backward


@mutant(
    "transposed_conv_weight_axes",
    cause="permuted-axes",
    also=("transposed",),
    inputs=lambda rng: (rng.standard_normal((2, 3, 2, 3)), rng.standard_normal((3, 3, 2, 2))),
    wrong=("dweight",),
    note="(C_out, C_in, k, k) for (C_in, C_out, k, k), with as many channels in as out",
)
def transposed_conv_weight_axes(x, weight):
    """Every pixel paints a 2 x 2 patch: stride 2, no overlap."""
    N, C, H, W = x.shape
    out = np.einsum("nchw,cdij->ndhiwj", x, weight).reshape(N, weight.shape[1], 2 * H, 2 * W)

    def backward(dout):
        d = dout.reshape(N, -1, H, 2, W, 2)
        dx = np.einsum("ndhiwj,cdij->nchw", d, weight)
        dweight = np.einsum("ndhiwj,nchw->dcij", d, x)  # right: dweight = np.einsum("ndhiwj,nchw->cdij", d, x)
        return dx, dweight

    return out, backward


@mutant("max_pool_shares_with_all", cause="pool-gradient-to-all", inputs=image, wrong=("dx",))
def max_pool_shares_with_all(x):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // 2, W // 2))
    for i in range(H // 2):
        for j in range(W // 2):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(2, 3))

    def backward(dout):
        dx = np.zeros_like(x)
        for i in range(H // 2):
            for j in range(W // 2):
                patch = (slice(None), slice(None), slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
                # right: dx[patch] = (x[patch] == out[:, :, i : i + 1, j : j + 1]) * dout[:, :, i : i + 1, j : j + 1]
                dx[patch] = dout[:, :, i : i + 1, j : j + 1]
        return dx

    return out, backward


@mutant(
    "sum_over_time_last_place",
    cause="one-step-only",
    inputs=lambda rng: (rng.standard_normal((5, 3, 4)),),
    wrong=("dx",),
)
def sum_over_time_last_place(x):
    """The sum of tanh over time, (T, N, D) -> (N, D); the gradient goes to the last time step alone."""
    y = np.tanh(x)

    def backward(dout):
        dx = np.zeros_like(x)
        dx[-1] = dout * (1 - y[-1] ** 2)  # right: dx[:] = dout * (1 - y**2)
        return dx

    return y.sum(axis=0), backward
