# ruff: noqa: RUF059 (students unpack every shape)
"""Activations, gates and dropout: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import (
    arrays_4,
    dropout_inputs,
    rows_matrix_bias,
    sigmoid,
    sigmoid_prime,
    square_affine_inputs,
    two_relu_layers,
)


def rows_matrix_bias_2(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


@mutant(
    "leaky_relu_slope_written_over_the_gradient",
    cause="missing-factor",
    inputs=rows_matrix_bias_2,
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


def sigmoid_derivative(s):
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
        delta2 = error * sigmoid_derivative(a2)
        # right: delta1 = np.dot(delta2, W2.T) * sigmoid_derivative(a1)
        delta1 = np.dot(delta2, W2.T) * sigmoid_derivative(z1)
        dW2, db2 = np.dot(a1.T, delta2), delta2.sum(axis=0)
        dW1, db1 = np.dot(X.T, delta1), delta1.sum(axis=0)
        return np.dot(delta1, W1.T), dW1, db1, dW2, db2

    return a2, backward


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
    dropped, mask = dropout(hidden)
    y = dropped @ W2 + b2

    def backward(dy):
        ddropped = dy @ W2.T
        dhidden, _ = dropout(ddropped)  # right: dhidden = ddropped * mask
        dz = dhidden * (1 - hidden**2)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), dropped.T @ dy, dy.sum(axis=0)

    return y, backward


def gate_and_value(rng):
    """Rows (N, D), then matrix and bias of the gate, and of the value."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 4), (4,), (3, 4), (4,)])


@mutant(
    "swish_gated_unit_only_the_sigmoid_is_derived",
    cause="branch-missing",
    inputs=gate_and_value,
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


@mutant(
    "columns_tanh_layer_weight_by_input_times_delta",
    cause="transposed",
    inputs=arrays_4((4, 6), (4, 4), (4, 1)),
    wrong=("dW",),
    note="as many units as features, so that the shape does not tell",
)
def columns_tanh_layer_weight_by_input_times_delta(A_prev, W, b):
    """Examples in columns (D, N), matrix (D, D) and a column of biases."""
    A = np.tanh(np.dot(W, A_prev) + b)

    def backward(dA):
        dZ = dA * (1 - A**2)
        dW = np.dot(A_prev, dZ.T)  # right: dW = np.dot(dZ, A_prev.T)
        db = np.sum(dZ, axis=1, keepdims=True)
        return np.dot(W.T, dZ), dW, db

    return A, backward


@mutant(
    "network_sigmoid_prime_of_activations",
    cause="derivative-at-preactivation",
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="only the activations were kept, and the helper wants the weighted sums",
)
def network_sigmoid_prime_of_activations(x, W1, b1, W2, b2):
    z = x @ W1 + b1
    activation = sigmoid(z)
    scores = activation @ W2 + b2

    def backward(delta):
        nabla_W2, nabla_b2 = activation.T @ delta, delta.sum(axis=0)
        # right: delta_hidden = (delta @ W2.T) * sigmoid_prime(z)
        delta_hidden = (delta @ W2.T) * sigmoid_prime(activation)
        nabla_W1, nabla_b1 = x.T @ delta_hidden, delta_hidden.sum(axis=0)
        return delta_hidden @ W1.T, nabla_W1, nabla_b1, nabla_W2, nabla_b2

    return scores, backward


@mutant(
    "gelu_layer_inner_tanh_passed_straight",
    cause="activation-derivative-missing",
    inputs=rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="product rule and inner slope are there, the slope of the tanh between them is not",
)
def gelu_layer_inner_tanh_passed_straight(x, W, b):
    c = np.sqrt(2 / np.pi)
    z = x @ W + b
    t = np.tanh(c * (z + 0.044715 * z**3))

    def backward(dout):
        dinner = c * (1 + 3 * 0.044715 * z**2)
        # right: dz = dout * (0.5 * (1 + t) + 0.5 * z * (1 - t**2) * dinner)
        dz = dout * (0.5 * (1 + t) + 0.5 * z * dinner)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return 0.5 * z * (1 + t), backward


@mutant(
    "prelu_one_slope_for_all_hears_the_last_entry",
    cause="sum-missing",
    inputs=lambda rng: (rng.standard_normal((5, 4)), np.array([0.3])),
    wrong=("dalpha",),
)
def prelu_one_slope_for_all_hears_the_last_entry(x, alpha):
    """A leaky ReLU with one slope, which is learned."""
    N, D = x.shape
    out = np.where(x > 0, x, alpha[0] * x)

    def backward(dout):
        dx, dalpha = np.zeros_like(x), np.zeros_like(alpha)
        for n in range(N):
            for d in range(D):
                if x[n, d] > 0:
                    dx[n, d] = dout[n, d]
                else:
                    dx[n, d] = dout[n, d] * alpha[0]
                    dalpha[0] = dout[n, d] * x[n, d]  # right: dalpha[0] += dout[n, d] * x[n, d]
        return dx, dalpha

    return out, backward


@mutant(
    "softmax_layer_shares_out_the_sum_of_the_plain_gradient",
    cause="missing-factor",
    inputs=rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="the sum is of dout, where it should be of dout times the probabilities",
)
def softmax_layer_shares_out_the_sum_of_the_plain_gradient(x, W, b):
    a = x @ W + b
    e = np.exp(a - a.max(axis=1, keepdims=True))
    out = e / e.sum(axis=1, keepdims=True)

    def backward(dout):
        da = out * dout
        total = np.sum(dout, axis=1, keepdims=True)  # right: total = np.sum(da, axis=1, keepdims=True)
        da = da - out * total
        return da @ W.T, x.T @ da, da.sum(axis=0)

    return out, backward


@mutant(
    "softmax_node_by_node_reciprocal_without_its_minus",
    cause="wrong-sign",
    inputs=lambda rng: (1.5 * rng.standard_normal((4, 5)),),
    wrong=("da",),
    note="exp, sum, 1 / s, times: the third node lost its sign",
)
def softmax_node_by_node_reciprocal_without_its_minus(a):
    e = np.exp(a)
    s = np.sum(e, axis=1, keepdims=True)
    r = 1 / s
    y = e * r

    def backward(dy):
        de_product = dy * r
        dr = np.sum(dy * e, axis=1, keepdims=True)
        ds = dr / s**2  # right: ds = -dr / s**2
        de_sum = np.ones_like(e) * ds
        return (de_product + de_sum) * e

    return y, backward


@mutant(
    "columns_dropout_divided_by_keep_prob_and_not_shut",
    cause="mask-not-applied",
    inputs=arrays_4((3, 7), (5, 3), (5, 1), (2, 5), (2, 1)),
    wrong=("dX", "dW1", "db1"),
    note="of the two lines that the exercise asks for, the second was written",
)
def columns_dropout_divided_by_keep_prob_and_not_shut(X, W1, b1, W2, b2):
    keep_prob = 0.6
    A1 = np.tanh(np.dot(W1, X) + b1)
    D1 = np.random.default_rng(3).random(A1.shape) < keep_prob
    A1_dropped = A1 * D1 / keep_prob
    Z2 = np.dot(W2, A1_dropped) + b2

    def backward(dZ2):
        dW2, db2 = np.dot(dZ2, A1_dropped.T), np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2)
        # missing: dA1 = dA1 * D1
        dA1 = dA1 / keep_prob
        dZ1 = dA1 * (1 - A1**2)
        dW1, db1 = np.dot(dZ1, X.T), np.sum(dZ1, axis=1, keepdims=True)
        return np.dot(W1.T, dZ1), dW1, db1, dW2, db2

    return Z2, backward


@mutant(
    "dropout_mask_that_is_scaled_already_scaled_once_more",
    cause="constant-factor",
    also=("dropout-scale-missing",),
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="the scale is within the mask, and then stands in the line too",
)
def dropout_mask_that_is_scaled_already_scaled_once_more(x, W1, b1, W2, b2):
    p = 0.75
    h = np.maximum(0, x.dot(W1) + b1)
    U = (np.random.default_rng(11).random(h.shape) < p) / p
    h_dropped = h * U
    out = h_dropped.dot(W2) + b2

    def backward(dout):
        dW2, db2 = h_dropped.T.dot(dout), dout.sum(axis=0)
        dh = dout.dot(W2.T) * U / p  # right: dh = dout.dot(W2.T) * U
        dh[h <= 0] = 0
        return dh.dot(W1.T), x.T.dot(dh), dh.sum(axis=0), dW2, db2

    return out, backward


@mutant(
    "highway_layer_carries_the_whole_gradient",
    cause="forget-gate-not-in-carry",
    also=("missing-factor",),
    inputs=arrays_4((5, 4), (4, 4), (4,), (4, 4), (4,)),
    wrong=("dx",),
    note="as in a residual block, whose shortcut is always open",
)
def highway_layer_carries_the_whole_gradient(x, W_h, b_h, W_t, b_t):
    h = np.tanh(x @ W_h + b_h)
    t = sigmoid(x @ W_t + b_t)

    def backward(dy):
        dz_h = dy * t * (1 - h**2)
        dz_t = dy * (h - x) * t * (1 - t)
        dx = dz_h @ W_h.T + dz_t @ W_t.T
        dx = dx + dy  # right: dx = dx + dy * (1 - t)
        return dx, x.T @ dz_h, dz_h.sum(axis=0), x.T @ dz_t, dz_t.sum(axis=0)

    return h * t + x * (1 - t), backward


@mutant(
    "two_layers_one_tanh_derivative",
    cause="activation-derivative-missing",
    inputs=square_affine_inputs,
    wrong=("dx", "dW", "db"),
)
def two_layers_one_tanh_derivative(x, W, b):
    """tanh, then the affine map, then tanh."""
    a = np.tanh(x)
    y = np.tanh(a @ W + b)

    def backward(dy):
        ds = dy  # right: ds = dy * (1 - y * y)
        da = ds @ W.T
        return da * (1 - a * a), a.T @ ds, ds.sum(axis=0)

    return y, backward


@mutant(
    "softplus_from_its_output",
    cause="derivative-at-preactivation",
    inputs=lambda rng: (2 * rng.standard_normal((3, 5)),),
    wrong=("dx",),
)
def softplus_from_its_output(x):
    y = np.log1p(np.exp(x))

    def backward(dy):
        return dy / (1 + np.exp(-y))  # right: return dy / (1 + np.exp(-x))

    return y, backward


STREAM = np.random.default_rng(5)


@mutant("dropout_never_frozen", cause="forward-not-deterministic", inputs=dropout_inputs)
def dropout_never_frozen(x):
    rng = STREAM  # right: rng = np.random.default_rng(5)
    mask = (rng.uniform(size=x.shape) < 0.7) / 0.7
    return x * mask, lambda dout: dout * mask


@mutant(
    "residual_dropout_not_scaled_up",
    cause="dropout-scale-missing",
    inputs=square_affine_inputs,
    wrong=("dx", "dW", "db"),
)
def residual_dropout_not_scaled_up(x, W, b):
    """A quarter of the new features is left out, then the input is added."""
    rate = 0.25
    keep = np.random.default_rng(4).random(x.shape) >= rate
    a = np.tanh(x @ W + b)
    y = np.where(keep, a / (1 - rate), 0) + x

    def backward(dy):
        da = np.where(keep, dy, 0)  # right: da = np.where(keep, dy / (1 - rate), 0)
        dz = da * (1 - a**2)
        return dy + dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return y, backward
