# ruff: noqa: RUF059 (students unpack every shape)
"""Linear maps, tables, activations, dropout and norms, as students write them: each with one mistake."""

import numpy as np
from mutants import mutant


def affine_inputs(rng):
    return rng.standard_normal((4, 2, 3)), rng.standard_normal((6, 5)), rng.standard_normal(5)


def square_affine_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4)


def norm_inputs(rng):
    """A batch (N, D), gamma and beta."""
    return 2 * rng.standard_normal((6, 4)) + 1, rng.standard_normal(4), rng.standard_normal(4)


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


@mutant("residual_block_without_its_shortcut", cause="branch-missing", inputs=square_affine_inputs, wrong=("dx",))
def residual_block_without_its_shortcut(x, W, b):
    h = np.maximum(x @ W + b, 0)

    def backward(dy):
        dh = dy * (h > 0)
        dx = dh @ W.T  # right: dx = dy + dh @ W.T
        return dx, x.T @ dh, dh.sum(axis=0)

    return x + h, backward


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


def dropout_inputs(rng):
    return (rng.standard_normal((4, 6)),)


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


STREAM = np.random.default_rng(5)


@mutant("dropout_never_frozen", cause="forward-not-deterministic", inputs=dropout_inputs)
def dropout_never_frozen(x):
    rng = STREAM  # right: rng = np.random.default_rng(5)
    mask = (rng.uniform(size=x.shape) < 0.7) / 0.7
    return x * mask, lambda dout: dout * mask


# ---------------------------------------------------------------------------------------------------------------- norms


def layernorm_forward(x, gamma, beta):
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    std = np.sqrt(var + 1e-5)
    x_hat = (x - mu) / std
    return gamma * x_hat + beta, (x_hat, gamma, std)


def layernorm_backward(dout, cache):
    x_hat, gamma, std = cache
    D = x_hat.shape[1]
    dx_hat = dout * gamma
    # right: dx = (dx_hat - dx_hat.sum(1, keepdims=True) / D - x_hat * (dx_hat * x_hat).sum(1, keepdims=True) / D) / std
    dx = (dx_hat - dx_hat.sum(axis=1, keepdims=True) / D) / std
    return dx, (dout * x_hat).sum(axis=0), dout.sum(axis=0)


mutant("layernorm_pair_variance_constant", cause="norm-variance-term-missing", inputs=norm_inputs, wrong=("dx",))(
    (layernorm_forward, layernorm_backward)
)


@mutant("batchnorm_graph_mean_node_skipped", cause="norm-mean-term-missing", inputs=norm_inputs, wrong=("dx",))
def batchnorm_graph_mean_node_skipped(x, gamma, beta):
    """Node by node."""
    N, D = x.shape
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / N * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + 1e-5)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    out = gamma * xhat + beta

    def backward(dout):
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * gamma
        divar = np.sum(dxhat * xmu, axis=0)
        dxmu1 = dxhat * ivar
        dsqrtvar = -1.0 / (sqrtvar**2) * divar
        dvar = 0.5 * 1.0 / sqrtvar * dsqrtvar
        dsq = 1.0 / N * np.ones((N, D)) * dvar
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
        dx2 = 1.0 / N * np.ones((N, D)) * dmu
        # missing: dx1 = dx1 + dx2
        assert dx2.shape == dx1.shape
        return dx1, dgamma, dbeta

    return out, backward


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


@mutant(
    "layer_norm_gain_meets_the_raw_input",
    cause="derivative-at-preactivation",
    like="layer_norm",
    wrong=("dweight",),
    note="the gain's gradient is fed with x, not with the normalised x",
)
def layer_norm_gain_meets_the_raw_input(x, weight, bias):
    m, v = x.mean(-1)[..., None], x.var(-1)[..., None]
    s = np.sqrt(v + 1e-5)
    n = (x - m) / s

    def backward(dy):
        dn = dy * weight
        dx = (dn - dn.mean(-1)[..., None] - n * (dn * n).mean(-1)[..., None]) / s
        dweight = np.einsum("tnd,tnd->d", dy, x)  # right: dweight = np.einsum("tnd,tnd->d", dy, n)
        return dx, dweight, np.einsum("tnd->d", dy)

    return weight * n + bias, backward


@mutant("layer_norm_without_one_over_std", cause="missing-factor", like="layer_norm", wrong=("dx",))
def layer_norm_without_one_over_std(x, weight, bias):
    T, N, D = x.shape
    out, hat, std = np.zeros_like(x), np.zeros_like(x), np.zeros((T, N))
    for t in range(T):
        for n in range(N):
            v = x[t, n]
            std[t, n] = np.sqrt(((v - v.mean()) ** 2).mean() + 1e-5)
            hat[t, n] = (v - v.mean()) / std[t, n]
            out[t, n] = weight * hat[t, n] + bias

    def backward(dout):
        dx = np.zeros_like(x)
        for t in range(T):
            for n in range(N):
                g, h = dout[t, n] * weight, hat[t, n]
                dx[t, n] = g - g.mean() - h * (g * h).mean()
                # missing: dx[t, n] /= std[t, n]
        return dx, (dout * hat).sum(axis=(0, 1)), dout.sum(axis=(0, 1))

    return out, backward


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
