# ruff: noqa: RUF059 (students unpack every shape)
"""Single layers: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import arrays_4, rows_matrix_bias, square_affine_inputs


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
    "dense_on_channels_first_signal_handed_back_by_reshape",
    cause="permuted-axes",
    inputs=arrays_4((2, 3, 5), (3, 4), (4,)),
    wrong=("dx",),
    note="there a transpose, back a reshape, which fits as well",
)
def dense_on_channels_first_signal_handed_back_by_reshape(x, W, b):
    """One dense layer at every place of a signal (N, C, L)."""
    N, C, L = x.shape
    rows = x.transpose(0, 2, 1).reshape(N * L, C)
    h = np.maximum(rows @ W + b, 0)
    out = h.reshape(N, L, -1).transpose(0, 2, 1)

    def backward(dout):
        dh = dout.transpose(0, 2, 1).reshape(N * L, -1)
        dz = dh * (h > 0)
        drows = dz @ W.T
        dx = drows.reshape(N, C, L)  # right: dx = drows.reshape(N, L, C).transpose(0, 2, 1)
        return dx, rows.T @ dz, dz.sum(axis=0)

    return out, backward


class MulLayer:
    """A node of the graph of apples and oranges."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        dx, dy = dout * self.x, dout * self.y  # right: dx, dy = dout * self.y, dout * self.x
        return dx, dy


@mutant(
    "multiply_layer_every_factor_gets_itself",
    cause="swapped-gradients",
    also=("missing-factor",),
    inputs=arrays_4((5, 3), (5, 3)),
    wrong=("dapples", "dprices"),
    note="the two have to be turned over, and were not",
)
def multiply_layer_every_factor_gets_itself(apples, prices):
    layer = MulLayer()
    return layer.forward(apples, prices), layer.backward


class Tanh:
    """An activation that knows its own way back."""

    def forward(self, z):
        self.out = np.tanh(z)
        return self.out

    def slope(self):
        return 1 - self.out**2

    def backward(self, grad):
        return grad * self.slope()


@mutant(
    "dense_layer_slope_in_the_activation_and_in_the_layer",
    cause="activation-derivative-doubled",
    inputs=rows_matrix_bias,
    wrong=("dx", "dW", "db"),
    note="the activation became an object with a backward, the layer's own line stayed",
)
def dense_layer_slope_in_the_activation_and_in_the_layer(x, W, b):
    act = Tanh()
    out = act.forward(x.dot(W) + b)

    def backward(grad):
        delta = act.backward(grad)
        delta = delta * act.slope()  # right: delta = delta * 1
        return delta.dot(W.T), x.T.dot(delta), delta.sum(axis=0)

    return out, backward


@mutant(
    "residual_shortcut_adds_into_the_gradient_it_was_given",
    cause="dy-changed",
    inputs=arrays_4((5, 4), (4, 6), (6,), (6, 4), (4,)),
    note="the gradient of the shortcut is dout itself, not a copy",
)
def residual_shortcut_adds_into_the_gradient_it_was_given(x, W1, b1, W2, b2):
    h = np.maximum(x @ W1 + b1, 0)

    def backward(dout):
        dW2, db2 = h.T @ dout, dout.sum(axis=0)
        dh = (dout @ W2.T) * (h > 0)
        dx = dout  # right: dx = dout.copy()
        dx += dh @ W1.T
        return dx, x.T @ dh, dh.sum(axis=0), dW2, db2

    return h @ W2 + b2 + x, backward


@mutant(
    "dense_block_input_hears_from_its_copy_only",
    cause="branch-missing",
    inputs=rows_matrix_bias,
    wrong=("dx",),
    note="the input stands in the output, and is what the new features are made of",
)
def dense_block_input_hears_from_its_copy_only(x, W, b):
    """New features are put behind the old ones."""
    D = x.shape[1]
    new = np.maximum(x @ W + b, 0)
    out = np.concatenate([x, new], axis=1)

    def backward(dout):
        dx = dout[:, :D].copy()
        dz = dout[:, D:] * (new > 0)
        # missing: dx += dz @ W.T
        return dx, x.T @ dz, dz.sum(axis=0)

    return out, backward


class Affine:
    """A layer that remembers its input and leaves its gradients on itself."""

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.W)  # right: dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


@mutant("affine_class_weight_not_turned", cause="transposed", inputs=square_affine_inputs, wrong=("dx",))
def affine_class_weight_not_turned(x, W, b):
    layer = Affine(W, b)
    out = layer.forward(x)

    def backward(dout):
        dx = layer.backward(dout)
        return dx, layer.dW, layer.db

    return out, backward


@mutant("linear_one_sentence_counts", cause="sum-missing", like="linear", wrong=("dweight",))
def linear_one_sentence_counts(x, weight, bias):
    T, N, D = x.shape
    y = np.zeros((T, N, len(weight)))
    for n in range(N):
        for t in range(T):
            y[t, n] = weight @ x[t, n] + bias

    def backward(dy):
        # missing: dw = 0
        for n in range(N):
            dw = dy[:, n].T @ x[:, n]  # right: dw = dw + dy[:, n].T @ x[:, n]
        return np.einsum("tne,ed->tnd", dy, weight), dw, np.einsum("tne->e", dy)

    return y, backward


@mutant("linear_bias_forgotten_in_the_answer", cause="gradient-count", like="linear")
def linear_bias_forgotten_in_the_answer(x, weight, bias):
    y = np.tensordot(x, weight, axes=([2], [1])) + bias

    def backward(dy):
        dx = np.tensordot(dy, weight, axes=1)
        dw = np.tensordot(dy, x, axes=([0, 1], [0, 1]))
        return dx, dw  # right: return dx, dw, dy.sum(axis=(0, 1))

    return y, backward


@mutant("linear_answers_in_half_the_digits", cause="gradient-dtype", like="linear, no bias", wrong=("dweight",))
def linear_answers_in_half_the_digits(x, weight, bias):
    def backward(dy):
        dweight = np.zeros(weight.shape, dtype=np.float32)  # right: dweight = np.zeros(weight.shape)
        for n in range(len(x)):
            dweight += np.outer(dy[n], x[n])
        return dy @ weight, dweight, None

    return x @ weight.T, backward


@mutant("residual_block_without_its_shortcut", cause="branch-missing", inputs=square_affine_inputs, wrong=("dx",))
def residual_block_without_its_shortcut(x, W, b):
    h = np.maximum(x @ W + b, 0)

    def backward(dy):
        dh = dy * (h > 0)
        dx = dh @ W.T  # right: dx = dy + dh @ W.T
        return dx, x.T @ dh, dh.sum(axis=0)

    return x + h, backward
