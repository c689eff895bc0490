"""Small models that own weights, from homework: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, sigmoid, stable_softmax


class H3Tagger(Module):
    """Sentences come and go with the batch first, the loop has the time first."""

    def __init__(self, rng):
        self.Wx, self.Wh, self.b = parameter(rng, 3, 5), parameter(rng, 5, 5), parameter(rng, 5)
        self.Wy, self.by = parameter(rng, 5, 6), parameter(rng, 6)

    def forward(self, x):
        N, T, _ = x.shape
        xs = x.transpose(1, 0, 2)
        hs = np.zeros((T + 1, N, 5))
        for t in range(T):
            hs[t + 1] = np.tanh(xs[t] @ self.Wx.data + hs[t] @ self.Wh.data + self.b.data)
        states = hs[1:].transpose(1, 0, 2)
        scores = states @ self.Wy.data + self.by.data

        def backward(dscores):
            self.Wy.grad += np.einsum("nth,ntc->hc", states, dscores)
            self.by.grad += dscores.sum(axis=(0, 1))
            dstates = dscores @ self.Wy.data.T
            dhs = dstates.reshape(T, N, 5)  # right: dhs = dstates.transpose(1, 0, 2)
            dxs, dh = np.zeros((T, N, 3)), np.zeros((N, 5))
            for t in reversed(range(T)):
                da = (dhs[t] + dh) * (1 - hs[t + 1] ** 2)
                self.Wx.grad += xs[t].T @ da
                self.Wh.grad += hs[t].T @ da
                self.b.grad += da.sum(axis=0)
                dxs[t], dh = da @ self.Wx.data.T, da @ self.Wh.data.T
            return dxs.transpose(1, 0, 2).copy()

        return scores, backward


mutant(
    "tagger_states_made_time_first_by_reshape",
    cause="permuted-axes",
    inputs=lambda rng: (rng.standard_normal((2, 4, 3)),),
    wrong=("dx", "dWx", "dWh", "db"),
)(build(H3Tagger))


class H3WordModel(Module):
    """An Elman network that guesses the next word; the loss is a mean over the words that are there."""

    def __init__(self, rng):
        self.E, self.Wx, self.Wh = parameter(rng, 6, 3), parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.b, self.V, self.c = parameter(rng, 4), parameter(rng, 4, 6), parameter(rng, 6)

    def forward(self, words, following):
        N, T = words.shape
        mask = following > 0
        h, probs, loss = [np.zeros((N, 4))], [], 0.0
        for t in range(T):
            h.append(np.tanh(self.E.data[words[:, t]] @ self.Wx.data + h[t] @ self.Wh.data + self.b.data))
            probs.append(stable_softmax(h[-1] @ self.V.data + self.c.data))
            loss -= np.sum(mask[:, t] * np.log(probs[t][np.arange(N), following[:, t]]))
        loss /= mask.sum()

        def backward(dloss):
            dh = np.zeros((N, 4))
            for t in reversed(range(T)):
                dscores = probs[t].copy()
                dscores[np.arange(N), following[:, t]] -= 1
                dscores *= mask[:, t, None]
                dscores *= dloss / (N * T)  # right: dscores *= dloss / mask.sum()
                self.V.grad += h[t + 1].T @ dscores
                self.c.grad += dscores.sum(axis=0)
                da = (dscores @ self.V.data.T + dh) * (1 - h[t + 1] ** 2)
                self.Wx.grad += self.E.data[words[:, t]].T @ da
                self.Wh.grad += h[t].T @ da
                self.b.grad += da.sum(axis=0)
                np.add.at(self.E.grad, words[:, t], da @ self.Wx.data.T)
                dh = da @ self.Wh.data.T
            return None, None

        return loss, backward


def h3_sentences(rng):
    """Three sentences of 5, 4 and 2 words, each with the word that follows; 0 is padding."""
    mask = np.arange(5) < np.array([[5], [4], [2]])
    return rng.integers(1, 6, (3, 5)) * mask, rng.integers(1, 6, (3, 5)) * mask


mutant(
    "word_model_gradient_is_a_mean_over_padding_too",
    cause="wrong-count",
    inputs=h3_sentences,
    wrong=("dE", "dWx", "dWh", "db", "dV", "dc"),
)(build(H3WordModel))


class H3Highway(Module):
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
)(build(H3Highway))
