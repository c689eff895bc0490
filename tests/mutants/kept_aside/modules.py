"""Layers and small models that own weights, and weights that are used twice: each with one mistake."""

import numpy as np
from mutants import mutant

from minis2s import functional as F
from minis2s.nn import Linear, Module, Parameter


def features(rng):
    return (rng.standard_normal((5, 4)),)


def tokens(rng):
    return (np.array([[1, 4, 2], [3, 1, 1]]),)


def parameter(rng, *shape):
    return Parameter(0.7 * rng.standard_normal(shape))


def build(kind):
    return kind(np.random.default_rng(6))


@mutant(
    "tied_autoencoder_decoder_only",
    cause="tied-counted-once",
    inputs=lambda rng: (
        rng.random((4, 5)),
        rng.standard_normal((3, 5)),
        rng.standard_normal(3),
        rng.standard_normal(5),
    ),
    wrong=("dW",),
)
def tied_autoencoder_decoder_only(x, W, b, c):
    """The decoder's matrix is the encoder's, transposed."""
    h = 1 / (1 + np.exp(-(x @ W.T + b)))
    out = h @ W + c

    def backward(dout):
        dW_dec = h.T @ dout
        da = dout @ W.T * h * (1 - h)
        dW_enc = da.T @ x
        dW = dW_dec  # right: dW = dW_dec + dW_enc
        assert dW.shape == dW_enc.shape
        return da @ W, dW, da.sum(axis=0), dout.sum(axis=0)

    return out, backward


@mutant(
    "same_step_twice_counted_once",
    cause="tied-counted-once",
    inputs=lambda rng: (rng.standard_normal((3, 4)), rng.standard_normal((4, 4))),
    wrong=("dW",),
)
def same_step_twice_counted_once(x, W):
    """One matrix, applied two times."""
    h1 = np.tanh(x @ W)
    h2 = np.tanh(h1 @ W)

    def backward(dh2):
        da2 = dh2 * (1 - h2**2)
        da1 = da2 @ W.T * (1 - h1**2)
        dW = x.T @ da1  # right: dW = x.T @ da1 + h1.T @ da2
        return da1 @ W.T, dW

    return h2, backward


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


class GatedLinear(Module):
    """y = sigmoid(x V + c) * (x W + b)."""

    def __init__(self, rng):
        self.W, self.V = parameter(rng, 4, 3), parameter(rng, 4, 3)
        self.b, self.c = parameter(rng, 3), parameter(rng, 3)

    def forward(self, x):
        gate = 1 / (1 + np.exp(-(x @ self.V.data + self.c.data)))
        value = x @ self.W.data + self.b.data

        def backward(dy):
            dvalue, dgate = dy * gate, dy * value * gate * (1 - gate)
            self.W.grad += x.T @ dvalue
            self.V.grad += x.T @ dgate
            self.b.grad += dvalue.sum(axis=0)
            # missing: self.c.grad += dgate.sum(axis=0)
            return dvalue @ self.W.data.T + dgate @ self.V.data.T

        return gate * value, backward


mutant("gated_module_forgets_a_bias", cause="zero-gradient", inputs=features, wrong=("dc",))(build(GatedLinear))


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


class StateIntoEveryStep(Module):
    """A decoder that reads the encoder's last state as its start, and beside the input of every step."""

    def __init__(self, rng):
        self.W, self.U, self.C = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 4, 4)

    def forward(self, x, context):
        W, U, C = self.W.data, self.U.data, self.C.data
        states = [context]
        for x_t in x:
            states.append(np.tanh(x_t @ W + states[-1] @ U + context @ C))

        def backward(dstates):
            dx, dh, dcontext = np.zeros_like(x), np.zeros_like(context), np.zeros_like(context)
            for t in reversed(range(len(x))):
                da = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
                self.W.grad += x[t].T @ da
                self.U.grad += states[t].T @ da
                self.C.grad += context.T @ da
                dx[t], dh = da @ W.T, da @ U.T
                # missing: dcontext += da @ C.T
            return dx, dcontext + dh

        return np.stack(states[1:]), backward


mutant(
    "decoder_context_only_as_its_start",
    cause="branch-missing",
    inputs=lambda rng: (rng.standard_normal((4, 2, 3)), rng.standard_normal((2, 4))),
    wrong=("dcontext",),
)(build(StateIntoEveryStep))
