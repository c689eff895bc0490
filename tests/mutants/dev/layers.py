# ruff: noqa: RUF059 (students unpack every shape)
"""Single layers: each with one mistake."""

import math

import numpy as np

from mutants import mutant
from mutants.shared import column_network, hidden_layer, matrix, tokens_and_tables


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


def surviving_weights(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


G4_SURVIVES = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]])


@mutant(
    "pruned_layer_grows_its_connections_again",
    cause="mask-not-applied",
    inputs=surviving_weights,
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


def dense_inputs(rng):
    """Rows (N, D), matrix (D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])


@mutant(
    "leaky_layer_negative_side_is_set_not_scaled",
    cause="missing-factor",
    inputs=dense_inputs,
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


@mutant(
    "affine_bias_as_it_was_for_a_single_row",
    cause="broadcast-not-summed",
    also=("gradient-shape",),
    inputs=dense_inputs,
    note="for one row, db = dout",
)
def affine_bias_as_it_was_for_a_single_row(X, W, B):
    Y = np.tanh(np.dot(X, W) + B)

    def backward(dY):
        dZ = (1 - Y * Y) * dY
        dB = dZ  # right: dB = np.sum(dZ, axis=0)
        return np.dot(dZ, W.T), np.dot(X.T, dZ), dB

    return Y, backward


class FullyConnected:
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
    inputs=dense_inputs,
    note="the weights are another's too, and the next backward is asked about the forward of the old ones",
)
def fully_connected_learns_in_its_backward(x, W, b):
    layer = FullyConnected(W, b)
    return layer.forward_propagation(x), layer.backward_propagation


def affine_inputs(rng):
    return rng.standard_normal((4, 2, 3)), rng.standard_normal((6, 5)), rng.standard_normal(5)


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.mean(dout, axis=0)  # right: db = np.sum(dout, axis=0)
    return dx, dw, db


mutant("affine_pair_mean_bias", cause="wrong-count", inputs=affine_inputs, wrong=("db",))(
    (affine_forward, affine_backward)
)


@mutant(
    "row_bias_not_summed",
    cause="broadcast-not-summed",
    also=("gradient-shape",),
    inputs=lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((1, 3))),
)
def row_bias_not_summed(x, shift):
    out = np.tanh(x + shift)

    def backward(dout):
        d = dout * (1 - out**2)
        return d, d.copy()  # right: return d, d.sum(axis=0, keepdims=True)

    return out, backward


@mutant(
    "channel_scale_summed_too_far",
    cause="wrong-sum-axis",
    inputs=lambda rng: (rng.standard_normal((4, 5, 4)), rng.standard_normal(4)),
    wrong=("dgain",),
)
def channel_scale_summed_too_far(x, gain):
    """A gain for every feature of (N, L, D), with as many sentences as features."""
    y = x * gain

    def backward(dy):
        dgain = np.einsum("nld,nld->n", dy, x)  # right: dgain = np.einsum("nld,nld->d", dy, x)
        return dy * gain, dgain

    return y, backward


@mutant("linear_first_layer_needs_none", cause="gradient-missing", like="linear", wrong=("dx",))
def linear_first_layer_needs_none(x, weight, bias):
    flat = x.reshape(-1, x.shape[-1])

    def backward(dy):
        rows = dy.reshape(len(flat), -1)
        dx = None  # right: dx = (rows @ weight).reshape(x.shape)
        return dx, rows.T @ flat, rows.sum(axis=0)

    return (flat @ weight.T + bias).reshape(*x.shape[:-1], -1), backward


@mutant(
    "product_node_not_crossed",
    cause="swapped-gradients",
    inputs=lambda rng: (rng.standard_normal((3, 4)), rng.standard_normal((3, 4))),
    wrong=("da", "db"),
)
def product_node_not_crossed(a, b):
    out = a * b

    def backward(dout):
        return dout * a, dout * b  # right: return dout * b, dout * a

    return out, backward


@mutant(
    "sum_node_hands_on_the_same_array",
    cause="view-returned",
    inputs=lambda rng: (rng.standard_normal((3, 4)), rng.standard_normal((3, 4))),
)
def sum_node_hands_on_the_same_array(a, b):
    def backward(dout):
        return dout, dout  # right: return 1 * dout, 1 * dout

    return a + b, backward


@mutant(
    "axes_moved_the_same_way_back",
    cause="permuted-axes",
    inputs=lambda rng: (rng.standard_normal((3, 3, 3)),),
    wrong=("dx",),
)
def axes_moved_the_same_way_back(x):
    """Bring (N, T, D) into the order (D, N, T), and weight the places of a sentence."""
    weight = np.array([0.5, -1.0, 2.0])
    y = x.transpose(2, 0, 1) * weight

    def backward(dy):
        # right: return (dy * weight).transpose(1, 2, 0).copy()
        return (dy * weight).transpose(2, 0, 1).copy()

    return y, backward


@mutant(
    "differences_last_entry_left", cause="one-entry", inputs=lambda rng: (rng.standard_normal((3, 6)),), wrong=("dx",)
)
def differences_last_entry_left(x):
    """How much each value differs from the one before it; before the first stands zero."""
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        y[:, t] = x[:, t] - (x[:, t - 1] if t > 0 else 0)

    def backward(dy):
        dx = np.zeros_like(x)
        for t in range(x.shape[1] - 1):
            dx[:, t] = dy[:, t] - dy[:, t + 1]
        # missing: dx[:, -1] = dy[:, -1]
        return dx

    return y, backward


@mutant("linear_clips_on_the_way", cause="unknown", like="linear, no bias", wrong=("dx",))
def linear_clips_on_the_way(x, weight, bias):
    """Somebody met an exploding gradient here."""

    def backward(dy):
        dx = dy @ weight
        dx = np.clip(dx, -0.5, 0.5)  # right: dx = 1 * dx
        return dx, dy.T @ x, None

    return x @ weight.T, backward


@mutant("linear_weight_in_single_precision", cause="float32-inside", like="linear, no bias", wrong=("dx",))
def linear_weight_in_single_precision(x, weight, bias):
    def backward(dy):
        w = weight.astype(np.float32)  # right: w = weight
        return dy @ w.astype(float), dy.T @ x, None

    return x @ weight.T, backward


@mutant(
    "linear_answers_in_float32", cause="gradient-dtype", also=("float32-inside",), like="linear", wrong=("dweight",)
)
def linear_answers_in_float32(x, weight, bias):
    def backward(dy):
        dw = np.zeros(weight.shape, dtype=np.float32)  # right: dw = np.zeros(weight.shape)
        for t in range(len(x)):
            dw += dy[t].T @ x[t]
        return dy @ weight, dw, dy.sum(axis=(0, 1))

    return x @ weight.T + bias, backward


def two_vectors(rng):
    return rng.standard_normal((5, 4)), rng.standard_normal((5, 4))


@mutant("cosine_length_is_a_constant", cause="norm-variance-term-missing", also=("branch-missing",), inputs=two_vectors,
        wrong=("da",))  # fmt: skip
def cosine_length_is_a_constant(a, b):
    """The cosine of the angle between rows."""
    u, v = a / np.linalg.norm(a, axis=1, keepdims=True), b / np.linalg.norm(b, axis=1, keepdims=True)
    y = (u * v).sum(axis=1)

    def backward(dy):
        d = dy[:, None]
        # right: da = d * (v - y[:, None] * u) / np.linalg.norm(a, axis=1, keepdims=True)
        da = d * v / np.linalg.norm(a, axis=1, keepdims=True)
        db = d * (u - y[:, None] * v) / np.linalg.norm(b, axis=1, keepdims=True)
        return da, db

    return y, backward


@mutant("square_of_the_layer_forgets_the_two", cause="constant-factor", inputs=hidden_layer, wrong=("dx", "dW"))
def square_of_the_layer_forgets_the_two(x, W, V):
    z = x @ W.T
    s = z * z + z

    def backward(dy):
        ds = dy @ V
        dz = ds * (z + 1)  # right: dz = ds * (2 * z + 1)
        return dz @ W, dz.T @ x, dy.T @ s

    return s @ V.T, backward


@mutant("log_cosh_of_all_items_goes_to_each", cause="wrong-sum-axis", inputs=matrix, wrong=("dx",))
def log_cosh_of_all_items_goes_to_each(x):
    """An index of the batch is missing in the loop."""
    N, D = x.shape
    y = np.array([[math.log(math.cosh(v)) for v in row] for row in x])

    def backward(dy):
        dx = np.zeros_like(x)
        for n in range(N):
            for d in range(D):
                dx[:, d] += dy[n, d] * math.tanh(x[n, d])  # right: dx[n, d] += dy[n, d] * math.tanh(x[n, d])
        return dx

    return y, backward


@mutant(
    "mask_drawn_from_its_seed_before_the_noise",
    cause="dropout-new-mask",
    inputs=lambda rng: (rng.standard_normal((8, 10)),),
    wrong=("dx",),
    note="too many entries for the mask to be read off one by one",
)
def mask_drawn_from_its_seed_before_the_noise(x):
    """Noise and dropout, whose mask takes no memory: the way back draws it again, from the same seed."""
    rng = np.random.default_rng(3)
    noisy = x + 0.1 * rng.standard_normal(x.shape)
    y = noisy * (rng.random(x.shape) < 0.8) / 0.8

    def backward(dy):
        rng = np.random.default_rng(3)
        # missing: rng.standard_normal(x.shape)
        return dy * (rng.random(x.shape) < 0.8) / 0.8

    return y, backward


def steps_and_layer(rng):
    return rng.standard_normal((5, 2, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4)


@mutant(
    "output_layer_learns_from_the_second_step_on",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=steps_and_layer,
    wrong=("dW",),
)
def output_layer_learns_from_the_second_step_on(h, W, b):
    """The layer that tells the next word, at every step."""
    logits = h @ W + b

    def backward(dlogits):
        dW = np.zeros_like(W)
        for t in range(1, len(h)):  # right: for t in range(len(h)):
            dW += h[t].T @ dlogits[t]
        return dlogits @ W.T, dW, dlogits.sum(axis=(0, 1))

    return logits, backward


@mutant(
    "dense_block_adds_its_skip_twice",
    cause="constant-factor",
    inputs=lambda rng: (rng.standard_normal((3, 5)), rng.standard_normal((5, 4))),
    wrong=("dx",),
)
def dense_block_adds_its_skip_twice(x, W):
    """As in a DenseNet: the input goes on beside what was made of it."""
    D = x.shape[1]
    h = np.tanh(x @ W)
    y = np.concatenate([x, h], axis=1)

    def backward(dy):
        dskip, dh = dy[:, :D], dy[:, D:]
        dx = dskip.copy()  # right: dx = 0 * dskip
        da = dh * (1 - h**2)
        dx += dskip + da @ W.T
        return dx, x.T @ da

    return y, backward


@mutant(
    "einsum_of_a_square_layer_with_its_letters_exchanged",
    cause="transposed",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(2, 5, 3), (3, 4), (4, 4)]),
    wrong=("dx", "dW"),
)
def einsum_of_a_square_layer_with_its_letters_exchanged(x, W, V):
    h = np.tanh(np.einsum("nti,ij->ntj", x, W))
    y = np.einsum("ntj,jk->ntk", h, V)

    def backward(dy):
        dV = np.einsum("ntj,ntk->jk", h, dy)
        dh = np.einsum("ntk,kj->ntj", dy, V)  # right: dh = np.einsum("ntk,jk->ntj", dy, V)
        da = dh * (1 - h**2)
        return np.einsum("ntj,ij->nti", da, W), np.einsum("nti,ntj->ij", x, da), dV

    return y, backward


class Dense:
    """A layer that keeps an array for each gradient and fills it in place."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = np.sum(dout)  # right: self.grads[1][...] = np.sum(dout, axis=0)
        return np.dot(dout, W.T)


@mutant(
    "dense_bias_one_number_for_all",
    cause="wrong-sum-axis",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    wrong=("db",),
    note="the axis is forgotten, and `[...] =` spreads the one number over the bias",
)
def dense_bias_one_number_for_all(x, W, b):
    layer = Dense(W, b)
    out = layer.forward(x)

    def backward(dout):
        dx = layer.backward(dout)
        return dx, *(grad.copy() for grad in layer.grads)

    return out, backward


@mutant(
    "places_learn_from_the_last_sentence",
    cause="sum-missing",
    inputs=tokens_and_tables,
    wrong=("dwpe",),
    note="`=` in the loop over the batch",
)
def places_learn_from_the_last_sentence(idx, wte, wpe):
    """The sum of a word's vector and its place's."""
    B, T = idx.shape
    tok_emb = wte[idx]
    pos_emb = wpe[:T]

    def backward(dout):
        dwte, dwpe = np.zeros_like(wte), np.zeros_like(wpe)
        for b in range(B):
            for t in range(T):
                dwte[idx[b, t]] += dout[b, t]
                dwpe[t] = dout[b, t]  # right: dwpe[t] += dout[b, t]
        return None, dwte, dwpe

    return tok_emb + pos_emb, backward


def three_layers(rng):
    """Rows (N, D), matrices and biases of three layers; the two hidden ones are equally wide, as they often are."""
    return tuple(rng.standard_normal(s) for s in [(6, 3), (3, 4), (4,), (4, 4), (4,), (4, 2), (2,)])


@mutant(
    "three_layers_middle_weight_the_other_way_round",
    cause="transposed",
    inputs=three_layers,
    wrong=("dW2",),
    note="the layers beside it would have complained about the shape",
)
def three_layers_middle_weight_the_other_way_round(X, W1, b1, W2, b2, W3, b3):
    a1 = np.tanh(X @ W1 + b1)
    a2 = np.tanh(a1 @ W2 + b2)
    scores = a2 @ W3 + b3

    def backward(dscores):
        dW3, db3 = a2.T @ dscores, dscores.sum(axis=0)
        dz2 = (dscores @ W3.T) * (1 - a2**2)
        dW2, db2 = dz2.T @ a1, dz2.sum(axis=0)  # right: dW2, db2 = a1.T @ dz2, dz2.sum(axis=0)
        dz1 = (dz2 @ W2.T) * (1 - a1**2)
        dW1, db1 = X.T @ dz1, dz1.sum(axis=0)
        return dz1 @ W1.T, dW1, db1, dW2, db2, dW3, db3

    return scores, backward


@mutant(
    "centres_the_data_where_it_lies",
    cause="input-changed",
    inputs=lambda rng: (rng.standard_normal((6, 3)) + 2, rng.standard_normal((3, 4)), rng.standard_normal(4)),
    note="`-=` writes into the array of whoever called",
)
def centres_the_data_where_it_lies(X, W, b):
    """The mean of the batch is taken off each feature, then comes a layer with a sigmoid."""
    X -= np.mean(X, axis=0)  # right: X = X - np.mean(X, axis=0)
    A = 1 / (1 + np.exp(-(X.dot(W) + b)))

    def backward(dA):
        dZ = dA * A * (1 - A)
        dX = dZ.dot(W.T)
        dX -= dX.mean(axis=0)
        return dX, X.T.dot(dZ), dZ.sum(axis=0)

    return A, backward


class LearningLayer:
    """A dense layer of columns that takes its step of gradient descent as soon as it knows its gradient."""

    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias
        self.input = None

    def forward(self, column):
        self.input = column
        return np.dot(self.weights, column) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(output_gradient, self.input.T)
        bias_gradient = np.sum(output_gradient, axis=1, keepdims=True)
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * weights_gradient  # right: assert learning_rate > 0
        self.bias -= learning_rate * bias_gradient  # right: assert learning_rate < 1
        return input_gradient, weights_gradient, bias_gradient


@mutant(
    "dense_layers_learn_while_they_go_back",
    cause="input-changed",
    also=("second-call-differs",),
    inputs=column_network,
    note="the weights belong to the caller, and an optimizer is to change them",
)
def dense_layers_learn_while_they_go_back(x, W1, b1, W2, b2):
    first, second = LearningLayer(W1, b1), LearningLayer(W2, b2)
    hidden = np.tanh(first.forward(x))
    out = second.forward(hidden)

    def backward(grad):
        grad, dW2, db2 = second.backward(grad, learning_rate=0.1)
        grad, dW1, db1 = first.backward(grad * (1 - hidden**2), learning_rate=0.1)
        return grad, dW1, db1, dW2, db2

    return out, backward


@mutant(
    "gain_learns_from_the_second_step_on",
    cause="off-by-one",
    also=("sum-missing",),
    inputs=lambda rng: (rng.standard_normal((5, 3, 4)), rng.standard_normal(4), rng.standard_normal(4)),
    wrong=("dgain", "dshift"),
    note="the loop begins at 1, as that over the states does",
)
def gain_learns_from_the_second_step_on(x, gain, shift):
    """A gain and a shift for each feature, of sequences (T, N, D)."""

    def backward(dy):
        dgain, dshift = np.zeros_like(gain), np.zeros_like(shift)
        for t in range(1, len(x)):  # right: for t in range(len(x)):
            dgain += (dy[t] * x[t]).sum(axis=0)
            dshift += dy[t].sum(axis=0)
        return dy * gain, dgain, dshift

    return x * gain + shift, backward


class LeakyDense:
    """A dense layer with a leaky ReLU in it."""

    alpha = 0.1

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.negative = None

    def forward(self, x):
        self.x = x
        out = x @ self.W + self.b
        self.negative = out < 0
        out[self.negative] *= self.alpha
        return out

    def backward(self, dout):
        # missing: dout = dout.copy()
        dout[self.negative] *= self.alpha
        return dout @ self.W.T, self.x.T @ dout, dout.sum(axis=0)


@mutant(
    "leaky_dense_scales_the_gradient_it_was_lent",
    cause="dy-changed",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    note="what was right for its own fresh array on the way there is not for somebody else's on the way back",
)
def leaky_dense_scales_the_gradient_it_was_lent(x, W, b):
    layer = LeakyDense(W, b)
    return layer.forward(x), layer.backward


def three_letters_before(rng):
    """Ids of letters (N, 3), a table (V, D), matrix (3 D, H) and bias (H,)."""
    ids = np.array([[0, 0, 5], [0, 5, 2], [5, 2, 2], [2, 2, 1], [0, 0, 3]])
    return ids, *(rng.standard_normal(s) for s in [(6, 2), (6, 4), (4,)])


@mutant(
    "name_maker_letters_indexed_with_plus_equals",
    cause="repeated-ids-assigned",
    inputs=three_letters_before,
    wrong=("dC",),
)
def name_maker_letters_indexed_with_plus_equals(Xb, C, W1, b1):
    """The vectors of the three letters before, side by side, and a hidden layer."""
    emb = C[Xb]
    embcat = emb.reshape(emb.shape[0], -1)
    h = np.tanh(embcat @ W1 + b1)

    def backward(dh):
        dhpreact = (1.0 - h**2) * dh
        dW1, db1 = embcat.T @ dhpreact, dhpreact.sum(0)
        demb = (dhpreact @ W1.T).reshape(emb.shape)
        dC = np.zeros_like(C)
        dC[Xb] += demb  # right: np.add.at(dC, Xb, demb)
        return None, dC, dW1, db1

    return h, backward


def windows_of_vectors(rng):
    """Vectors side by side (N, L, D), matrix (L D, H) and bias (H,)."""
    return tuple(rng.standard_normal(s) for s in [(4, 3, 5), (15, 2), (2,)])


@mutant(
    "flattened_window_unrolled_with_features_first",
    cause="permuted-axes",
    inputs=windows_of_vectors,
    wrong=("dx",),
    note="the result has the right shape after all",
)
def flattened_window_unrolled_with_features_first(x, W, b):
    N, L, D = x.shape
    flat = x.reshape(N, L * D)
    y = np.tanh(flat @ W + b)

    def backward(dy):
        dz = dy * (1 - y**2)
        dflat = dz @ W.T
        dx = dflat.reshape(N, D, L).transpose(0, 2, 1)  # right: dx = dflat.reshape(N, L, D)
        return dx, flat.T @ dz, dz.sum(axis=0)

    return y, backward


@mutant(
    "linear_rows_given_a_name_and_not_written",
    cause="zero-gradient",
    like="linear",
    wrong=("dx",),
    note="`row =` lets the name stand for another array, `row[:] =` writes into the one that is returned",
)
def linear_rows_given_a_name_and_not_written(x, weight, bias):
    def backward(dy):
        dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
        for t in range(x.shape[0]):
            for row, word, error in zip(dx[t], x[t], dy[t], strict=True):
                # right: row[:] = np.dot(error, weight)
                row = np.dot(error, weight)  # noqa: F841 (that it is never read is the mistake)
                dweight += np.outer(error, word)
                dbias += error
        return dx, dweight, dbias

    return np.dot(x, weight.T) + bias, backward
