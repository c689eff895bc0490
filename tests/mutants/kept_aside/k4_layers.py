"""Single layers, from homework and blog posts: norms, rectifiers, a softmax, a gated unit, each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import norm_inputs, sigmoid, stable_softmax, two_relu_layers


def k4_rows_matrix_bias(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(7, 4), (4, 3), (3,)])


@mutant(
    "rms_norm_projection_without_the_gain",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((5, 4)) + 0.5, rng.standard_normal(4)),
    wrong=("dx",),
    note="derived without a gain, which was put in afterwards, at one of the two places",
)
def rms_norm_projection_without_the_gain(x, g):
    rms = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    x_norm = x / rms

    def backward(dout):
        dg = np.sum(dout * x_norm, axis=0)
        # right: dot = np.mean(dout * g * x_norm, axis=-1, keepdims=True)
        dot = np.mean(dout * x_norm, axis=-1, keepdims=True)
        dx = (dout * g - x_norm * dot) / rms
        return dx, dg

    return x_norm * g, backward


@mutant(
    "layer_norm_copied_from_batch_norm_with_its_count",
    cause="wrong-count",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the axes were changed, N was not",
)
def layer_norm_copied_from_batch_norm_with_its_count(x, gamma, beta):
    mu = np.mean(x, axis=1, keepdims=True)
    inv_std = 1.0 / np.sqrt(np.var(x, axis=1, keepdims=True) + 1e-5)
    x_hat = (x - mu) * inv_std

    def backward(dout):
        m = dout.shape[0]  # right: m = dout.shape[1]
        dx_hat = dout * gamma
        total = np.sum(dx_hat, axis=1, keepdims=True)
        along = np.sum(dx_hat * x_hat, axis=1, keepdims=True)
        dx = inv_std / m * (m * dx_hat - total - x_hat * along)
        return dx, np.sum(dout * x_hat, axis=0), np.sum(dout, axis=0)

    return gamma * x_hat + beta, backward


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


class K4Relu:
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
    inputs=k4_rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="the backward is from the book, where the mask is of the entries that were cut off",
)
def relu_class_mask_means_the_opposite_on_the_way_back(x, W, b):
    relu = K4Relu()
    out = relu.forward(np.dot(x, W) + b)

    def backward(dout):
        dz = relu.backward(dout)
        return np.dot(dz, W.T), np.dot(x.T, dz), np.sum(dz, axis=0)

    return out, backward


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


@mutant(
    "wavenet_unit_filter_opened_by_itself",
    cause="wrong-gate",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 4), (4,), (3, 4), (4,)]),
    wrong=("dx", "dWf", "dbf"),
    note="of the two factors each gets the other, here the first got itself",
)
def wavenet_unit_filter_opened_by_itself(x, Wf, bf, Wg, bg):
    """What the filter sees, as far as the gate is open."""
    filt = np.tanh(x @ Wf + bf)
    gate = sigmoid(x @ Wg + bg)

    def backward(dout):
        dfilt = dout * filt  # right: dfilt = dout * gate
        dgate = dout * filt
        dzf = dfilt * (1 - filt**2)
        dzg = dgate * gate * (1 - gate)
        dx = dzf @ Wf.T + dzg @ Wg.T
        return dx, x.T @ dzf, dzf.sum(axis=0), x.T @ dzg, dzg.sum(axis=0)

    return filt * gate, backward


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
    inputs=k4_rows_matrix_bias,
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
