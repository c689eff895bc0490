"""Pictures and signals, filtered, pooled, enlarged and normed by students: each with one mistake on the way back."""

import numpy as np

from mutants import mutant
from mutants.shared import col2im, im2col


def j2_signals(rng):
    """Signals (N, C, L), filters (F, C, K), biases (F,); the stride leaves the last sample over."""
    return tuple(rng.standard_normal(s) for s in [(2, 3, 10), (4, 3, 3), (4,)])


@mutant(
    "conv1d_walks_back_in_small_steps",
    cause="off-by-one",
    inputs=j2_signals,
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


def j2_digit(rng):
    """One picture (H, W), filters (F, 3, 3) and biases (F,)."""
    return rng.standard_normal((6, 5)), rng.standard_normal((4, 3, 3)), rng.standard_normal(4)


def j2_regions(picture):
    """Every patch of 3 x 3, and where it stands."""
    for i in range(picture.shape[0] - 2):
        for j in range(picture.shape[1] - 2):
            yield picture[i : i + 3, j : j + 3], i, j


@mutant(
    "conv3x3_relu_lets_positive_gradients_through",
    cause="derivative-at-preactivation",
    inputs=j2_digit,
    wrong=("dpicture", "dfilters", "dbias"),
    note="relu's derivative is asked at the gradient",
)
def conv3x3_relu_lets_positive_gradients_through(picture, filters, bias):
    z = np.zeros((len(filters), picture.shape[0] - 2, picture.shape[1] - 2))
    for patch, i, j in j2_regions(picture):
        z[:, i, j] = np.sum(patch * filters, axis=(1, 2)) + bias

    def backward(d_out):
        dz = np.where(d_out > 0, d_out, 0)  # right: dz = np.where(z > 0, d_out, 0)
        d_picture, d_filters = np.zeros_like(picture), np.zeros_like(filters)
        for patch, i, j in j2_regions(picture):
            for f in range(len(filters)):
                d_filters[f] += dz[f, i, j] * patch
                d_picture[i : i + 3, j : j + 3] += dz[f, i, j] * filters[f]
        return d_picture, d_filters, dz.sum(axis=(1, 2))

    return np.maximum(z, 0), backward


@mutant(
    "conv_bias_as_if_the_maps_stood_last",
    cause="wrong-sum-axis",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 6, 6), (4, 3, 2, 3), (4,)]),
    wrong=("db",),
    note="four filters and maps four pixels wide, so (N, H, W, C) fits as well as (N, C, H, W)",
)
def conv_bias_as_if_the_maps_stood_last(x, w, b):
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = H - HH + 1, W - WW + 1
    out = np.zeros((N, F, H_out, W_out))
    for f in range(F):
        for i in range(H_out):
            for j in range(W_out):
                out[:, f, i, j] = np.sum(x[:, :, i : i + HH, j : j + WW] * w[f], axis=(1, 2, 3)) + b[f]

    def backward(dout):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        db = np.sum(dout, axis=(0, 1, 2))  # right: db = np.sum(dout, axis=(0, 2, 3))
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        dw[f] += x[n, :, i : i + HH, j : j + WW] * dout[n, f, i, j]
                        dx[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
        return dx, dw, db

    return out, backward


@mutant(
    "im2col_weight_folded_before_it_is_turned",
    cause="permuted-axes",
    also=("transposed",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 2, 7, 6), (3, 2, 3, 2), (3,)]),
    wrong=("dW",),
    note="col.T @ dout has a column for each filter, and as many numbers as the weight",
)
def im2col_weight_folded_before_it_is_turned(x, W, b):
    """Stride 2."""
    FN, C, FH, FW = W.shape
    out_h, out_w = (x.shape[2] - FH) // 2 + 1, (x.shape[3] - FW) // 2 + 1
    col = im2col(x, FH, FW, 2)
    col_W = W.reshape(FN, -1).T
    out = (col @ col_W + b).reshape(len(x), out_h, out_w, FN).transpose(0, 3, 1, 2)

    def backward(dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        dW = col.T @ dout
        dW = dW.reshape(FN, C, FH, FW)  # right: dW = dW.T.reshape(FN, C, FH, FW)
        dx = col2im(dout @ col_W.T, x.shape, FH, FW, 2)
        return dx, dW, dout.sum(axis=0)

    return out, backward


def j2_maps(rng):
    """Maps (N, C, H, W), and gamma and beta of each channel."""
    return 2 * rng.standard_normal((3, 4, 2, 5)) - 1, rng.standard_normal(4), rng.standard_normal(4)


@mutant(
    "spatial_batchnorm_rows_poured_back_into_maps",
    cause="permuted-axes",
    inputs=j2_maps,
    wrong=("dx",),
    note="a row for every pixel, a column for every channel: the channels stand last until they are moved",
)
def spatial_batchnorm_rows_poured_back_into_maps(x, gamma, beta):
    """Every pixel of every picture is a row, and then it is the batch norm of the dense layer."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    centred = rows - rows.mean(axis=0)
    std = np.sqrt(np.mean(centred**2, axis=0) + 1e-5)
    normed = centred / std
    out = (gamma * normed + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        drows = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(drows * normed, axis=0), np.sum(drows, axis=0)
        d = drows * gamma
        d = (d - d.mean(axis=0) - normed * np.mean(d * normed, axis=0)) / std
        dx = d.reshape(N, C, H, W)  # right: dx = d.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "upsampling_goes_back_as_average_pooling",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((2, 3, 2, 4)),),
    wrong=("dx",),
    note="the pixel is copied, not shared out",
)
def upsampling_goes_back_as_average_pooling(x):
    """Each pixel becomes a block, three high and two wide."""
    N, C, H, W = x.shape
    big = x.repeat(3, axis=2).repeat(2, axis=3)

    def backward(dbig):
        blocks = dbig.reshape(N, C, H, 3, W, 2)
        return blocks.mean(axis=(3, 5))  # right: return blocks.sum(axis=(3, 5))

    return big, backward


@mutant(
    "total_variation_pushes_both_neighbours_up",
    cause="wrong-sign",
    inputs=lambda rng: (rng.standard_normal((5, 4, 3)),),
    wrong=("dimg",),
    note="the pixel that is subtracted gets minus the gradient",
)
def total_variation_pushes_both_neighbours_up(img):
    """Squared steps from each pixel of (H, W, 3) to the next one down and to the right."""
    tv_weight = 0.3
    down = img[1:] - img[:-1]
    right = img[:, 1:] - img[:, :-1]
    loss = tv_weight * (np.sum(down**2) + np.sum(right**2))

    def backward(dloss):
        g_down, g_right = 2 * tv_weight * dloss * down, 2 * tv_weight * dloss * right
        dimg = np.zeros_like(img)
        dimg[1:] += g_down
        dimg[:-1] -= g_down
        dimg[:, 1:] += g_right
        dimg[:, :-1] += g_right  # right: dimg[:, :-1] -= g_right
        return dimg

    return loss, backward


def j2_untied(rng):
    """Maps (N, C, H, W) of which no two pixels are nearly equal."""
    return (rng.permutation(2 * 2 * 7 * 5).reshape(2, 2, 7, 5) / 50.0 - 1,)


@mutant(
    "overlapping_max_pool_last_window_wins",
    cause="sum-missing",
    inputs=j2_untied,
    wrong=("dx",),
    note="windows of three at a stride of two share a row and a column",
)
def overlapping_max_pool_last_window_wins(x):
    N, C, H, W = x.shape
    size, stride = 3, 2
    H_out, W_out = (H - size) // stride + 1, (W - size) // stride + 1
    out = np.zeros((N, C, H_out, W_out))
    for h in range(H_out):
        for w in range(W_out):
            window = x[:, :, h * stride : h * stride + size, w * stride : w * stride + size]
            out[:, :, h, w] = window.max(axis=(2, 3))

    def backward(dout):
        dx = np.zeros_like(x)
        for n in range(N):
            for c in range(C):
                for h in range(H_out):
                    for w in range(W_out):
                        rows = slice(h * stride, h * stride + size)
                        columns = slice(w * stride, w * stride + size)
                        mask = x[n, c, rows, columns] == out[n, c, h, w]
                        # right: dx[n, c, rows, columns] += mask * dout[n, c, h, w]
                        dx[n, c, rows, columns] = mask * dout[n, c, h, w]
        return dx

    return out, backward
