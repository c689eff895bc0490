"""Single layers, as students write them at home: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import norm_inputs, sigmoid, two_relu_layers


def j4_dense_inputs(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


def j4_square_inputs(rng):
    """As many features out as in, as a shortcut wants it: rows, then matrix and bias twice."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 3), (3,), (3, 3), (3,)])


@mutant(
    "batchnorm_alternative_starts_from_dout",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the short formula on paper was for the normalised output, before gamma",
)
def batchnorm_alternative_starts_from_dout(x, gamma, beta):
    N = x.shape[0]
    sample_mean, sample_var = np.mean(x, axis=0), np.var(x, axis=0)
    inv = (sample_var + 1e-5) ** -0.5
    x_hat = (x - sample_mean) * inv

    def backward(dout):
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(x_hat * dout, axis=0)
        dx_hat = dout  # right: dx_hat = dout * gamma
        dx = N * dx_hat - np.sum(dx_hat, axis=0) - x_hat * np.sum(dx_hat * x_hat, axis=0)
        return dx * inv / N, dgamma, dbeta

    return x_hat * gamma + beta, backward


@mutant(
    "leaky_layer_negative_side_is_set_not_scaled",
    cause="missing-factor",
    inputs=j4_dense_inputs,
    wrong=("dx", "dW", "db"),
    note="`=` as in the plain ReLU, where 0 times dout is 0",
)
def leaky_layer_negative_side_is_set_not_scaled(x, W, b):
    alpha = 0.2
    z = np.dot(x, W) + b
    a = np.maximum(z, alpha * z)

    def backward(da):
        dz = np.array(da, copy=True)
        dz[z < 0] = alpha  # right: dz[z < 0] *= alpha
        return np.dot(dz, W.T), np.dot(x.T, dz), np.sum(dz, axis=0)

    return a, backward


class J4Relu:
    """Remembers which entries it cut off."""

    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        return dout * self.mask  # right: return dout * ~self.mask


@mutant(
    "relu_object_multiplies_by_what_it_cut_off",
    cause="mask-inverted",
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="the mask is True where the output was set to zero",
)
def relu_object_multiplies_by_what_it_cut_off(x, W1, b1, W2, b2):
    relu = J4Relu()
    h = relu.forward(x @ W1 + b1)

    def backward(dout):
        dz = relu.backward(dout @ W2.T)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), h.T @ dout, dout.sum(axis=0)

    return h @ W2 + b2, backward


@mutant(
    "highway_gate_adds_up_what_it_weighs_against_each_other",
    cause="wrong-sign",
    inputs=j4_square_inputs,
    wrong=("dx", "dWt", "dbt"),
    note="the minus of 1 - t got lost",
)
def highway_gate_adds_up_what_it_weighs_against_each_other(x, Wh, bh, Wt, bt):
    h = np.maximum(0, x @ Wh + bh)
    t = sigmoid(x @ Wt + bt)
    y = h * t + x * (1 - t)

    def backward(dy):
        dh, dt, dx = dy * t, dy * h, dy * (1 - t)
        dt += dy * x  # right: dt -= dy * x
        dzh, dzt = dh * (h > 0), dt * t * (1 - t)
        dx += dzh @ Wh.T + dzt @ Wt.T
        return dx, x.T @ dzh, dzh.sum(axis=0), x.T @ dzt, dzt.sum(axis=0)

    return y, backward


@mutant(
    "residual_shortcut_goes_round_the_last_relu",
    cause="activation-derivative-missing",
    inputs=j4_square_inputs,
    wrong=("dx",),
    note="the ReLU stands behind the sum, on both ways",
)
def residual_shortcut_goes_round_the_last_relu(x, W1, b1, W2, b2):
    a1 = np.maximum(x.dot(W1) + b1, 0)
    out = np.maximum(a1.dot(W2) + b2 + x, 0)

    def backward(dout):
        dz2 = dout * (out > 0)
        dz1 = dz2.dot(W2.T) * (a1 > 0)
        dx = dz1.dot(W1.T)
        dx += dout  # right: dx += dz2
        return dx, x.T.dot(dz1), dz1.sum(0), a1.T.dot(dz2), dz2.sum(0)

    return out, backward


@mutant(
    "affine_bias_as_it_was_for_a_single_row",
    cause="broadcast-not-summed",
    also=("gradient-shape",),
    inputs=j4_dense_inputs,
    note="for one row, db = dout",
)
def affine_bias_as_it_was_for_a_single_row(X, W, B):
    Y = np.tanh(np.dot(X, W) + B)

    def backward(dY):
        dZ = (1 - Y * Y) * dY
        dB = dZ  # right: dB = np.sum(dZ, axis=0)
        return np.dot(dZ, W.T), np.dot(X.T, dZ), dB

    return Y, backward


class J4FullyConnected:
    """Learns while it goes back, so that there need be no optimizer."""

    learning_rate = 0.1

    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias
        self.input = self.learnt = None

    def forward_propagation(self, input_data):
        self.input = input_data
        return np.dot(input_data, self.weights) + self.bias

    def backward_propagation(self, output_error):
        input_error = np.dot(output_error, self.weights.T)
        weights_error = np.dot(self.input.T, output_error)
        bias_error = output_error.sum(axis=0)
        # right: self.learnt = self.weights - self.learning_rate * weights_error
        self.weights -= self.learning_rate * weights_error
        return input_error, weights_error, bias_error


@mutant(
    "fully_connected_learns_in_its_backward",
    cause="input-changed",
    also=("second-call-differs",),
    inputs=j4_dense_inputs,
    note="the weights are another's too, and the next backward is asked about the forward of the old ones",
)
def fully_connected_learns_in_its_backward(x, W, b):
    layer = J4FullyConnected(W, b)
    return layer.forward_propagation(x), layer.backward_propagation
