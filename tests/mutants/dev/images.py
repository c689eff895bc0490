# ruff: noqa: RUF059 (students unpack every shape)
"""Convolution and pooling, as students write them: each with one mistake in its backward pass."""

from itertools import product

import numpy as np

from mutants import mutant
from mutants.shared import col2im, conv_inputs, correlate, im2col, image, plain_conv


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


# ------------------------------------------------------------------------------------------------- more of one function


@mutant(
    "pool_windows_overlap_and_overwrite",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    like="max_pool2d_with_indices, overlapping",
    wrong=("dx",),
)
def pool_windows_overlap_and_overwrite(x):
    """Windows of 3 x 2, every second row, with a border."""
    N, C, H, W = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    Ho, Wo = (H + 2 - 3) // 2 + 1, W + 2 - 2 + 1
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            out[:, :, i, j] = xp[:, :, 2 * i : 2 * i + 3, j : j + 2].max(axis=(2, 3))

    def backward(dout):
        dxp = np.zeros_like(xp)
        for n, c, i, j in np.ndindex(*out.shape):
            window = xp[n, c, 2 * i : 2 * i + 3, j : j + 2]
            a, b = np.unravel_index(window.argmax(), window.shape)
            dxp[n, c, 2 * i + a, j + b] = dout[n, c, i, j]  # right: dxp[n, c, 2 * i + a, j + b] += dout[n, c, i, j]
        return dxp[:, :, 1:-1, 1:-1].copy()

    return out, backward


@mutant("unpool_reads_the_next_place", cause="off-by-one", like="max_unpool2d", wrong=("dx",))
def unpool_reads_the_next_place(x, places):
    """The numbers of the places start at zero."""
    N, C, h, w = x.shape
    H, W = 5, 7
    y = np.zeros((N * C, H * W))
    rows, at = np.arange(N * C)[:, None], places.reshape(N * C, -1)
    y[rows, at] = x.reshape(N * C, -1)

    def backward(dy):
        dx = dy.reshape(N * C, -1)[rows, at + 1]  # right: dx = dy.reshape(N * C, -1)[rows, at]
        return dx.reshape(x.shape), None

    return y.reshape(N, C, H, W), backward


@mutant("enlarged_picture_one_pixel_of_six", cause="sum-missing", like="interpolate", wrong=("dx",))
def enlarged_picture_one_pixel_of_six(x):
    """Twice as high, three times as wide."""
    y = x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(dy):
        N, C, H, W = x.shape
        blocks = dy.reshape(N, C, H, 2, W, 3)
        return blocks[:, :, :, 0, :, 0].copy()  # right: return blocks.sum(axis=(3, 5))

    return y, backward


@mutant("flatten_meets_another_order", cause="permuted-axes", like="flatten", wrong=("dx",))
def flatten_meets_another_order(x):
    N, C, H, W = x.shape

    def backward(dy):
        # right: dx = dy.reshape(N, C, H, W)
        dx = dy.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx.copy()

    return x.reshape(N, -1), backward


@mutant("unflatten_hands_on_a_view", cause="view-returned", like="unflatten")
def unflatten_hands_on_a_view(x):
    def backward(dy):
        return dy.reshape(len(x), -1)  # right: return dy.reshape(len(x), -1).copy()

    return x.reshape(len(x), 2, 3, 4), backward


def average_inputs(rng):
    return (rng.standard_normal((2, 3, 6, 4)),)


@mutant("average_of_a_row_of_the_window", cause="constant-factor", inputs=average_inputs, wrong=("dx",))
def average_of_a_row_of_the_window(x):
    N, C, H, W = x.shape
    y = x.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5))

    def backward(dy):
        return np.kron(dy, np.ones((2, 2))) / 2  # right: return np.kron(dy, np.ones((2, 2))) / 4

    return y, backward


@mutant("dilated_conv_reads_neighbours", cause="off-by-one", like="conv2d, dilation", wrong=("dx",))
def dilated_conv_reads_neighbours(x, w, b):
    """Every third row and second column under the window, step two, a border of three left and right."""
    F, C, kh, kw = w.shape
    N, _, H, W = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (0, 0), (3, 3)))
    Ho, Wo = (H - 3 * (kh - 1) - 1) // 2 + 1, (W + 6 - 2 * (kw - 1) - 1) // 2 + 1
    out = np.zeros((N, F, Ho, Wo)) + b[:, None, None]

    def seen(i, j, di, dj):
        return (slice(None), slice(None), slice(di * i, di * i + 2 * Ho - 1, 2), slice(dj * j, dj * j + 2 * Wo - 1, 2))

    for i, j in np.ndindex(kh, kw):
        out += np.einsum("nchw,fc->nfhw", xp[seen(i, j, 3, 2)], w[:, :, i, j])

    def backward(dout):
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i, j in np.ndindex(kh, kw):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[seen(i, j, 3, 2)])
            # right: dxp[seen(i, j, 3, 2)] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
            dxp[seen(i, j, 3, 1)] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
        return dxp[:, :, :, 3:-3].copy(), dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def signal_inputs(rng):
    return rng.standard_normal((3, 9)), rng.standard_normal(4)


@mutant("signal_kernel_slides_unturned", cause="kernel-not-flipped", inputs=signal_inputs, wrong=("dx",))
def signal_kernel_slides_unturned(x, w):
    """Correlation of signals with one kernel."""
    K = len(w)
    L = x.shape[1] - K + 1
    y = np.stack([np.correlate(row, w, mode="valid") for row in x])

    def backward(dy):
        padded = np.pad(dy, ((0, 0), (K - 1, K - 1)))
        dx = np.zeros_like(x)
        for n in range(len(x)):
            dx[n] = np.correlate(padded[n], w, "valid")  # right: dx[n] = np.correlate(padded[n], w[::-1], "valid")
        dw = np.array([np.sum(dy * x[:, k : k + L]) for k in range(K)])
        return dx, dw

    return y, backward


def paint_inputs(rng):
    return rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((3, 2, 3, 3))


@mutant("painting_looks_back_through_a_turned_kernel", cause="kernel-not-flipped", inputs=paint_inputs, wrong=("dx",))
def painting_looks_back_through_a_turned_kernel(x, w):
    """Transposed convolution, step one."""
    N, C, H, W = x.shape
    y = np.zeros((N, w.shape[1], H + 2, W + 2))
    for i in range(H):
        for j in range(W):
            y[:, :, i : i + 3, j : j + 3] += np.einsum("nc,cfab->nfab", x[:, :, i, j], w)

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        k = w[:, :, ::-1, ::-1]  # right: k = w
        for i in range(H):
            for j in range(W):
                window = dy[:, :, i : i + 3, j : j + 3]
                dx[:, :, i, j] = np.einsum("nfab,cfab->nc", window, k)
                dw += np.einsum("nfab,nc->cfab", window, x[:, :, i, j])
        return dx, dw

    return y, backward


# ------------------------------------------------------------------------------------------------- indices


def signals_inputs(rng):
    return rng.standard_normal((2, 3, 9)), rng.standard_normal((4, 3, 3)), rng.standard_normal(4)


@mutant("signal_conv_leaves_out_the_last_place", cause="off-by-one", inputs=signals_inputs, wrong=("dx", "dw", "db"))
def signal_conv_leaves_out_the_last_place(x, w, b):
    """Every second sample under the kernel."""
    N, C, L = x.shape
    F, _, K = w.shape
    places = L - 2 * (K - 1)
    y = np.zeros((N, F, places))
    for t in range(places):
        y[:, :, t] = np.einsum("nck,fck->nf", x[:, :, t : t + 2 * K - 1 : 2], w) + b

    def backward(dy):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        for t in range(places - 1):  # right: for t in range(places):
            dx[:, :, t : t + 2 * K - 1 : 2] += np.einsum("nf,fck->nck", dy[:, :, t], w)
            dw += np.einsum("nf,nck->fck", dy[:, :, t], x[:, :, t : t + 2 * K - 1 : 2])
            db += dy[:, :, t].sum(axis=0)
        return dx, dw, db

    return y, backward


@mutant("columns_are_painted_over_each_other", cause="sum-missing", also=("repeated-ids-assigned",), inputs=conv_inputs,
        wrong=("dx",))  # fmt: skip
def columns_are_painted_over_each_other(x, w, b):
    """im2col and back, stride 1."""
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    Ho, Wo = H - k + 1, W - k + 1
    columns = np.zeros((N, C, k, k, Ho, Wo))
    for i in range(k):
        for j in range(k):
            columns[:, :, i, j] = x[:, :, i : i + Ho, j : j + Wo]
    out = np.einsum("nckloh,fckl->nfoh", columns, w) + b[:, None, None]

    def backward(dout):
        dcolumns = np.einsum("nfoh,fckl->nckloh", dout, w)
        dx = np.zeros_like(x)
        for i in range(k):
            for j in range(k):
                # right: dx[:, :, i : i + Ho, j : j + Wo] += dcolumns[:, :, i, j]
                dx[:, :, i : i + Ho, j : j + Wo] = dcolumns[:, :, i, j]
        return dx, np.einsum("nfoh,nckloh->fckl", dout, columns), dout.sum(axis=(0, 2, 3))

    return out, backward


def depthwise_inputs(rng):
    return rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((3, 3, 3))


@mutant("depthwise_kernel_read_from_its_end", cause="kernel-not-flipped", inputs=depthwise_inputs, wrong=("dx",))
def depthwise_kernel_read_from_its_end(x, w):
    N, C, H, W = x.shape
    y = np.zeros((N, C, H - 2, W - 2))
    for c in range(C):
        for i in range(3):
            for j in range(3):
                y[:, c] += w[c, i, j] * x[:, c, i : i + H - 2, j : j + W - 2]

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for c in range(C):
            for i in range(3):
                for j in range(3):
                    window = (slice(None), c, slice(i, i + H - 2), slice(j, j + W - 2))
                    dw[c, i, j] = (dy[:, c] * x[window]).sum()
                    dx[window] += w[c, 2 - i, 2 - j] * dy[:, c]  # right: dx[window] += w[c, i, j] * dy[:, c]
        return dx, dw

    return y, backward


def enlarging_inputs(rng):
    return rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((3, 2, 3, 3))


@mutant("enlarging_conv_forgets_its_stride", cause="off-by-one", inputs=enlarging_inputs, wrong=("dx", "dw"))
def enlarging_conv_forgets_its_stride(x, w):
    """Transposed convolution, step two."""
    N, C, H, W = x.shape
    y = np.zeros((N, w.shape[1], 2 * H + 1, 2 * W + 1))
    for i in range(H):
        for j in range(W):
            y[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("nc,cfkl->nfkl", x[:, :, i, j], w)

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(H):
            for j in range(W):
                # right: window = dy[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                window = dy[:, :, i : i + 3, j : j + 3]
                dx[:, :, i, j] = np.einsum("nfkl,cfkl->nc", window, w)
                dw += np.einsum("nfkl,nc->cfkl", window, x[:, :, i, j])
        return dx, dw

    return y, backward


def eight_channels(rng):
    return (rng.standard_normal((2, 8, 2, 3)),)


@mutant("pixels_shuffled_in_another_order", cause="permuted-axes", inputs=eight_channels, wrong=("dx",))
def pixels_shuffled_in_another_order(x):
    """Four channels become a square of 2 x 2 pixels."""
    N, C, H, W = x.shape
    y = x.reshape(N, C // 4, 2, 2, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, C // 4, 2 * H, 2 * W)

    def backward(dy):
        blocks = dy.reshape(N, C // 4, 2, H, 2, W)  # right: blocks = dy.reshape(N, C // 4, H, 2, W, 2)
        dx = blocks.transpose(0, 1, 2, 4, 3, 5)  # right: dx = blocks.transpose(0, 1, 3, 5, 2, 4)
        return dx.reshape(x.shape)

    return y, backward


def highest_inputs(rng):
    return (rng.permutation(60).reshape(5, 3, 4) / 7.0,)


@mutant("highest_of_a_sentence_is_everybody", cause="pool-gradient-to-all", inputs=highest_inputs, wrong=("dx",))
def highest_of_a_sentence_is_everybody(x):
    """The largest over time, picked by its place."""
    first = x.argmax(axis=0)
    y = np.take_along_axis(x, first[None], axis=0)[0]

    def backward(dy):
        dx = np.zeros_like(x)
        dx += dy  # right: np.put_along_axis(dx, first[None], dy[None], axis=0)
        return dx

    return y, backward


def wide_signals(rng):
    return rng.standard_normal((2, 3, 8)), rng.standard_normal((4, 3, 3))


@mutant("dilated_signal_kernel_learns_from_neighbours", cause="off-by-one", inputs=wide_signals, wrong=("dw",))
def dilated_signal_kernel_learns_from_neighbours(x, w):
    """Every second sample, and two zeros at both ends."""
    L, K = x.shape[2], w.shape[2]
    xp = np.pad(x, ((0, 0), (0, 0), (2, 2)))
    y = np.stack([np.einsum("nck,fck->nf", xp[:, :, t : t + 2 * K : 2], w) for t in range(L)], axis=2)

    def backward(dy):
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for t in range(L):
            dxp[:, :, t : t + 2 * K : 2] += np.einsum("nf,fck->nck", dy[:, :, t], w)
            # right: dw += np.einsum("nf,nck->fck", dy[:, :, t], xp[:, :, t : t + 2 * K : 2])
            dw += np.einsum("nf,nck->fck", dy[:, :, t], xp[:, :, t : t + K])
        return dxp[:, :, 2:-2].copy(), dw

    return y, backward


@mutant("dilated_signal_keeps_the_zeros_at_its_start", cause="off-by-one", inputs=wide_signals, wrong=("dx",))
def dilated_signal_keeps_the_zeros_at_its_start(x, w):
    L, K = x.shape[2], w.shape[2]
    xp = np.pad(x, ((0, 0), (0, 0), (2, 2)))
    y = np.stack([np.tensordot(xp[:, :, t : t + 2 * K : 2], w, axes=([1, 2], [1, 2])) for t in range(L)], axis=2)

    def backward(dy):
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for t in range(L):
            dxp[:, :, t : t + 2 * K : 2] += np.tensordot(dy[:, :, t], w, axes=1)
            dw += np.tensordot(dy[:, :, t], xp[:, :, t : t + 2 * K : 2], axes=(0, 0))
        dx = dxp[:, :, :L]  # right: dx = dxp[:, :, 2 : L + 2]
        return dx.copy(), dw

    return y, backward


def square_pictures(rng):
    return rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 2, 2))


@mutant("conv_kernel_gradient_stored_from_its_end", cause="kernel-not-flipped", inputs=square_pictures, wrong=("dw",))
def conv_kernel_gradient_stored_from_its_end(x, w):
    k, n = w.shape[3], x.shape[3] - w.shape[3] + 1
    y = sum(
        np.einsum("nchw,fc->nfhw", x[:, :, i : i + n, j : j + n], w[:, :, i, j]) for i in range(k) for j in range(k)
    )

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + n, j : j + n] += np.einsum("nfhw,fc->nchw", dy, w[:, :, i, j])
                d = np.einsum("nfhw,nchw->fc", dy, x[:, :, i : i + n, j : j + n])
                dw[:, :, k - 1 - i, k - 1 - j] = d  # right: dw[:, :, i, j] = d
        return dx, dw

    return y, backward


@mutant("patches_come_back_in_the_order_of_memory", cause="permuted-axes", inputs=conv_inputs, wrong=("dx",))
def patches_come_back_in_the_order_of_memory(x, w, b):
    """im2col with patches as rows."""
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    Ho, Wo = H - k + 1, W - k + 1
    patches = np.zeros((N, C, k, k, Ho, Wo))
    for i in range(k):
        for j in range(k):
            patches[:, :, i, j] = x[:, :, i : i + Ho, j : j + Wo]
    rows = patches.transpose(0, 4, 5, 1, 2, 3).reshape(N * Ho * Wo, -1)
    out = (rows @ w.reshape(F, -1).T + b).reshape(N, Ho, Wo, F).transpose(0, 3, 1, 2)

    def backward(dout):
        d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        drows = d @ w.reshape(F, -1)
        # right: dpatches = drows.reshape(N, Ho, Wo, C, k, k).transpose(0, 3, 4, 5, 1, 2)
        dpatches = drows.reshape(N, C, k, k, Ho, Wo)
        dx = np.zeros_like(x)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + Ho, j : j + Wo] += dpatches[:, :, i, j]
        return dx, (d.T @ rows).reshape(w.shape), d.sum(axis=0)

    return out, backward


@mutant("mean_pool_gives_to_the_corner", cause="sum-missing", also=("pool-gradient-to-all",), inputs=average_inputs,
        wrong=("dx",))  # fmt: skip
def mean_pool_gives_to_the_corner(x):
    N, C, H, W = x.shape
    y = x.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5))

    def backward(dy):
        dx = np.zeros_like(x)
        dx[:, :, ::2, ::2] = dy / 4  # right: dx += np.kron(dy, np.ones((2, 2))) / 4
        return dx

    return y, backward


@mutant("conv_by_numbers_paints_without_its_stride", cause="off-by-one", inputs=conv_inputs, wrong=("dx",))
def conv_by_numbers_paints_without_its_stride(x, w, b):
    """Stride 2, without padding: one product after the other."""
    (N, C, H, W), (F, _, K, _) = x.shape, w.shape
    Ho, Wo = (H - K) // 2 + 1, (W - K) // 2 + 1
    outputs, taps = list(product(range(N), range(F), range(Ho), range(Wo))), list(product(range(C), range(K), range(K)))
    y = np.zeros((N, F, Ho, Wo))
    for n, f, i, j in outputs:
        y[n, f, i, j] = b[f]
        for c, p, q in taps:
            y[n, f, i, j] += x[n, c, 2 * i + p, 2 * j + q] * w[f, c, p, q]

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for n, f, i, j in outputs:
            for c, p, q in taps:
                dw[f, c, p, q] += dy[n, f, i, j] * x[n, c, 2 * i + p, 2 * j + q]
                # right: dx[n, c, 2 * i + p, 2 * j + q] += dy[n, f, i, j] * w[f, c, p, q]
                dx[n, c, i + p, j + q] += dy[n, f, i, j] * w[f, c, p, q]
        return dx, dw, dy.sum(axis=(0, 2, 3))

    return y, backward


@mutant(
    "max_pool_of_overlapping_windows_assigns",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    like="max_pool2d, overlapping",
    wrong=("dx",),
    note="a pixel that is the largest of two windows is paid by the last of them only",
)
def max_pool_of_overlapping_windows_assigns(x):
    """Windows of 3 x 2 pixels, two rows and one column apart, within a frame of one pixel."""
    N, C, H, W = x.shape
    framed = np.full((N, C, H + 2, W + 2), -np.inf)
    framed[:, :, 1:-1, 1:-1] = x
    Hout, Wout = (H + 2 - 3) // 2 + 1, W + 2 - 2 + 1
    out = np.zeros((N, C, Hout, Wout))
    for i in range(Hout):
        for j in range(Wout):
            out[:, :, i, j] = framed[:, :, 2 * i : 2 * i + 3, j : j + 2].max(axis=(2, 3))

    def backward(dout):
        dframed = np.zeros(framed.shape)
        for n in range(N):
            for c in range(C):
                for i in range(Hout):
                    for j in range(Wout):
                        window = framed[n, c, 2 * i : 2 * i + 3, j : j + 2]
                        a, b = np.unravel_index(np.argmax(window), window.shape)
                        # right: dframed[n, c, 2 * i + a, j + b] += dout[n, c, i, j]
                        dframed[n, c, 2 * i + a, j + b] = dout[n, c, i, j]
        return dframed[:, :, 1:-1, 1:-1].copy()

    return out, backward


@mutant(
    "naive_conv_never_cuts_its_frame_off",
    cause="zero-gradient",
    inputs=conv_inputs,
    wrong=("dx",),
    note="everything is added up in the padded array, and the one made for the answer is returned as it was",
)
def naive_conv_never_cuts_its_frame_off(x, w, b):
    """Stride 2, padding 1."""
    stride, pad = 2, 1
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]

    def backward(dout):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        dx_pad = np.zeros_like(x_pad)
        for n in range(N):
            for f in range(F):
                db[f] += dout[n, f].sum()
                for i in range(H_out):
                    for j in range(W_out):
                        rows = slice(i * stride, i * stride + HH)
                        cols = slice(j * stride, j * stride + WW)
                        dw[f] += x_pad[n, :, rows, cols] * dout[n, f, i, j]
                        dx_pad[n, :, rows, cols] += w[f] * dout[n, f, i, j]
        # missing: dx[:] = dx_pad[:, :, pad:-pad, pad:-pad]
        return dx, dw, db

    return out, backward


@mutant(
    "spatial_batchnorm_reshapes_back",
    cause="permuted-axes",
    like="batch_norm",
    wrong=("dx",),
    note="channels were moved to the end before the pixels were laid out as rows; the way back is a reshape only",
)
def spatial_batchnorm_reshapes_back(x, gamma, beta):
    """A row for every pixel, then as for rows."""
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    std = np.sqrt(flat.var(axis=0) + 1e-5)
    x_norm = (flat - flat.mean(axis=0)) / std
    out = (gamma * x_norm + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        m = dflat.shape[0]
        dgamma, dbeta = np.sum(dflat * x_norm, axis=0), np.sum(dflat, axis=0)
        dx_flat = gamma / (m * std) * (m * dflat - dbeta - x_norm * dgamma)
        dx = dx_flat.reshape(N, C, H, W)  # right: dx = dx_flat.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "upsampling_reads_one_copy",
    cause="sum-missing",
    like="interpolate",
    wrong=("dx",),
    note="a pixel was copied to six places, and hears from the first of them",
)
def upsampling_reads_one_copy(x):
    """Every pixel becomes two rows and three columns."""
    out = x.repeat(2, axis=2).repeat(3, axis=3)

    def backward(dout):
        dx = np.zeros_like(x)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                # right: dx[:, :, i, j] = dout[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].sum(axis=(2, 3))
                dx[:, :, i, j] = dout[:, :, 2 * i, 3 * j]
        return dx

    return out, backward


@mutant(
    "im2col_conv_lays_dout_out_as_it_lies",
    cause="permuted-axes",
    inputs=conv_inputs,
    wrong=("dx", "dW", "db"),
    note="the rows of the product are places, its columns filters; dout has the filters before the places",
)
def im2col_conv_lays_dout_out_as_it_lies(x, W, b):
    FN, C, FH, FW = W.shape
    N, OH, OW = len(x), x.shape[2] - FH + 1, x.shape[3] - FW + 1
    col = im2col(x, FH, FW, 1)
    col_W = W.reshape(FN, -1).T
    out = (np.dot(col, col_W) + b).reshape(N, OH, OW, FN).transpose(0, 3, 1, 2)

    def backward(dout):
        dout = dout.reshape(-1, FN)  # right: dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        db = np.sum(dout, axis=0)
        dW = np.dot(col.T, dout).transpose(1, 0).reshape(FN, C, FH, FW)
        dcol = np.dot(dout, col_W.T)
        return col2im(dcol, x.shape, FH, FW, 1), dW, db

    return out, backward


def channels_last(rng):
    """Pictures (m, H, W, C), filters (f, f, C, F) and biases (1, 1, 1, F)."""
    return tuple(rng.standard_normal(s) for s in [(2, 7, 5, 3), (3, 3, 3, 4), (1, 1, 1, 4)])


@mutant(
    "conv_slices_without_the_stride_on_the_way_back",
    cause="off-by-one",
    inputs=channels_last,
    wrong=("dA_prev", "dW"),
    note="the window moves two pixels a step on the way there, one on the way back",
)
def conv_slices_without_the_stride_on_the_way_back(A_prev, W, b):
    stride, pad = 2, 1
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, _, _, n_C = W.shape
    n_H, n_W = (n_H_prev - f + 2 * pad) // stride + 1, (n_W_prev - f + 2 * pad) // stride + 1
    frame = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    A_prev_pad = np.pad(A_prev, frame)
    Z = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vert, horiz = h * stride, w * stride
                    a_slice = A_prev_pad[i, vert : vert + f, horiz : horiz + f]
                    Z[i, h, w, c] = np.sum(a_slice * W[:, :, :, c]) + b[0, 0, 0, c]

    def backward(dZ):
        dA_prev_pad, dW, db = np.zeros_like(A_prev_pad), np.zeros_like(W), np.zeros_like(b)
        for i in range(m):
            for h in range(n_H):
                for w in range(n_W):
                    for c in range(n_C):
                        vert, horiz = h, w  # right: vert, horiz = h * stride, w * stride
                        a_slice = A_prev_pad[i, vert : vert + f, horiz : horiz + f]
                        dA_prev_pad[i, vert : vert + f, horiz : horiz + f] += W[:, :, :, c] * dZ[i, h, w, c]
                        dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                        db[:, :, :, c] += dZ[i, h, w, c]
        return dA_prev_pad[:, pad:-pad, pad:-pad].copy(), dW, db

    return Z, backward


@mutant(
    "resnet_block_relu_before_the_shortcut",
    cause="derivative-at-preactivation",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 4, 5), (3, 3, 3, 3), (3,)]),
    wrong=("dx", "dw", "db"),
    note="the forward pass cuts off after the shortcut is added, the backward pass asks what the convolution gave",
)
def resnet_block_relu_before_the_shortcut(x, w, b):
    """Convolution of 3 x 3 with padding 1, plus its own input, then ReLU."""
    conv = plain_conv(x, w, pad=1) + b.reshape(1, -1, 1, 1)
    added = conv + x
    out = np.maximum(added, 0)

    def backward(dout):
        dadded = dout * (conv > 0)  # right: dadded = dout * (added > 0)
        H, W = x.shape[2:]
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i in range(3):
            for j in range(3):
                dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dadded, xp[:, :, i : i + H, j : j + W])
                dxp[:, :, i : i + H, j : j + W] += np.einsum("nfhw,fc->nchw", dadded, w[:, :, i, j])
        return dadded + dxp[:, :, 1:-1, 1:-1], dw, dadded.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "nearest_upsampling_goes_back_as_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    like="interpolate",
    wrong=("dx",),
    note="six copies of a pixel were made, so it receives their sum; a mean looks like the way back, and is not",
)
def nearest_upsampling_goes_back_as_average_pooling(x):
    """Every pixel becomes two rows and three columns."""
    N, C, H, W = x.shape
    out = np.kron(x, np.ones((2, 3)))

    def backward(dout):
        blocks = dout.reshape(N, C, H, 2, W, 3)
        return blocks.mean(axis=(3, 5))  # right: return blocks.sum(axis=(3, 5))

    return out, backward


@mutant(
    "spatial_groupnorm_gain_loses_its_axes",
    cause="gradient-shape",
    inputs=lambda rng: (rng.standard_normal((2, 6, 3, 4)) + 1, *rng.standard_normal((2, 1, 6, 1, 1))),
    note="gamma and beta are (1, C, 1, 1), and the sums are (C,)",
)
def spatial_groupnorm_gain_loses_its_axes(x, gamma, beta):
    N, C, H, W = x.shape
    G = 3
    xg = x.reshape(N * G, -1).T
    sigma = np.sqrt(xg.var(axis=0) + 1e-5)
    x_norm = (xg - xg.mean(axis=0)) / sigma
    x_hat = x_norm.T.reshape(N, C, H, W)

    def backward(dout):
        dbeta = np.sum(dout, axis=(0, 2, 3))  # right: dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
        # right: dgamma = np.sum(dout * x_hat, axis=(0, 2, 3), keepdims=True)
        dgamma = np.sum(dout * x_hat, axis=(0, 2, 3))
        dnorm = (dout * gamma).reshape(N * G, -1).T
        M = dnorm.shape[0]
        dxg = (M * dnorm - dnorm.sum(axis=0) - x_norm * (dnorm * x_norm).sum(axis=0)) / (M * sigma)
        return dxg.T.reshape(N, C, H, W), dgamma, dbeta

    return gamma * x_hat + beta, backward


@mutant(
    "sliding_window_conv_bias_summed_as_if_channels_came_last",
    cause="wrong-sum-axis",
    inputs=conv_inputs,
    wrong=("db",),
    note="four filters, and four places in a row: the shape fits",
)
def sliding_window_conv_bias_summed_as_if_channels_came_last(x, w, b):
    """Without padding, stride 1."""
    k = w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    out = np.tensordot(windows, w, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b[:, None, None]

    def backward(dout):
        OH, OW = dout.shape[2:]
        db = np.sum(dout, axis=(0, 1, 2))  # right: db = np.sum(dout, axis=(0, 2, 3))
        dw = np.tensordot(dout, windows, axes=([0, 2, 3], [0, 2, 3]))
        dx = np.zeros_like(x)
        for i in range(k):
            for j in range(k):
                dx[:, :, i : i + OH, j : j + OW] += np.tensordot(dout, w[:, :, i, j], axes=(1, 0)).transpose(0, 3, 1, 2)
        return dx, dw, db

    return out, backward


@mutant(
    "full_conv_kernel_turned_left_to_right_only",
    cause="kernel-not-flipped",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 2, 5, 6), (3, 2, 3, 2), (3,)]),
    wrong=("dx",),
    note="flipud is as due as fliplr",
)
def full_conv_kernel_turned_left_to_right_only(x, kernels, biases):
    n_images, depth = x.shape[:2]
    n_kernels, _, kh, kw = kernels.shape
    out = np.zeros((n_images, n_kernels, x.shape[2] - kh + 1, x.shape[3] - kw + 1))
    for n in range(n_images):
        for f in range(n_kernels):
            out[n, f] = biases[f]
            for c in range(depth):
                out[n, f] += correlate(x[n, c], kernels[f, c])

    def backward(dout):
        dx, dkernels = np.zeros_like(x), np.zeros_like(kernels)
        for n in range(n_images):
            for f in range(n_kernels):
                full = np.pad(dout[n, f], ((kh - 1, kh - 1), (kw - 1, kw - 1)))
                for c in range(depth):
                    dkernels[f, c] += correlate(x[n, c], dout[n, f])
                    turned = np.fliplr(kernels[f, c])  # right: turned = np.flipud(np.fliplr(kernels[f, c]))
                    dx[n, c] += correlate(full, turned)
        return dx, dkernels, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "max_pool_blocks_laid_back_without_the_transpose",
    cause="permuted-axes",
    inputs=image,
    wrong=("dx",),
    note="a block's four pixels are four in a row where the picture is only reshaped",
)
def max_pool_blocks_laid_back_without_the_transpose(x):
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // 2, W // 2, 4)
    arg_max = blocks.argmax(axis=4)

    def backward(dout):
        dblocks = np.zeros_like(blocks)
        np.put_along_axis(dblocks, arg_max[..., None], dout[..., None], axis=4)
        dblocks = dblocks.reshape(N, C, H // 2, W // 2, 2, 2)
        dx = dblocks.reshape(N, C, H, W)  # right: dx = dblocks.transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)
        return dx

    return blocks.max(axis=4), backward


@mutant(
    "average_pool_spreads_over_the_pooled_size",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((2, 7, 6, 3)),),
    wrong=("dA_prev",),
    note="in the helper n_H and n_W were the window's sides; written into the loop, they are those of what comes out",
)
def average_pool_spreads_over_the_pooled_size(A_prev):
    """Windows of 3 x 3, two apart, channels last."""
    f, stride = 3, 2
    m, n_H_prev, n_W_prev, n_C = A_prev.shape
    n_H, n_W = 1 + (n_H_prev - f) // stride, 1 + (n_W_prev - f) // stride
    A = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                vert, horiz = h * stride, w * stride
                A[i, h, w] = np.mean(A_prev[i, vert : vert + f, horiz : horiz + f], axis=(0, 1))

    def backward(dA):
        dA_prev = np.zeros_like(A_prev)
        for i in range(m):
            for h in range(n_H):
                for w in range(n_W):
                    for c in range(n_C):
                        vert, horiz = h * stride, w * stride
                        average = dA[i, h, w, c] / (n_H * n_W)  # right: average = dA[i, h, w, c] / (f * f)
                        dA_prev[i, vert : vert + f, horiz : horiz + f, c] += np.ones((f, f)) * average
        return dA_prev

    return A, backward


def skip_and_upsampled(rng):
    """Two stacks of maps (N, C, H, W), weights (F, 2 C) and a bias (F,)."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 4, 5), (2, 3, 4, 5), (4, 6), (4,)])


@mutant(
    "unet_joint_split_in_the_other_order",
    cause="swapped-gradients",
    inputs=skip_and_upsampled,
    wrong=("dup", "dskip"),
    note="what was concatenated first is taken for the second",
)
def unet_joint_split_in_the_other_order(up, skip, w, b):
    """Maps from below and maps of the same size from the other side, side by side, then a 1 x 1 convolution."""
    C = skip.shape[1]
    cat = np.concatenate((skip, up), axis=1)
    out = np.einsum("nchw,fc->nfhw", cat, w) + b.reshape(1, -1, 1, 1)

    def backward(dout):
        dw = np.einsum("nfhw,nchw->fc", dout, cat)
        dcat = np.einsum("nfhw,fc->nchw", dout, w)
        # right: dskip, dup = dcat[:, :C].copy(), dcat[:, C:].copy()
        dup, dskip = dcat[:, :C].copy(), dcat[:, C:].copy()
        return dup, dskip, dw, dout.sum(axis=(0, 2, 3))

    return out, backward
