"""Inputs and small functions that mutants of both folders use."""

import numpy as np

from minis2s.nn import Parameter


def queries_keys_values(rng):
    """Two lengths: queries (N, T, D), keys and values (N, S, D)."""
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 4))


def stable_softmax(a):
    e = np.exp(a - np.max(a, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def bilinear_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((3, 5, 4)), rng.standard_normal((4, 4))


def image(rng):
    return (rng.standard_normal((2, 3, 4, 6)),)


def conv_inputs(rng):
    return rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)


def gaussian(rng):
    return rng.standard_normal((4, 3)), rng.standard_normal((4, 3))


NOISE = np.random.default_rng(8).standard_normal((4, 3))


def norm_inputs(rng):
    """A batch (N, D), gamma and beta."""
    return 2 * rng.standard_normal((6, 4)) + 1, rng.standard_normal(4), rng.standard_normal(4)


def dropout_inputs(rng):
    return (rng.standard_normal((4, 6)),)


def classes(rng):
    """Scores (N, C) and the right class (N,)."""
    return 2 * rng.standard_normal((5, 4)), rng.integers(0, 4, 5)


def regression(rng):
    return rng.standard_normal((4, 3)), rng.standard_normal((4, 3))


def features(rng):
    return (rng.standard_normal((5, 4)),)


def parameter(rng, *shape):
    return Parameter(0.7 * rng.standard_normal(shape))


def build(kind):
    return kind(np.random.default_rng(6))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def rnn_inputs(rng):
    N, T, D, H = 2, 4, 3, 5
    return tuple(rng.standard_normal(s) for s in [(N, T, D), (N, H), (D, H), (H, H), (H,)])


def gate_by_gate_inputs(rng):
    N, D, H = 3, 4, 3
    states = [rng.standard_normal(s) for s in [(N, D), (N, H), (N, H)]]
    return (*states, *(rng.standard_normal((D, H)) for _ in "figo"), *(rng.standard_normal((H, H)) for _ in "figo"))


def sequences_of_one_length(rng):
    """Queries, keys and values (N, L, D): batch first."""
    return tuple(rng.standard_normal((2, 4, 6)) for _ in range(3))


def padded_memory(rng):
    """Queries (N, T, D), keys and values (N, S, D), and which keys are words, (N, S)."""
    lengths = np.array([[5], [3], [2]])
    shapes = [(3, 4, 2), (3, 5, 2), (3, 5, 2)]
    return (*(rng.standard_normal(s) for s in shapes), np.arange(5) < lengths)


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


def im2col(x, FH, FW, stride):
    """A row for every place of the window (N OH OW), a column for every number in it (C FH FW)."""
    N, C, H, W = x.shape
    OH, OW = (H - FH) // stride + 1, (W - FW) // stride + 1
    col = np.zeros((N, C, FH, FW, OH, OW))
    for i in range(FH):
        for j in range(FW):
            col[:, :, i, j] = x[:, :, i : i + stride * OH : stride, j : j + stride * OW : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, -1)


def col2im(col, shape, FH, FW, stride):
    N, C, H, W = shape
    OH, OW = (H - FH) // stride + 1, (W - FW) // stride + 1
    col = col.reshape(N, OH, OW, C, FH, FW).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros(shape)
    for i in range(FH):
        for j in range(FW):
            img[:, :, i : i + stride * OH : stride, j : j + stride * OW : stride] += col[:, :, i, j]
    return img


def correlate(picture, kernel):
    """Slide a kernel (kh, kw) over one picture (H, W), where it fits."""
    kh, kw = kernel.shape
    out = np.zeros((picture.shape[0] - kh + 1, picture.shape[1] - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(picture[i : i + kh, j : j + kw] * kernel)
    return out


def two_relu_layers(rng):
    """Rows (N, D), matrices and biases of two layers."""
    return tuple(rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 2), (2,)])


def tokens_and_tables(rng):
    """Ids (B, T), a table of words (V, C), and one of places (L, C) that is longer than the sentences."""
    ids = np.array([[2, 5, 2, 1], [0, 3, 5, 5], [4, 1, 0, 2]])
    return ids, rng.standard_normal((6, 3)), rng.standard_normal((5, 3))
