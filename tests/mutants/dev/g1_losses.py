"""Losses and embeddings, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import classes


def g1_softmax(scores):
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def g1_labelled_rows(rng):
    """Rows (N, D), a matrix (D, C), a bias (C,), and the right class (N,)."""
    X, W, b = (rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])
    return X, W, b, np.array([2, 0, 1, 2, 2, 0])


@mutant(
    "softmax_classifier_penalty_without_its_two",
    cause="constant-factor",
    inputs=g1_labelled_rows,
    wrong=("dW",),
    note="the half that goes with it is not in this loss",
)
def softmax_classifier_penalty_without_its_two(X, W, b, y):
    N, reg = X.shape[0], 0.4
    probs = g1_softmax(X.dot(W) + b)
    data_loss = np.sum(-np.log(probs[range(N), y])) / N
    loss = data_loss + reg * np.sum(W * W)

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores *= dloss / N
        dW = X.T.dot(dscores)
        dW += dloss * reg * W  # right: dW += dloss * 2 * reg * W
        return dscores.dot(W.T), dW, np.sum(dscores, axis=0), None

    return loss, backward


@mutant(
    "softmax_loss_subtracts_from_the_probabilities_it_kept",
    cause="second-call-differs",
    inputs=classes,
    note="a second name is not a copy",
)
def softmax_loss_subtracts_from_the_probabilities_it_kept(scores, y):
    num_examples = len(scores)
    probs = g1_softmax(scores)
    loss = -np.log(probs[np.arange(num_examples), y]).mean()

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_examples), y] -= 1
        return dloss * dscores / num_examples, None

    return loss, backward


def g1_faces(rng):
    """A face, another of the same person, one of a stranger (N, D): some strangers are far enough, some are not."""
    anchor = rng.standard_normal((6, 3))
    positive = anchor + 0.4 * rng.standard_normal((6, 3))
    distance = np.array([0.5, 3.0, 0.7, 0.4, 2.5, 0.6])
    direction = rng.standard_normal((6, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return anchor, positive, anchor + distance[:, None] * direction


@mutant(
    "triplet_loss_stranger_is_pulled_closer",
    cause="wrong-sign",
    inputs=g1_faces,
    wrong=("dnegative",),
    note="the distance to the stranger has a minus of its own",
)
def triplet_loss_stranger_is_pulled_closer(anchor, positive, negative):
    alpha = 0.8
    pos_dist = np.sum((anchor - positive) ** 2, axis=1)
    neg_dist = np.sum((anchor - negative) ** 2, axis=1)
    basic_loss = pos_dist - neg_dist + alpha
    loss = np.mean(np.maximum(basic_loss, 0))

    def backward(dloss):
        active = dloss * (basic_loss > 0)[:, np.newaxis] / len(anchor)
        danchor = 2 * active * (negative - positive)
        dpositive = 2 * active * (positive - anchor)
        dnegative = 2 * active * (negative - anchor)  # right: dnegative = 2 * active * (anchor - negative)
        return danchor, dpositive, dnegative

    return loss, backward


@mutant(
    "classifier_loss_and_softmax_layer_both_derive",
    cause="softmax-applied-twice",
    inputs=g1_labelled_rows,
    wrong=("dinputs", "dweights", "dbiases"),
    note="the short formula of the two together, and then the softmax layer's own backward",
)
def classifier_loss_and_softmax_layer_both_derive(inputs, weights, biases, y_true):
    samples = len(inputs)
    output = g1_softmax(np.dot(inputs, weights) + biases)
    loss = np.mean(-np.log(output[range(samples), y_true]))

    def softmax_backward(dvalues):
        result = np.empty_like(dvalues)
        for i, (single_output, single_dvalues) in enumerate(zip(output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian = np.diagflat(column) - np.dot(column, column.T)
            result[i] = np.dot(jacobian, single_dvalues)
        return result

    def backward(dloss):
        dvalues = output.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        dvalues = softmax_backward(dvalues)  # right: dvalues = 1 * dvalues
        return np.dot(dvalues, weights.T), np.dot(inputs.T, dvalues), np.sum(dvalues, axis=0), None

    return loss, backward


def g1_words_around(rng):
    """Three words around (N, 3), the word in the middle (N,), a table (V, H) and a matrix (H, V)."""
    contexts = np.array([[0, 2, 3], [4, 4, 1], [2, 5, 0], [3, 1, 4], [5, 5, 2]])
    return contexts, np.array([1, 0, 4, 5, 3]), rng.standard_normal((6, 4)), rng.standard_normal((4, 6))


@mutant(
    "cbow_context_words_get_all_of_it",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=g1_words_around,
    wrong=("dW_in",),
    note="the hidden layer is the mean of the words around",
)
def cbow_context_words_get_all_of_it(contexts, target, W_in, W_out):
    """Guess the word in the middle."""
    batch_size, window = contexts.shape
    h = 0
    for i in range(window):
        h = h + W_in[contexts[:, i]]
    h = h / window
    ys = g1_softmax(np.dot(h, W_out))
    loss = -np.sum(np.log(ys[np.arange(batch_size), target])) / batch_size

    def backward(dout):
        ds = ys.copy()
        ds[np.arange(batch_size), target] -= 1
        ds *= dout / batch_size
        dW_out = np.dot(h.T, ds)
        da = np.dot(ds, W_out.T)  # right: da = np.dot(ds, W_out.T) / window
        dW_in = np.zeros_like(W_in)
        for i in range(window):
            np.add.at(dW_in, contexts[:, i], da)
        return None, None, dW_in, dW_out

    return loss, backward


def g1_padded_sentences(rng):
    """Ids (B, L) that end in zeros, a table (V, D) whose row 0 is not zero, a matrix (D, H)."""
    ids = np.array([[3, 1, 3, 5], [2, 4, 0, 0], [1, 2, 2, 0]])
    return ids, rng.standard_normal((6, 3)), rng.standard_normal((3, 5))


@mutant(
    "bag_of_words_padding_learns",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=g1_padded_sentences,
    wrong=("dtable",),
    note="id 0 fills up the short sentences, its vectors are cleared on the way there",
)
def bag_of_words_padding_learns(ids, table, W):
    """Mean of the words of a sentence, and a layer on top."""
    vectors = table[ids]
    vectors[ids == 0] = 0
    lengths = (ids != 0).sum(axis=1)[:, None]
    bag = vectors.sum(axis=1) / lengths

    def backward(dout):
        dbag = dout @ W.T / lengths
        dvectors = np.repeat(dbag[:, None, :], ids.shape[1], axis=1)
        # missing: dvectors[ids == 0] = 0
        dtable = np.zeros_like(table)
        for b in range(ids.shape[0]):
            for i in range(ids.shape[1]):
                dtable[ids[b, i]] += dvectors[b, i]
        return None, dtable, bag.T @ dout

    return bag @ W, backward


TEACHER = 3 * np.random.default_rng(4).standard_normal((5, 4))


@mutant(
    "distillation_temperature_on_the_way_there_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (2 * rng.standard_normal((5, 4)),),
    wrong=("dstudent",),
    note="the scores are divided by it before the softmax",
)
def distillation_temperature_on_the_way_there_only(student):
    """Cross-entropy to what a larger network says, both softened."""
    temperature, N = 2.5, len(student)
    soft_targets = g1_softmax(TEACHER / temperature)
    soft_probs = g1_softmax(student / temperature)
    loss = -np.sum(soft_targets * np.log(soft_probs)) / N

    def backward(dloss):
        dlogits = dloss * (soft_probs - soft_targets) / N
        return dlogits  # right: return dlogits / temperature

    return loss, backward
