"""Layers and small models that own weights, and weights that are used twice: each with one mistake."""

import numpy as np

from minis2s import functional as F
from minis2s.nn import Linear, Module
from mutants import mutant
from mutants.shared import build, features, parameter


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
