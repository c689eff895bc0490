"""Losses that hold things against each other: ranks, margins, paths: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, minus_one_hot, pick, sigmoid, softmax_4


def pictures(rng):
    """Rows (N, D), a matrix (D, C), and the right class (N,)."""
    return rng.standard_normal((7, 4)), rng.standard_normal((4, 5)), rng.integers(0, 5, 7)


@mutant(
    "svm_loss_naive_gradient_of_the_sum",
    cause="wrong-count",
    inputs=pictures,
    wrong=("dW",),
    note="the loss is divided by the number of rows, dW is not; its penalty is right",
)
def svm_loss_naive_gradient_of_the_sum(X, W, y):
    num_train, num_classes, reg = X.shape[0], W.shape[1], 0.4
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        for j in range(num_classes):
            if j != y[i]:
                loss += max(0, scores[j] - scores[y[i]] + 1)
    loss = loss / num_train + reg * np.sum(W * W)

    def backward(dloss):
        dX, dW = np.zeros_like(X), np.zeros_like(W)
        for i in range(num_train):
            scores = X[i].dot(W)
            for j in range(num_classes):
                if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
                    dX[i] += (W[:, j] - W[:, y[i]]) / num_train
        # missing: dW /= num_train
        dW += 2 * reg * W
        return dloss * dX, dloss * dW, None

    return loss, backward


def documents(rng):
    """Documents of one query (n, D), weights (D,), and how well each fits."""
    return rng.standard_normal((6, 4)), rng.standard_normal(4), np.array([2, 0, 1, 0, 2, 1])


@mutant(
    "ranknet_loser_is_lifted_with_the_winner",
    cause="wrong-sign",
    inputs=documents,
    wrong=("ddocs", "dw"),
    note="s_i - s_j: what lifts the one lowers the other",
)
def ranknet_loser_is_lifted_with_the_winner(docs, w, relevance):
    n = len(docs)
    s = docs @ w
    pairs = [(i, j) for i in range(n) for j in range(n) if relevance[i] > relevance[j]]
    loss = sum(np.log1p(np.exp(-(s[i] - s[j]))) for i, j in pairs) / len(pairs)

    def backward(dloss):
        ds = np.zeros(n)
        for i, j in pairs:
            lambda_ij = -sigmoid(s[j] - s[i]) / len(pairs)
            ds[i] += lambda_ij
            ds[j] += lambda_ij  # right: ds[j] -= lambda_ij
        ds *= dloss
        return np.outer(ds, w), docs.T @ ds, None

    return loss, backward


def clicks(rng):
    """What was clicked on (N, D), what stood above it (N, D), weights (D,)."""
    return rng.standard_normal((7, 3)), rng.standard_normal((7, 3)), rng.standard_normal(3)


@mutant(
    "ranking_svm_pairs_in_good_order_are_pushed_on",
    cause="activation-derivative-missing",
    inputs=clicks,
    wrong=("dclicked", "dskipped", "dw"),
    note="max(0, m) is flat for a pair that is far enough apart",
)
def ranking_svm_pairs_in_good_order_are_pushed_on(clicked, skipped, w):
    C, N = 1.5, len(clicked)
    margin = 1 - (clicked - skipped) @ w
    loss = 0.5 * w @ w + C * np.maximum(0, margin).mean()

    def backward(dloss):
        # right: dmargin = dloss * C / N * (margin > 0)
        dmargin = dloss * C / N * np.ones(N)
        ddiff = -np.outer(dmargin, w)
        return ddiff, -ddiff, dloss * w - (clicked - skipped).T @ dmargin

    return loss, backward


def padded_sentences(rng):
    """Scores (N, T, V), the right words (N, T), and which of them are words."""
    lengths = np.array([[5], [2], [3]])
    return 1.5 * rng.standard_normal((3, 5, 4)), rng.integers(0, 4, (3, 5)), np.arange(5) < lengths


@mutant(
    "sentence_losses_averaged_as_if_all_were_of_one_length",
    cause="wrong-count",
    inputs=padded_sentences,
    wrong=("dscores",),
    note="a mean over sentences of the mean over words, not the mean over all words",
)
def sentence_losses_averaged_as_if_all_were_of_one_length(scores, words, mask):
    N = len(scores)
    lengths = mask.sum(axis=1)
    probs = softmax_4(scores)
    per_sentence = -(np.log(pick(probs, words)) * mask).sum(axis=1) / lengths

    def backward(dloss):
        dscores = minus_one_hot(probs, words) * mask[:, :, None]
        dscores /= mask.sum()  # right: dscores /= lengths[:, None, None] * N
        return dloss * dscores, None, None

    return per_sentence.sum() / N, backward


def states_and_words(rng):
    """States (N, T, H), a matrix (H, V), a bias (V,), and the right words (N, T)."""
    h, W, b = (rng.standard_normal(s) for s in [(3, 4, 2), (2, 5), (5,)])
    return h, W, b, rng.integers(0, 5, (3, 4))


@mutant(
    "word_scores_step_by_step_states_sentence_by_sentence",
    cause="permuted-axes",
    inputs=states_and_words,
    wrong=("dh",),
    note="the rows are in the order of time, and are cut as if they were in that of the sentences",
)
def word_scores_step_by_step_states_sentence_by_sentence(h, W, b, words):
    N, T, H = h.shape
    rows = h.transpose(1, 0, 2).reshape(T * N, H)
    targets = words.T.reshape(T * N)
    probs = softmax_4(rows @ W + b)
    loss = -np.log(pick(probs, targets)).sum() / N

    def backward(dloss):
        dscores = dloss * minus_one_hot(probs, targets) / N
        drows = dscores @ W.T
        dh = drows.reshape(N, T, H)  # right: dh = drows.reshape(T, N, H).transpose(1, 0, 2)
        return dh, rows.T @ dscores, dscores.sum(axis=0), None

    return loss, backward


@mutant(
    "hinge_loss_right_class_once",
    cause="sum-missing",
    also=("branch-missing",),
    inputs=classes,
    note="the right class's score stands in every margin that is positive",
    wrong=("dx",),
)
def hinge_loss_right_class_once(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)

    def backward(dloss):
        dx = np.zeros_like(x)
        dx[margins > 0] = 1
        # right: dx[np.arange(N), y] -= num_pos
        dx[np.arange(N), y] -= num_pos > 0
        return dloss * dx / N, None

    return loss, backward
