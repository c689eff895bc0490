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


def softmax_2(scores):
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def draw_2(*shapes):
    """Inputs of these shapes, none of them zero."""
    return lambda rng: tuple(0.8 * rng.standard_normal(s) for s in shapes)


def draw_3(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


def average_inputs(rng):
    return (rng.standard_normal((2, 3, 6, 4)),)


def draw_4(*shapes):
    """Inputs of these shapes."""
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def draw_5(*shapes):
    """Inputs of these shapes, small enough that no tanh is flat."""
    return lambda rng: tuple(0.7 * rng.standard_normal(shape) for shape in shapes)


def elman(x, h, W, U, b):
    """The states at every step of (T, N, D), and the way back, for either direction."""
    states = [h]
    for x_t in x:
        states.append(np.tanh(x_t @ W + states[-1] @ U + b))

    def backward(dstates):
        dx, dh, dW, dU, db = (np.zeros_like(p) for p in (x, h, W, U, b))
        for t in reversed(range(len(x))):
            da = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
            dx[t], dh = da @ W.T, da @ U.T
            dW += x[t].T @ da
            dU += states[t].T @ da
            db += da.sum(axis=0)
        return dx, dh, dW, dU, db

    return np.array(states[1:]), backward


def labelled_rows(rng):
    """Rows (N, 4) and one of three classes for each."""
    return rng.standard_normal((6, 4)), np.array([0, 2, 1, 1, 0, 2])


def softmax_3(a):
    e = np.exp(a - np.max(a, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def draw_6(*shapes):
    """Inputs of these shapes."""
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def arrays_2(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


def elman_2(x, h0, W, U, b):
    """One direction of one layer over x (T, N, D), weights (D, H) and (H, H); the states, and the way back."""
    hs = [h0]
    for x_t in x:
        hs.append(np.tanh(x_t @ W + hs[-1] @ U + b))

    def backward(dhs):
        dx, dW, dU, db, dh = (np.zeros_like(a) for a in (x, W, U, b, h0))
        for t in reversed(range(len(x))):
            da = (dhs[t] + dh) * (1 - hs[t + 1] ** 2)
            dx[t] = da @ W.T
            dW += x[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(axis=0)
            dh = da @ U.T
        return dx, dh, dW, dU, db

    return np.array(hs[1:]), backward


def softmax_back(p, dp):
    """Of a softmax over the last axis."""
    return p * (dp - np.sum(p * dp, axis=-1, keepdims=True))


def shapes_2(*shapes, scale=0.8):
    """A function that draws inputs of these shapes."""
    return lambda rng: tuple(scale * rng.standard_normal(s) for s in shapes)


def softmax_4(a):
    e = np.exp(a - np.max(a, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def draw_7(*shapes):
    """Inputs of these shapes."""
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def normal_2(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


def elman_3(x, h0, Wx, Wh, b):
    """One layer over x (T, N, D); its states, and the way back."""
    h = np.zeros((len(x) + 1, *h0.shape))
    h[0] = h0
    for t in range(len(x)):
        h[t + 1] = np.tanh(x[t] @ Wx + h[t] @ Wh + b)

    def backward(dout):
        da, dh = np.zeros_like(dout), np.zeros_like(h0)
        for t in reversed(range(len(x))):
            da[t] = (dout[t] + dh) * (1 - h[t + 1] ** 2)
            dh = da[t] @ Wh.T
        dWx, dWh = np.einsum("tnd,tnh->dh", x, da), np.einsum("tnk,tnh->kh", h[:-1], da)
        return da @ Wx.T, dh, dWx, dWh, da.sum(axis=(0, 1))

    return h[1:].copy(), backward


def arrays_3(*shapes):
    """A function that draws arrays of these shapes."""
    return lambda rng: tuple(0.8 * rng.standard_normal(shape) for shape in shapes)


def memory_2(x, h0, c0, W, U, b):
    """An LSTM over x (T, N, D), gates i f o g side by side; all states, the last cell, and the way back."""
    T, H = len(x), h0.shape[1]
    h, c, kept, hs = h0, c0, [], []
    for t in range(T):
        z = x[t] @ W + h @ U + b
        i, f, o = np.split(sigmoid(z[:, : 3 * H]), 3, axis=1)
        g = np.tanh(z[:, 3 * H :])
        c_new = f * c + i * g
        kept.append((h, c, i, f, o, g, np.tanh(c_new)))
        h, c = o * np.tanh(c_new), c_new
        hs.append(h)

    def backward(dhs, dh, dc):
        dx, dW, dU, db = (np.zeros_like(a) for a in (x, W, U, b))
        for t in reversed(range(T)):
            h_old, c_old, i, f, o, g, tc = kept[t]
            dh = dh + dhs[t]
            dc = dc + dh * o * (1 - tc**2)
            dz = np.hstack([dc * g * i * (1 - i), dc * c_old * f * (1 - f), dh * tc * o * (1 - o), dc * i * (1 - g**2)])
            dx[t] = dz @ W.T
            dW += x[t].T @ dz
            dU += h_old.T @ dz
            db += dz.sum(axis=0)
            dh, dc = dz @ U.T, dc * f
        return dx, dh, dc, dW, dU, db

    return np.array(hs), c, backward


def arrays_4(*shapes):
    """Draws arrays of these shapes."""
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


rows_matrix_bias = arrays_4((6, 4), (4, 3), (3,))


def square_affine_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4)


def hidden_layer(rng):
    return rng.standard_normal((4, 5)), rng.standard_normal((6, 5)), rng.standard_normal((3, 6))


def matrix(rng):
    return (rng.standard_normal((3, 4)),)


def column_network(rng):
    """Examples in columns (D, N); matrices and columns of biases of two layers."""
    return tuple(rng.standard_normal(s) for s in [(3, 5), (4, 3), (4, 1), (2, 4), (2, 1)])


def sigmoid_prime(z):
    """Of what goes into the sigmoid."""
    return sigmoid(z) * (1 - sigmoid(z))


def normal(*shapes, scale=1.0):
    """Draws arrays of these shapes."""
    return lambda rng: tuple(scale * rng.standard_normal(s) for s in shapes)


def autoencoder_latent(rng):
    """Data (N, D), matrix and bias of the code (H), matrix and bias of the data."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(5, 6), (6, 4), (4,), (4, 6), (6,)])


def vae_pieces(rng):
    D, Z = 5, 2
    x = rng.random((4, D))
    return x, *(0.6 * rng.standard_normal(s) for s in [(D, Z), (D, Z), (Z, D), (D,)])


def pick(p, y):
    """Of each row of the last axis, the number of the right class."""
    return np.take_along_axis(p, y[..., None], axis=-1)[..., 0]


def minus_one_hot(p, y):
    """p minus 1 at the right class."""
    return p - (np.arange(p.shape[-1]) == y[..., None])


def softmax_rows(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sentences_2_recurrent(rng):
    """Words (N, T, D), a state (N, H), the weights (D, H), (H, H) and a bias (H,)."""
    N, T, D, H = 3, 5, 4, 6
    return draw_2((N, T, D), (N, H), (D, H), (H, H), (H,))(rng)
