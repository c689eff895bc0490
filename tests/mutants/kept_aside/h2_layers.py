"""Single layers once more: linear maps, activations, dropout and a gated unit, each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, two_relu_layers


def h2_rows_matrix_bias(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


@mutant(
    "leaky_relu_slope_written_over_the_gradient",
    cause="missing-factor",
    inputs=h2_rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="as `dz[z < 0] = 0` of the plain ReLU, with the slope in the place of the zero",
)
def leaky_relu_slope_written_over_the_gradient(x, W, b):
    alpha = 0.2
    z = np.dot(x, W) + b
    out = np.where(z > 0, z, alpha * z)

    def backward(dout):
        dz = np.array(dout, copy=True)
        dz[z < 0] = alpha  # right: dz[z < 0] *= alpha
        return np.dot(dz, W.T), np.dot(x.T, dz), np.sum(dz, axis=0)

    return out, backward


def h2_sigmoid_derivative(s):
    """Of what the sigmoid gave."""
    return s * (1 - s)


@mutant(
    "eleven_lines_sigmoid_slope_asked_before_the_sigmoid",
    cause="derivative-at-preactivation",
    inputs=two_relu_layers,
    wrong=("dX", "dW1", "db1"),
    note="the helper expects the activation, and is given the weighted sum",
)
def eleven_lines_sigmoid_slope_asked_before_the_sigmoid(X, W1, b1, W2, b2):
    z1 = np.dot(X, W1) + b1
    a1 = sigmoid(z1)
    z2 = np.dot(a1, W2) + b2
    a2 = sigmoid(z2)

    def backward(error):
        delta2 = error * h2_sigmoid_derivative(a2)
        # right: delta1 = np.dot(delta2, W2.T) * h2_sigmoid_derivative(a1)
        delta1 = np.dot(delta2, W2.T) * h2_sigmoid_derivative(z1)
        dW2, db2 = np.dot(a1.T, delta2), delta2.sum(axis=0)
        dW1, db1 = np.dot(X.T, delta1), delta1.sum(axis=0)
        return np.dot(delta1, W1.T), dW1, db1, dW2, db2

    return a2, backward


@mutant(
    "dense_columns_bias_learns_from_every_example_apart",
    cause="gradient-shape",
    also=("broadcast-not-summed",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(4, 6), (3, 4), (3, 1)]),
    note="right for one example, which is how it was derived; b - lr * db broadcasts without a complaint",
)
def dense_columns_bias_learns_from_every_example_apart(A_prev, W, b):
    """Examples in columns (D, N), matrix (H, D) and a column of biases."""
    Z = np.dot(W, A_prev) + b
    A = np.tanh(Z)

    def backward(dA):
        dZ = dA * (1 - np.power(A, 2))
        dW = np.dot(dZ, A_prev.T)
        db = dZ  # right: db = np.sum(dZ, axis=1, keepdims=True)
        dA_prev = np.dot(W.T, dZ)
        return dA_prev, dW, db

    return A, backward


@mutant(
    "dropout_called_again_for_the_gradient",
    cause="dropout-new-mask",
    also=("second-call-differs",),
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="the function draws a mask whenever it is called",
)
def dropout_called_again_for_the_gradient(x, W1, b1, W2, b2):
    keep_prob = 0.6
    rng = np.random.default_rng(7)

    def dropout(a):
        mask = (rng.random(a.shape) < keep_prob) / keep_prob
        return a * mask, mask

    hidden = np.tanh(x @ W1 + b1)
    dropped, mask = dropout(hidden)  # noqa: RUF059 (that the mask is never read is the mistake)
    y = dropped @ W2 + b2

    def backward(dy):
        ddropped = dy @ W2.T
        dhidden, _ = dropout(ddropped)  # right: dhidden = ddropped * mask
        dz = dhidden * (1 - hidden**2)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), dropped.T @ dy, dy.sum(axis=0)

    return y, backward


def h2_gate_and_value(rng):
    """Rows (N, D), then matrix and bias of the gate, and of the value."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 4), (4,), (3, 4), (4,)])


@mutant(
    "swish_gated_unit_only_the_sigmoid_is_derived",
    cause="branch-missing",
    inputs=h2_gate_and_value,
    wrong=("dx", "dW", "db"),
    note="swish is a product, and its input stands in both factors",
)
def swish_gated_unit_only_the_sigmoid_is_derived(x, W, b, V, c):
    """The feed-forward layer of today's transformers: a swish opens and shuts a linear map."""
    gate_in = x @ W + b
    sig = sigmoid(gate_in)
    swish = gate_in * sig
    value = x @ V + c

    def backward(dout):
        dvalue = dout * swish
        dswish = dout * value
        # right: dgate_in = dswish * (sig + gate_in * sig * (1 - sig))
        dgate_in = dswish * gate_in * sig * (1 - sig)
        dx = dgate_in @ W.T + dvalue @ V.T
        return dx, x.T @ dgate_in, dgate_in.sum(axis=0), x.T @ dvalue, dvalue.sum(axis=0)

    return swish * value, backward
