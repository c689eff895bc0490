"""Tables of vectors, and the losses of word vectors: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, softmax_4


def word_and_noise(rng):
    """Vector of the centre word (D,), vectors of the outside words (V, D), ids: the true one, then the noise."""
    return rng.standard_normal(4), rng.standard_normal((7, 4)), np.array([2, 5, 1, 5, 0, 5, 1])


@mutant(
    "word2vec_noise_word_drawn_again_counts_once",
    cause="repeated-ids-assigned",
    inputs=word_and_noise,
    wrong=("doutsideVectors",),
    note="the noise is drawn with replacement",
)
def word2vec_noise_word_drawn_again_counts_once(centerWordVec, outsideVectors, indices):
    """Negative sampling."""
    u = outsideVectors[indices]
    label = np.zeros(len(indices))
    label[0] = 1
    scores = u @ centerWordVec
    loss = -np.log(sigmoid(scores[0])) - np.sum(np.log(sigmoid(-scores[1:])))

    def backward(dloss):
        delta = dloss * (sigmoid(scores) - label)
        gradCenterVec = delta @ u
        gradOutsideVecs = np.zeros_like(outsideVectors)
        # right: np.add.at(gradOutsideVecs, indices, np.outer(delta, centerWordVec))
        gradOutsideVecs[indices] += np.outer(delta, centerWordVec)
        return gradCenterVec, gradOutsideVecs, None

    return loss, backward


def co_occurrences(rng):
    """Vectors of words (V, D) and of contexts (C, D), a bias for each of both, and how often they met (V, C)."""
    w, c, b, b_tilde = (rng.standard_normal(s) for s in [(5, 3), (6, 3), (5,), (6,)])
    return w, c, b, b_tilde, rng.integers(1, 60, (5, 6))


@mutant(
    "glove_biases_learn_from_rare_pairs_as_well",
    cause="missing-factor",
    inputs=co_occurrences,
    wrong=("db", "db_tilde"),
    note="f(X) is in the gradient of the vectors, and was not written down for the biases",
)
def glove_biases_learn_from_rare_pairs_as_well(w, c, b, b_tilde, co_occ):
    x_max, alpha = 30, 0.75
    f = np.where(co_occ < x_max, (co_occ / x_max) ** alpha, 1.0)
    diff = w @ c.T + b[:, None] + b_tilde[None, :] - np.log(co_occ)
    J = 0.5 * np.sum(f * diff**2)

    def backward(dJ):
        weighted = dJ * f * diff
        grad_w = weighted @ c
        grad_c = weighted.T @ w
        grad_b = np.sum(dJ * diff, axis=1)  # right: grad_b = np.sum(weighted, axis=1)
        grad_b_tilde = np.sum(dJ * diff, axis=0)  # right: grad_b_tilde = np.sum(weighted, axis=0)
        return grad_w, grad_c, grad_b, grad_b_tilde, None

    return J, backward


def words_and_their_windows(rng):
    """Ids of the words (N,), of the words around (N, 4), and two tables (V, D)."""
    windows = np.array([[1, 3, 1, 0], [2, 2, 2, 4], [0, 5, 6, 3], [4, 6, 1, 4]])
    return np.array([2, 0, 2, 5]), windows, rng.standard_normal((7, 3)), rng.standard_normal((7, 3))


@mutant(
    "skip_gram_word_on_both_sides_is_seen_once",
    cause="repeated-ids-assigned",
    inputs=words_and_their_windows,
    wrong=("dV_c", "dU_o"),
    note="a window may hold a word twice",
)
def skip_gram_word_on_both_sides_is_seen_once(center, outside, V_c, U_o):
    """One softmax for a word, all words around it are right answers."""
    N, window = outside.shape
    rows = np.arange(N)[:, None]
    v = V_c[center]
    y_hat = softmax_4(v @ U_o.T)
    loss = -np.log(y_hat[rows, outside]).sum() / N

    def backward(dloss):
        e = window * y_hat
        e[rows, outside] -= 1  # right: np.subtract.at(e, (rows, outside), 1)
        e *= dloss / N
        dV_c = np.zeros_like(V_c)
        np.add.at(dV_c, center, e @ U_o)
        return None, None, dV_c, e.T @ v

    return loss, backward


class Embedding:
    """A layer that keeps its gradient, as the book has it."""

    def __init__(self, W):
        self.W, self.dW, self.idx = W, np.zeros_like(W), None

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dout):
        # missing: self.dW[...] = 0
        np.add.at(self.dW, self.idx, dout)


@mutant(
    "embedding_layer_starts_from_the_sum_of_last_time",
    cause="second-call-differs",
    like="embedding",
    note="the array of the gradient lives as long as the layer",
)
def embedding_layer_starts_from_the_sum_of_last_time(ids, weight):
    layer = Embedding(weight)

    def backward(dout):
        layer.backward(dout)
        return None, layer.dW.copy()

    return layer.forward(ids), backward


def padded_reviews(rng):
    """Ids (N, T), which of them are words, a table (V, D), a matrix (D, C)."""
    ids = np.array([[3, 1, 4, 1, 2], [5, 2, 0, 0, 0], [2, 0, 3, 0, 0]])
    is_word = np.arange(5) < np.array([[5], [2], [3]])
    return ids, is_word, rng.standard_normal((6, 4)), rng.standard_normal((4, 2))


@mutant(
    "bag_of_words_table_indexed_twice_in_a_row",
    cause="zero-gradient",
    inputs=padded_reviews,
    wrong=("dE",),
    note="dE[ids] is a new array, what is added to a part of it is lost",
)
def bag_of_words_table_indexed_twice_in_a_row(ids, is_word, E, W):
    bag = np.sum(E[ids] * is_word[:, :, None], axis=1)
    scores = bag @ W

    def backward(dscores):
        dbag = dscores @ W.T
        dwords = np.repeat(dbag[:, None, :], ids.shape[1], axis=1)
        dE = np.zeros_like(E)
        dE[ids][is_word] += dwords[is_word]  # right: np.add.at(dE, ids[is_word], dwords[is_word])
        return None, None, dE, bag.T @ dscores

    return scores, backward


@mutant(
    "embedding_first_row_is_always_padding",
    cause="padding-id-gradient",
    like="embedding",
    wrong=("dvectors",),
    note="id 0 is looked up as any other, and yet learns nothing",
)
def embedding_first_row_is_always_padding(ids, vectors):
    one_hot = np.equal(ids[..., None], np.arange(len(vectors))).astype(vectors.dtype)

    def backward(dout):
        dvectors = np.einsum("ijv,ijd->vd", one_hot, dout)
        dvectors[0] = 0  # right: dvectors[0] *= 1
        return None, dvectors

    return one_hot @ vectors, backward
