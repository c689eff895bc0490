# ruff: noqa: RUF059 (students unpack every shape)
"""Pictures once more: convolutions, pooling, enlarging and norms of maps, each with one mistake."""

import numpy as np

from mutants import mutant


@mutant(
    "naive_strided_conv_walks_back_in_single_steps",
    cause="off-by-one",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 3, 7, 6), (4, 3, 3, 2), (4,)]),
    wrong=("dx",),
    note="the window was cut out at i * stride, and its gradient is put down at i",
)
def naive_strided_conv_walks_back_in_single_steps(x, w, b):
    """Stride 2, one row and column of padding on every side."""
    stride, pad = 2, 1
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    r, c = i * stride, j * stride
                    out[n, f, i, j] = np.sum(x_pad[n, :, r : r + HH, c : c + WW] * w[f]) + b[f]

    def backward(dout):
        dx_pad, dw = np.zeros_like(x_pad), np.zeros_like(w)
        for n in range(N):
            for f in range(F):
                for i in range(H_out):
                    for j in range(W_out):
                        r, c = i * stride, j * stride
                        dw[f] += dout[n, f, i, j] * x_pad[n, :, r : r + HH, c : c + WW]
                        # right: dx_pad[n, :, r : r + HH, c : c + WW] += dout[n, f, i, j] * w[f]
                        dx_pad[n, :, i : i + HH, j : j + WW] += dout[n, f, i, j] * w[f]
        dx = dx_pad[:, :, pad : pad + H, pad : pad + W].copy()
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return out, backward


def h2_values_apart(rng):
    """Maps (N, C, H, W), no two numbers so near that a small step changes which is the larger."""
    return (rng.permutation(2 * 2 * 5 * 7).reshape(2, 2, 5, 7) / 40 - 1.5,)


@mutant(
    "overlapping_max_pool_winner_is_paid_by_the_last_window",
    cause="sum-missing",
    also=("repeated-ids-assigned",),
    inputs=h2_values_apart,
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


@mutant(
    "conv_as_matrix_product_dout_only_reshaped",
    cause="permuted-axes",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 2, 5, 6), (4, 2, 3, 2), (4,)]),
    wrong=("dx", "dw"),
    note="the filters stand on the second axis of dout, and reshape does not fetch them to the front",
)
def conv_as_matrix_product_dout_only_reshaped(x, w, b):
    """One column for every place of every picture, one row for every filter."""
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out, W_out = H - HH + 1, W - WW + 1
    places = [(i, j) for i in range(H_out) for j in range(W_out)]
    columns = [x[n, :, i : i + HH, j : j + WW].ravel() for n in range(N) for i, j in places]
    x_cols = np.array(columns).T
    w_row = w.reshape(F, -1)
    out = (w_row @ x_cols + b[:, None]).reshape(F, N, H_out, W_out).transpose(1, 0, 2, 3)

    def backward(dout):
        db = np.sum(dout, axis=(0, 2, 3))
        dout_row = dout.reshape(F, -1)  # right: dout_row = dout.transpose(1, 0, 2, 3).reshape(F, -1)
        dw = (dout_row @ x_cols.T).reshape(w.shape)
        dx_cols = (w_row.T @ dout_row).reshape(C, HH, WW, N, len(places))
        dx = np.zeros_like(x)
        for p, (i, j) in enumerate(places):
            dx[:, :, i : i + HH, j : j + WW] += dx_cols[..., p].transpose(3, 0, 1, 2)
        return dx, dw, db

    return out, backward


@mutant(
    "spatial_batchnorm_variance_pushes_the_other_way",
    cause="wrong-sign",
    inputs=lambda rng: (2 * rng.standard_normal((3, 2, 4, 3)) + 1, rng.standard_normal(2), rng.standard_normal(2)),
    wrong=("dx",),
    note="the derivative of v ** -0.5 is -0.5 v ** -1.5",
)
def spatial_batchnorm_variance_pushes_the_other_way(x, gamma, beta):
    """Every map over all pictures and pixels."""
    N, C, H, W = x.shape
    eps = 1e-5
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    M = len(flat)
    mean, var = flat.mean(axis=0), flat.var(axis=0)
    x_hat = (flat - mean) / np.sqrt(var + eps)
    out = (gamma * x_hat + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(dflat * x_hat, axis=0), np.sum(dflat, axis=0)
        dx_hat = dflat * gamma
        # right: dvar = np.sum(dx_hat * (flat - mean) * -0.5 * (var + eps) ** -1.5, axis=0)
        dvar = np.sum(dx_hat * (flat - mean) * 0.5 * (var + eps) ** -1.5, axis=0)
        dmean = np.sum(-dx_hat / np.sqrt(var + eps), axis=0) + dvar * np.mean(-2 * (flat - mean), axis=0)
        dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (flat - mean) / M + dmean / M
        return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta

    return out, backward
