"""Activations, gates and dropout: each with one mistake."""

import math

import numpy as np

from mutants import mutant
from mutants.shared import (
    column_network,
    dropout_inputs,
    features,
    hidden_layer,
    matrix,
    sigmoid,
    stable_softmax,
    two_relu_layers,
)


@mutant(
    "highway_carry_is_one_plus_the_gate",
    cause="wrong-sign",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 4), (4,), (4, 4), (4,)]),
    wrong=("dx", "dWT", "dbT"),
    note="the carry is 1 - T, its minus is lost on the way back to T",
)
def highway_carry_is_one_plus_the_gate(x, WH, bH, WT, bT):
    H = np.tanh(x @ WH + bH)
    T = 1 / (1 + np.exp(-(x @ WT + bT)))
    C = 1 - T
    y = H * T + x * C

    def backward(dy):
        dH, dT = dy * T, dy * H
        dC = dy * x
        dT += dC  # right: dT -= dC
        dzH, dzT = dH * (1 - H**2), dT * T * (1 - T)
        dx = dy * C + dzH @ WH.T + dzT @ WT.T
        return dx, x.T @ dzH, dzH.sum(0), x.T @ dzT, dzT.sum(0)

    return y, backward


@mutant(
    "relu_layer_asks_the_gradient_for_its_sign",
    cause="derivative-at-preactivation",
    inputs=two_relu_layers,
    wrong=("dX", "dW1", "db1"),
    note="the mask is made of what comes back, not of what went in",
)
def relu_layer_asks_the_gradient_for_its_sign(X, W1, b1, W2, b2):
    z1 = X.dot(W1) + b1
    h1 = z1 * (z1 > 0)

    def backward(dscores):
        dW2, db2 = h1.T.dot(dscores), dscores.sum(axis=0)
        dh1 = dscores.dot(W2.T)
        dz1 = dh1 * (dh1 > 0)  # right: dz1 = dh1 * (z1 > 0)
        return dz1.dot(W1.T), X.T.dot(dz1), dz1.sum(axis=0), dW2, db2

    return h1.dot(W2) + b2, backward


@mutant(
    "gelu_of_tanh_without_the_polynomial_inside",
    cause="missing-factor",
    like="gelu",
    wrong=("dx",),
    note="the chain stops at the tanh: what is inside it has a slope of its own",
)
def gelu_of_tanh_without_the_polynomial_inside(x):
    k = np.sqrt(2 / np.pi)
    t = np.tanh(k * (x + 0.044715 * x**3))

    def backward(dout):
        inner = k * (1 + 3 * 0.044715 * x**2)
        assert inner.shape == t.shape
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2)  # right: slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner
        return dout * slope

    return 0.5 * x * (1 + t), backward


@mutant(
    "softmax_shifts_the_callers_scores",
    cause="input-changed",
    inputs=features,
    note="the usual shift against overflow, in place; the probabilities are the same",
)
def softmax_shifts_the_callers_scores(scores):
    # right: scores = scores - np.max(scores, axis=1, keepdims=True)
    scores -= np.max(scores, axis=1, keepdims=True)
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    def backward(dprobs):
        dscores = np.zeros_like(probs)
        for i, (p, dp) in enumerate(zip(probs, dprobs, strict=True)):
            s = p.reshape(-1, 1)
            jacobian = np.diagflat(s) - np.dot(s, s.T)
            dscores[i] = np.dot(jacobian, dp)
        return dscores

    return probs, backward


class Relu2:
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
    relu = Relu2()
    h = relu.forward(x @ W1 + b1)

    def backward(dout):
        dz = relu.backward(dout @ W2.T)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), h.T @ dout, dout.sum(axis=0)

    return h @ W2 + b2, backward


def square_inputs(rng):
    """As many features out as in, as a shortcut wants it: rows, then matrix and bias twice."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 3), (3,), (3, 3), (3,)])


@mutant(
    "highway_gate_adds_up_what_it_weighs_against_each_other",
    cause="wrong-sign",
    inputs=square_inputs,
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
    inputs=square_inputs,
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


@mutant("sigmoid_of_the_input", cause="derivative-at-preactivation", like="sigmoid", wrong=("dx",))
def sigmoid_of_the_input(x):
    out = 1.0 / (1.0 + np.exp(-x))

    def backward(dout):
        return dout * x * (1.0 - x)  # right: return dout * out * (1.0 - out)

    return out, backward


def with_one_far_below_zero(rng):
    x = 2 * rng.standard_normal((3, 4))
    x[1, 2] = -800
    return (x,)


@mutant("sigmoid_derivative_by_the_exponential", cause="not-finite", inputs=with_one_far_below_zero, wrong=("dx",))
def sigmoid_derivative_by_the_exponential(x):
    out = 0.5 * (1 + np.tanh(0.5 * x))

    def backward(dout):
        with np.errstate(all="ignore"):
            # right: return dout * out * (1 - out)
            return dout * np.exp(-x) / (1 + np.exp(-x)) ** 2

    return out, backward


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        # missing: dout = dout.copy()
        dout[self.mask] = 0
        dx = dout
        return dx


@mutant("relu_writes_into_dout", cause="dy-changed", also=("view-returned",), like="relu")
def relu_writes_into_dout(x):
    node = Relu()
    return node.forward(x), node.backward


@mutant("gelu_forgets_the_product_rule", cause="branch-missing", like="gelu", wrong=("dx",))
def gelu_forgets_the_product_rule(x):
    k = np.sqrt(2 / np.pi)
    cdf = 0.5 * (1 + np.tanh(k * (x + 0.044715 * x**3)))

    def backward(dout):
        # missing: dout = dout * (1 + x * 2 * (1 - cdf) * k * (1 + 3 * 0.044715 * x**2))
        return dout * cdf

    return x * cdf, backward


@mutant("dropout_scaled_one_way", cause="dropout-scale-missing", inputs=dropout_inputs, wrong=("dx",))
def dropout_scaled_one_way(x):
    keep_prob = 0.6
    mask = np.random.default_rng(0).random(x.shape) < keep_prob
    out = x * mask / keep_prob

    def backward(dout):
        return dout * mask  # right: return dout * mask / keep_prob

    return out, backward


@mutant(
    "dropout_draws_again", cause="dropout-new-mask", also=("second-call-differs",), inputs=dropout_inputs, wrong=("dx",)
)
def dropout_draws_again(x):
    rng = np.random.default_rng(1)
    p = 0.5

    def draw():
        return (rng.random(x.shape) >= p) / (1 - p)

    keep = draw()

    def backward(dout):
        keep_again = draw()  # right: keep_again = keep
        return dout * keep_again

    return x * keep, backward


@mutant("tanh_of_the_output", cause="derivative-at-preactivation", like="tanh", wrong=("dx",))
def tanh_of_the_output(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - np.tanh(y) ** 2)  # right: return y, lambda dy: dy * (1 - np.tanh(x) ** 2)


@mutant("elu_straight_through", cause="activation-derivative-missing", like="elu", wrong=("dx",))
def elu_straight_through(x):
    def backward(dy):
        dx = dy.copy()
        # missing: dx[x < 0] *= np.exp(x[x < 0])
        return dx

    return np.where(x > 0, x, np.expm1(np.minimum(x, 0))), backward


@mutant("leaky_relu_sets_its_slope", cause="missing-factor", like="leaky_relu", wrong=("dx",))
def leaky_relu_sets_its_slope(x):
    slope = 0.01
    y = np.where(x > 0, x, slope * x)

    def backward(dy):
        dx = dy.copy()
        dx[x <= 0] = slope  # right: dx[x <= 0] *= slope
        return dx

    return y, backward


@mutant("silu_forgets_the_input", cause="missing-factor", like="silu", wrong=("dx",))
def silu_forgets_the_input(x):
    s = 1 / (1 + np.exp(-x))

    def backward(dy):
        ds = s * (1 - s)  # right: ds = s * (1 - s) * x
        return dy * (s + ds)

    return x * s, backward


OWN_STREAM = np.random.default_rng(3)


@mutant("dropout_of_a_global_stream", cause="forward-not-deterministic", inputs=dropout_inputs)
def dropout_of_a_global_stream(x):
    # right: keep = np.random.default_rng(3).random(x.shape) < 0.8
    keep = OWN_STREAM.random(x.shape) < 0.8
    return x * keep / 0.8, lambda dy: dy * keep / 0.8


@mutant("hidden_dropout_draws_again", cause="dropout-new-mask", inputs=hidden_layer, wrong=("dx", "dW"))
def hidden_dropout_draws_again(x, W, V):
    rng = np.random.default_rng(5)
    h = np.tanh(x @ W.T)
    keep = rng.random(h.shape) < 0.6
    dropped = h * keep / 0.6
    again = rng.random(h.shape) < 0.6

    def backward(dy):
        dh = dy @ V * again / 0.6  # right: dh = dy @ V * keep / 0.6
        dz = dh * (1 - h**2)
        return dz @ W, dz.T @ x, dy.T @ dropped

    return dropped @ V.T, backward


@mutant("hidden_dropout_scales_forward_alone", cause="dropout-scale-missing", inputs=hidden_layer, wrong=("dx", "dW"))
def hidden_dropout_scales_forward_alone(x, W, V):
    keep = np.random.default_rng(5).random((4, 6)) > 0.3
    h = np.maximum(x @ W.T, 0)
    dropped = h * keep / 0.7

    def backward(dy):
        dh = dy @ V * keep  # right: dh = dy @ V * keep / 0.7
        dz = dh * (h > 0)
        return dz @ W, dz.T @ x, dy.T @ dropped

    return dropped @ V.T, backward


@mutant(
    "hidden_dropout_is_not_there_on_the_way_back", cause="mask-not-applied", inputs=hidden_layer, wrong=("dx", "dW")
)
def hidden_dropout_is_not_there_on_the_way_back(x, W, V):
    keep = np.random.default_rng(5).random((4, 6)) > 0.3
    h = np.maximum(x @ W.T, 0)
    dropped = h * keep / 0.7

    def backward(dy):
        dh = dy @ V  # right: dh = dy @ V * keep / 0.7
        dz = dh * (h > 0)
        return dz @ W, dz.T @ x, dy.T @ dropped

    return dropped @ V.T, backward


@mutant("log_sigmoid_keeps_one_of_two_minuses", cause="wrong-sign", inputs=matrix, wrong=("dx",))
def log_sigmoid_keeps_one_of_two_minuses(x):
    """As in word2vec with negative samples: -log(1 + exp(-x)), one minus in front and one within."""
    y = np.vectorize(lambda v: -math.log1p(math.exp(-v)))(x)

    def backward(dy):
        return -dy / (1 + np.exp(x))  # right: return dy / (1 + np.exp(x))

    return y, backward


@mutant("gelu_by_erf_at_its_output", cause="derivative-at-preactivation", inputs=matrix, wrong=("dx",))
def gelu_by_erf_at_its_output(x):
    def below(v):
        return 0.5 * (1 + math.erf(v / math.sqrt(2)))

    def derivative(v):
        return below(v) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi)

    y = np.array([[v * below(v) for v in row] for row in x])

    def backward(dy):
        # right: return dy * np.vectorize(derivative)(x)
        return dy * np.vectorize(derivative)(y)

    return y, backward


@mutant(
    "relu_looks_at_the_gradient",
    cause="derivative-at-preactivation",
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="what is negative in the gradient is cut off, not what was negative on the way there",
)
def relu_looks_at_the_gradient(x, W1, b1, W2, b2):
    z1 = x.dot(W1) + b1
    h1 = np.maximum(0, z1)
    out = h1.dot(W2) + b2

    def backward(dout):
        dW2, db2 = h1.T.dot(dout), dout.sum(axis=0)
        dz1 = dout.dot(W2.T)
        dz1[dz1 <= 0] = 0  # right: dz1[z1 <= 0] = 0
        return dz1.dot(W1.T), x.T.dot(dz1), dz1.sum(axis=0), dW2, db2

    return out, backward


@mutant(
    "dropout_pays_the_units_it_switched_off",
    cause="mask-inverted",
    inputs=two_relu_layers,
    wrong=("dX", "dW1", "db1"),
    note="dropped is True where a unit is off",
)
def dropout_pays_the_units_it_switched_off(X, W1, b1, W2, b2):
    """Dropout between two layers."""
    p_drop = 0.4
    hidden = np.maximum(X @ W1 + b1, 0)
    dropped = np.random.default_rng(0).random(hidden.shape) < p_drop
    thinned = hidden.copy()
    thinned[dropped] = 0
    thinned /= 1 - p_drop
    out = thinned @ W2 + b2

    def backward(dout):
        dthinned = dout @ W2.T
        dhidden = dthinned * dropped / (1 - p_drop)  # right: dhidden = dthinned * ~dropped / (1 - p_drop)
        dhidden = dhidden * (hidden > 0)
        return dhidden @ W1.T, X.T @ dhidden, dhidden.sum(axis=0), thinned.T @ dout, dout.sum(axis=0)

    return out, backward


@mutant(
    "swish_layer_derives_its_sigmoid_only",
    cause="branch-missing",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    wrong=("dx", "dW", "db"),
    note="z stands in the product twice, before the sigmoid and in it",
)
def swish_layer_derives_its_sigmoid_only(x, W, b):
    z = x @ W + b
    sig = 1 / (1 + np.exp(-z))

    def backward(dout):
        dz = dout * z * sig * (1 - sig)
        # missing: dz = dz + dout * sig
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return z * sig, backward


@mutant(
    "column_dropout_divides_but_never_shuts",
    cause="mask-not-applied",
    inputs=column_network,
    wrong=("dX", "dW1", "db1"),
    note="of the two steps of dropout only the second, `/ keep_prob`, is done on the way back",
)
def column_dropout_divides_but_never_shuts(X, W1, b1, W2, b2):
    """Examples in columns, dropout after the hidden layer."""
    keep_prob = 0.6
    H1 = np.tanh(np.dot(W1, X) + b1)
    D1 = np.random.default_rng(1).random(H1.shape) < keep_prob
    A1 = H1 * D1
    A1 = A1 / keep_prob
    A2 = 1 / (1 + np.exp(-(np.dot(W2, A1) + b2)))

    def backward(dA2):
        dZ2 = dA2 * A2 * (1 - A2)
        dW2, db2 = np.dot(dZ2, A1.T), np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.dot(W2.T, dZ2)
        # missing: dA1 = dA1 * D1
        dA1 = dA1 / keep_prob
        dZ1 = dA1 * (1 - np.power(H1, 2))
        dW1, db1 = np.dot(dZ1, X.T), np.sum(dZ1, axis=1, keepdims=True)
        return np.dot(W1.T, dZ1), dW1, db1, dW2, db2

    return A2, backward


def highway_inputs(rng):
    """Rows (N, D), and matrix (D, D) and bias (D,) of the new features and of the gate."""
    return tuple(rng.standard_normal(s) for s in [(5, 4), (4, 4), (4,), (4, 4), (4,)])


@mutant(
    "highway_transform_and_carry_exchanged",
    cause="wrong-gate",
    inputs=highway_inputs,
    wrong=("dx", "dW_H", "db_H"),
    note="backward was written for y = (1 - t) h + t x",
)
def highway_transform_and_carry_exchanged(x, W_H, b_H, W_T, b_T):
    h = np.tanh(x @ W_H + b_H)
    t = 1 / (1 + np.exp(-(x @ W_T + b_T)))
    y = t * h + (1 - t) * x

    def backward(dy):
        dt = dy * (h - x)
        dh, dx = dy * (1 - t), dy * t  # right: dh, dx = dy * t, dy * (1 - t)
        dz_H = dh * (1 - h**2)
        dz_T = dt * t * (1 - t)
        dx = dx + dz_H @ W_H.T + dz_T @ W_T.T
        return dx, x.T @ dz_H, dz_H.sum(axis=0), x.T @ dz_T, dz_T.sum(axis=0)

    return y, backward


@mutant(
    "feed_forward_gelu_inner_polynomial_not_derived",
    cause="missing-factor",
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="of what stands in the tanh only the constant in front was derived",
)
def feed_forward_gelu_inner_polynomial_not_derived(x, W1, b1, W2, b2):
    """The feed-forward part of a transformer, with the GELU that is made of a tanh."""
    k = np.sqrt(2 / np.pi)
    z = x @ W1 + b1
    t = np.tanh(k * (z + 0.044715 * z**3))
    h = 0.5 * z * (1 + t)

    def backward(dout):
        dh = dout @ W2.T
        dinner = k  # right: dinner = k * (1 + 3 * 0.044715 * z**2)
        dz = dh * (0.5 * (1 + t) + 0.5 * z * (1 - t**2) * dinner)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), h.T @ dout, dout.sum(axis=0)

    return h @ W2 + b2, backward


@mutant(
    "highway_gate_hears_of_the_transform_only",
    cause="branch-missing",
    inputs=highway_inputs,
    wrong=("dx", "dW_T", "db_T"),
    note="the gate also says how much is carried, as 1 - T",
)
def highway_gate_hears_of_the_transform_only(x, W_H, b_H, W_T, b_T):
    H = np.tanh(x.dot(W_H) + b_H)
    T = 1 / (1 + np.exp(-(x.dot(W_T) + b_T)))
    C = 1 - T
    y = H * T + x * C

    def backward(dy):
        dH = dy * T
        dT = dy * H
        # missing: dT = dT - dy * x
        dx = dy * C
        dzH, dzT = dH * (1 - H**2), dT * T * (1 - T)
        dx = dx + dzH.dot(W_H.T) + dzT.dot(W_T.T)
        return dx, x.T.dot(dzH), dzH.sum(axis=0), x.T.dot(dzT), dzT.sum(axis=0)

    return y, backward


@mutant(
    "relu_net_cuts_off_negative_gradients",
    cause="derivative-at-preactivation",
    inputs=two_relu_layers,
    wrong=("dX", "dW1", "db1"),
    note="the gradient is asked for its sign, not what went into the ReLU",
)
def relu_net_cuts_off_negative_gradients(X, W1, b1, W2, b2):
    z1 = X.dot(W1) + b1
    a1 = np.maximum(z1, 0)
    out = a1.dot(W2) + b2

    def backward(dout):
        dW2, db2 = a1.T.dot(dout), dout.sum(axis=0)
        da1 = dout.dot(W2.T)
        dz1 = da1.copy()
        dz1[da1 <= 0] = 0  # right: dz1[z1 <= 0] = 0
        dW1, db1 = X.T.dot(dz1), dz1.sum(axis=0)
        return dz1.dot(W1.T), dW1, db1, dW2, db2

    return out, backward


def rows_matrix_bias(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(7, 4), (4, 3), (3,)])


class Relu3:
    """Remembers which entries went through."""

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0  # right: dx[~self.mask] = 0
        return dx


@mutant(
    "relu_class_mask_means_the_opposite_on_the_way_back",
    cause="mask-inverted",
    inputs=rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="the backward is from the book, where the mask is of the entries that were cut off",
)
def relu_class_mask_means_the_opposite_on_the_way_back(x, W, b):
    relu = Relu3()
    out = relu.forward(np.dot(x, W) + b)

    def backward(dout):
        dz = relu.backward(dout)
        return np.dot(dz, W.T), np.dot(x.T, dz), np.sum(dz, axis=0)

    return out, backward


@mutant(
    "relu6_ceiling_forgotten",
    cause="activation-derivative-missing",
    inputs=lambda rng: (2 * rng.standard_normal((7, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3) + 5),
    wrong=("dx", "dW", "db"),
    note="what lies above six passes as if there were no ceiling",
)
def relu6_ceiling_forgotten(x, W, b):
    z = x @ W + b
    out = np.minimum(np.maximum(z, 0), 6)

    def backward(dout):
        dz = dout * (z > 0)  # right: dz = dout * (z > 0) * (z < 6)
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return out, backward


@mutant(
    "distilled_softmax_temperature_on_the_way_there_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=rows_matrix_bias,
    wrong=("dx", "dW", "db"),
)
def distilled_softmax_temperature_on_the_way_there_only(x, W, b):
    """The soft targets of a teacher."""
    temperature = 2.0
    logits = x @ W + b
    soft = stable_softmax(logits / temperature)

    def backward(dsoft):
        dlogits = np.zeros_like(logits)
        for i, (s, d) in enumerate(zip(soft, dsoft, strict=True)):
            jacobian = np.diag(s) - np.outer(s, s)
            dlogits[i] = jacobian @ d  # right: dlogits[i] = jacobian @ d / temperature
        return dlogits @ W.T, x.T @ dlogits, dlogits.sum(axis=0)

    return soft, backward


@mutant(
    "relu_layer_output_is_never_below_zero",
    cause="activation-derivative-missing",
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="`<` for `<=`: what was cut off lies at zero, not below it",
)
def relu_layer_output_is_never_below_zero(x, W1, b1, W2, b2):
    hidden = np.maximum(0, np.dot(x, W1) + b1)
    scores = np.dot(hidden, W2) + b2

    def backward(dscores):
        dhidden = np.dot(dscores, W2.T)
        dhidden[hidden < 0] = 0  # right: dhidden[hidden <= 0] = 0
        dW1, db1 = np.dot(x.T, dhidden), np.sum(dhidden, axis=0)
        return np.dot(dhidden, W1.T), dW1, db1, np.dot(hidden.T, dscores), np.sum(dscores, axis=0)

    return scores, backward


@mutant(
    "sigmoid_net_bias_before_the_slope",
    cause="activation-derivative-missing",
    inputs=two_relu_layers,
    wrong=("db1",),
    note="the line of the bias took the variable of one line too early",
)
def sigmoid_net_bias_before_the_slope(x, W1, b1, W2, b2):
    z1 = x.dot(W1) + b1
    a1 = 1 / (1 + np.exp(-z1))
    z2 = a1.dot(W2) + b2

    def backward(dz2):
        grads = {"W2": a1.T.dot(dz2), "b2": dz2.sum(axis=0)}
        da1 = dz2.dot(W2.T)
        dz1 = da1 * a1 * (1 - a1)
        grads["W1"] = x.T.dot(dz1)
        grads["b1"] = da1.sum(axis=0)  # right: grads["b1"] = dz1.sum(axis=0)
        return dz1.dot(W1.T), *(grads[name] for name in ("W1", "b1", "W2", "b2"))

    return z2, backward


@mutant(
    "dropout_p_to_drop_there_p_to_keep_back",
    cause="dropout-scale-missing",
    also=("constant-factor",),
    inputs=two_relu_layers,
    wrong=("dx", "dW1", "db1"),
    note="the two halves are from two sources, of which one calls p what the other calls 1 - p",
)
def dropout_p_to_drop_there_p_to_keep_back(x, W1, b1, W2, b2):
    p = 0.3
    h = np.tanh(x @ W1 + b1)
    mask = np.random.default_rng(2).random(h.shape) > p
    dropped = h * mask / (1 - p)

    def backward(dout):
        ddropped = dout @ W2.T
        dh = ddropped * mask / p  # right: dh = ddropped * mask / (1 - p)
        dz = dh * (1 - h * h)
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), dropped.T @ dout, dout.sum(axis=0)

    return dropped @ W2 + b2, backward


@mutant(
    "prelu_slopes_learn_from_a_mean",
    cause="wrong-count",
    inputs=lambda rng: (rng.standard_normal((7, 4)), rng.uniform(0.1, 0.6, 4)),
    wrong=("dslope",),
    note="as the batch is averaged anyway, in the loss",
)
def prelu_slopes_learn_from_a_mean(x, slope):
    """A leaky ReLU that learns how leaky each feature is."""
    out = x.copy()
    rows, columns = np.nonzero(x < 0)
    out[rows, columns] *= slope[columns]

    def backward(dout):
        dx = dout.copy()
        dx[rows, columns] *= slope[columns]
        dslope = np.mean(np.minimum(x, 0) * dout, axis=0)  # right: dslope = np.sum(np.minimum(x, 0) * dout, axis=0)
        return dx, dslope

    return out, backward


@mutant(
    "maxout_every_piece_is_a_winner",
    cause="pool-gradient-to-all",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (3, 4, 2), (3, 2)]),
    wrong=("dx", "dW", "db"),
)
def maxout_every_piece_is_a_winner(x, W, b):
    """The largest of three linear maps."""
    pieces = np.stack([x @ W_k + b_k for W_k, b_k in zip(W, b, strict=True)])
    out = pieces.max(axis=0)

    def backward(dout):
        dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(b)
        for k in range(len(W)):
            dpiece = dout  # right: dpiece = dout * (pieces[k] == out)
            dx += dpiece @ W[k].T
            dW[k] = x.T @ dpiece
            db[k] = dpiece.sum(axis=0)
        return dx, dW, db

    return out, backward


@mutant(
    "sigmoid_net_delta_takes_its_slope_along",
    cause="activation-derivative-doubled",
    inputs=two_relu_layers,
    wrong=("dX", "dW1", "db1"),
    note="the error of the output was made a delta, and is made one again as it is passed on",
)
def sigmoid_net_delta_takes_its_slope_along(X, W1, b1, W2, b2):
    def sigmoid(x, deriv=False):
        return x * (1 - x) if deriv else 1 / (1 + np.exp(-x))

    l1 = sigmoid(np.dot(X, W1) + b1)
    l2 = sigmoid(np.dot(l1, W2) + b2)

    def backward(l2_error):
        l2_delta = l2_error * sigmoid(l2, deriv=True)
        # right: l1_error = np.dot(l2_delta, W2.T)
        l1_error = np.dot(l2_delta * sigmoid(l2, deriv=True), W2.T)
        l1_delta = l1_error * sigmoid(l1, deriv=True)
        dW1, dW2 = np.dot(X.T, l1_delta), np.dot(l1.T, l2_delta)
        return np.dot(l1_delta, W1.T), dW1, l1_delta.sum(axis=0), dW2, l2_delta.sum(axis=0)

    return l2, backward
