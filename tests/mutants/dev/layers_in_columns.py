"""Layers with examples in columns, as one course writes them: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import column_network, sigmoid


@mutant(
    "column_network_prime_of_the_activation",
    cause="derivative-at-preactivation",
    inputs=column_network,
    wrong=("dx", "dW1", "db1"),
    note="sigmoid_prime wants z, and is given a",
)
def column_network_prime_of_the_activation(x, W1, b1, W2, b2):
    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    def sigmoid_prime(z):
        return sigmoid(z) * (1 - sigmoid(z))

    weights, biases = [W1, W2], [b1, b2]
    activations, zs = [x], []
    for w, b in zip(weights, biases, strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(sigmoid(zs[-1]))

    def backward(dout):
        nabla_w, nabla_b = [None, None], [None, None]
        delta = dout * sigmoid_prime(zs[-1])
        nabla_w[-1], nabla_b[-1] = np.dot(delta, activations[-2].T), delta.sum(axis=1, keepdims=True)
        # right: delta = np.dot(weights[-1].T, delta) * sigmoid_prime(zs[-2])
        delta = np.dot(weights[-1].T, delta) * sigmoid_prime(activations[-2])
        nabla_w[-2], nabla_b[-2] = np.dot(delta, x.T), delta.sum(axis=1, keepdims=True)
        return np.dot(W1.T, delta), nabla_w[0], nabla_b[0], nabla_w[1], nabla_b[1]

    return activations[-1], backward


def linear_activation_forward(A_prev, W, b):
    Z = np.dot(W, A_prev) + b
    return np.tanh(Z), (A_prev, W, np.tanh(Z))


def linear_activation_backward(dA, cache):
    A_prev, W, A = cache
    m = A_prev.shape[1]
    dZ = dA * (1 - np.power(A, 2))
    dW = np.dot(dZ, A_prev.T) / m  # right: dW = np.dot(dZ, A_prev.T)
    db = np.sum(dZ, axis=1, keepdims=True) / m  # right: db = np.sum(dZ, axis=1, keepdims=True)
    return np.dot(W.T, dZ), dW, db


@mutant(
    "column_layers_average_over_the_examples",
    cause="wrong-count",
    inputs=column_network,
    wrong=("dW1", "db1", "dW2", "db2"),
    note="the 1/m belongs to a cost that is a mean, and was written into every layer",
)
def column_layers_average_over_the_examples(x, W1, b1, W2, b2):
    A1, cache1 = linear_activation_forward(x, W1, b1)
    A2, cache2 = linear_activation_forward(A1, W2, b2)

    def backward(dA2):
        dA1, dW2, db2 = linear_activation_backward(dA2, cache2)
        dx, dW1, db1 = linear_activation_backward(dA1, cache1)
        return dx, dW1, db1, dW2, db2

    return A2, backward


@mutant(
    "shallow_net_biases_one_column_for_each_example",
    cause="gradient-shape",
    also=("broadcast-not-summed",),
    inputs=column_network,
    note="for one example db = dZ; an update then makes the bias as wide as the batch, and nothing complains",
)
def shallow_net_biases_one_column_for_each_example(X, W1, b1, W2, b2):
    """Examples in columns."""
    A1 = np.tanh(W1 @ X + b1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))

    def backward(dA2):
        dZ2 = dA2 * A2 * (1 - A2)
        dW2 = dZ2 @ A1.T
        db2 = dZ2  # right: db2 = np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = (W2.T @ dZ2) * (1 - A1**2)
        dW1 = dZ1 @ X.T
        db1 = dZ1  # right: db1 = np.sum(dZ1, axis=1, keepdims=True)
        return W1.T @ dZ1, dW1, db1, dW2, db2

    return A2, backward


@mutant(
    "linear_columns_bias_summed_without_keepdims",
    cause="gradient-shape",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(4, 6), (3, 4), (3, 1)]),
    note="b - lr * db is then a matrix",
)
def linear_columns_bias_summed_without_keepdims(A_prev, W, b):
    """Examples in columns (D, N), matrix (H, D) and a column of biases."""
    A = sigmoid(np.dot(W, A_prev) + b)

    def backward(dA):
        dZ = dA * A * (1 - A)
        dW = np.dot(dZ, A_prev.T)
        db = np.sum(dZ, axis=1)  # right: db = np.sum(dZ, axis=1, keepdims=True)
        return np.dot(W.T, dZ), dW, db

    return A, backward


def deep_columns(rng):
    """Examples in columns (D, N), matrices and columns of biases of three layers, as wide as the input but the last."""
    return tuple(rng.standard_normal(s) for s in [(4, 6), (4, 4), (4, 1), (4, 4), (4, 1), (2, 4), (2, 1)])


@mutant(
    "deep_columns_outer_product_with_its_own_activation",
    cause="off-by-one",
    also=("missing-factor",),
    inputs=deep_columns,
    wrong=("dW1", "dW2"),
    note="activations[-l] is what layer -l gives, it was given activations[-l - 1]",
)
def deep_columns_outer_product_with_its_own_activation(x, W1, b1, W2, b2, W3, b3):
    weights, biases = [W1, W2, W3], [b1, b2, b3]
    activations = [x]
    for w, b in zip(weights, biases, strict=True):
        activations.append(1.0 / (1.0 + np.exp(-(np.dot(w, activations[-1]) + b))))

    def backward(dout):
        nabla_w, nabla_b = [None] * 3, [None] * 3
        delta = dout * activations[-1] * (1 - activations[-1])
        nabla_w[-1], nabla_b[-1] = np.dot(delta, activations[-2].T), delta.sum(axis=1, keepdims=True)
        for l in range(2, 4):
            slope = activations[-l] * (1 - activations[-l])
            delta = np.dot(weights[-l + 1].T, delta) * slope
            nabla_w[-l] = np.dot(delta, activations[-l].T)  # right: nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
            nabla_b[-l] = delta.sum(axis=1, keepdims=True)
        dx = np.dot(W1.T, delta)
        return dx, nabla_w[0], nabla_b[0], nabla_w[1], nabla_b[1], nabla_w[2], nabla_b[2]

    return activations[-1], backward
