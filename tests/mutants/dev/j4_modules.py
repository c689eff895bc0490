"""Small models, from the exercise sheets of a first course: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, sigmoid, stable_softmax


def j4_labelled_rows(rng):
    """Rows (N, 4) and one of three classes for each."""
    return rng.standard_normal((6, 4)), np.array([0, 2, 1, 1, 0, 2])


def j4_two_layer_inputs(rng):
    """Rows and classes, then matrices and biases of two layers."""
    shapes = [(4, 5), (5,), (5, 3), (3,)]
    return (*j4_labelled_rows(rng), *(rng.standard_normal(s) for s in shapes))


def j4_columns(rng):
    """Examples in columns (D, N), yes or no for each, weights (D,), a bias (1,)."""
    return rng.standard_normal((3, 7)), np.array([1, 0, 0, 1, 1, 0, 1]), rng.standard_normal(3), rng.standard_normal(1)


@mutant(
    "two_layer_net_penalty_without_its_half_nor_its_two",
    cause="constant-factor",
    inputs=j4_two_layer_inputs,
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


@mutant(
    "logistic_regression_pays_its_penalty_in_the_cost_only",
    cause="branch-missing",
    inputs=j4_columns,
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


class J4Digits(Module):
    """Sigmoids within, a softmax on top, the cross-entropy of one-hot labels."""

    def __init__(self, rng):
        self.w1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5)
        self.w2, self.b2 = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x, labels):
        onehot = np.eye(3)[labels]
        a1 = sigmoid(x @ self.w1.data + self.b1.data)
        a2 = stable_softmax(a1 @ self.w2.data + self.b2.data)
        loss = -np.sum(onehot * np.log(a2)) / len(x)

        def backward(dloss):
            error = dloss * (a2 - onehot) / len(x)
            delta2 = error * a2 * (1 - a2)  # right: delta2 = error
            delta1 = (delta2 @ self.w2.data.T) * a1 * (1 - a1)
            self.w2.grad += a1.T @ delta2
            self.b2.grad += delta2.sum(axis=0)
            self.w1.grad += x.T @ delta1
            self.b1.grad += delta1.sum(axis=0)
            return delta1 @ self.w1.data.T, None

        return loss, backward


mutant(
    "digits_error_times_the_slope_of_the_last_layer_too",
    cause="softmax-applied-twice",
    also=("activation-derivative-doubled",),
    inputs=j4_labelled_rows,
    wrong=("dx", "dw1", "db1", "dw2", "db2"),
    note="error times slope is for the squared error; a2 - onehot is beyond the softmax already",
)(build(J4Digits))


class J4Autoencoder(Module):
    """Squared error between the sigmoids that come out and the pixels that went in."""

    def __init__(self, rng):
        self.W_enc, self.b_enc = parameter(rng, 6, 3), parameter(rng, 3)
        self.W_dec, self.b_dec = parameter(rng, 3, 6), parameter(rng, 6)

    def forward(self, pixels):
        code = sigmoid(pixels @ self.W_enc.data + self.b_enc.data)
        drawn = sigmoid(code @ self.W_dec.data + self.b_dec.data)
        loss = 0.5 * np.sum((drawn - pixels) ** 2) / len(pixels)

        def backward(dloss):
            difference = dloss * (drawn - pixels) / len(pixels)
            d_out = difference  # right: d_out = difference * drawn * (1 - drawn)
            self.W_dec.grad += code.T @ d_out
            self.b_dec.grad += d_out.sum(axis=0)
            d_code = d_out @ self.W_dec.data.T * code * (1 - code)
            self.W_enc.grad += pixels.T @ d_code
            self.b_enc.grad += d_code.sum(axis=0)
            return d_code @ self.W_enc.data.T - difference

        return loss, backward


mutant(
    "autoencoder_delta_of_the_squared_error_is_the_difference",
    cause="activation-derivative-missing",
    inputs=lambda rng: (rng.random((4, 6)),),
    wrong=("dpixels", "dW_enc", "db_enc", "dW_dec", "db_dec"),
    note="which it is for the cross-entropy",
)(build(J4Autoencoder))


class J4Moons(Module):
    """One hidden layer of tanh, scores of two classes."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 5), parameter(rng, 1, 5)
        self.W2, self.b2 = parameter(rng, 5, 2), parameter(rng, 1, 2)

    def forward(self, X):
        z1 = X.dot(self.W1.data) + self.b1.data
        a1 = np.tanh(z1)
        z2 = a1.dot(self.W2.data) + self.b2.data

        def backward(delta3):
            self.W2.grad += a1.T.dot(delta3)
            self.b2.grad += np.sum(delta3, axis=0, keepdims=True)
            # right: delta2 = delta3.dot(self.W2.data.T) * (1 - np.power(a1, 2))
            delta2 = delta3.dot(self.W2.data.T) * (1 - np.power(z1, 2))
            self.W1.grad += X.T.dot(delta2)
            self.b1.grad += np.sum(delta2, axis=0, keepdims=True)
            return delta2.dot(self.W1.data.T)

        return z2, backward


mutant(
    "moons_tanh_slope_from_the_sum_that_went_in",
    cause="derivative-at-preactivation",
    inputs=features,
    wrong=("dX", "dW1", "db1"),
)(build(J4Moons))


class J4PriceModel(Module):
    """One price for each row."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 1), parameter(rng, 1)

    def forward(self, X):
        H = np.maximum(X @ self.W1.data + self.b1.data, 0)
        price = H @ self.W2.data + self.b2.data

        def backward(dprice):
            self.W2.grad += H.T @ dprice
            self.b2.grad += np.sum(dprice)
            dH = dprice @ self.W2.data.T
            dH[H <= 0] = 0
            self.W1.grad += X.T @ dH
            self.b1.grad += np.sum(dH)  # right: self.b1.grad += np.sum(dH, axis=0)
            return dH @ self.W1.data.T

        return price, backward


mutant(
    "price_model_sums_the_hidden_bias_like_the_last_one",
    cause="wrong-sum-axis",
    inputs=features,
    wrong=("db1",),
    note="one price has one bias, so there the sum over everything is right",
)(build(J4PriceModel))


class J4SoftmaxRegression(Module):
    """Mean cross-entropy, with a mild pull of the weights to zero."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, X, y):
        m, decay = len(X), 0.05
        probs = stable_softmax(X @ self.W.data + self.b.data)
        loss = 0.5 * decay * np.sum(self.W.data**2)
        for i in range(m):
            loss -= np.log(probs[i, y[i]]) / m

        def backward(dloss):
            dX = np.zeros_like(X)
            dW, db = np.zeros_like(self.W.data), np.zeros_like(self.b.data)
            for i in range(m):
                dz = probs[i].copy()
                dz[y[i]] -= 1
                dW += np.outer(X[i], dz)
                db += dz
                dX[i] = self.W.data @ dz / m
            dW /= m
            # missing: db /= m
            self.W.grad += dloss * (dW + decay * self.W.data)
            self.b.grad += dloss * db
            return dloss * dX, None

        return loss, backward


mutant(
    "softmax_regression_divides_the_weights_and_not_the_bias",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=j4_labelled_rows,
    wrong=("db",),
)(build(J4SoftmaxRegression))
