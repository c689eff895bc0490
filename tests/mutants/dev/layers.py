# ruff: noqa: RUF059 (students unpack every shape)
"""Linear maps, tables, activations, dropout and norms, as students write them: each with one mistake."""

import math

import numpy as np

from mutants import mutant
from mutants.shared import dropout_inputs, norm_inputs, tokens_and_tables, two_relu_layers


def affine_inputs(rng):
    return rng.standard_normal((4, 2, 3)), rng.standard_normal((6, 5)), rng.standard_normal(5)


# ---------------------------------------------------------------------------------------------------------- linear maps


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


# ---------------------------------------------------------------------------------------------------- nodes of a graph


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


# ---------------------------------------------------------------------------------------------------------- activations


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


# ------------------------------------------------------------------------------------------------ embedding and dropout


@mutant(
    "embedding_fancy_plus",
    cause="repeated-ids-assigned",
    like="embedding",
    note="`a[ids] += b` adds once an id",
    wrong=("dweight",),
)
def embedding_fancy_plus(ids, weight):
    out = weight[ids]

    def backward(dout):
        dW = np.zeros_like(weight)
        dW[ids] += dout  # right: np.add.at(dW, ids, dout)
        return None, dW

    return out, backward


@mutant(
    "embedding_padding_learns",
    cause="padding-id-gradient",
    inputs=lambda rng: (np.array([[3, 1, 0], [5, 3, 2], [1, 0, 0]]), rng.standard_normal((6, 4))),
    wrong=("dtable",),
)
def embedding_padding_learns(ids, table):
    """Padding, id 0, is looked up as zeros."""
    batch, length = ids.shape
    vectors = np.zeros((batch, length, table.shape[1]))
    for n in range(batch):
        for t in range(length):
            if ids[n, t] != 0:
                vectors[n, t] = table[ids[n, t]]

    def backward(dvectors):
        dtable = np.zeros_like(table)
        for n in range(batch):
            for t in range(length):
                dtable[ids[n, t]] += dvectors[n, t]
        # missing: dtable[0] = 0
        return None, dtable

    return vectors, backward


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


# ---------------------------------------------------------------------------------------------------------------- norms


@mutant("batchnorm_one_less_than_the_batch", cause="wrong-count", inputs=norm_inputs, wrong=("dx",))
def batchnorm_one_less_than_the_batch(x, gamma, beta):
    """The variance divides by N; its gradient was copied from notes that divide by N - 1."""
    N = len(x)
    mean, var = np.mean(x, axis=0), np.var(x, axis=0)
    inv = (var + 1e-5) ** -0.5
    norm = (x - mean) * inv

    def backward(dy):
        dnorm = dy * gamma
        dvar = np.sum(dnorm * (x - mean), axis=0) * -0.5 * inv**3
        dmean = -np.sum(dnorm * inv, axis=0)
        # right: dx = dnorm * inv + dvar * 2 * (x - mean) / N + dmean / N
        dx = dnorm * inv + dvar * 2 * (x - mean) / (N - 1) + dmean / N
        return dx, np.sum(dy * norm, axis=0), np.sum(dy, axis=0)

    return gamma * norm + beta, backward


@mutant("layer_norm_centres_in_place", cause="input-changed", like="layer_norm")
def layer_norm_centres_in_place(x, weight, bias):
    # missing: x = x.copy()
    x -= x.mean(axis=-1, keepdims=True)
    s = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    y = x / s

    def backward(dy):
        g = dy * weight
        dx = (g - g.mean(axis=-1, keepdims=True) - y * np.mean(g * y, axis=-1, keepdims=True)) / s
        return dx, (dy * y).sum(axis=(0, 1)), dy.sum(axis=(0, 1))

    return weight * y + bias, backward


# ------------------------------------------------------------------------------------------------- more of one function


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


@mutant("embedding_ids_are_differentiated", cause="gradient-for-integers", like="embedding")
def embedding_ids_are_differentiated(ids, table):
    def backward(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dy)
        return np.zeros(ids.shape), dtable  # right: return None, dtable

    return table[ids], backward


@mutant("embedding_returns_the_table_alone", cause="gradient-count", like="embedding")
def embedding_returns_the_table_alone(ids, table):
    def backward(dy):
        dtable = np.zeros_like(table)
        for i, row in zip(ids.ravel(), dy.reshape(-1, dy.shape[-1]), strict=True):
            dtable[i] += row
        return dtable  # right: return None, dtable

    return table[ids], backward


OWN_STREAM = np.random.default_rng(3)


@mutant("dropout_of_a_global_stream", cause="forward-not-deterministic", inputs=dropout_inputs)
def dropout_of_a_global_stream(x):
    # right: keep = np.random.default_rng(3).random(x.shape) < 0.8
    keep = OWN_STREAM.random(x.shape) < 0.8
    return x * keep / 0.8, lambda dy: dy * keep / 0.8


@mutant("layer_norm_mean_is_a_constant", cause="norm-mean-term-missing", like="layer_norm", wrong=("dx",))
def layer_norm_mean_is_a_constant(x, weight, bias):
    D = x.shape[-1]
    mu = x.mean(-1, keepdims=True)
    std = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    xhat = (x - mu) / std

    def backward(dy):
        g = dy * weight
        dvar_part = xhat * (g * xhat).sum(-1, keepdims=True) / D
        dx = (g - dvar_part) / std  # right: dx = (g - g.sum(-1, keepdims=True) / D - dvar_part) / std
        return dx, (dy * xhat).sum((0, 1)), dy.sum((0, 1))

    return weight * xhat + bias, backward


@mutant("batch_norm_variance_is_a_constant", cause="norm-variance-term-missing", like="batch_norm, rows", wrong=("dx",))
def batch_norm_variance_is_a_constant(x, gamma, beta):
    N = x.shape[0]
    xmu = x - x.mean(axis=0)
    ivar = 1 / np.sqrt((xmu**2).mean(axis=0) + 1e-5)

    def backward(dout):
        dxhat = dout * gamma
        dvar = np.sum(dxhat * xmu, axis=0) * -0.5 * ivar**3
        dxmu = dxhat * ivar
        # missing: dxmu = dxmu + dvar * 2 * xmu / N
        assert dvar.shape == (x.size // N,)
        dx = dxmu - dxmu.mean(axis=0)
        return dx, np.sum(dout * xmu * ivar, axis=0), dout.sum(axis=0)

    return gamma * xmu * ivar + beta, backward


def running_inputs(rng):
    return 2 * rng.standard_normal((3, 4, 2, 3)) + 1, rng.standard_normal(4), rng.standard_normal(4)


@mutant("running_norm_forgets_its_scale", cause="missing-factor", inputs=running_inputs, wrong=("dx",))
def running_norm_forgets_its_scale(x, gamma, beta):
    """Evaluation: the statistics were gathered before."""
    mean, var = np.array([0.5, -1, 0, 2]), np.array([1.5, 0.3, 2, 0.8])
    gamma4, beta4 = gamma[None, :, None, None], beta[None, :, None, None]
    std = np.sqrt(var + 1e-5).reshape(1, -1, 1, 1)
    xhat = (x - mean.reshape(1, -1, 1, 1)) / std

    def backward(dy):
        dx = dy / std  # right: dx = dy * gamma4 / std
        return dx, np.einsum("nchw,nchw->c", dy, xhat), np.einsum("nchw->c", dy)

    return gamma4 * xhat + beta4, backward


@mutant("group_norm_scale_of_the_last_image", cause="sum-missing", like="group_norm", wrong=("dweight",))
def group_norm_scale_of_the_last_image(x, weight, bias):
    N, C, H, W = x.shape
    G = 2
    rows = x.reshape(N, G, -1)
    mu, var = rows.mean(axis=2, keepdims=True), rows.var(axis=2, keepdims=True)
    xhat = ((rows - mu) / np.sqrt(var + 1e-5)).reshape(x.shape)

    def backward(dy):
        dweight, dbias = np.zeros(C), np.zeros(C)
        for n in range(N):
            dweight = (dy[n] * xhat[n]).sum(axis=(1, 2))  # right: dweight += (dy[n] * xhat[n]).sum(axis=(1, 2))
            dbias += dy[n].sum(axis=(1, 2))
        g = (dy * weight.reshape(1, C, 1, 1)).reshape(N, G, -1)
        n = xhat.reshape(N, G, -1)
        dx = (g - g.mean(2, keepdims=True) - n * (g * n).mean(2, keepdims=True)) / np.sqrt(var + 1e-5)
        return dx.reshape(x.shape), dweight, dbias

    return xhat * weight.reshape(1, C, 1, 1) + bias.reshape(1, C, 1, 1), backward


# ------------------------------------------------------------------------------------------------- formulas


@mutant(
    "layer_norm_row_by_row_forgets_the_deviation",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
)
def layer_norm_row_by_row_forgets_the_deviation(x, gamma, beta):
    y, kept, sigmas = np.zeros_like(x), [], []
    for i, row in enumerate(x):
        mu = row.sum() / len(row)
        sigma = np.sqrt(((row - mu) ** 2).sum() / len(row) + 1e-5)
        n = (row - mu) / sigma
        kept.append(n)
        sigmas.append(sigma)
        y[i] = gamma * n + beta

    def backward(dy):
        dx, dgamma = np.zeros_like(x), np.zeros_like(gamma)
        for i, n in enumerate(kept):
            dgamma += dy[i] * n
            dn = dy[i] * gamma
            # right: dx[i] = (dn - dn.mean() - n * (dn * n).mean()) / sigmas[i]
            dx[i] = dn - dn.mean() - n * (dn * n).mean()
        return dx, dgamma, dy.sum(axis=0)

    return y, backward


def square_features(rng):
    return rng.standard_normal((4, 4)) + 0.5, rng.standard_normal(4)


@mutant("rms_norm_averages_over_the_batch", cause="wrong-sum-axis", inputs=square_features, wrong=("dx",))
def rms_norm_averages_over_the_batch(x, gain):
    """No mean is taken off: x / sqrt(mean(x^2))."""
    r = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-6)
    n = x / r

    def backward(dy):
        dn = dy * gain
        # right: dx = (dn - n * np.mean(dn * n, axis=1, keepdims=True)) / r
        dx = (dn - n * np.mean(dn * n, axis=0, keepdims=True)) / r
        return dx, (dy * n).sum(axis=0)

    return n * gain, backward


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


def hidden_layer(rng):
    return rng.standard_normal((4, 5)), rng.standard_normal((6, 5)), rng.standard_normal((3, 6))


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


def bags(rng):
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    return np.array([[1, 4, 1, 0], [3, 0, 0, 0], [2, 5, 0, 0]]), rng.standard_normal((6, 3)), mask


@mutant("bag_of_words_is_divided_by_its_longest", cause="wrong-count", inputs=bags, wrong=("dE",))
def bag_of_words_is_divided_by_its_longest(ids, E, mask):
    count = mask.sum(axis=1)[:, None]
    y = (E[ids] * mask[:, :, None]).sum(axis=1) / count

    def backward(dy):
        dE = np.zeros_like(E)
        for n, t in np.argwhere(mask):
            dE[ids[n, t]] += dy[n] / mask.shape[1]  # right: dE[ids[n, t]] += dy[n] / count[n]
        return None, dE, None

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


def words_with_positions(rng):
    return np.array([[3, 1, 0], [2, 3, 3]]), rng.standard_normal((6, 4)), rng.standard_normal((3, 4))


@mutant("embedding_learns_the_word_before", cause="off-by-one", inputs=words_with_positions, wrong=("dE",))
def embedding_learns_the_word_before(ids, E, P):
    """Words and their positions; the word 0 is padding."""
    real = (ids != 0)[:, :, None]
    y = (2 * E[ids] + P) * real

    def backward(dy):
        dy = dy * real
        dE = np.zeros_like(E)
        np.add.at(dE, np.roll(ids, 1, axis=1), 2 * dy)  # right: np.add.at(dE, ids, 2 * dy)
        return None, dE, dy.sum(axis=0)

    return y, backward


@mutant("embedding_counts_its_rows_from_one", cause="off-by-one", inputs=words_with_positions, wrong=("dE",))
def embedding_counts_its_rows_from_one(ids, E, P):
    real = (ids != 0)[:, :, None]
    y = (E[ids] / 2 + P) * real

    def backward(dy):
        dy = np.where(real, dy, 0)
        dE = np.zeros_like(E)
        for word, d in zip(ids.ravel(), dy.reshape(-1, E.shape[1]), strict=True):
            dE[word + 1] += d / 2  # right: dE[word] += d / 2
        return None, dE, dy.sum(axis=0)

    return y, backward


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


# ------------------------------------------------------------------------------------------------- number by number


def matrix(rng):
    return (rng.standard_normal((3, 4)),)


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


# ------------------------------------------------------------------------------------------------- sums over uses


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


def gates_of_a_layer(rng):
    return (rng.standard_normal((6, 3)), *(0.7 * rng.standard_normal(s) for s in [(3, 4), (4, 5), (4, 5), (4, 5)]))


@mutant("gates_overwrite_the_gradient_of_their_layer", cause="branch-missing", inputs=gates_of_a_layer,
        wrong=("dx", "dE"))  # fmt: skip
def gates_overwrite_the_gradient_of_their_layer(x, E, Wi, Wo, Wg):
    """Two gates and a candidate look at the same hidden layer."""
    h = np.tanh(x @ E)
    i, o, g = 1 / (1 + np.exp(-h @ Wi)), 1 / (1 + np.exp(-h @ Wo)), np.tanh(h @ Wg)
    c = np.tanh(i * g)

    def backward(dy):
        dc = dy * o * (1 - c**2)
        di, do, dg = dc * g * i * (1 - i), dy * c * o * (1 - o), dc * i * (1 - g**2)
        dh = np.zeros_like(h)
        for d, W in ((di, Wi), (do, Wo), (dg, Wg)):
            dh = d @ W.T  # right: dh += d @ W.T
        da = dh * (1 - h**2)
        return da @ E.T, x.T @ da, h.T @ di, h.T @ do, h.T @ dg

    return o * c, backward


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


def column_network(rng):
    """Examples in columns (D, N); matrices and columns of biases of two layers."""
    return tuple(rng.standard_normal(s) for s in [(3, 5), (4, 3), (4, 1), (2, 4), (2, 1)])


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


def windows_of_words(rng):
    """Ids (N, L), 0 for padding, and a table (V, D)."""
    return np.array([[3, 1, 4, 1], [5, 2, 0, 0], [6, 5, 3, 0]]), rng.standard_normal((7, 4))


@mutant(
    "bag_of_words_divides_by_the_padded_length",
    cause="wrong-count",
    inputs=windows_of_words,
    wrong=("dtable",),
)
def bag_of_words_divides_by_the_padded_length(ids, table):
    """The mean vector of the words that are there."""
    there = (ids != 0).astype(float)
    lengths = there.sum(axis=1)
    bag = (table[ids] * there[:, :, None]).sum(axis=1) / lengths[:, None]

    def backward(dbag):
        N, L = ids.shape
        dtable = np.zeros_like(table)
        for n in range(N):
            for k in range(L):
                if ids[n, k] != 0:
                    dtable[ids[n, k]] += dbag[n] / L  # right: dtable[ids[n, k]] += dbag[n] / lengths[n]
        return None, dtable

    return bag, backward


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
    "batchnorm_paper_formula_wrong_power",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the derivative of v ** -0.5 is -0.5 * v ** -1.5; the power was left as it was",
)
def batchnorm_paper_formula_wrong_power(x, gamma, beta):
    m = len(x)
    mean, var = x.mean(axis=0), x.var(axis=0)
    v = var + 1e-5
    xhat = (x - mean) * v**-0.5

    def backward(dy):
        dxhat = dy * gamma
        # right: dvar = np.sum(dxhat * (x - mean), axis=0) * -0.5 * v**-1.5
        dvar = np.sum(dxhat * (x - mean), axis=0) * -0.5 * v**-0.5
        dmean = np.sum(dxhat * -(v**-0.5), axis=0) + dvar * np.sum(-2 * (x - mean), axis=0) / m
        dx = dxhat * v**-0.5 + dvar * 2 * (x - mean) / m + dmean / m
        return dx, np.sum(dy * xhat, axis=0), np.sum(dy, axis=0)

    return gamma * xhat + beta, backward


@mutant(
    "layernorm_backward_is_the_batchnorms",
    cause="wrong-sum-axis",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the forward pass was turned to rows, the formula of the backward pass was copied with its columns",
)
def layernorm_backward_is_the_batchnorms(x, gamma, beta):
    mu = np.mean(x, axis=1, keepdims=True)
    var = np.var(x, axis=1, keepdims=True)
    ivar = 1.0 / np.sqrt(var + 1e-5)
    x_hat = (x - mu) * ivar

    def backward(dout):
        dx_hat = dout * gamma
        axis = 0  # right: axis = 1
        mean1 = np.mean(dx_hat, axis=axis, keepdims=True)
        mean2 = np.mean(dx_hat * x_hat, axis=axis, keepdims=True)
        dx = ivar * (dx_hat - mean1 - x_hat * mean2)
        return dx, np.sum(dout * x_hat, axis=0), np.sum(dout, axis=0)

    return gamma * x_hat + beta, backward


class BatchNormalization:
    """Normalises the columns of a batch, and leaves its gradients on itself."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta
        self.batch_size = self.xc = self.xn = self.std = None
        self.dgamma = self.dbeta = None

    def forward(self, x):
        self.batch_size = x.shape[0]
        self.xc = x - x.mean(axis=0)
        self.std = np.sqrt(np.mean(self.xc**2, axis=0) + 1e-6)
        self.xn = self.xc / self.std
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = dout  # right: dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / self.batch_size) * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        return dxc - dmu / self.batch_size


@mutant(
    "batchnorm_class_gain_is_one_on_the_way_back",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
    note="gamma starts at one, where nobody sees that it is missing",
)
def batchnorm_class_gain_is_one_on_the_way_back(x, gamma, beta):
    layer = BatchNormalization(gamma, beta)
    out = layer.forward(x)

    def backward(dout):
        dx = layer.backward(dout)
        return dx, layer.dgamma, layer.dbeta

    return out, backward


@mutant(
    "rms_norm_root_taken_for_a_constant",
    cause="norm-variance-term-missing",
    inputs=lambda rng: (rng.standard_normal((2, 3, 5)) + 0.5, rng.standard_normal(5)),
    wrong=("dx",),
)
def rms_norm_root_taken_for_a_constant(x, g):
    B, T, C = x.shape
    inv_rms = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    normed = x * inv_rms

    def backward(dout):
        dg = np.zeros_like(g)
        for b in range(B):
            for t in range(T):
                dg += dout[b, t] * normed[b, t]
        dnormed = dout * g
        dx = dnormed * inv_rms
        # missing: dx = dx - normed * inv_rms * (dnormed * normed).sum(axis=-1, keepdims=True) / C
        return dx, dg

    return normed * g, backward


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


@mutant(
    "rms_norm_scale_is_a_constant",
    cause="norm-variance-term-missing",
    also=("branch-missing",),
    inputs=lambda rng: (1.5 * rng.standard_normal((2, 3, 5)) + 0.5, rng.standard_normal(5)),
    wrong=("dx",),
    note="no mean to derive, and it looks as if there were nothing to derive at all",
)
def rms_norm_scale_is_a_constant(x, g):
    """A layer norm that leaves the mean where it is."""
    inv_rms = 1.0 / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    normed = x * inv_rms

    def backward(dout):
        dg = np.sum(dout * normed, axis=(0, 1))
        dnormed = dout * g
        dx = dnormed * inv_rms
        # missing: dx = dx - normed * inv_rms * np.mean(dnormed * normed, axis=-1, keepdims=True)
        return dx, dg

    return g * normed, backward


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
