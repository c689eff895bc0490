"""Layers and models that own weights, over time: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, parameter, stable_softmax


class Tagger(Module):
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
)(build(Tagger))


class WordModel(Module):
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


def sentences_2(rng):
    """Three sentences of 5, 4 and 2 words, each with the word that follows; 0 is padding."""
    mask = np.arange(5) < np.array([[5], [4], [2]])
    return rng.integers(1, 6, (3, 5)) * mask, rng.integers(1, 6, (3, 5)) * mask


mutant(
    "word_model_gradient_is_a_mean_over_padding_too",
    cause="wrong-count",
    inputs=sentences_2,
    wrong=("dE", "dWx", "dWh", "db", "dV", "dc"),
)(build(WordModel))


class TwoStoreys(Module):
    """Two Elman networks; the upper one reads the states of the lower one."""

    def __init__(self, rng):
        self.W0, self.U0, self.b0 = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 4)
        self.W1, self.U1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5, 5), parameter(rng, 5)

    def run(self, x, W, U, b):
        states = [np.zeros((x.shape[1], len(b.data)))]
        for x_t in x:
            states.append(np.tanh(x_t @ W.data + states[-1] @ U.data + b.data))

        def backward(dstates):
            dx, dh = np.zeros_like(x), np.zeros_like(states[0])
            for t in range(len(x) - 1, -1, -1):
                dz = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
                W.grad += x[t].T @ dz
                U.grad += states[t].T @ dz
                b.grad += dz.sum(axis=0)
                dx[t], dh = dz @ W.data.T, dz @ U.data.T
            return dx

        return np.array(states[1:]), backward

    def forward(self, x):
        below, below_backward = self.run(x, self.W0, self.U0, self.b0)
        above, above_backward = self.run(below, self.W1, self.U1, self.b1)

        def backward(dabove):
            dstates = above_backward(dabove)
            dbelow = np.zeros_like(below)
            dbelow[-1] = dstates[-1]  # right: dbelow[:] = dstates
            return below_backward(dbelow)

        return above, backward


mutant(
    "two_storeys_joined_at_the_last_step",
    cause="one-step-only",
    inputs=lambda rng: (rng.standard_normal((4, 2, 3)),),
    wrong=("dx", "dW0", "dU0", "db0"),
)(build(TwoStoreys))
