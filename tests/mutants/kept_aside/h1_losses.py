"""Losses of words and of pictures, as students write them for homework: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid


def h1_word_and_noise(rng):
    """Vector of the centre word (D,), vectors of the outside words (V, D), ids: the true one, then the noise."""
    return rng.standard_normal(4), rng.standard_normal((7, 4)), np.array([2, 5, 1, 5, 0, 5, 1])


@mutant(
    "word2vec_noise_word_drawn_again_counts_once",
    cause="repeated-ids-assigned",
    inputs=h1_word_and_noise,
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


def h1_co_occurrences(rng):
    """Vectors of words (V, D) and of contexts (C, D), a bias for each of both, and how often they met (V, C)."""
    w, c, b, b_tilde = (rng.standard_normal(s) for s in [(5, 3), (6, 3), (5,), (6,)])
    return w, c, b, b_tilde, rng.integers(1, 60, (5, 6))


@mutant(
    "glove_biases_learn_from_rare_pairs_as_well",
    cause="missing-factor",
    inputs=h1_co_occurrences,
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


def h1_anchors(rng):
    """A logit for each anchor box (N, A), and whether there is an object in it."""
    return 1.5 * rng.standard_normal((3, 6)), (rng.random((3, 6)) < 0.4).astype(int)


@mutant(
    "focal_loss_modulating_factor_held_fixed",
    cause="branch-missing",
    inputs=h1_anchors,
    wrong=("dlogits",),
    note="as if it were a cross-entropy with weights",
)
def focal_loss_modulating_factor_held_fixed(logits, objects):
    gamma, alpha = 2.0, 0.25
    p = sigmoid(logits)
    pt = np.where(objects == 1, p, 1 - p)
    at = np.where(objects == 1, alpha, 1 - alpha)
    loss = np.mean(-at * (1 - pt) ** gamma * np.log(pt))

    def backward(dloss):
        dpt = -at * (1 - pt) ** gamma / pt
        # missing: dpt = dpt + at * gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
        dp = np.where(objects == 1, dpt, -dpt)
        return dloss * dp * p * (1 - p) / logits.size, None

    return loss, backward


def h1_captions(rng):
    """Scores (N, T, V), the right words (N, T), and which of them are words."""
    lengths = np.array([[4], [2], [3]])
    return 1.5 * rng.standard_normal((3, 4, 5)), rng.integers(0, 5, (3, 4)), np.arange(4) < lengths


@mutant(
    "captioning_loss_learns_the_null_token",
    cause="mask-not-applied",
    inputs=h1_captions,
    wrong=("dx",),
    note="the mask is in the loss, and not in dx",
)
def captioning_loss_learns_the_null_token(x, y, mask):
    """Sum over time, mean over the captions."""
    N, T, V = x.shape
    x_flat, y_flat, mask_flat = x.reshape(N * T, V), y.reshape(N * T), mask.reshape(N * T)
    probs = np.exp(x_flat - np.max(x_flat, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    loss = -np.sum(mask_flat * np.log(probs[np.arange(N * T), y_flat])) / N

    def backward(dloss):
        dx_flat = probs.copy()
        dx_flat[np.arange(N * T), y_flat] -= 1
        dx_flat /= N
        # missing: dx_flat *= mask_flat[:, None]
        return dloss * dx_flat.reshape(N, T, V), None, None

    return loss, backward
