# ruff: noqa: RUF059 (students unpack every shape)
"""Norms: mean, variance, gain: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import norm_inputs


@mutant(
    "spatial_batchnorm_rows_reshaped_into_pictures",
    cause="permuted-axes",
    like="batch_norm",
    wrong=("dx",),
    note="the rows are pixels with their channels last, and are read as if the channels came first",
)
def spatial_batchnorm_rows_reshaped_into_pictures(x, gamma, beta):
    """By the batch norm for rows, of which every pixel is one."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    M = rows.shape[0]
    inv_std = 1 / np.sqrt(rows.var(axis=0) + 1e-5)
    x_norm = (rows - rows.mean(axis=0)) * inv_std
    out = (gamma * x_norm + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        drows = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(drows * x_norm, axis=0), np.sum(drows, axis=0)
        dnorm = drows * gamma
        dx = inv_std / M * (M * dnorm - dnorm.sum(axis=0) - x_norm * np.sum(dnorm * x_norm, axis=0))
        dx = dx.reshape(N, C, H, W)  # right: dx = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


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
    "spatial_batchnorm_reshapes_back",
    cause="permuted-axes",
    like="batch_norm",
    wrong=("dx",),
    note="channels were moved to the end before the pixels were laid out as rows; the way back is a reshape only",
)
def spatial_batchnorm_reshapes_back(x, gamma, beta):
    """A row for every pixel, then as for rows."""
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    std = np.sqrt(flat.var(axis=0) + 1e-5)
    x_norm = (flat - flat.mean(axis=0)) / std
    out = (gamma * x_norm + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        dflat = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        m = dflat.shape[0]
        dgamma, dbeta = np.sum(dflat * x_norm, axis=0), np.sum(dflat, axis=0)
        dx_flat = gamma / (m * std) * (m * dflat - dbeta - x_norm * dgamma)
        dx = dx_flat.reshape(N, C, H, W)  # right: dx = dx_flat.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "spatial_groupnorm_gain_loses_its_axes",
    cause="gradient-shape",
    inputs=lambda rng: (rng.standard_normal((2, 6, 3, 4)) + 1, *rng.standard_normal((2, 1, 6, 1, 1))),
    note="gamma and beta are (1, C, 1, 1), and the sums are (C,)",
)
def spatial_groupnorm_gain_loses_its_axes(x, gamma, beta):
    N, C, H, W = x.shape
    G = 3
    xg = x.reshape(N * G, -1).T
    sigma = np.sqrt(xg.var(axis=0) + 1e-5)
    x_norm = (xg - xg.mean(axis=0)) / sigma
    x_hat = x_norm.T.reshape(N, C, H, W)

    def backward(dout):
        dbeta = np.sum(dout, axis=(0, 2, 3))  # right: dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
        # right: dgamma = np.sum(dout * x_hat, axis=(0, 2, 3), keepdims=True)
        dgamma = np.sum(dout * x_hat, axis=(0, 2, 3))
        dnorm = (dout * gamma).reshape(N * G, -1).T
        M = dnorm.shape[0]
        dxg = (M * dnorm - dnorm.sum(axis=0) - x_norm * (dnorm * x_norm).sum(axis=0)) / (M * sigma)
        return dxg.T.reshape(N, C, H, W), dgamma, dbeta

    return gamma * x_hat + beta, backward


def maps(rng):
    """Maps (N, C, H, W), and gamma and beta of each channel."""
    return 2 * rng.standard_normal((3, 4, 2, 5)) - 1, rng.standard_normal(4), rng.standard_normal(4)


@mutant(
    "spatial_batchnorm_rows_poured_back_into_maps",
    cause="permuted-axes",
    inputs=maps,
    wrong=("dx",),
    note="a row for every pixel, a column for every channel: the channels stand last until they are moved",
)
def spatial_batchnorm_rows_poured_back_into_maps(x, gamma, beta):
    """Every pixel of every picture is a row, and then it is the batch norm of the dense layer."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    centred = rows - rows.mean(axis=0)
    std = np.sqrt(np.mean(centred**2, axis=0) + 1e-5)
    normed = centred / std
    out = (gamma * normed + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        drows = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        dgamma, dbeta = np.sum(drows * normed, axis=0), np.sum(drows, axis=0)
        d = drows * gamma
        d = (d - d.mean(axis=0) - normed * np.mean(d * normed, axis=0)) / std
        dx = d.reshape(N, C, H, W)  # right: dx = d.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "batchnorm_alternative_starts_from_dout",
    cause="missing-factor",
    inputs=norm_inputs,
    wrong=("dx",),
    note="the short formula on paper was for the normalised output, before gamma",
)
def batchnorm_alternative_starts_from_dout(x, gamma, beta):
    N = x.shape[0]
    sample_mean, sample_var = np.mean(x, axis=0), np.var(x, axis=0)
    inv = (sample_var + 1e-5) ** -0.5
    x_hat = (x - sample_mean) * inv

    def backward(dout):
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(x_hat * dout, axis=0)
        dx_hat = dout  # right: dx_hat = dout * gamma
        dx = N * dx_hat - np.sum(dx_hat, axis=0) - x_hat * np.sum(dx_hat * x_hat, axis=0)
        return dx * inv / N, dgamma, dbeta

    return x_hat * gamma + beta, backward


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
    "instance_norm_mean_hears_nothing",
    cause="norm-mean-term-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((2, 3, 4, 5)) - 1, rng.standard_normal(3), rng.standard_normal(3)),
    wrong=("dx",),
    note="mu is computed, and what flows into it is not handed on",
)
def instance_norm_mean_hears_nothing(x, scale, shift):
    """Every map of every picture by itself, as for the transfer of styles."""
    m = x.shape[2] * x.shape[3]
    mu = x.sum(axis=(2, 3), keepdims=True) / m
    xmu = x - mu
    ivar = 1 / np.sqrt((xmu**2).sum(axis=(2, 3), keepdims=True) / m + 1e-5)
    xhat = xmu * ivar

    def backward(dout):
        dscale, dshift = np.sum(dout * xhat, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))
        dxhat = dout * scale.reshape(1, -1, 1, 1)
        dvar = np.sum(dxhat * xmu, axis=(2, 3), keepdims=True) * -0.5 * ivar**3
        dx = dxhat * ivar + dvar * 2 * xmu / m
        # missing: dx = dx - np.sum(dxhat, axis=(2, 3), keepdims=True) * ivar / m
        return dx, dscale, dshift

    return scale.reshape(1, -1, 1, 1) * xhat + shift.reshape(1, -1, 1, 1), backward


@mutant(
    "spatial_batchnorm_maps_put_back_by_reshape",
    cause="permuted-axes",
    inputs=lambda rng: (1.5 * rng.standard_normal((3, 4, 2, 5)) + 1, rng.standard_normal(4), rng.standard_normal(4)),
    wrong=("dx",),
    note="on the way there the channels went to the end, on the way back they are not fetched",
)
def spatial_batchnorm_maps_put_back_by_reshape(x, gamma, beta):
    """Batch norm of rows, one row a pixel."""
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    m = len(rows)
    std = np.sqrt(rows.var(axis=0) + 1e-5)
    norm = (rows - rows.mean(axis=0)) / std
    out = (norm * gamma + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(dout):
        d = dout.transpose(0, 2, 3, 1).reshape(m, C)
        dgamma, dbeta = np.sum(d * norm, axis=0), np.sum(d, axis=0)
        drows = gamma / (m * std) * (m * d - dbeta - norm * dgamma)
        dx = drows.reshape(N, C, H, W)  # right: dx = drows.reshape(N, H, W, C).transpose(0, 3, 1, 2)
        return dx, dgamma, dbeta

    return out, backward


@mutant(
    "picture_layer_norm_spread_is_only_divided_by",
    cause="norm-variance-term-missing",
    inputs=lambda rng: (2 * rng.standard_normal((3, 2, 4, 3)) - 1, rng.standard_normal(2), rng.standard_normal(2)),
    wrong=("dx",),
    note="centring is undone, the division is taken for one by a number",
)
def picture_layer_norm_spread_is_only_divided_by(x, gain, shift):
    """Every picture over all its channels and pixels, gain and shift for each channel."""
    centred, normed = np.zeros_like(x), np.zeros_like(x)
    sigmas = []
    for n in range(len(x)):
        centred[n] = x[n] - np.mean(x[n])
        sigmas.append(np.sqrt(np.mean(centred[n] ** 2) + 1e-6))
        normed[n] = centred[n] / sigmas[n]
    out = gain[None, :, None, None] * normed + shift[None, :, None, None]

    def backward(dout):
        dgain, dshift = np.sum(dout * normed, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))
        dx = np.zeros_like(x)
        for n in range(len(x)):
            dnormed = dout[n] * gain[:, None, None]
            dcentred = dnormed / sigmas[n]
            # missing: dcentred = dcentred - centred[n] * np.mean(dnormed * centred[n]) / sigmas[n] ** 3
            dx[n] = dcentred - np.mean(dcentred)
        return dx, dgain, dshift

    return out, backward


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
