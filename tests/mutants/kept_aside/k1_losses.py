"""Losses and word vectors by hand, after a course or a forum: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, tokens_and_tables


def k1_softmax(a):
    e = np.exp(a - np.max(a, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def k1_pictures_and_classes(rng):
    """Rows (N, D), a matrix (D, C), and the right class (N,)."""
    return rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), rng.integers(0, 3, 6)


@mutant(
    "softmax_classifier_takes_one_from_the_probabilities_it_keeps",
    cause="second-call-differs",
    inputs=k1_pictures_and_classes,
    note="a second name is no copy",
)
def softmax_classifier_takes_one_from_the_probabilities_it_keeps(X, W, y):
    num_train = X.shape[0]
    probs = k1_softmax(X.dot(W))
    loss = -np.log(probs[np.arange(num_train), y]).sum() / num_train

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_train), y] -= 1
        dscores /= num_train
        return dloss * dscores.dot(W.T), dloss * X.T.dot(dscores), None

    return loss, backward


class K1SoftmaxActivation:
    """A layer of its own, with the whole Jacobian of each row."""

    def forward(self, inputs):
        self.output = k1_softmax(inputs)
        return self.output

    def backward(self, dvalues):
        dinputs = np.empty_like(dvalues)
        for index, (single_output, single_dvalues) in enumerate(zip(self.output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian_matrix = np.diagflat(column) - np.dot(column, column.T)
            dinputs[index] = np.dot(jacobian_matrix, single_dvalues)
        return dinputs


@mutant(
    "categorical_loss_short_cut_and_the_long_way_round",
    cause="softmax-applied-twice",
    inputs=classes,
    wrong=("dlogits",),
    note="p - y is the gradient of the logits, and is given to the softmax layer as that of the probabilities",
)
def categorical_loss_short_cut_and_the_long_way_round(logits, y_true):
    activation = K1SoftmaxActivation()
    y_pred = activation.forward(logits)
    samples = len(y_pred)
    loss = np.mean(-np.log(y_pred[range(samples), y_true]))

    def backward(dloss):
        dvalues = y_pred.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        return activation.backward(dvalues), None  # right: return dvalues, None

    return loss, backward


def k1_two_layers_and_classes(rng):
    """Rows (N, D), matrices and biases of two layers, and the right class (N,)."""
    weights = (rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 4), (4,)])
    return *weights, rng.integers(0, 4, 6)


@mutant(
    "two_layer_net_decay_of_last_years_course",
    cause="constant-factor",
    inputs=k1_two_layers_and_classes,
    wrong=("dW1", "dW2"),
    note="the loss has no half in front of its squares any more, the gradient is that with the half",
)
def two_layer_net_decay_of_last_years_course(X, W1, b1, W2, b2, y):
    N, reg = len(X), 0.35
    hidden = np.maximum(0, X.dot(W1) + b1)
    probs = k1_softmax(hidden.dot(W2) + b2)
    data_loss = -np.mean(np.log(probs[range(N), y]))
    loss = data_loss + reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores /= N
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1 = X.T.dot(dhidden) + reg * W1  # right: dW1 = X.T.dot(dhidden) + 2 * reg * W1
        dW2 = hidden.T.dot(dscores) + reg * W2  # right: dW2 = hidden.T.dot(dscores) + 2 * reg * W2
        grads = dhidden.dot(W1.T), dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0)
        return *(dloss * g for g in grads), None

    return loss, backward


def k1_forecasts(rng):
    """Guesses and truths (N, D), many of them far apart, to either side."""
    return 2 * rng.standard_normal((6, 4)), 2 * rng.standard_normal((6, 4))


@mutant(
    "huber_loss_outliers_below_pushed_like_those_above",
    cause="wrong-sign",
    inputs=k1_forecasts,
    wrong=("dpred", "dtarget"),
    note="|e| has the slope -1 on its left",
)
def huber_loss_outliers_below_pushed_like_those_above(pred, target):
    delta = 1.2
    error = pred - target
    small = np.abs(error) <= delta
    loss = np.where(small, 0.5 * error**2, delta * (np.abs(error) - 0.5 * delta)).mean()

    def backward(dloss):
        derror = error.copy()
        derror[error > delta] = delta
        derror[error < -delta] = delta  # right: derror[error < -delta] = -delta
        derror = dloss * derror / error.size
        return derror, -derror

    return loss, backward


def k1_tagged_sentence(rng):
    """Scores of the tags at each word (T, K), of one tag after another (K, K), and the right tags (T,)."""
    return rng.standard_normal((8, 3)), rng.standard_normal((3, 3)), np.array([0, 1, 0, 1, 2, 2, 2, 0])


def k1_logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(a - top).sum(axis=axis, keepdims=True))).squeeze(axis)


@mutant(
    "crf_transition_seen_twice_is_taken_off_once",
    cause="repeated-ids-assigned",
    inputs=k1_tagged_sentence,
    wrong=("dtransitions",),
    note="expected counts minus those seen, and some are seen twice",
)
def crf_transition_seen_twice_is_taken_off_once(emissions, transitions, tags):
    """Minus the log-probability of the right path."""
    T, K = emissions.shape
    alpha, beta = np.zeros((T, K)), np.zeros((T, K))
    alpha[0] = emissions[0]
    for t in range(1, T):
        alpha[t] = emissions[t] + k1_logsumexp(alpha[t - 1][:, None] + transitions, axis=0)
    for t in reversed(range(T - 1)):
        beta[t] = k1_logsumexp(transitions + emissions[t + 1] + beta[t + 1], axis=1)
    log_z = k1_logsumexp(alpha[-1], axis=0)
    score = emissions[np.arange(T), tags].sum() + transitions[tags[:-1], tags[1:]].sum()

    def backward(dloss):
        demissions = np.exp(alpha + beta - log_z)
        demissions[np.arange(T), tags] -= 1
        dtransitions = np.zeros_like(transitions)
        for t in range(1, T):
            dtransitions += np.exp(alpha[t - 1][:, None] + transitions + emissions[t] + beta[t] - log_z)
        # right: np.subtract.at(dtransitions, (tags[:-1], tags[1:]), 1)
        dtransitions[tags[:-1], tags[1:]] -= 1
        return dloss * demissions, dloss * dtransitions, None

    return log_z - score, backward


def k1_windows_and_their_middle(rng):
    """Ids of the words around (N, 4), of the word between them (N,), and two tables: (V, D) and (D, V)."""
    contexts = np.array([[0, 2, 2, 5], [1, 0, 3, 4], [5, 5, 1, 2], [3, 6, 0, 1], [6, 2, 4, 0]])
    return contexts, np.array([1, 2, 0, 2, 5]), rng.standard_normal((7, 3)), rng.standard_normal((3, 7))


@mutant(
    "cbow_every_word_around_is_paid_in_full",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=k1_windows_and_their_middle,
    wrong=("dW_in",),
    note="the hidden layer is the mean of the words around",
)
def cbow_every_word_around_is_paid_in_full(contexts, target, W_in, W_out):
    batch_size, window = contexts.shape
    h = np.zeros((batch_size, W_in.shape[1]))
    for i in range(window):
        h += W_in[contexts[:, i]]
    h /= window
    ys = k1_softmax(np.dot(h, W_out))
    loss = -np.sum(np.log(ys[np.arange(batch_size), target])) / batch_size

    def backward(dout):
        ds = ys.copy()
        ds[np.arange(batch_size), target] -= 1
        ds *= dout / batch_size
        da = np.dot(ds, W_out.T)
        # missing: da /= window
        dW_in = np.zeros_like(W_in)
        for i in range(window):
            np.add.at(dW_in, contexts[:, i], da)
        return None, None, dW_in, np.dot(h.T, ds)

    return loss, backward


def k1_faces(rng):
    """Three pictures' vectors (N, D): somebody, the same again, somebody else."""
    anchor, positive, negative = (rng.standard_normal((6, 3)) for _ in range(3))
    return anchor, positive, negative


@mutant(
    "triplet_loss_distance_derived_as_its_difference",
    cause="missing-factor",
    inputs=k1_faces,
    wrong=("danchor", "dpositive", "dnegative"),
    note="the distances are roots, the slope of a root has the root below it",
)
def triplet_loss_distance_derived_as_its_difference(anchor, positive, negative):
    margin, N = 0.8, len(anchor)
    to_pos, to_neg = anchor - positive, anchor - negative
    d_pos = np.sqrt(np.sum(to_pos**2, axis=1, keepdims=True))
    d_neg = np.sqrt(np.sum(to_neg**2, axis=1, keepdims=True))
    basic_loss = d_pos - d_neg + margin
    loss = np.maximum(basic_loss, 0).sum() / N

    def backward(dloss):
        active = dloss * (basic_loss > 0) / N
        dto_pos = active * to_pos  # right: dto_pos = active * to_pos / d_pos
        dto_neg = -active * to_neg  # right: dto_neg = -active * to_neg / d_neg
        return dto_pos + dto_neg, -dto_pos, -dto_neg

    return loss, backward


def k1_padded_reviews(rng):
    """Ids (N, T) with 0 at padding, and a table (V, D)."""
    return np.array([[3, 1, 4, 1, 2], [5, 2, 0, 0, 0], [2, 5, 3, 0, 0]]), tokens_and_tables(rng)[1]


@mutant(
    "review_mean_of_vectors_teaches_the_padding",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=k1_padded_reviews,
    wrong=("dE",),
    note="left out of the mean, not of the gradient",
)
def review_mean_of_vectors_teaches_the_padding(ids, E):
    """Mean over the words that are there."""
    mask = (ids != 0).astype(float)[:, :, None]
    lengths = mask.sum(axis=1)
    mean = (E[ids] * mask).sum(axis=1) / lengths

    def backward(dmean):
        demb = np.repeat((dmean / lengths)[:, None, :], ids.shape[1], axis=1)
        # missing: demb = demb * mask
        dE = np.zeros_like(E)
        np.add.at(dE, ids, demb)
        return None, dE

    return mean, backward
