# ruff: noqa: RUF059 (students unpack every shape)
"""Linear maps, tables, activations, dropout and norms, as students write them: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import dropout_inputs, norm_inputs, tokens_and_tables, two_relu_layers


def square_affine_inputs(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4)


# ---------------------------------------------------------------------------------------------------------- linear maps


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


# ---------------------------------------------------------------------------------------------------- nodes of a graph


@mutant("residual_block_without_its_shortcut", cause="branch-missing", inputs=square_affine_inputs, wrong=("dx",))
def residual_block_without_its_shortcut(x, W, b):
    h = np.maximum(x @ W + b, 0)

    def backward(dy):
        dh = dy * (h > 0)
        dx = dh @ W.T  # right: dx = dy + dh @ W.T
        return dx, x.T @ dh, dh.sum(axis=0)

    return x + h, backward


# ---------------------------------------------------------------------------------------------------------- activations


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


STREAM = np.random.default_rng(5)


@mutant("dropout_never_frozen", cause="forward-not-deterministic", inputs=dropout_inputs)
def dropout_never_frozen(x):
    rng = STREAM  # right: rng = np.random.default_rng(5)
    mask = (rng.uniform(size=x.shape) < 0.7) / 0.7
    return x * mask, lambda dout: dout * mask


@mutant(
    "embedding_first_row_is_always_padding",
    cause="padding-id-gradient",
    like="embedding",
    wrong=("dvectors",),
    note="id 0 is looked up as any other, and yet learns nothing",
)
def embedding_first_row_is_always_padding(ids, vectors):
    one_hot = np.equal(ids[..., None], np.arange(len(vectors))).astype(vectors.dtype)

    def backward(dout):
        dvectors = np.einsum("ijv,ijd->vd", one_hot, dout)
        dvectors[0] = 0  # right: dvectors[0] *= 1
        return None, dvectors

    return one_hot @ vectors, backward


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


# ------------------------------------------------------------------------------------------- handed in as an exercise


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


@mutant(
    "unit_length_embedding_divided_by_its_norm_only",
    cause="branch-missing",
    also=("norm-variance-term-missing",),
    inputs=lambda rng: (rng.standard_normal((5, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4)),
    wrong=("dx", "dW", "db"),
    note="the norm depends on the vector too",
)
def unit_length_embedding_divided_by_its_norm_only(x, W, b):
    """Faces are compared by their angle: each row is brought to length one."""
    z = x @ W + b
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    unit = z / norm

    def backward(dunit):
        dz = np.zeros_like(z)
        for n in range(len(z)):
            dz[n] = dunit[n] / norm[n]
            # missing: dz[n] -= unit[n] * np.dot(unit[n], dunit[n]) / norm[n]
        return dz @ W.T, x.T @ dz, dz.sum(axis=0)

    return unit, backward


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
    "batchnorm_beta_handed_out_before_gamma",
    cause="swapped-gradients",
    like="batch_norm, rows",
    wrong=("dgamma", "dbeta"),
    note="in the order in which they were worked out, which is backwards",
)
def batchnorm_beta_handed_out_before_gamma(x, gamma, beta):
    m = x.shape[0]
    centred = x - np.sum(x, axis=0) / m
    inv_std = 1 / np.sqrt(np.sum(centred**2, axis=0) / m + 1e-5)
    x_norm = centred * inv_std

    def backward(dout):
        dbeta = dout.sum(axis=0)
        dgamma = (dout * x_norm).sum(axis=0)
        dx = gamma * inv_std / m * (m * dout - dbeta - x_norm * dgamma)
        return dx, dbeta, dgamma  # right: return dx, dgamma, dbeta

    return gamma * x_norm + beta, backward


@mutant(
    "batchnorm_means_without_their_axis",
    cause="wrong-sum-axis",
    inputs=norm_inputs,
    wrong=("dx",),
    note="a mean over everything is one number, which broadcasts without a complaint",
)
def batchnorm_means_without_their_axis(x, gamma, beta):
    mu, sigma = np.mean(x, axis=0), np.sqrt(np.var(x, axis=0) + 1e-5)
    z = (x - mu) / sigma

    def backward(dout):
        dz = dout * gamma
        # right: dx = (dz - np.mean(dz, axis=0) - z * np.mean(dz * z, axis=0)) / sigma
        dx = (dz - np.mean(dz) - z * np.mean(dz * z)) / sigma
        return dx, np.sum(dout * z, axis=0), np.sum(dout, axis=0)

    return gamma * z + beta, backward


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


def deep_columns(rng):
    """Examples in columns (D, N), matrices and columns of biases of three layers, as wide as the input but the last."""
    return tuple(rng.standard_normal(s) for s in [(4, 6), (4, 4), (4, 1), (4, 4), (4, 1), (2, 4), (2, 1)])


@mutant(
    "deep_columns_outer_product_with_its_own_activation",
    cause="off-by-one",
    also=("missing-factor",),
    inputs=deep_columns,
    wrong=("dW1", "dW2"),
    note="activations[-l] is what layer -l gives, it was given activations[-l - 1]",
)
def deep_columns_outer_product_with_its_own_activation(x, W1, b1, W2, b2, W3, b3):
    weights, biases = [W1, W2, W3], [b1, b2, b3]
    activations = [x]
    for w, b in zip(weights, biases, strict=True):
        activations.append(1.0 / (1.0 + np.exp(-(np.dot(w, activations[-1]) + b))))

    def backward(dout):
        nabla_w, nabla_b = [None] * 3, [None] * 3
        delta = dout * activations[-1] * (1 - activations[-1])
        nabla_w[-1], nabla_b[-1] = np.dot(delta, activations[-2].T), delta.sum(axis=1, keepdims=True)
        for l in range(2, 4):
            slope = activations[-l] * (1 - activations[-l])
            delta = np.dot(weights[-l + 1].T, delta) * slope
            nabla_w[-l] = np.dot(delta, activations[-l].T)  # right: nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
            nabla_b[-l] = delta.sum(axis=1, keepdims=True)
        dx = np.dot(W1.T, delta)
        return dx, nabla_w[0], nabla_b[0], nabla_w[1], nabla_b[1], nabla_w[2], nabla_b[2]

    return activations[-1], backward


def gated_unit_inputs(rng):
    """Rows (N, D), then matrix and bias of the values, and of the gates."""
    return tuple(rng.standard_normal(s) for s in [(5, 3), (3, 4), (4,), (3, 4), (4,)])


@mutant(
    "gated_linear_unit_gate_without_its_value",
    cause="missing-factor",
    inputs=gated_unit_inputs,
    wrong=("dx", "dV", "dc"),
    note="the slope of the sigmoid is there, what the gate lets through is not",
)
def gated_linear_unit_gate_without_its_value(x, W, b, V, c):
    value = x @ W + b
    gate = 1 / (1 + np.exp(-(x @ V + c)))

    def backward(dout):
        dvalue = dout * gate
        dpre = dout * gate * (1 - gate)  # right: dpre = dout * value * gate * (1 - gate)
        dx = dvalue @ W.T + dpre @ V.T
        return dx, x.T @ dvalue, dvalue.sum(axis=0), x.T @ dpre, dpre.sum(axis=0)

    return value * gate, backward


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


@mutant(
    "transformer_embedding_root_of_the_width_on_the_way_there_only",
    cause="constant-factor",
    also=("wrong-count",),
    inputs=tokens_and_tables,
    wrong=("dtok",),
    note="all rows are too small by the root of D",
)
def transformer_embedding_root_of_the_width_on_the_way_there_only(ids, tok, pos):
    """Words are scaled up, lest the places drown them."""
    B, T = ids.shape
    scale = np.sqrt(tok.shape[1])
    out = np.take(tok, ids, axis=0) * scale + pos[:T]

    def backward(dout):
        dtok, dpos = np.zeros_like(tok), np.zeros_like(pos)
        dpos[:T] = dout.sum(axis=0)
        for b, sentence in enumerate(ids):
            for t, word in enumerate(sentence):
                dtok[word] += dout[b, t]  # right: dtok[word] += dout[b, t] * scale
        return None, dtok, dpos

    return out, backward
