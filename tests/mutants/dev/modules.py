"""Layers and small models that own weights, and weights that are used twice: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter


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


class Scale(Module):
    """y = x * w, feature by feature."""

    def __init__(self, rng):
        self.w = parameter(rng, 4)

    def forward(self, x):
        def backward(dy):
            dw = (dy * x).sum(axis=0)
            self.w.grad[...] = dw  # right: self.w.grad[...] += dw
            return dy * self.w.data

        return x * self.w.data, backward


mutant("scale_module_forgets_what_was_there", cause="grad-overwritten", inputs=features)(build(Scale))
