# ruff: noqa: RUF059 (students unpack every shape)
"""Transposed convolutions, and those of signals and texts: each with one mistake."""

from itertools import product

import numpy as np

from mutants import mutant
from mutants.shared import conv_inputs, draw_6


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


def signals_2(rng):
    """Signals (N, C, L), filters (F, C, K), biases (F,); the stride leaves the last sample over."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 10), (4, 3, 3), (4,)])


@mutant(
    "conv1d_walks_back_in_small_steps",
    cause="off-by-one",
    inputs=signals_2,
    wrong=("dx", "dw"),
    note="the window of the way there starts at t times the stride",
)
def conv1d_walks_back_in_small_steps(x, w, b):
    """Stride 2, no padding."""
    stride = 2
    batch, _, length = x.shape
    n_filters, _, width = w.shape
    out_length = (length - width) // stride + 1
    out = np.zeros((batch, n_filters, out_length))
    for t in range(out_length):
        start = t * stride
        out[:, :, t] = np.einsum("nck,fck->nf", x[:, :, start : start + width], w) + b

    def backward(dout):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        for t in range(out_length):
            start = t  # right: start = t * stride
            dx[:, :, start : start + width] += np.einsum("nf,fck->nck", dout[:, :, t], w)
            dw += np.einsum("nf,nck->fck", dout[:, :, t], x[:, :, start : start + width])
            db += dout[:, :, t].sum(axis=0)
        return dx, dw, db

    return out, backward


@mutant(
    "np_convolve_filter_learns_back_to_front",
    cause="kernel-not-flipped",
    inputs=lambda rng: (rng.standard_normal((2, 3, 9)), rng.standard_normal((4, 3, 4))),
    wrong=("dw",),
    note="np.convolve turns the filter round on the way there",
)
def np_convolve_filter_learns_back_to_front(x, w):
    """A true convolution of signals (N, C, L) with filters (F, C, K)."""
    N, C, L = x.shape
    F, _, K = w.shape
    y = np.zeros((N, F, L - K + 1))
    for n in range(N):
        for f in range(F):
            y[n, f] = sum(np.convolve(x[n, c], w[f, c], mode="valid") for c in range(C))

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for n in range(N):
            for f in range(F):
                for c in range(C):
                    dx[n, c] += np.correlate(dy[n, f], w[f, c], mode="full")
                    # right: dw[f, c] += np.correlate(x[n, c], dy[n, f], mode="valid")[::-1]
                    dw[f, c] += np.correlate(x[n, c], dy[n, f], mode="valid")
        return dx, dw

    return y, backward


@mutant(
    "signal_conv_relu_asks_what_went_into_the_convolution",
    cause="derivative-at-preactivation",
    inputs=draw_6((2, 3, 7), (3, 3, 3), (3,)),
    wrong=("dx", "dw", "db"),
    note="the cache has x and w, and of the same padding x fits as well as z",
)
def signal_conv_relu_asks_what_went_into_the_convolution(x, w, b):
    """Signals (N, C, L), as many channels come out as go in, kernel of three, one zero at each end."""
    L = x.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    z = sum(np.einsum("ncl,fc->nfl", padded[:, :, k : k + L], w[:, :, k]) for k in range(3)) + b[:, None]

    def backward(dout):
        dz = dout * (x > 0)  # right: dz = dout * (z > 0)
        dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
        for k in range(3):
            dpadded[:, :, k : k + L] += np.einsum("nfl,fc->ncl", dz, w[:, :, k])
            dw[:, :, k] = np.einsum("nfl,ncl->fc", dz, padded[:, :, k : k + L])
        return dpadded[:, :, 1:-1].copy(), dw, dz.sum(axis=(0, 2))

    return np.maximum(z, 0), backward


@mutant(
    "text_cnn_bias_of_a_filter_from_the_sentence_of_its_number",
    cause="wrong-sum-axis",
    inputs=draw_6((5, 4, 7), (3, 4, 2), (3,)),
    wrong=("db",),
    note="dout[f] is a sentence with all its filters; it goes well as there are more sentences than filters",
)
def text_cnn_bias_of_a_filter_from_the_sentence_of_its_number(x, w, b):
    """Sentences (N, D, L), filters (F, D, K) that slide over the words."""
    N, D, L = x.shape
    F, _, K = w.shape
    out = np.zeros((N, F, L - K + 1))
    for t in range(L - K + 1):
        out[:, :, t] = x[:, :, t : t + K].reshape(N, -1) @ w.reshape(F, -1).T + b

    def backward(dout):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
        for t in range(L - K + 1):
            dx[:, :, t : t + K] += (dout[:, :, t] @ w.reshape(F, -1)).reshape(N, D, K)
            dw += (dout[:, :, t].T @ x[:, :, t : t + K].reshape(N, -1)).reshape(w.shape)
        for f in range(F):
            db[f] = np.sum(dout[f])  # right: db[f] = np.sum(dout[:, f])
        return dx, dw, db

    return out, backward
