"""Latent variables and autoencoders: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, gaussian, sigmoid


def small_vae(rng):
    """Data (N, D), matrix and bias of the mean (Z) and of the log-variance, matrix and bias of the decoder (D)."""
    N, D, Z = 4, 6, 3
    shapes = [(N, D), (D, Z), (Z,), (D, Z), (Z,), (Z, D), (D,)]
    return tuple(0.6 * rng.standard_normal(s) for s in shapes)


@mutant(
    "vae_noise_left_out_of_the_log_variance",
    cause="missing-factor",
    inputs=small_vae,
    wrong=("dx", "dW_lv", "db_lv"),
    note="z = mu + std * eps: eps is what std is multiplied by",
)
def vae_noise_left_out_of_the_log_variance(x, W_mu, b_mu, W_lv, b_lv, W_dec, b_dec):
    """Squared error plus divergence, sums over the features, mean over the batch."""
    m = x.shape[0]
    mu, log_var = x @ W_mu + b_mu, x @ W_lv + b_lv
    std = np.exp(0.5 * log_var)
    eps = np.random.default_rng(21).standard_normal(mu.shape)
    z = mu + std * eps
    x_hat = z @ W_dec + b_dec
    recon = 0.5 * np.sum((x_hat - x) ** 2)
    kl = -0.5 * np.sum(1 + log_var - mu**2 - np.exp(log_var))

    def backward(dloss):
        dx_hat = dloss * (x_hat - x) / m
        dz = dx_hat @ W_dec.T
        dmu = dz + dloss * mu / m
        dstd = dz  # right: dstd = dz * eps
        dlog_var = 0.5 * std * dstd + dloss * 0.5 * (np.exp(log_var) - 1) / m
        dx = dmu @ W_mu.T + dlog_var @ W_lv.T - dx_hat
        return dx, x.T @ dmu, dmu.sum(0), x.T @ dlog_var, dlog_var.sum(0), z.T @ dx_hat, dx_hat.sum(0)

    return (recon + kl) / m, backward


def posterior_and_prior(rng):
    """Mean and log-variance of either, (N, Z)."""
    return tuple(rng.standard_normal((5, 3)) for _ in range(4))


@mutant(
    "kl_of_two_gaussians_derived_for_their_sigmas",
    cause="logvar-as-sigma",
    inputs=posterior_and_prior,
    wrong=("dlogvar_q", "dlogvar_p"),
    note="the formula of the divergence is written in sigma, and so it was derived on paper",
)
def kl_of_two_gaussians_derived_for_their_sigmas(mu_q, logvar_q, mu_p, logvar_p):
    """A posterior and a learned prior."""
    N = len(mu_q)
    sigma_q, sigma_p = np.exp(logvar_q / 2), np.exp(logvar_p / 2)
    delta = mu_q - mu_p
    kl = np.log(sigma_p / sigma_q) + (sigma_q**2 + delta**2) / (2 * sigma_p**2) - 0.5

    def backward(dkl):
        dmu_q = delta / sigma_p**2
        # right: dlogvar_q = (sigma_q**2 / sigma_p**2 - 1) / 2
        dlogvar_q = sigma_q / sigma_p**2 - 1 / sigma_q
        # right: dlogvar_p = (1 - (sigma_q**2 + delta**2) / sigma_p**2) / 2
        dlogvar_p = 1 / sigma_p - (sigma_q**2 + delta**2) / sigma_p**3
        return dkl * dmu_q / N, dkl * dlogvar_q / N, -dkl * dmu_q / N, dkl * dlogvar_p / N

    return kl.sum() / N, backward


def patches(rng):
    """Patches with numbers in (0, 1) (m, D), matrix and bias of the hidden layer (H) and of the output (D)."""
    weights = (0.7 * rng.standard_normal(s) for s in [(6, 4), (4,), (4, 6), (6,)])
    return 0.1 + 0.8 * rng.random((5, 6)), *weights


@mutant(
    "sparse_autoencoder_penalty_behind_the_bracket",
    cause="activation-derivative-missing",
    inputs=patches,
    wrong=("dX", "dW1", "db1"),
    note="the slope of the sigmoid belongs to the error and to the penalty of sparsity",
)
def sparse_autoencoder_penalty_behind_the_bracket(X, W1, b1, W2, b2):
    m, rho, beta = len(X), 0.1, 3.0
    a2 = sigmoid(X @ W1 + b1)
    a3 = sigmoid(a2 @ W2 + b2)
    rho_hat = a2.mean(axis=0)
    divergence = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    cost = np.sum((a3 - X) ** 2) / (2 * m) + beta * divergence.sum()

    def backward(dcost):
        error = dcost * (a3 - X) / m
        delta3 = error * a3 * (1 - a3)
        sparsity = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (delta3 @ W2.T + sparsity) * a2 * (1 - a2)
        delta2 = delta3 @ W2.T * a2 * (1 - a2) + sparsity
        return delta2 @ W1.T - error, X.T @ delta2, delta2.sum(axis=0), a2.T @ delta3, delta3.sum(axis=0)

    return cost, backward


def features_and_two_heads(rng):
    """Features (N, H), matrix and bias of the mean (Z) and of the log-variance."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,), (4, 3), (3,)])


@mutant(
    "vae_head_of_the_log_variance_gets_what_belongs_to_sigma",
    cause="logvar-as-sigma",
    also=("missing-factor", "activation-derivative-missing"),
    inputs=features_and_two_heads,
    wrong=("dh", "dW_lv", "db_lv"),
    note="dz * eps is right for sigma, and the head puts out the logarithm of its square",
)
def vae_head_of_the_log_variance_gets_what_belongs_to_sigma(h, W_mu, b_mu, W_lv, b_lv):
    """Two heads on the features of the encoder, and a sample."""
    mu = np.dot(h, W_mu) + b_mu
    log_var = np.dot(h, W_lv) + b_lv
    eps = np.random.default_rng(31).standard_normal(mu.shape)
    sigma = np.exp(0.5 * log_var)
    z = mu + sigma * eps

    def backward(dz):
        dmu = dz
        dlog_var = dz * eps  # right: dlog_var = dz * eps * 0.5 * sigma
        dW_mu, db_mu = np.dot(h.T, dmu), np.sum(dmu, axis=0)
        dW_lv, db_lv = np.dot(h.T, dlog_var), np.sum(dlog_var, axis=0)
        dh = np.dot(dmu, W_mu.T) + np.dot(dlog_var, W_lv.T)
        return dh, dW_mu, db_mu, dW_lv, db_lv

    return z, backward


@mutant(
    "kl_mean_keeps_the_half_that_its_square_brings_away",
    cause="constant-factor",
    like="gaussian_kl",
    wrong=("dmu",),
    note="the two of the square was lost: 0.5 * 2 * mu",
)
def kl_mean_keeps_the_half_that_its_square_brings_away(mu, log_sigma_sq):
    """One picture after the other."""
    N = mu.shape[0]
    total = 0.0
    for m, s in zip(mu, log_sigma_sq, strict=True):
        total += -0.5 * np.sum(1 + s - m**2 - np.exp(s))

    def backward(dkl):
        dmu, ds = np.zeros_like(mu), np.zeros_like(log_sigma_sq)
        for n in range(N):
            dmu[n] = 0.5 * mu[n] * dkl / N  # right: dmu[n] = mu[n] * dkl / N
            ds[n] = -0.5 * (1 - np.exp(log_sigma_sq[n])) * dkl / N
        return dmu, ds

    return total / N, backward


def codes_and_their_pictures(rng):
    """Mean and log-variance of the code (N, Z), data (N, D), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(4, 3), (4, 3), (4, 6), (3, 6), (6,)])


@mutant(
    "beta_vae_weighs_the_divergence_in_the_loss_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=codes_and_their_pictures,
    wrong=("dmu", "dlogvar"),
    note="the gradients are those of the plain VAE, beta came later",
)
def beta_vae_weighs_the_divergence_in_the_loss_only(mu, logvar, x, W, b):
    """Half the squared error plus beta times the divergence, mean over the batch."""
    beta, n = 4.0, len(x)
    std = np.exp(logvar / 2)
    eps = np.random.default_rng(32).standard_normal(mu.shape)
    z = mu + std * eps
    diff = z @ W + b - x
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))
    loss = (0.5 * np.sum(diff**2) + beta * kl) / n

    def backward(dloss):
        dx_hat = dloss * diff / n
        dz = dx_hat @ W.T
        dkl = dloss / n  # right: dkl = beta * dloss / n
        dmu = dz + dkl * mu
        dlogvar = dz * eps * std / 2 + dkl * (np.exp(logvar) - 1) / 2
        return dmu, dlogvar, -dx_hat, z.T @ dx_hat, dx_hat.sum(axis=0)

    return loss, backward


@mutant(
    "elbo_divergence_still_subtracted_in_the_gradient_of_the_loss",
    cause="wrong-sign",
    inputs=codes_and_their_pictures,
    wrong=("dmu", "dlog_var"),
    note="the bound is likelihood minus divergence, the loss is minus the bound",
)
def elbo_divergence_still_subtracted_in_the_gradient_of_the_loss(mu, log_var, x, W, b):
    """Minus the evidence lower bound, for a picture of the batch; pixels between -1 and 1."""
    m = mu.shape[0]
    noise = np.random.default_rng(33).standard_normal(mu.shape) * np.exp(0.5 * log_var)
    code = mu + noise
    picture = np.tanh(code.dot(W) + b)
    likelihood = -np.sum((x - picture) ** 2)
    kl = 0.5 * np.sum(mu**2 + np.exp(log_var) - log_var - 1)

    def backward(dloss):
        dpicture = 2 * dloss * (picture - x) / m
        dpre = dpicture * (1 - picture**2)
        dcode = dpre.dot(W.T)
        kl_mu = dloss * mu / m
        kl_log_var = dloss * 0.5 * (np.exp(log_var) - 1) / m
        dmu = dcode - kl_mu  # right: dmu = dcode + kl_mu
        dlog_var = 0.5 * dcode * noise - kl_log_var  # right: dlog_var = 0.5 * dcode * noise + kl_log_var
        return dmu, dlog_var, -dpicture, code.T.dot(dpre), dpre.sum(axis=0)

    return -(likelihood - kl) / m, backward


@mutant(
    "vae_noise_is_drawn_once_more_for_the_gradient",
    cause="second-call-differs",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5)]),
    wrong=("dlog_var",),
    note="the noise of the forward pass was not kept",
)
def vae_noise_is_drawn_once_more_for_the_gradient(mu, log_var, W):
    """Draw the code, and look at it through a matrix."""
    rng = np.random.default_rng(34)
    epsilon = rng.standard_normal(mu.shape)
    sigma = np.exp(0.5 * log_var)
    z = mu + epsilon * sigma

    def backward(dout):
        dz = dout @ W.T
        eps = rng.standard_normal(mu.shape)  # right: eps = epsilon
        dlog_var = dz * eps * 0.5 * sigma
        return dz, dlog_var, z.T @ dout

    return z @ W, backward


@mutant(
    "free_bits_are_paid_for_all_the_same",
    cause="activation-derivative-missing",
    also=("mask-not-applied",),
    inputs=lambda rng: (rng.standard_normal((4, 5)) * [0.2, 1.5, 0.3, 1.0, 0.1], 0.5 * rng.standard_normal((4, 5))),
    wrong=("dmean", "dlogvar"),
    note="what lies below the floor costs the floor, whatever the code does",
)
def free_bits_are_paid_for_all_the_same(mean, logvar):
    """Divergence of every latent, mean over the batch, of which a part is free."""
    free = 0.4
    batch = len(mean)
    per_latent = np.mean(0.5 * (mean**2 + np.exp(logvar) - 1 - logvar), axis=0)
    loss = np.sum(np.maximum(per_latent, free))

    def backward(dloss):
        dper_latent = dloss * np.ones_like(per_latent)
        # missing: dper_latent[per_latent < free] = 0
        dmean = dper_latent * mean / batch
        dlogvar = dper_latent * 0.5 * (np.exp(logvar) - 1) / batch
        return dmean, dlogvar

    return loss, backward


def encoder_2(rng):
    """Data (N, D), matrix and bias of the hidden layer (H), of the mean (Z) and of the log-variance."""
    shapes = [(5, 4), (4, 6), (6,), (6, 3), (3,), (6, 3), (3,)]
    return tuple(0.7 * rng.standard_normal(s) for s in shapes)


@mutant(
    "vae_encoder_tanh_undone_in_either_head_and_below_them",
    cause="activation-derivative-doubled",
    inputs=encoder_2,
    wrong=("dx", "dW1", "db1"),
    note="each head was derived down to the sum before the tanh, as was the layer that they stand on",
)
def vae_encoder_tanh_undone_in_either_head_and_below_them(x, W1, b1, W_mu, b_mu, W_lv, b_lv):
    h = np.tanh(x @ W1 + b1)
    mu, log_var = h @ W_mu + b_mu, h @ W_lv + b_lv

    def backward(dmu, dlog_var):
        from_mu = dmu @ W_mu.T * (1 - h**2)
        from_lv = dlog_var @ W_lv.T * (1 - h**2)
        dh = from_mu + from_lv
        dz1 = dh * (1 - h**2)  # right: dz1 = dh
        heads = h.T @ dmu, dmu.sum(axis=0), h.T @ dlog_var, dlog_var.sum(axis=0)
        return dz1 @ W1.T, x.T @ dz1, dz1.sum(axis=0), *heads

    return (mu, log_var), backward


def autoencoder(rng):
    """Data (N, D), matrix and bias of the code (H), matrix and bias of the data."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(5, 6), (6, 4), (4,), (4, 6), (6,)])


@mutant(
    "denoising_autoencoder_encoder_learns_from_the_clean_data",
    cause="missing-factor",
    inputs=autoencoder,
    wrong=("dW1",),
    note="the encoder saw x with noise on it",
)
def denoising_autoencoder_encoder_learns_from_the_clean_data(x, W1, b1, W2, b2):
    """Half the squared distance to the clean data, mean over the batch."""
    N = x.shape[0]
    noisy = x + 0.5 * np.random.default_rng(35).standard_normal(x.shape)
    h = sigmoid(np.dot(noisy, W1) + b1)
    y = np.dot(h, W2) + b2
    loss = 0.5 * np.sum((y - x) ** 2) / N

    def backward(dloss):
        dy = dloss * (y - x) / N
        dW2, db2 = np.dot(h.T, dy), np.sum(dy, axis=0)
        dz = np.dot(dy, W2.T) * h * (1 - h)
        dW1 = np.dot(x.T, dz)  # right: dW1 = np.dot(noisy.T, dz)
        db1 = np.sum(dz, axis=0)
        return np.dot(dz, W1.T) - dy, dW1, db1, dW2, db2

    return loss, backward


@mutant(
    "masking_noise_clears_the_pixels_that_were_left",
    cause="mask-inverted",
    inputs=autoencoder,
    wrong=("dx",),
    note="`hit` are those that were put out",
)
def masking_noise_clears_the_pixels_that_were_left(x, W1, b1, W2, b2):
    """A third of the pixels is put out, and is to be found again."""
    hit = np.random.default_rng(36).random(x.shape) < 0.35
    broken = x.copy()
    broken[hit] = 0
    code = np.tanh(broken @ W1 + b1)
    found = np.tanh(code @ W2 + b2)

    def backward(dfound):
        dpre2 = dfound * (1 - found**2)
        dpre1 = (dpre2 @ W2.T) * (1 - code**2)
        dx = dpre1 @ W1.T
        dx[~hit] = 0  # right: dx[hit] = 0
        return dx, broken.T @ dpre1, dpre1.sum(axis=0), code.T @ dpre2, dpre2.sum(axis=0)

    return found, backward


@mutant(
    "autoencoder_mean_over_pixels_shared_out_among_pictures",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=autoencoder,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="`np.mean` divides by all the numbers in the array",
)
def autoencoder_mean_over_pixels_shared_out_among_pictures(X, W1, b1, W2, b2):
    Z1 = X.dot(W1) + b1
    A1 = np.maximum(Z1, 0)
    X_hat = A1.dot(W2) + b2
    loss = np.mean((X_hat - X) ** 2)

    def backward(dloss):
        m = X.shape[0]  # right: m = X.size
        dX_hat = dloss * 2 * (X_hat - X) / m
        dW2, db2 = A1.T.dot(dX_hat), dX_hat.sum(axis=0)
        dZ1 = dX_hat.dot(W2.T)
        dZ1[Z1 <= 0] = 0
        return dZ1.dot(W1.T) - dX_hat, X.T.dot(dZ1), dZ1.sum(axis=0), dW2, db2

    return loss, backward


@mutant(
    "sparse_autoencoder_both_halves_of_the_divergence_fall",
    cause="wrong-sign",
    inputs=autoencoder,
    wrong=("ddata", "dW1", "db1"),
    note="the minus before rho / rho_hat was taken for one before both",
)
def sparse_autoencoder_both_halves_of_the_divergence_fall(data, W1, b1, W2, b2):
    """Squared error and how far the mean activation of each unit is from rho."""
    m, rho, beta = data.shape[0], 0.2, 0.5
    a2 = sigmoid(data @ W1 + b1)
    a3 = sigmoid(a2 @ W2 + b2)
    rho_hat = np.sum(a2, axis=0) / m
    kl = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
    cost = 0.5 * np.sum((a3 - data) ** 2) / m + beta * kl

    def backward(dcost):
        error = dcost * (a3 - data) / m
        delta3 = error * a3 * (1 - a3)
        # right: sparsity = -rho / rho_hat + (1 - rho) / (1 - rho_hat)
        sparsity = -rho / rho_hat - (1 - rho) / (1 - rho_hat)
        delta2 = (delta3 @ W2.T + dcost * beta * sparsity / m) * a2 * (1 - a2)
        return delta2 @ W1.T - error, data.T @ delta2, delta2.sum(axis=0), a2.T @ delta3, delta3.sum(axis=0)

    return cost, backward


@mutant(
    "sparse_code_pays_in_the_cost_but_not_in_the_gradient",
    cause="branch-missing",
    inputs=autoencoder,
    wrong=("dx", "dW1", "db1"),
    note="the code is decoded, and it is counted",
)
def sparse_code_pays_in_the_cost_but_not_in_the_gradient(x, W1, b1, W2, b2):
    """Squared error plus the sum of the sizes of the code, one example after the other."""
    lam = 0.6
    code, guess, cost = [], [], 0.0
    for row in x:
        code.append(np.tanh(row @ W1 + b1))
        guess.append(code[-1] @ W2 + b2)
        cost += np.sum((guess[-1] - row) ** 2) + lam * np.sum(np.abs(code[-1]))

    def backward(dcost):
        dx, dW1, db1, dW2, db2 = (np.zeros_like(a) for a in (x, W1, b1, W2, b2))
        for n in range(len(x)):
            dguess = 2 * dcost * (guess[n] - x[n])
            dW2 += np.outer(code[n], dguess)
            db2 += dguess
            dcode = W2 @ dguess
            # missing: dcode = dcode + dcost * lam * np.sign(code[n])
            dz = dcode * (1 - code[n] ** 2)
            dW1 += np.outer(x[n], dz)
            db1 += dz
            dx[n] = W1 @ dz - dguess
        return dx, dW1, db1, dW2, db2

    return cost, backward


@mutant(
    "k_sparse_code_learns_with_the_units_that_lost",
    cause="mask-not-applied",
    also=("activation-derivative-missing",),
    inputs=autoencoder,
    wrong=("dx", "dW1", "db1"),
    note="only the k largest of a code are decoded",
)
def k_sparse_code_learns_with_the_units_that_lost(x, W1, b1, W2, b2):
    k = 2
    z = x @ W1 + b1
    threshold = np.sort(z, axis=1)[:, -k][:, None]
    support = z >= threshold
    code = z * support
    x_hat = code @ W2 + b2

    def backward(dx_hat):
        dcode = dx_hat @ W2.T
        dz = dcode  # right: dz = dcode * support
        return dz @ W1.T, x.T @ dz, dz.sum(axis=0), code.T @ dx_hat, dx_hat.sum(axis=0)

    return x_hat, backward


@mutant(
    "contractive_penalty_slope_of_the_units_is_a_constant",
    cause="branch-missing",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    wrong=("dx", "dW", "db"),
    note="W stands in the Jacobian as it is, and within the slope of every unit",
)
def contractive_penalty_slope_of_the_units_is_a_constant(x, W, b):
    """The code, and how much it moves with the data: the squares in its Jacobian, mean over the batch."""
    N = len(x)
    h = sigmoid(x @ W + b)
    slope = h * (1 - h)
    column = np.sum(W**2, axis=0)
    penalty = np.sum(slope**2 * column) / N

    def backward(dh, dpenalty):
        dcolumn = dpenalty * np.sum(slope**2, axis=0) / N
        # missing: dh = dh + dpenalty * 2 * slope * column * (1 - 2 * h) / N
        dz = dh * slope
        dW = x.T @ dz + 2 * W * dcolumn
        return dz @ W.T, dW, dz.sum(axis=0)

    return (h, penalty), backward


def code_as_wide_as_the_data(rng):
    """Data (N, D), one matrix (D, D), biases of the code and of the data."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(6, 4), (4, 4), (4,), (4,)])


@mutant(
    "tied_decoder_gradient_added_without_turning_it_back",
    cause="transposed",
    inputs=code_as_wide_as_the_data,
    wrong=("dW",),
    note="that of W.T, and the code is as wide as the data",
)
def tied_decoder_gradient_added_without_turning_it_back(x, W, b_hid, b_vis):
    hidden = sigmoid(np.dot(x, W) + b_hid)
    visible = sigmoid(np.dot(hidden, W.T) + b_vis)

    def backward(dvisible):
        delta_vis = dvisible * visible * (1 - visible)
        delta_hid = np.dot(delta_vis, W) * hidden * (1 - hidden)
        dW = np.dot(x.T, delta_hid)
        dW += np.dot(hidden.T, delta_vis)  # right: dW += np.dot(hidden.T, delta_vis).T
        return np.dot(delta_hid, W.T), dW, delta_hid.sum(axis=0), delta_vis.sum(axis=0)

    return visible, backward


@mutant(
    "siamese_network_second_twin_overwrites_the_first",
    cause="tied-counted-once",
    also=("sum-missing", "branch-missing"),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (5, 4), (4, 3), (3,)]),
    wrong=("dW", "db"),
    note="`=` in the loop over the twins",
)
def siamese_network_second_twin_overwrites_the_first(left, right, W, b):
    """How far two pictures are from each other, both seen through the same layer."""
    h_left, h_right = np.tanh(left @ W + b), np.tanh(right @ W + b)
    difference = h_left - h_right
    distance = np.sum(difference**2, axis=1)

    def backward(ddistance):
        dleft = 2 * ddistance[:, None] * difference
        twins = [(left, h_left, dleft), (right, h_right, -dleft)]
        dW, db, dinputs = np.zeros_like(W), np.zeros_like(b), []
        for x, h, dh in twins:
            dz = dh * (1 - h**2)
            dW = x.T @ dz  # right: dW = dW + x.T @ dz
            db = dz.sum(axis=0)  # right: db = db + dz.sum(axis=0)
            dinputs.append(dz @ W.T)
        return *dinputs, dW, db

    return distance, backward


def sigmoid_prime(z):
    """Of what goes into the sigmoid."""
    return sigmoid(z) * (1 - sigmoid(z))


@mutant(
    "network_sigmoid_prime_of_the_activations",
    cause="derivative-at-preactivation",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (4, 5), (4, 1), (2, 4), (2, 1)]),
    wrong=("dx", "dw1", "db1", "dw2", "db2"),
    note="the lists `zs` and `activations` stand side by side, the function wants the first",
)
def network_sigmoid_prime_of_the_activations(x, w1, b1, w2, b2, w3, b3):
    """Examples in columns, layers counted from the end."""
    weights, biases = [w1, w2, w3], [b1, b2, b3]
    activations, zs = [x], []
    for w, b in zip(weights, biases, strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(sigmoid(zs[-1]))

    def backward(dout):
        nabla_w, nabla_b = [0, 0, 0], [0, 0, 0]
        delta = dout * sigmoid_prime(zs[-1])
        for l in range(1, 4):
            if l > 1:
                sp = sigmoid_prime(activations[-l])  # right: sp = sigmoid_prime(zs[-l])
                delta = np.dot(weights[-l + 1].T, delta) * sp
            nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
            nabla_b[-l] = delta.sum(axis=1, keepdims=True)
        pairs = zip(nabla_w, nabla_b, strict=True)
        return np.dot(weights[0].T, delta), *(g for pair in pairs for g in pair)

    return activations[-1], backward


@mutant(
    "deep_net_delta_goes_down_through_the_matrix_below",
    cause="off-by-one",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 4), (4, 4), (4,), (4, 4), (4,), (4, 4), (4,)]),
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="all layers are equally wide; at the lowest, the index -1 is the last matrix",
)
def deep_net_delta_goes_down_through_the_matrix_below(X, W1, b1, W2, b2, W3, b3):
    W, b = [W1, W2, W3], [b1, b2, b3]
    A = [X]
    for l in range(3):
        A.append(sigmoid(A[l] @ W[l] + b[l]))

    def backward(dA):
        grads = []
        for l in reversed(range(3)):
            dZ = dA * A[l + 1] * (1 - A[l + 1])
            grads = [A[l].T @ dZ, dZ.sum(axis=0), *grads]
            dA = dZ @ W[l - 1].T  # right: dA = dZ @ W[l].T
        return dA, *grads

    return A[-1], backward


@mutant(
    "two_layer_net_takes_its_step_before_it_goes_on_down",
    cause="missing-factor",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 2), (2,)]),
    wrong=("dX", "dW1", "db1"),
    note="the hidden layer is reached through the matrix of the next step",
)
def two_layer_net_takes_its_step_before_it_goes_on_down(X, W1, b1, W2, b2):
    lr = 0.1
    hidden = np.tanh(X.dot(W1) + b1)
    out = hidden.dot(W2) + b2

    def backward(dout):
        dW2, db2 = hidden.T.dot(dout), dout.sum(axis=0)
        W2_new = W2 - lr * dW2
        dhidden = dout.dot(W2_new.T)  # right: dhidden = dout.dot(W2.T)
        dz = dhidden * (1 - hidden**2)
        return dz.dot(W1.T), X.T.dot(dz), dz.sum(axis=0), dW2, db2

    return out, backward


class Affine:
    """Writes its gradients into arrays that it made at the start."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = np.sum(dout)  # right: self.grads[1][...] = np.sum(dout, axis=0)
        return np.dot(dout, self.params[0].T)


@mutant(
    "affine_bias_one_sum_of_everything_fits_everywhere",
    cause="wrong-sum-axis",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 2), (2,)]),
    wrong=("db1", "db2"),
    note="without an axis the sum is one number, and `[...] =` spreads it out",
)
def affine_bias_one_sum_of_everything_fits_everywhere(x, W1, b1, W2, b2):
    lower, upper = Affine(W1, b1), Affine(W2, b2)
    h = np.tanh(lower.forward(x))
    y = upper.forward(h)

    def backward(dy):
        dh = upper.backward(dy)
        dx = lower.backward(dh * (1 - h**2))
        return dx, *(g.copy() for layer in (lower, upper) for g in layer.grads)

    return y, backward


@mutant("sample_forgets_half", cause="constant-factor", inputs=gaussian, wrong=("dlogvar",))
def sample_forgets_half(mu, logvar):
    std = np.sqrt(np.exp(logvar))

    def backward(dz):
        return 1.0 * dz, dz * NOISE * std  # right: return 1.0 * dz, 0.5 * dz * NOISE * std

    return mu + std * NOISE, backward


@mutant("kl_of_the_logarithm_of_sigma", cause="logvar-as-sigma", like="gaussian_kl", wrong=("dlogvar",))
def kl_of_the_logarithm_of_sigma(mean, logvar):
    """The formula of the gradient is from a text where the network puts out log sigma."""
    batch, latents = mean.shape
    kl = 0.0
    for n in range(batch):
        for z in range(latents):
            kl += 0.5 * (mean[n, z] ** 2 + np.exp(logvar[n, z]) - logvar[n, z] - 1)

    def backward(d):
        # right: dlogvar = d * 0.5 * (np.exp(logvar) - 1) / batch
        dlogvar = d * (np.exp(2 * logvar) - 1) / batch
        return d * mean / batch, dlogvar

    return kl / batch, backward
