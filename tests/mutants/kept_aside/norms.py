# ruff: noqa: RUF059 (students unpack every shape)
"""Norms: mean, variance, gain: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import norm_inputs


@mutant(
    "spatial_batchnorm_variance_pushes_the_other_way",
    cause="wrong-sign",
    inputs=lambda rng: (2 * rng.standard_normal((3, 2, 4, 3)) + 1, rng.standard_normal(2), rng.standard_normal(2)),
    wrong=("dx",),
    note="the derivative of v ** -0.5 is -0.5 v ** -1.5",
)
def spatial_batchnorm_variance_pushes_the_other_way(x, gamma, beta):
    """Every map over all pictures and pixels."""
    N, C, H, W = x.shape
    eps = 1e-5
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    M = len(flat)
    mean, var = flat.mean(axis=0), flat.var(axis=0)
    x_hat = (flat - mean) / np.sqrt(var + eps)
    out = (gamma * x_hat + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(dflat * x_hat, axis=0), np.sum(dflat, axis=0)
        dx_hat = dflat * gamma
        # right: dvar = np.sum(dx_hat * (flat - mean) * -0.5 * (var + eps) ** -1.5, axis=0)
        dvar = np.sum(dx_hat * (flat - mean) * 0.5 * (var + eps) ** -1.5, axis=0)
        dmean = np.sum(-dx_hat / np.sqrt(var + eps), axis=0) + dvar * np.mean(-2 * (flat - mean), axis=0)
        dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (flat - mean) / M + dmean / M
        return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta

    return out, backward


@mutant(
    "group_norm_as_if_one_group",
    cause="wrong-sum-axis",
    inputs=lambda rng: (rng.standard_normal((2, 4, 3, 3)) + 0.5,),
    note="the gradient's means are taken over all channels, not over a group's",
    wrong=("dx",),
)
def group_norm_as_if_one_group(x):
    N, C, H, W = x.shape
    g = x.reshape(N, 2, C // 2, H, W)
    std = np.sqrt(g.var(axis=(2, 3, 4), keepdims=True) + 1e-5)
    hat = (g - g.mean(axis=(2, 3, 4), keepdims=True)) / std

    def backward(dy):
        d = dy.reshape(hat.shape)
        axes = (1, 2, 3, 4)  # right: axes = (2, 3, 4)
        dx = d - d.mean(axis=axes, keepdims=True) - hat * (d * hat).mean(axis=axes, keepdims=True)
        return (dx / std).reshape(x.shape)

    return hat.reshape(x.shape), backward


@mutant(
    "group_norm_counts_one_channel",
    cause="wrong-count",
    like="group_norm",
    wrong=("dx",),
    note="the means of the backward pass divide by H W, those of the forward pass by the size of a group",
)
def group_norm_counts_one_channel(x, gamma, beta):
    N, C, H, W = x.shape
    G = 2
    x_hat, sigma = np.zeros_like(x), np.zeros((N, G))
    size = C // G
    for n in range(N):
        for g in range(G):
            part = x[n, g * size : (g + 1) * size]
            sigma[n, g] = np.sqrt(part.var() + 1e-5)
            x_hat[n, g * size : (g + 1) * size] = (part - part.mean()) / sigma[n, g]

    def backward(dout):
        m = H * W  # right: m = size * H * W
        dx = np.zeros_like(x)
        for n in range(N):
            for g in range(G):
                rows = slice(g * size, (g + 1) * size)
                d, h = dout[n, rows] * gamma[rows, None, None], x_hat[n, rows]
                dx[n, rows] = (m * d - d.sum() - h * (d * h).sum()) / (m * sigma[n, g])
        return dx, np.einsum("nchw,nchw->c", dout, x_hat), np.einsum("nchw->c", dout)

    return gamma[:, None, None] * x_hat + beta[:, None, None], backward


@mutant(
    "pixelwise_layer_norm_backward_along_the_last_axis",
    cause="wrong-sum-axis",
    inputs=lambda rng: (2 * rng.standard_normal((3, 4, 2, 5)) + 1, rng.standard_normal(4), rng.standard_normal(4)),
    wrong=("dx",),
    note="copied from the layer norm of sentences, whose features come last",
)
def pixelwise_layer_norm_backward_along_the_last_axis(x, weight, bias):
    """Every pixel by itself, over its channels."""
    u = x.mean(axis=1, keepdims=True)
    s = np.sqrt(((x - u) ** 2).mean(axis=1, keepdims=True) + 1e-6)
    xhat = (x - u) / s
    out = weight[:, None, None] * xhat + bias[:, None, None]

    def backward(dout):
        axis = -1  # right: axis = 1
        d = dout * weight[:, None, None]
        along = np.mean(d * xhat, axis=axis, keepdims=True)
        dx = (d - np.mean(d, axis=axis, keepdims=True) - xhat * along) / s
        return dx, np.sum(dout * xhat, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))

    return out, backward


@mutant(
    "spatial_batchnorm_way_back_of_test_time",
    cause="norm-variance-term-missing",
    also=("norm-mean-term-missing",),
    like="batch_norm",
    wrong=("dx",),
    note="mean and variance are constants at test time, here they are those of the batch",
)
def spatial_batchnorm_way_back_of_test_time(x, gamma, beta):
    """Every map over all pictures and pixels."""
    g, shift = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    over = {"axis": (0, 2, 3), "keepdims": True}
    mean = x.mean(**over)
    inv_std = 1 / np.sqrt(x.var(**over) + 1e-5)
    x_norm = (x - mean) * inv_std

    def backward(dout):
        dgamma, dbeta = np.sum(dout * x_norm, **over), np.sum(dout, **over)
        # right: dx = g * inv_std * (dout - np.mean(dout, **over) - x_norm * np.mean(dout * x_norm, **over))
        dx = g * inv_std * dout
        return dx, dgamma.ravel(), dbeta.ravel()

    return g * x_norm + shift, backward


@mutant(
    "layer_norm_means_of_batch_norm_on_the_way_back",
    cause="wrong-sum-axis",
    inputs=norm_inputs,
    wrong=("dx",),
    note="copied from the batch norm, and the axes were changed in the forward only",
)
def layer_norm_means_of_batch_norm_on_the_way_back(x, gamma, beta):
    axis = 1
    mu = x.mean(axis=axis, keepdims=True)
    sigma = np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)
    x_hat = (x - mu) / sigma

    def backward(dout):
        axis = 0  # right: axis = 1
        dx_hat = dout * gamma
        through_mean = dx_hat.mean(axis=axis, keepdims=True)
        through_sigma = x_hat * (dx_hat * x_hat).mean(axis=axis, keepdims=True)
        dx = (dx_hat - through_mean - through_sigma) / sigma
        return dx, (dout * x_hat).sum(axis=0), dout.sum(axis=0)

    return gamma * x_hat + beta, backward


@mutant(
    "batchnorm_square_node_without_its_two",
    cause="constant-factor",
    inputs=norm_inputs,
    wrong=("dx",),
)
def batchnorm_square_node_without_its_two(x, gamma, beta):
    """Step by step, as the paper writes the chain rule."""
    m = len(x)
    centred = x - x.mean(axis=0)
    var = (centred**2).sum(axis=0) / m
    std = np.sqrt(var + 1e-5)
    x_norm = centred / std

    def backward(dout):
        dx_norm = dout * gamma
        dvar = np.sum(dx_norm * centred, axis=0) * -0.5 / std**3
        dsquare = np.ones_like(x) * dvar / m
        dcentred = dx_norm / std + centred * dsquare  # right: dcentred = dx_norm / std + 2 * centred * dsquare
        dx = dcentred - dcentred.sum(axis=0) / m
        return dx, np.sum(dout * x_norm, axis=0), np.sum(dout, axis=0)

    return gamma * x_norm + beta, backward


@mutant(
    "batchnorm_gradient_of_the_mean_by_rows",
    cause="broadcast-not-summed",
    also=("sum-missing",),
    inputs=norm_inputs,
    wrong=("dx",),
    note="dmu has the shape of x instead of that of mu, and is added all the same",
)
def batchnorm_gradient_of_the_mean_by_rows(x, gamma, beta):
    N = x.shape[0]
    mu, var = x.mean(axis=0), x.var(axis=0)
    ivar = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mu) * ivar

    def backward(dout):
        dxhat = dout * gamma
        dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * ivar**3
        dmu = -dxhat * ivar  # right: dmu = np.sum(-dxhat * ivar, axis=0)
        dx = dxhat * ivar + dvar * 2 * (x - mu) / N + dmu / N
        return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)

    return gamma * xhat + beta, backward


@mutant(
    "batchnorm_short_formula_starts_from_dout",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the formula was looked up for a norm without gamma",
)
def batchnorm_short_formula_starts_from_dout(x, gamma, beta):
    N, D = x.shape
    sample_mean = np.sum(x, axis=0) / N
    std = np.sqrt(np.sum((x - sample_mean) ** 2, axis=0) / N + 1e-5)
    norm = (x - sample_mean) / std

    def backward(dout):
        dx, dgamma, dbeta = np.zeros_like(x), np.zeros(D), np.zeros(D)
        for d in range(D):
            g, n = dout[:, d], norm[:, d]
            dgamma[d], dbeta[d] = np.dot(g, n), np.sum(g)
            dn = g  # right: dn = g * gamma[d]
            dx[:, d] = (N * dn - np.sum(dn) - n * np.dot(dn, n)) / (N * std[d])
        return dx, dgamma, dbeta

    return gamma * norm + beta, backward


@mutant(
    "annotated_layer_norm_spread_over_one_less_there_only",
    cause="wrong-count",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the framework's std divides by D - 1, which the derivation did not know",
)
def annotated_layer_norm_spread_over_one_less_there_only(x, a_2, b_2):
    eps = 1e-6
    D = x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    std = x.std(axis=-1, keepdims=True, ddof=1)
    n = centred / (std + eps)

    def backward(dout):
        dn = dout * a_2
        dstd = -np.sum(dn * n, axis=-1, keepdims=True) / (std + eps)
        dcentred = dn / (std + eps)
        # right: dcentred = dcentred + dstd * centred / ((D - 1) * std)
        dcentred = dcentred + dstd * centred / (D * std)
        dx = dcentred - dcentred.mean(axis=-1, keepdims=True)
        return dx, (dout * n).sum(axis=0), dout.sum(axis=0)

    return a_2 * n + b_2, backward


@mutant(
    "layer_norm_every_token_back_as_if_it_were_not_centred",
    cause="norm-mean-term-missing",
    like="layer_norm",
    wrong=("dx",),
    note="it is the backward of an RMS norm",
)
def layer_norm_every_token_back_as_if_it_were_not_centred(x, weight, bias):
    shape, D = x.shape, x.shape[-1]
    rows = x.reshape(-1, D)
    inv = np.array([1 / np.sqrt(row.var() + 1e-5) for row in rows])
    normed = np.array([(row - row.mean()) * s for row, s in zip(rows, inv, strict=True)])

    def backward(dout):
        dout = dout.reshape(-1, D)
        dx = np.zeros_like(rows)
        for i, (g, n) in enumerate(zip(dout * weight, normed, strict=True)):
            dx[i] = inv[i] * (g - n * np.dot(g, n) / D)  # right: dx[i] = inv[i] * (g - g.mean() - n * np.dot(g, n) / D)
        return dx.reshape(shape), np.sum(dout * normed, axis=0), dout.sum(axis=0)

    return (normed * weight + bias).reshape(shape), backward


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
