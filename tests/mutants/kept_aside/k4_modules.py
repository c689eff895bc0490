"""Small models, as modules and as one function of all their weights, from courses: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, sigmoid, stable_softmax


def k4_columns(rng):
    """Examples in columns (D, m), matrices and columns of biases of two layers."""
    return tuple(rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (2, 5), (2, 1)])


@mutant(
    "columns_tanh_slope_of_what_dropout_left",
    cause="derivative-at-preactivation",
    inputs=k4_columns,
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


class K4ResidualBlock(Module):
    """Two layers and a shortcut; the last ReLU comes after the sum."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 4), parameter(rng, 4)

    def forward(self, x):
        hidden = np.maximum(0, x @ self.W1.data + self.b1.data)
        out = np.maximum(0, hidden @ self.W2.data + self.b2.data + x)

        def backward(dout):
            dsum = dout * (out > 0)
            self.W2.grad += hidden.T @ dsum
            self.b2.grad += dsum.sum(axis=0)
            dhidden = dsum @ self.W2.data.T
            dhidden[hidden <= 0] = 0
            self.W1.grad += x.T @ dhidden
            self.b1.grad += dhidden.sum(axis=0)
            dshortcut = dout  # right: dshortcut = dsum
            return dhidden @ self.W1.data.T + dshortcut

        return out, backward


mutant(
    "residual_block_shortcut_goes_round_the_last_relu",
    cause="activation-derivative-missing",
    inputs=features,
    wrong=("dx",),
)(build(K4ResidualBlock))


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


def k4_labelled_rows(rng):
    """Rows (N, D), their classes (N,), matrices and biases of two layers."""
    X, W1, b1, W2, b2 = (rng.standard_normal(s) for s in [(6, 4), (4, 5), (5,), (5, 3), (3,)])
    return X, rng.integers(0, 3, 6), W1, b1, W2, b2


@mutant(
    "two_layer_net_penalty_as_if_it_were_halved",
    cause="constant-factor",
    inputs=k4_labelled_rows,
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


class K4MixtureOfExperts(Module):
    """Three linear experts; how far each is trusted depends on the row."""

    def __init__(self, rng):
        self.gate, self.bias = parameter(rng, 4, 3), parameter(rng, 3)
        self.experts = parameter(rng, 3, 4, 2)

    def forward(self, x):
        trust = stable_softmax(x @ self.gate.data + self.bias.data)
        answers = np.stack([x @ W for W in self.experts.data], axis=1)
        y = np.sum(trust[:, :, None] * answers, axis=1)

        def backward(dy):
            dtrust = np.sum(dy[:, None] * answers, axis=2)
            # right: dgate = trust * (dtrust - np.sum(trust * dtrust, axis=1, keepdims=True))
            dgate = dtrust * trust * (1 - trust)
            self.gate.grad += x.T @ dgate
            self.bias.grad += dgate.sum(axis=0)
            dx = dgate @ self.gate.data.T
            for k, W in enumerate(self.experts.data):
                danswer = dy * trust[:, k, None]
                self.experts.grad[k] += x.T @ danswer
                dx += danswer @ W.T
            return dx

        return y, backward


mutant(
    "mixture_of_experts_gate_derived_as_a_sigmoid",
    cause="softmax-second-term-missing",
    inputs=features,
    wrong=("dx", "dgate", "dbias"),
)(build(K4MixtureOfExperts))


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


def k4_flowers(rng):
    """Points in columns (D, m), their colours (1, m), matrices and columns of biases of two layers."""
    X, W1, b1, W2, b2 = (rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (1, 5), (1, 1)])
    return X, rng.integers(0, 2, (1, 7)), W1, b1, W2, b2


@mutant(
    "flower_net_averaged_in_the_cost_and_in_every_layer",
    cause="wrong-count",
    inputs=k4_flowers,
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
