"""Layers and small models that own weights: each with one mistake."""

import numpy as np

from minis2s import functional as F
from minis2s.nn import Linear, Module
from mutants import mutant
from mutants.shared import build, features, parameter, plain_conv, sigmoid, stable_softmax


class Highway(Module):
    """The gate opens for the layer as far as it shuts for the input itself."""

    def __init__(self, rng):
        self.Wh, self.bh = parameter(rng, 4, 4), parameter(rng, 4)
        self.Wt, self.bt = parameter(rng, 4, 4), parameter(rng, 4)

    def forward(self, x):
        h = np.tanh(x @ self.Wh.data + self.bh.data)
        t = sigmoid(x @ self.Wt.data + self.bt.data)
        y = h * t + x * (1 - t)

        def backward(dy):
            dh = dy * t
            dt = dy * h  # right: dt = dy * h - dy * x
            dah = dh * (1 - h**2)
            dat = dt * t * (1 - t)
            self.Wh.grad += x.T @ dah
            self.bh.grad += dah.sum(axis=0)
            self.Wt.grad += x.T @ dat
            self.bt.grad += dat.sum(axis=0)
            return dah @ self.Wh.data.T + dat @ self.Wt.data.T + dy * (1 - t)

        return y, backward


mutant(
    "highway_gate_only_opens",
    cause="branch-missing",
    inputs=features,
    wrong=("dx", "dWt", "dbt"),
    note="that it shuts for the input is left out",
)(build(Highway))


class SoftmaxRegression(Module):
    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, x):
        scores = x.dot(self.W.data) + self.b.data
        probs = stable_softmax(scores)

        def backward(dprobs):
            inner = (dprobs * probs).sum(axis=1, keepdims=True)
            dscores = probs * (dprobs - inner)
            self.W.grad = x.T.dot(dscores)  # right: self.W.grad += x.T.dot(dscores)
            self.b.grad += dscores.sum(axis=0)
            return dscores.dot(self.W.data.T)

        return probs, backward


mutant(
    "softmax_regression_sets_the_gradient_of_its_matrix",
    cause="grad-overwritten",
    inputs=features,
    note="nobody notices while every step begins with zero_grad",
)(build(SoftmaxRegression))


class ThreeLayers(Module):
    """Both hidden layers are equally wide."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 6), parameter(rng, 6)
        self.W3, self.b3 = parameter(rng, 6, 2), parameter(rng, 2)

    def forward(self, x):
        h1 = np.maximum(0, np.dot(x, self.W1.data) + self.b1.data)
        h2 = np.maximum(0, np.dot(h1, self.W2.data) + self.b2.data)
        scores = np.dot(h2, self.W3.data) + self.b3.data

        def backward(dscores):
            self.W3.grad += np.dot(h2.T, dscores)
            self.b3.grad += np.sum(dscores, axis=0)
            dh2 = np.dot(dscores, self.W3.data.T)
            dh2[h2 <= 0] = 0
            self.W2.grad += np.dot(h1.T, dh2)
            self.b2.grad += np.sum(dh2, axis=0)
            dh1 = np.dot(dh2, self.W2.data.T)
            dh1[h2 <= 0] = 0  # right: dh1[h1 <= 0] = 0
            self.W1.grad += np.dot(x.T, dh1)
            self.b1.grad += np.sum(dh1, axis=0)
            return np.dot(dh1, self.W1.data.T)

        return scores, backward


mutant(
    "three_layers_relu_line_pasted_with_its_h2",
    cause="derivative-at-preactivation",
    inputs=features,
    wrong=("dx", "dW1", "db1"),
)(build(ThreeLayers))


class Perceptron(Module):
    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x):
        h = sigmoid(x @ self.W1.data + self.b1.data)
        y = h @ self.W2.data + self.b2.data

        def backward(dy):
            self.W2.grad += h.T @ dy
            self.b2.grad += dy.sum(axis=0)
            dz = dy @ self.W2.data.T * h * (1 - h)
            self.W1.grad += x.T @ dz
            self.b1.grad += dz.sum()  # right: self.b1.grad += dz.sum(axis=0)
            return dz @ self.W1.data.T

        return y, backward


mutant(
    "perceptron_hidden_biases_get_one_number",
    cause="wrong-sum-axis",
    inputs=features,
    wrong=("db1",),
    note="`+=` broadcasts the number, so no shape complains",
)(build(Perceptron))


class BatchNormNet(Module):
    """Affine, batch norm, ReLU, affine."""

    def __init__(self, rng):
        self.W1, self.W2, self.b2 = parameter(rng, 4, 5), parameter(rng, 5, 3), parameter(rng, 3)
        self.gamma, self.beta = parameter(rng, 5), parameter(rng, 5)

    def forward(self, x):
        N = x.shape[0]
        a = x @ self.W1.data
        xc = a - a.mean(axis=0)
        std = np.sqrt(np.mean(xc**2, axis=0) + 1e-5)
        xn = xc / std
        bn = self.gamma.data * xn + self.beta.data
        h = np.maximum(bn, 0)

        def backward(dout):
            self.W2.grad += h.T @ dout
            self.b2.grad += dout.sum(axis=0)
            dbn = dout @ self.W2.data.T * (bn > 0)
            self.beta.grad += dbn.sum(axis=0)
            self.gamma.grad += np.sum(xn * dbn, axis=0)
            dxn = dbn  # right: dxn = self.gamma.data * dbn
            dstd = -np.sum(dxn * xc / (std * std), axis=0)
            dxc = dxn / std + xc * (dstd / std) / N
            da = dxc - np.sum(dxc, axis=0) / N
            self.W1.grad += x.T @ da
            return da @ self.W1.data.T

        return h @ self.W2.data + self.b2.data, backward


mutant(
    "batch_norm_net_goes_back_without_the_gain",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((7, 4)),),
    wrong=("dx", "dW1"),
    note="gamma begins as ones, where it makes no difference",
)(build(BatchNormNet))


def conv_backward(dz, x, w):
    """Of `plain_conv` without padding: gradients of pictures and kernels."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    H, W = dz.shape[2:]
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            dx[:, :, i : i + H, j : j + W] += np.einsum("nfhw,fc->nchw", dz, w[:, :, i, j])
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dz, x[:, :, i : i + H, j : j + W])
    return dx, dw


def pictures_2(rng):
    return (rng.standard_normal((3, 2, 5, 6)),)


class AveragedMaps(Module):
    """A convolution, a ReLU, the mean of each map, a linear layer."""

    def __init__(self, rng):
        self.K, self.c = parameter(rng, 4, 2, 3, 3), parameter(rng, 4)
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, x):
        z = plain_conv(x, self.K.data, 0) + self.c.data[:, None, None]
        maps = np.maximum(z, 0)
        pooled = maps.mean(axis=(2, 3))
        scores = pooled @ self.W.data + self.b.data

        def backward(dscores):
            self.W.grad += pooled.T @ dscores
            self.b.grad += dscores.sum(axis=0)
            dpooled = dscores @ self.W.data.T
            # right: dmaps = np.ones_like(maps) * dpooled[:, :, None, None] / (maps.shape[2] * maps.shape[3])
            dmaps = np.ones_like(maps) * dpooled[:, :, None, None]
            dz = dmaps * (z > 0)
            self.c.grad += dz.sum(axis=(0, 2, 3))
            dx, dK = conv_backward(dz, x, self.K.data)
            self.K.grad += dK
            return dx

        return scores, backward


mutant(
    "conv_classifier_every_pixel_is_the_whole_mean",
    cause="wrong-count",
    inputs=pictures_2,
    wrong=("dx", "dK", "dc"),
)(build(AveragedMaps))


class FlattenedMaps(Module):
    """A convolution, a tanh, and a linear layer that reads the maps pixel by pixel."""

    def __init__(self, rng):
        self.K, self.c = parameter(rng, 4, 2, 3, 2), parameter(rng, 4)
        self.W, self.b = parameter(rng, 60, 3), parameter(rng, 3)

    def forward(self, x):
        z = np.zeros((len(x), 4, 3, 5))
        for i in range(3):
            for j in range(2):
                z += np.einsum("nchw,fc->nfhw", x[:, :, i : i + 3, j : j + 5], self.K.data[:, :, i, j])
        maps = np.tanh(z + self.c.data.reshape(1, -1, 1, 1))
        flat = maps.transpose(0, 2, 3, 1).reshape(len(x), -1)
        scores = np.dot(flat, self.W.data) + self.b.data

        def backward(dscores):
            self.W.grad += np.dot(flat.T, dscores)
            self.b.grad += np.sum(dscores, axis=0)
            dflat = np.dot(dscores, self.W.data.T)
            dmaps = dflat.reshape(maps.shape)  # right: dmaps = dflat.reshape(len(x), 3, 5, 4).transpose(0, 3, 1, 2)
            dz = dmaps * (1 - maps**2)
            self.c.grad += np.sum(dz, axis=(0, 2, 3))
            dx, dK = conv_backward(dz, x, self.K.data)
            self.K.grad += dK
            return dx

        return scores, backward


mutant(
    "conv_classifier_unflattens_to_channels_first",
    cause="permuted-axes",
    inputs=pictures_2,
    wrong=("dx", "dK", "dc"),
    note="the weights came from a library with the channels last, and so the maps are turned before they are flat",
)(build(FlattenedMaps))


class AttentionBlock(Module):
    """One head of self-attention with a residual connection, sentence by sentence (B, T, D)."""

    def __init__(self, rng):
        self.Wq, self.Wk = parameter(rng, 4, 3), parameter(rng, 4, 3)
        self.Wv, self.Wo = parameter(rng, 4, 4), parameter(rng, 4, 4)

    def forward(self, x):
        q, k, v = x @ self.Wq.data, x @ self.Wk.data, x @ self.Wv.data
        att = stable_softmax(q @ k.transpose(0, 2, 1) / np.sqrt(3))
        ctx = att @ v
        y = x + ctx @ self.Wo.data

        def backward(dy):
            dctx = dy @ self.Wo.data.T
            for n in range(len(x)):
                self.Wo.grad += dy[n].T @ ctx[n]  # right: self.Wo.grad += ctx[n].T @ dy[n]
            datt = dctx @ v.transpose(0, 2, 1)
            ds = att * (datt - (att * datt).sum(axis=-1, keepdims=True)) / np.sqrt(3)
            dq, dk, dv = ds @ k, ds.transpose(0, 2, 1) @ q, att.transpose(0, 2, 1) @ dctx
            for n in range(len(x)):
                self.Wq.grad += x[n].T @ dq[n]
                self.Wk.grad += x[n].T @ dk[n]
                self.Wv.grad += x[n].T @ dv[n]
            return dy + dq @ self.Wq.data.T + dk @ self.Wk.data.T + dv @ self.Wv.data.T

        return y, backward


mutant(
    "attention_block_output_matrix_by_error_times_context",
    cause="transposed",
    inputs=lambda rng: (rng.standard_normal((2, 5, 4)),),
    wrong=("dWo",),
    note="the line of a layer that multiplies from the left",
)(build(AttentionBlock))


def tokens(rng):
    return (np.array([[1, 4, 2], [3, 1, 1]]),)


class TiedLanguageModel(Module):
    """The table of word vectors is the matrix of the output too."""

    def __init__(self, rng):
        self.table = parameter(rng, 6, 4)
        self.hidden = parameter(rng, 4, 4)

    def forward(self, ids):
        e, embedding_backward = F.embedding(ids, self.table.data)
        h = np.tanh(e @ self.hidden.data)
        logits = h @ self.table.data.T

        def backward(dlogits):
            dh = dlogits @ self.table.data
            da = dh * (1 - h**2)
            _, dtable = embedding_backward(da @ self.hidden.data.T)
            self.table.grad += dtable
            # missing: self.table.grad += np.einsum("ntv,nth->vh", dlogits, h)
            self.hidden.grad += np.einsum("nti,ntj->ij", e, da)

        return logits, backward


mutant("tied_language_model_input_only", cause="tied-counted-once", inputs=tokens, wrong=("dtable",))(
    build(TiedLanguageModel)
)


class TwoLayers(Module):
    def __init__(self, rng):
        self.l1 = Linear(4, 6, rng=rng)
        self.l2 = Linear(6, 3, rng=rng)

    def forward(self, x):
        a, l1_backward = self.l1(x)
        y, l2_backward = self.l2(np.maximum(a, 0))

        def backward(dy):
            da = l2_backward(dy)
            # missing: da = da * (a > 0)
            return l1_backward(da)

        return y, backward


mutant(
    "two_layer_module_without_relu_backward",
    cause="activation-derivative-missing",
    inputs=features,
    wrong=("dx", "dl1.weight", "dl1.bias"),
)(build(TwoLayers))


class Dense(Module):
    def __init__(self, rng):
        self.kernel, self.bias = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, x):
        y = np.tanh(x @ self.kernel.data + self.bias.data)

        def backward(dy):
            da = dy * (1 - y**2)
            self.kernel.grad[:] = x.T @ da  # right: self.kernel.grad[:] += x.T @ da
            self.bias.grad[:] = da.sum(axis=0)  # right: self.bias.grad[:] += da.sum(axis=0)
            return da @ self.kernel.data.T

        return y, backward


mutant("dense_module_assigns_its_gradients", cause="grad-overwritten", inputs=features)(build(Dense))
