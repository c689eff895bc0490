"""Pictures and signals from homework: convolutions, pooling, enlarging and norms, each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import correlate


def k2_draw(*shapes):
    """Inputs of these shapes."""
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def k2_maps_without_ties(rng):
    """Maps (N, C, H, W) whose numbers are so far apart that a small step changes no maximum."""
    return (rng.permutation(2 * 3 * 4 * 6).reshape(2, 3, 4, 6) / 30 - 2,)


@mutant(
    "max_pool_blocks_are_a_copy_of_dx",
    cause="zero-gradient",
    inputs=k2_maps_without_ties,
    wrong=("dx",),
    note="after a transpose, reshape copies: what is written into the blocks never reaches dx",
)
def max_pool_blocks_are_a_copy_of_dx(x):
    """Two by two, without a loop."""
    N, C, H, W = x.shape
    h, w = H // 2, W // 2
    blocks = x.reshape(N, C, h, 2, w, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, h, w, 4)
    winner = blocks.argmax(axis=4)[..., None]
    out = blocks.max(axis=4)

    def backward(dout):
        dx = np.zeros_like(x)
        dblocks = dx.reshape(N, C, h, 2, w, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, h, w, 4)
        np.put_along_axis(dblocks, winner, dout[..., None], axis=4)
        # missing: dx = dblocks.reshape(N, C, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)
        return dx

    return out, backward


@mutant(
    "spatial_batchnorm_maps_put_back_by_reshape",
    cause="permuted-axes",
    inputs=lambda rng: (1.5 * rng.standard_normal((3, 4, 2, 5)) + 1, rng.standard_normal(4), rng.standard_normal(4)),
    wrong=("dx",),
    note="on the way there the channels went to the end, on the way back they are not fetched",
)
def spatial_batchnorm_maps_put_back_by_reshape(x, gamma, beta):
    """Batch norm of rows, one row a pixel."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    m = len(rows)
    std = np.sqrt(rows.var(axis=0) + 1e-5)
    norm = (rows - rows.mean(axis=0)) / std
    out = (norm * gamma + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        d = dout.transpose(0, 2, 3, 1).reshape(m, C)
        dgamma, dbeta = np.sum(d * norm, axis=0), np.sum(d, axis=0)
        drows = gamma / (m * std) * (m * d - dbeta - norm * dgamma)
        dx = drows.reshape(N, C, H, W)  # right: dx = drows.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "grey_conv_way_back_ends_before_the_last_row",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=k2_draw((3, 6, 5), (3, 2), (1,)),
    wrong=("dx", "dk"),
    note="range(H - kh) has one row less than comes out",
)
def grey_conv_way_back_ends_before_the_last_row(x, k, b):
    """Grey pictures (N, H, W), one kernel, one bias."""
    N, H, W = x.shape
    kh, kw = k.shape
    out = np.zeros((N, H - kh + 1, W - kw + 1))
    for i in range(H - kh + 1):
        for j in range(W - kw + 1):
            out[:, i, j] = np.sum(x[:, i : i + kh, j : j + kw] * k, axis=(1, 2)) + b

    def backward(dout):
        dx, dk = np.zeros_like(x), np.zeros_like(k)
        for i in range(H - kh):  # right: for i in range(H - kh + 1):
            for j in range(W - kw + 1):
                for n in range(N):
                    dk += dout[n, i, j] * x[n, i : i + kh, j : j + kw]
                    dx[n, i : i + kh, j : j + kw] += dout[n, i, j] * k
        return dx, dk, np.array([dout.sum()])

    return out, backward


@mutant(
    "signal_conv_relu_asks_what_went_into_the_convolution",
    cause="derivative-at-preactivation",
    inputs=k2_draw((2, 3, 7), (3, 3, 3), (3,)),
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
    "enlarging_undone_by_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=k2_draw((2, 3, 3, 4)),
    wrong=("dx",),
    note="the opposite of enlarging is the mean of a block, its gradient is the sum",
)
def enlarging_undone_by_average_pooling(x):
    """Twice as high and wide."""
    N, C, H, W = x.shape
    up = np.zeros((N, C, 2 * H, 2 * W))
    for i in range(2 * H):
        for j in range(2 * W):
            up[:, :, i, j] = x[:, :, i // 2, j // 2]

    def backward(dup):
        dx = np.zeros_like(x)
        for i in range(H):
            for j in range(W):
                block = dup[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                dx[:, :, i, j] = block.mean(axis=(2, 3))  # right: dx[:, :, i, j] = block.sum(axis=(2, 3))
        return dx

    return up, backward


@mutant(
    "full_convolution_kernel_turned_upside_down_only",
    cause="kernel-not-flipped",
    inputs=k2_draw((2, 2, 5, 6), (3, 2, 3, 2), (3,)),
    wrong=("dx",),
    note="[::-1] of a matrix turns its rows, the columns want another",
)
def full_convolution_kernel_turned_upside_down_only(x, kernels, bias):
    N, C, H, W = x.shape
    F, _, kh, kw = kernels.shape
    out = np.zeros((N, F, H - kh + 1, W - kw + 1))
    for n in range(N):
        for f in range(F):
            out[n, f] = sum(correlate(x[n, c], kernels[f, c]) for c in range(C)) + bias[f]

    def backward(dout):
        dx, dkernels = np.zeros(x.shape), np.zeros(kernels.shape)
        full = np.pad(dout, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
        for n in range(N):
            for f in range(F):
                for c in range(C):
                    dkernels[f, c] += correlate(x[n, c], dout[n, f])
                    turned = kernels[f, c][::-1]  # right: turned = kernels[f, c][::-1, ::-1]
                    dx[n, c] += correlate(full[n, f], turned)
        return dx, dkernels, dout.sum(axis=(0, 2, 3))

    return out, backward


@mutant(
    "text_cnn_bias_of_a_filter_from_the_sentence_of_its_number",
    cause="wrong-sum-axis",
    inputs=k2_draw((5, 4, 7), (3, 4, 2), (3,)),
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


@mutant(
    "picture_layer_norm_spread_is_only_divided_by",
    cause="norm-variance-term-missing",
    inputs=lambda rng: (2 * rng.standard_normal((3, 2, 4, 3)) - 1, rng.standard_normal(2), rng.standard_normal(2)),
    wrong=("dx",),
    note="centring is undone, the division is taken for one by a number",
)
def picture_layer_norm_spread_is_only_divided_by(x, gain, shift):
    """Every picture over all its channels and pixels, gain and shift for each channel."""
    centred, normed = np.zeros_like(x), np.zeros_like(x)
    sigmas = []
    for n in range(len(x)):
        centred[n] = x[n] - np.mean(x[n])
        sigmas.append(np.sqrt(np.mean(centred[n] ** 2) + 1e-6))
        normed[n] = centred[n] / sigmas[n]
    out = gain[None, :, None, None] * normed + shift[None, :, None, None]

    def backward(dout):
        dgain, dshift = np.sum(dout * normed, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))
        dx = np.zeros_like(x)
        for n in range(len(x)):
            dnormed = dout[n] * gain[:, None, None]
            dcentred = dnormed / sigmas[n]
            # missing: dcentred = dcentred - centred[n] * np.mean(dnormed * centred[n]) / sigmas[n] ** 3
            dx[n] = dcentred - np.mean(dcentred)
        return dx, dgain, dshift

    return out, backward
