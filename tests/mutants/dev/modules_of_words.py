"""Modules that read words, letters, pairs: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, parameter, stable_softmax


class SkipGram(Module):
    """Word vectors by negative sampling: the word beside is told from words drawn at random."""

    def __init__(self, rng):
        self.inside, self.outside = parameter(rng, 7, 4), parameter(rng, 7, 4)

    def forward(self, centre, beside, noise):
        ids = np.concatenate([beside[:, None], noise], axis=1)
        sign = np.ones(ids.shape)
        sign[:, 1:] = -1
        v, u = self.inside.data[centre], self.outside.data[ids]
        score = sign * np.sum(u * v[:, None], axis=2)
        loss = np.sum(np.log(1 + np.exp(-score)))

        def backward(dloss):
            dscore = -dloss * sign / (1 + np.exp(score))
            np.add.at(self.inside.grad, centre, np.sum(dscore[:, :, None] * u, axis=1))
            du = dscore[:, :, None] * v[:, None]
            self.outside.grad[ids] += du  # right: np.add.at(self.outside.grad, ids, du)
            return None, None, None

        return loss, backward


def windows(rng):
    """Five words, the one beside each, and three others; some are drawn more than once."""
    return np.array([2, 0, 5, 2, 1]), np.array([0, 2, 3, 6, 2]), rng.integers(0, 7, (5, 3))


mutant("skip_gram_noise_drawn_twice_counts_once", cause="repeated-ids-assigned", inputs=windows, wrong=("doutside",))(
    build(SkipGram)
)


class Siamese(Module):
    """The same layer sees two signatures; those of one hand should be near, those of two at least a margin apart."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, first, second, same):
        f1 = np.tanh(first @ self.W.data + self.b.data)
        f2 = np.tanh(second @ self.W.data + self.b.data)
        diff = f1 - f2
        dist = np.sqrt(np.sum(diff**2, axis=1))
        gap = np.maximum(2.5 - dist, 0)
        loss = np.mean(same * dist**2 + (1 - same) * gap**2)

        def backward(dloss):
            ddist = dloss * (2 * same * dist - 2 * (1 - same) * gap) / len(same)
            ddiff = (ddist / dist)[:, None] * diff
            df1, df2 = ddiff, ddiff  # right: df1, df2 = ddiff, -ddiff
            dz1, dz2 = df1 * (1 - f1**2), df2 * (1 - f2**2)
            self.W.grad += first.T @ dz1 + second.T @ dz2
            self.b.grad += (dz1 + dz2).sum(axis=0)
            return dz1 @ self.W.data.T, dz2 @ self.W.data.T, None

        return loss, backward


def signatures(rng):
    return rng.standard_normal((5, 4)), rng.standard_normal((5, 4)), np.array([1, 0, 1, 0, 0])


mutant(
    "siamese_both_twins_pulled_the_same_way",
    cause="wrong-sign",
    inputs=signatures,
    wrong=("dsecond", "dW", "db"),
)(build(Siamese))


class ContinuousBagOfWords(Module):
    """The mean of the words around foretells the one in the middle."""

    def __init__(self, rng):
        self.W_in, self.W_out = parameter(rng, 8, 5), parameter(rng, 5, 8)

    def forward(self, contexts, target):
        N, window = contexts.shape
        h = 0
        for c in range(window):
            h = h + self.W_in.data[contexts[:, c]]
        h = h / window
        p = stable_softmax(h @ self.W_out.data)
        loss = -np.sum(np.log(p[np.arange(N), target])) / N

        def backward(dloss):
            ds = p.copy()
            ds[np.arange(N), target] -= 1
            ds = ds * dloss / N
            self.W_out.grad += h.T @ ds
            dh = ds @ self.W_out.data.T
            # missing: dh = dh / window
            for c in range(window):
                np.add.at(self.W_in.grad, contexts[:, c], dh)
            return None, None

        return loss, backward


mutant(
    "cbow_each_word_gets_what_the_mean_gets",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.integers(0, 8, (5, 6)), rng.integers(0, 8, 5)),
    wrong=("dW_in",),
)(build(ContinuousBagOfWords))


class NameMaker(Module):
    """Foretells a letter from the three before it; the cross-entropy is taken apart into its smallest steps."""

    def __init__(self, rng):
        self.C = parameter(rng, 7, 2)
        self.W1, self.b1 = parameter(rng, 6, 5), parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 7), parameter(rng, 7)

    def forward(self, Xb, Yb):
        n = len(Xb)
        emb = self.C.data[Xb]
        embcat = emb.reshape(n, -1)
        h = np.tanh(embcat @ self.W1.data + self.b1.data)
        logits = h @ self.W2.data + self.b2.data
        counts = np.exp(logits - logits.max(axis=1, keepdims=True))
        counts_sum = counts.sum(axis=1, keepdims=True)
        probs = counts / counts_sum
        loss = -np.log(probs[range(n), Yb]).mean()

        def backward(dloss):
            dlogprobs = np.zeros_like(probs)
            dlogprobs[range(n), Yb] = -dloss / n
            dprobs = dlogprobs / probs
            dcounts = dprobs / counts_sum
            # missing: dcounts += -(counts_sum**-2) * (counts * dprobs).sum(axis=1, keepdims=True)
            dlogits = counts * dcounts
            self.W2.grad += h.T @ dlogits
            self.b2.grad += dlogits.sum(axis=0)
            dhpreact = (1 - h**2) * (dlogits @ self.W2.data.T)
            self.W1.grad += embcat.T @ dhpreact
            self.b1.grad += dhpreact.sum(axis=0)
            demb = (dhpreact @ self.W1.data.T).reshape(emb.shape)
            for k in range(n):
                for j in range(Xb.shape[1]):
                    self.C.grad[Xb[k, j]] += demb[k, j]
            return None, None

        return loss, backward


mutant(
    "name_maker_forgets_that_counts_make_their_sum",
    cause="softmax-second-term-missing",
    also=("branch-missing",),
    inputs=lambda rng: (rng.integers(0, 7, (6, 3)), rng.integers(0, 7, 6)),
    wrong=("dC", "dW1", "db1", "dW2", "db2"),
    note="the numerator's path alone",
)(build(NameMaker))
