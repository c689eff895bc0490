"""Layers of one formula, as they stand in homework: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import features, norm_inputs, two_relu_layers

# ---------------------------------------------------------------------------------------------------- linear and gates


@mutant(
    "homework_affine_bias_keeps_its_row",
    cause="gradient-shape",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    note="`keepdims` is from a course where the bias is a column, and adding (1, H) to (H,) gives no error",
)
def homework_affine_bias_keeps_its_row(x, w, b):
    num_train = x.shape[0]
    out = x.reshape(num_train, -1).dot(w) + b

    def backward(dout):
        dx = dout.dot(w.T).reshape(x.shape)
        dw = x.reshape(num_train, -1).T.dot(dout)
        db = np.sum(dout, axis=0, keepdims=True)  # right: db = np.sum(dout, axis=0)
        return dx, dw, db

    return out, backward


@mutant(
    "add_gate_hands_the_same_array_to_both",
    cause="view-returned",
    inputs=lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((4, 3))),
    note="an addition passes the gradient on as it is, and so it does",
)
def add_gate_hands_the_same_array_to_both(x, y):
    def backward(dout):
        return dout, dout  # right: return dout.copy(), dout.copy()

    return np.add(x, y), backward


def g4_surviving_weights(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


G4_SURVIVES = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]])


@mutant(
    "pruned_layer_grows_its_connections_again",
    cause="mask-not-applied",
    inputs=g4_surviving_weights,
    wrong=("dW",),
)
def pruned_layer_grows_its_connections_again(x, W, b):
    """Small weights were cut; what is left is trained once more."""
    W_left = W * G4_SURVIVES
    a = np.tanh(x @ W_left + b)

    def backward(da):
        dz = da * (1 - a**2)
        dW = x.T @ dz  # right: dW = (x.T @ dz) * G4_SURVIVES
        return dz @ W_left.T, dW, dz.sum(axis=0)

    return a, backward


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


# ------------------------------------------------------------------------------------------------ activations, softmax


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


# --------------------------------------------------------------------------------------------------------------- norms


@mutant(
    "layernorm_went_back_through_batchnorm",
    cause="wrong-sum-axis",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the backward of the exercise before, whose sums are over the batch, was left as it was",
)
def layernorm_went_back_through_batchnorm(x, gamma, beta):
    mean = np.mean(x, axis=1, keepdims=True)
    istd = 1 / np.sqrt(np.var(x, axis=1, keepdims=True) + 1e-5)
    xhat = (x - mean) * istd

    def backward(dout):
        dgamma, dbeta = np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)
        dxhat = dout * gamma
        axis = 0  # right: axis = 1
        n = x.shape[axis]
        dsum = np.sum(dxhat, axis=axis, keepdims=True)
        ddot = np.sum(dxhat * xhat, axis=axis, keepdims=True)
        return istd / n * (n * dxhat - dsum - xhat * ddot), dgamma, dbeta

    return gamma * xhat + beta, backward


@mutant(
    "rms_norm_sums_where_it_took_a_mean",
    cause="wrong-count",
    inputs=lambda rng: (rng.standard_normal((2, 3, 5)), rng.standard_normal(5)),
    wrong=("dx",),
    note="the root is of a mean of squares, so that each x has a D-th part in it",
)
def rms_norm_sums_where_it_took_a_mean(x, weight):
    B, T, D = x.shape
    r = np.sqrt(np.sum(x * x, axis=-1) / D + 1e-6)
    normed = x / r.reshape(B, T, 1)

    def backward(dout):
        dx, dweight = np.zeros_like(x), np.zeros_like(weight)
        for b in range(B):
            for t in range(T):
                dweight += dout[b, t] * normed[b, t]
                g = dout[b, t] * weight
                along = np.dot(g, normed[b, t])  # right: along = np.dot(g, normed[b, t]) / D
                dx[b, t] = (g - normed[b, t] * along) / r[b, t]
        return dx, dweight

    return normed * weight, backward


@mutant(
    "gated_skip_lets_back_one_plus_the_gate",
    cause="wrong-sign",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 4, 5), (5, 5), (5,), (5, 5)]),
    wrong=("dx",),
    note="a plus where the minus of 1 - gate belongs",
)
def gated_skip_lets_back_one_plus_the_gate(x, W, b, V):
    gate = 1 / (1 + np.exp(-(x @ W + b)))
    h = np.tanh(x @ V)
    y = gate * h + (1 - gate) * x

    def backward(dy):
        dz = dy * (h - x) * gate * (1 - gate)
        dv = dy * gate * (1 - h**2)
        rows = x.reshape(-1, x.shape[-1])
        # right: dx = dy * (1 - gate) + dz @ W.T + dv @ V.T
        dx = dy * (1 + gate) + dz @ W.T + dv @ V.T
        dW, dV = (rows.T @ d.reshape(-1, d.shape[-1]) for d in (dz, dv))
        return dx, dW, dz.sum(axis=(0, 1)), dV

    return y, backward
