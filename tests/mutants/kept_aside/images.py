"""Convolution and pooling, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import conv_inputs, image


def plain_conv(x, w, pad):
    """Correlate (N, C, H, W) with (F, C, k, k)."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k = w.shape[2]
    H, W = x.shape[2] - k + 1, x.shape[3] - k + 1
    out = np.zeros((len(x), len(w), H, W))
    for i in range(k):
        for j in range(k):
            out += np.einsum("nchw,fc->nfhw", x[:, :, i : i + H, j : j + W], w[:, :, i, j])
    return out


@mutant("conv_dx_with_the_kernel_as_it_is", cause="kernel-not-flipped", inputs=conv_inputs, wrong=("dx",))
def conv_dx_with_the_kernel_as_it_is(x, w, b):
    """Stride 1, padding 1, 3 x 3: the gradient of x is a convolution of dout, of the same padding."""
    out = plain_conv(x, w, pad=1) + b[:, None, None]

    def backward(dout):
        turned = w.transpose(1, 0, 2, 3)
        # missing: turned = turned[:, :, ::-1, ::-1]
        dx = plain_conv(dout, turned, pad=1)
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dw = np.zeros_like(w)
        for i in range(3):
            for j in range(3):
                dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[:, :, i : i + x.shape[2], j : j + x.shape[3]])
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "conv_over_time_reads_one_step_early",
    cause="off-by-one",
    inputs=lambda rng: (rng.standard_normal((7, 2, 3)), rng.standard_normal((3, 3, 4))),
    wrong=("dkernel",),
)
def conv_over_time_reads_one_step_early(x, kernel):
    """Causal: y_t sees x_t, x_(t-1) and x_(t-2), the past before the start is zero."""
    K, T = len(kernel), len(x)
    y = np.zeros((T, x.shape[1], kernel.shape[2]))
    for t in range(T):
        for k in range(K):
            if t - k >= 0:
                y[t] += x[t - k] @ kernel[k]

    def backward(dy):
        dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
        for t in range(T):
            for k in range(K):
                if t - k >= 0:
                    dx[t - k] += dy[t] @ kernel[k].T
                if t - k - 1 >= 0:  # right: if t - k >= 0:
                    dkernel[k] += x[t - k - 1].T @ dy[t]  # right: dkernel[k] += x[t - k].T @ dy[t]
        return dx, dkernel

    return y, backward


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
    "group_norm_as_if_one_group",
    cause="wrong-sum-axis",
    inputs=lambda rng: (rng.standard_normal((2, 4, 3, 3)) + 0.5,),
    note="the gradient's means are taken over all channels, not over a group's",
    wrong=("dx",),
)
def group_norm_as_if_one_group(x):
    N, C, H, W = x.shape
    g = x.reshape(N, 2, C // 2, H, W)
    std = np.sqrt(g.var(axis=(2, 3, 4), keepdims=True) + 1e-5)
    hat = (g - g.mean(axis=(2, 3, 4), keepdims=True)) / std

    def backward(dy):
        d = dy.reshape(hat.shape)
        axes = (1, 2, 3, 4)  # right: axes = (2, 3, 4)
        dx = d - d.mean(axis=axes, keepdims=True) - hat * (d * hat).mean(axis=axes, keepdims=True)
        return (dx / std).reshape(x.shape)

    return hat.reshape(x.shape), backward
