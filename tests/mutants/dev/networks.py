"""Small models with several parameters: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import labelled_rows, sigmoid, stable_softmax


def two_layer_inputs(rng):
    """Rows and classes, then matrices and biases of two layers."""
    shapes = [(4, 5), (5,), (5, 3), (3,)]
    return (*labelled_rows(rng), *(rng.standard_normal(s) for s in shapes))


@mutant(
    "two_layer_net_penalty_without_its_half_nor_its_two",
    cause="constant-factor",
    inputs=two_layer_inputs,
    wrong=("dW1", "dW2"),
    note="elsewhere the penalty is reg / 2 times the squares",
)
def two_layer_net_penalty_without_its_half_nor_its_two(X, y, W1, b1, W2, b2):
    reg, N = 0.3, X.shape[0]
    hidden = np.maximum(0, X.dot(W1) + b1)
    probs = stable_softmax(hidden.dot(W2) + b2)
    loss = -np.log(probs[range(N), y]).sum() / N
    loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores *= dloss / N
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1, dW2 = X.T.dot(dhidden), hidden.T.dot(dscores)
        dW2 += dloss * reg * W2  # right: dW2 += dloss * 2 * reg * W2
        dW1 += dloss * reg * W1  # right: dW1 += dloss * 2 * reg * W1
        return dhidden.dot(W1.T), None, dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0)

    return loss, backward


def columns_2(rng):
    """Examples in columns (D, N), yes or no for each, weights (D,), a bias (1,)."""
    return rng.standard_normal((3, 7)), np.array([1, 0, 0, 1, 1, 0, 1]), rng.standard_normal(3), rng.standard_normal(1)


@mutant(
    "logistic_regression_pays_its_penalty_in_the_cost_only",
    cause="branch-missing",
    inputs=columns_2,
    wrong=("dw",),
    note="the cost was extended by a line, the gradient was not",
)
def logistic_regression_pays_its_penalty_in_the_cost_only(X, Y, w, b):
    """Examples stand in columns."""
    m, lambd = X.shape[1], 2.0
    A = sigmoid(np.dot(w, X) + b)
    cost = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m
    cost += lambd / (2 * m) * np.sum(w**2)

    def backward(dcost):
        dZ = dcost * (A - Y) / m
        dw = np.dot(X, dZ)
        # missing: dw = dw + dcost * lambd / m * w
        return np.outer(w, dZ), None, dw, np.sum(dZ, keepdims=True)

    return cost, backward


@mutant(
    "deep_net_with_dropout_divides_but_does_not_switch_off",
    cause="mask-not-applied",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 7), (6, 3), (6, 1), (2, 6), (2, 1)]),
    wrong=("dX", "dW1", "db1"),
    note="of the two lines of dropout's backward, the first is gone",
)
def deep_net_with_dropout_divides_but_does_not_switch_off(X, W1, b1, W2, b2):
    """Examples stand in columns."""
    keep_prob = 0.6
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    D1 = np.random.default_rng(3).random(A1.shape) < keep_prob
    A1_kept = A1 * D1 / keep_prob
    Z2 = np.dot(W2, A1_kept) + b2

    def backward(dZ2):
        dW2 = np.dot(dZ2, A1_kept.T)
        db2 = np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2)
        # missing: dA1 = dA1 * D1
        dA1 = dA1 / keep_prob
        dZ1 = dA1 * (1 - np.power(A1, 2))
        return np.dot(W1.T, dZ1), np.dot(dZ1, X.T), np.sum(dZ1, axis=1, keepdims=True), dW2, db2

    return Z2, backward


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


def columns_3(rng):
    """Examples in columns (D, m), matrices and columns of biases of two layers."""
    return tuple(rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (2, 5), (2, 1)])


@mutant(
    "columns_tanh_slope_of_what_dropout_left",
    cause="derivative-at-preactivation",
    inputs=columns_3,
    wrong=("dX", "dW1", "db1"),
    note="A1 is not the tanh any more, it was overwritten",
)
def columns_tanh_slope_of_what_dropout_left(X, W1, b1, W2, b2):
    keep_prob = 0.7
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    D1 = np.random.default_rng(1).random(A1.shape) < keep_prob
    A1 = A1 * D1 / keep_prob
    A2 = sigmoid(np.dot(W2, A1) + b2)

    def backward(dA2):
        dZ2 = dA2 * A2 * (1 - A2)
        dW2, db2 = np.dot(dZ2, A1.T), np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2) * D1 / keep_prob
        dZ1 = dA1 * (1 - np.power(A1, 2))  # right: dZ1 = dA1 * (1 - np.power(np.tanh(Z1), 2))
        dW1, db1 = np.dot(dZ1, X.T), np.sum(dZ1, axis=1, keepdims=True)
        return np.dot(W1.T, dZ1), dW1, db1, dW2, db2

    return A2, backward


@mutant(
    "deep_net_gradients_left_in_the_order_of_the_loop",
    cause="swapped-gradients",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 4), (4, 4), (4,), (4, 4), (4,), (4, 4), (4,)]),
    wrong=("dW1", "db1", "dW3", "db3"),
    note="the loop begins with the last layer; all layers are equally wide, so nothing complains",
)
def deep_net_gradients_left_in_the_order_of_the_loop(x, W1, b1, W2, b2, W3, b3):
    layers = [(W1, b1), (W2, b2), (W3, b3)]
    activations = [x]
    for W, b in layers:
        activations.append(np.tanh(activations[-1] @ W + b))

    def backward(delta):
        grads = []
        for l in range(len(layers) - 1, -1, -1):
            dz = delta * (1 - activations[l + 1] ** 2)
            grads.append((activations[l].T @ dz, dz.sum(axis=0)))
            delta = dz @ layers[l][0].T
        # missing: grads.reverse()
        return delta, *(g for pair in grads for g in pair)

    return activations[-1], backward


def labelled_rows_2(rng):
    """Rows (N, D), their classes (N,), matrices and biases of two layers."""
    X, W1, b1, W2, b2 = (rng.standard_normal(s) for s in [(6, 4), (4, 5), (5,), (5, 3), (3,)])
    return X, rng.integers(0, 3, 6), W1, b1, W2, b2


@mutant(
    "two_layer_net_penalty_as_if_it_were_halved",
    cause="constant-factor",
    inputs=labelled_rows_2,
    wrong=("dW1", "dW2"),
    note="the loss of one year's notes, the gradient of another's",
)
def two_layer_net_penalty_as_if_it_were_halved(X, y, W1, b1, W2, b2):
    reg = 0.5
    N = X.shape[0]
    hidden = np.maximum(0, X.dot(W1) + b1)
    probs = stable_softmax(hidden.dot(W2) + b2)
    loss = -np.log(probs[np.arange(N), y]).sum() / N
    loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores *= dloss / N
        dhidden = dscores.dot(W2.T) * (hidden > 0)
        dW2, db2 = hidden.T.dot(dscores), dscores.sum(axis=0)
        dW1, db1 = X.T.dot(dhidden), dhidden.sum(axis=0)
        dW2 += dloss * reg * W2  # right: dW2 += dloss * 2 * reg * W2
        dW1 += dloss * reg * W1  # right: dW1 += dloss * 2 * reg * W1
        return dhidden.dot(W1.T), None, dW1, db1, dW2, db2

    return loss, backward


@mutant(
    "softmax_classifier_subtracts_from_its_own_probabilities",
    cause="second-call-differs",
    inputs=lambda rng: (*(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)]), rng.integers(0, 3, 6)),
    note="`dscores = probs` is no copy; harmless as long as every forward is followed by one backward",
)
def softmax_classifier_subtracts_from_its_own_probabilities(X, W, b, y):
    num = X.shape[0]
    probs = stable_softmax(np.dot(X, W) + b)
    loss = np.mean(-np.log(probs[range(num), y]))

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[range(num), y] -= 1
        dscores /= num
        dW, db = np.dot(X.T, dscores), np.sum(dscores, axis=0)
        return dloss * np.dot(dscores, W.T), dloss * dW, dloss * db, None

    return loss, backward


def flowers(rng):
    """Points in columns (D, m), their colours (1, m), matrices and columns of biases of two layers."""
    X, W1, b1, W2, b2 = (rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (1, 5), (1, 1)])
    return X, rng.integers(0, 2, (1, 7)), W1, b1, W2, b2


@mutant(
    "flower_net_averaged_in_the_cost_and_in_every_layer",
    cause="wrong-count",
    inputs=flowers,
    wrong=("dW1", "db1", "dW2", "db2"),
    note="dZ2 holds 1/m already",
)
def flower_net_averaged_in_the_cost_and_in_every_layer(X, Y, W1, b1, W2, b2):
    m = X.shape[1]
    A1 = np.tanh(np.dot(W1, X) + b1)
    A2 = sigmoid(np.dot(W2, A1) + b2)
    cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m

    def layer_backward(dZ, A_prev, W):
        dW = np.dot(dZ, A_prev.T) / m  # right: dW = np.dot(dZ, A_prev.T)
        db = np.sum(dZ, axis=1, keepdims=True) / m  # right: db = np.sum(dZ, axis=1, keepdims=True)
        return np.dot(W.T, dZ), dW, db

    def backward(dcost):
        dZ2 = dcost * (A2 - Y) / m
        dA1, dW2, db2 = layer_backward(dZ2, A1, W2)
        dX, dW1, db1 = layer_backward(dA1 * (1 - A1**2), X, W1)
        return dX, None, dW1, db1, dW2, db2

    return cost, backward
